/** The model of a screen: chosen, fetched with a progress bar, opened; then the screen itself. */
import type {ComponentChildren} from 'preact';
import {useEffect, useLayoutEffect, useRef, useState} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import {type Backend, followed} from '../backend/client';
import {megabytes, told, useSay} from '../words/words';
import {useApp} from './app_state';
import {ModelUpdate} from './model_update';

interface Props {
  task: Listed['task'];
  children: (backend: Backend, bundle: Listed) => ComponentChildren;
}

type Stage =
  | {name: 'asking'}
  | {name: 'absent'; bytes: number}
  | {name: 'loading'; done: number; all: number}
  | {name: 'ready'}
  | {name: 'failed'; error: unknown};

export function WithModel({task, children}: Props) {
  const {bundles, backend, choices, choose} = useApp();
  const say = useSay();
  const ofTask = bundles?.filter((bundle) => bundle.task === task) ?? [];
  const runnable = ofTask.filter(({variants}) => variants.some(({engine}) => engine === choices.engine));
  const fitting = runnable.length > 0 ? runnable : ofTask; // Else the error says what to choose.
  const bundle = fitting.find(({name}) => name === choices.chosen[task]) ?? fitting[0];
  if (!backend || bundles === null) return <p class="quiet" aria-busy="true" />;
  if (!bundle) return <p class="notice" role="status">{say('noModel')}</p>;
  return (
    <>
      {fitting.length > 1 && (
        <label class="field">
          <span>{say('model')}</span>
          <select
            value={bundle.name}
            onChange={(event) => choose({chosen: {...choices.chosen, [task]: event.currentTarget.value}})}
          >
            {fitting.map(({name}) => <option key={name}>{name}</option>)}
          </select>
        </label>
      )}
      <ModelUpdate bundle={bundle} />
      <Loaded key={bundle.name} backend={backend} bundle={bundle}>{() => children(backend, bundle)}</Loaded>
    </>
  );
}

/** Bundles that the user has asked for: another try, or another runtime, need not be asked for again. */
const asked = new Set<string>();

interface LoadedProps {
  backend: Backend;
  bundle: Listed;
  children: () => ComponentChildren;
}

function Loaded({backend, bundle: {name}, children}: LoadedProps) {
  const {restart} = useApp();
  const say = useSay();
  const screen = useRef<HTMLDivElement>(null);
  const [stage, setStage] = useState<Stage>({name: 'asking'});
  const onFailure = (error: unknown) => setStage({name: 'failed', error});

  const load = () => {
    setStage({name: 'loading', done: 0, all: 0});
    const onProgress = (done: number, all: number) => setStage({name: 'loading', done, all});
    followed((progress) => backend.load(name, progress), onProgress).then(() => setStage({name: 'ready'}), onFailure);
  };

  // Whoever asked for the model wants to write next, from the moment the field is there.
  useLayoutEffect(() => {
    if (stage.name === 'ready' && asked.has(name)) screen.current?.querySelector('textarea')?.focus();
  }, [stage.name]);

  // What is here already is opened; what has to be fetched is fetched when the user says so.
  useEffect(() => {
    backend.toFetch(name).then((bytes) => (bytes && !asked.has(name) ? setStage({name: 'absent', bytes}) : load()), onFailure);
  }, [backend, name]);

  switch (stage.name) {
    case 'asking':
      return <p class="quiet" aria-busy="true" />;
    case 'absent':
      return (
        <button class="primary" onClick={() => (asked.add(name), load())}>
          {say('get', {size: megabytes(stage.bytes)})}
        </button>
      );
    case 'loading': {
      const {done, all} = stage;
      const isOpening = all === 0 || done === all;
      const text = isOpening ? say('opening', {name}) : say('loading', {name, done: megabytes(done), all: megabytes(all)});
      return (
        <div role="status">
          <p>{text}</p>
          <progress max={1} {...(isOpening ? {} : {value: done / all})} aria-label={text} />
        </div>
      );
    }
    case 'failed':
      return (
        <div class="notice bad" role="alert">
          <p>{told(say, stage.error)}</p>
          <button onClick={restart}>{say('retry')}</button>
        </div>
      );
    case 'ready':
      return <div ref={screen} class="screen">{children()}</div>;
  }
}
