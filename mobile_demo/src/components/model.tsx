/** Selects the model of a screen, loads it with a progress bar, and then shows the screen. */
import {useEffect, useLayoutEffect, useRef, useState} from 'preact/hooks';

import {withProgress} from '../backend/client';
import {formatError, formatMegabytes, useTranslation} from '../i18n';
import {useApp} from './app_state';
import {ModelUpdate} from './model_update';
import type {ModelProps, TaskScreen} from './screen';

type Stage =
  | {name: 'checking'}
  | {name: 'absent'; bytes: number}
  | {name: 'loading'; done: number; total: number}
  | {name: 'ready'}
  | {name: 'failed'; error: unknown};

export function WithModel({screen: {task, Content}}: {screen: TaskScreen}) {
  const {bundles, backend, choices, choose} = useApp();
  const t = useTranslation();
  const ofTask = bundles?.filter((bundle) => bundle.task === task) ?? [];
  const runnable = ofTask.filter(({variants}) => variants.some(({engine}) => engine === choices.engine));
  const candidates = runnable.length > 0 ? runnable : ofTask; // If none runs, the error says what to do.
  const bundle = candidates.find(({name}) => name === choices.bundleByTask[task]) ?? candidates[0];
  if (!backend || bundles === null) return <p class="quiet" aria-busy="true" />;
  if (!bundle) return <p class="notice" role="status">{t('noModel')}</p>;
  return (
    <>
      {candidates.length > 1 && (
        <label class="field">
          <span>{t('model')}</span>
          <select
            value={bundle.name}
            onChange={(event) => choose({bundleByTask: {...choices.bundleByTask, [task]: event.currentTarget.value}})}
          >
            {candidates.map(({name}) => <option key={name}>{name}</option>)}
          </select>
        </label>
      )}
      <ModelUpdate bundle={bundle} />
      <LoadedModel key={bundle.name} backend={backend} bundle={bundle} Content={Content} />
    </>
  );
}

function LoadedModel({backend, bundle, Content}: ModelProps & Pick<TaskScreen, 'Content'>) {
  const {requestedBundles, restart} = useApp();
  const t = useTranslation();
  const screen = useRef<HTMLDivElement>(null);
  const [stage, setStage] = useState<Stage>({name: 'checking'});
  const {name} = bundle;
  const onFailure = (error: unknown) => setStage({name: 'failed', error});

  const load = () => {
    setStage({name: 'loading', done: 0, total: 0});
    const onProgress = (done: number, total: number) => setStage({name: 'loading', done, total});
    withProgress((report) => backend.load(name, report), onProgress).then(() => setStage({name: 'ready'}), onFailure);
  };
  const request = () => {
    requestedBundles.add(name);
    load();
  };

  // A user who asked for the model wants to write next.
  useLayoutEffect(() => {
    if (stage.name === 'ready' && requestedBundles.has(name)) screen.current?.querySelector('textarea')?.focus();
  }, [stage.name]);

  // A model on this device is opened; one that has to be fetched waits for the user to ask for it.
  useEffect(() => {
    const onBytes = (bytes: number) => (bytes && !requestedBundles.has(name) ? setStage({name: 'absent', bytes}) : load());
    backend.missingBytes(name).then(onBytes, onFailure);
  }, [backend, name]);

  switch (stage.name) {
    case 'checking':
      return <p class="quiet" aria-busy="true" />;
    case 'absent':
      return <button class="primary" onClick={request}>{t('loadModel', {size: formatMegabytes(stage.bytes)})}</button>;
    case 'loading': {
      const {done, total} = stage;
      const isOpening = total === 0 || done === total;
      const text = isOpening ? t('opening', {name}) : t('loading', {name, done: formatMegabytes(done), total: formatMegabytes(total)});
      return (
        <div role="status">
          <p>{text}</p>
          <progress max={1} {...(isOpening ? {} : {value: done / total})} aria-label={text} />
        </div>
      );
    }
    case 'failed':
      return (
        <div class="notice bad" role="alert">
          <p>{formatError(t, stage.error)}</p>
          <button onClick={restart}>{t('retry')}</button>
        </div>
      );
    case 'ready':
      return <div ref={screen} class="screen"><Content backend={backend} bundle={bundle} /></div>;
  }
}
