/** Selects the runtime, manages the bundles on this device, and measures their speed. */
import {useEffect, useRef, useState} from 'preact/hooks';

import type {BenchmarkResult, BundleSummary} from '../backend/types';
import {useApp} from '../components/app_state';
import {Bars} from '../components/bars';
import {ModelUpdate} from '../components/model_update';
import type {Screen} from '../components/screen';
import {canUseThreads, maxThreads} from '../components/settings';
import {UserError} from '../errors';
import {formatError, formatMegabytes, formatMessage, type Language, LANGUAGES, useTranslation} from '../i18n';

function Engine() {
  const {engine, precision, accelerator, threads} = useApp().choices;
  return (
    <>
      <Runtime />
      <Bundles />
      <Benchmark key={`${engine} ${precision} ${accelerator} ${threads}`} />
    </>
  );
}

function Runtime() {
  const {bundles, choices, choose} = useApp();
  const t = useTranslation();
  const [hasGpu, setHasGpu] = useState(false);
  useEffect(() => {
    void navigator.gpu?.requestAdapter().then((adapter) => setHasGpu(adapter !== null));
  }, []);
  const ofEngine = bundles?.flatMap(({variants}) => variants.filter(({engine}) => engine === choices.engine)) ?? [];
  const precisions = [...new Set(ofEngine.map(({precision}) => precision))];
  const precision = choices.precision !== null && precisions.includes(choices.precision) ? choices.precision : precisions[0];
  return (
    <section>
      <fieldset>
        <legend>{t('runtime')}</legend>
        {(['litert', 'onnx'] as const).map((engine) => (
          <label key={engine} class="choice">
            <input type="radio" name="engine" checked={choices.engine === engine} onChange={() => choose({engine})} />
            {t(engine)}
          </label>
        ))}
      </fieldset>
      <label class="field">
        <span>{t('precision')}</span>
        <select value={precision} onChange={(event) => choose({precision: event.currentTarget.value})}>
          {precisions.map((name) => <option key={name}>{name}</option>)}
        </select>
      </label>
      <label class="field">
        <span>{t('accelerator')}</span>
        <select
          value={choices.accelerator}
          onChange={(event) => choose({accelerator: event.currentTarget.value as 'cpu' | 'webgpu'})}
        >
          <option value="cpu">{t('cpu')}</option>
          {hasGpu && <option value="webgpu">{t('webgpu')}</option>}
        </select>
        {!hasGpu && <small>{t('noWebgpu')}</small>}
      </label>
      <label class="field">
        <span>{t('threads')} <span class="figure">{choices.threads}</span></span>
        <input
          type="range" min={1} max={maxThreads()} value={choices.threads} disabled={!canUseThreads}
          onChange={(event) => choose({threads: Number(event.currentTarget.value)})}
        />
        {!canUseThreads && <small>{t('oneThread')}</small>}
      </label>
      <label class="field">
        <span>{t('language')}</span>
        <select value={choices.language} onChange={(event) => choose({language: event.currentTarget.value as Language})}>
          {Object.entries(LANGUAGES).map(([code, name]) => <option key={code} value={code}>{name}</option>)}
        </select>
      </label>
    </section>
  );
}

function Bundles() {
  const {screens, backend, bundles, problems, choices, choose, refresh} = useApp();
  const t = useTranslation();
  const [message, setMessage] = useState<{text: string; isBad: boolean} | null>(null);
  const folder = useRef<HTMLInputElement>(null);
  const zip = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (folder.current) folder.current.webkitdirectory = true;
  }, []);

  const showError = (error: unknown) => setMessage({text: formatError(t, error), isBad: true});
  const add = async (files: File[]) => {
    try {
      const name = await backend!.add(files);
      await refresh();
      setMessage({text: t('bundleAdded', {name}), isBad: false});
      const {bundles} = await backend!.list();
      const {task} = bundles.find((bundle) => bundle.name === name)!;
      choose({bundleByTask: {...choices.bundleByTask, [task]: name}});
      location.hash = `#/${screens.find((screen) => screen.task === task)!.name}`;
    } catch (error) {
      showError(error);
    }
  };
  const onPick = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    const files = [...(input.files ?? [])];
    input.value = '';
    if (files.length) void add(files);
  };
  const remove = (name: string) => void backend!.remove(name).then(refresh, showError);
  const details = ({task, backbone, parameters, variants}: BundleSummary) => {
    const screen = screens.find((screen) => screen.task === task);
    const label = screen?.task ? t(screen.taskLabel) : task;
    const sizes = variants.map(({engine, precision, bytes}) => `${t(engine)} ${precision} ${formatMegabytes(bytes)}`);
    return [t('bundleDetails', {task: label, backbone, parameters: parameters.toLocaleString()}), ...sizes].join(' · ');
  };

  return (
    <section>
      <h2>{t('bundles')}</h2>
      <ul class="bundles">
        {bundles?.map((bundle) => (
          <li key={bundle.name}>
            <strong>{bundle.name}</strong>
            <span class="quiet">{details(bundle)}</span>
            <ModelUpdate bundle={bundle} />
            {bundle.isOnDevice && <button onClick={() => remove(bundle.name)}>{t('remove')}</button>}
          </li>
        ))}
      </ul>
      {problems.map(({name, isOnDevice, ...problem}) => (
        <div key={name} class="notice bad">
          <p>{formatMessage(t, problem)}</p>
          {isOnDevice && <button onClick={() => remove(name)}>{t('remove')}</button>}
        </div>
      ))}
      <fieldset
        class="drop"
        disabled={!backend}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          void readDroppedFiles(event.dataTransfer!).then(add, showError);
        }}
      >
        <legend>{t('addBundle')}</legend>
        <label class="button">{t('addFolder')}<input ref={folder} type="file" multiple onChange={onPick} /></label>
        <label class="button">{t('addZip')}<input ref={zip} type="file" accept=".zip" onChange={onPick} /></label>
        <span class="quiet">{t('dropHere')}</span>
      </fieldset>
      {message && <p class={message.isBad ? 'notice bad' : 'notice'} role="alert">{message.text}</p>}
    </section>
  );
}

/** Returns the files that were dropped, and those of dropped folders with their paths. */
async function readDroppedFiles(data: DataTransfer): Promise<File[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return (await Promise.all(entries.map(readEntry))).flat();
}

async function readEntry(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    const path = entry.fullPath.replace(/^\//, '');
    if (path.includes('/')) Object.defineProperty(file, 'webkitRelativePath', {value: path});
    return [file];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) { // A reader returns a folder's entries a hundred at a time.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return files;
    files.push(...(await Promise.all(entries.map(readEntry))).flat());
  }
}

/** Belongs to one runtime: a worker that was replaced never answers. */
function Benchmark() {
  const {backend, bundles, choices} = useApp();
  const t = useTranslation();
  const runnable = bundles?.filter(({variants}) => variants.some(({engine}) => engine === choices.engine)) ?? [];
  const [measuring, setMeasuring] = useState<string | null>(null);
  const [results, setResults] = useState<BenchmarkResult[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [isCopied, setIsCopied] = useState(false);

  const measure = async () => {
    setResults([]);
    setError(null);
    setIsCopied(false);
    try {
      for (const {name} of runnable) {
        setMeasuring(name);
        const result = await backend!.benchmark(name);
        setResults((results) => [...results, result]);
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setMeasuring(null);
    }
  };
  const share = async () => {
    const text = JSON.stringify({userAgent: navigator.userAgent, when: new Date().toISOString(), results}, null, 2);
    try {
      if (navigator.share) return await navigator.share({text});
      await navigator.clipboard.writeText(text);
      setIsCopied(true);
    } catch (failure) {
      const isDismissed = failure instanceof DOMException && failure.name === 'AbortError';
      if (!isDismissed) setError(new UserError('notShared', {reason: String(failure)}));
    }
  };

  const formatMs = (value: number) => `${value.toFixed(1)} ms`;
  return (
    <section>
      <h2>{t('benchmark')}</h2>
      <button class="primary" disabled={!backend || measuring !== null || !runnable.length} onClick={() => void measure()}>{t('measure')}</button>
      {measuring && <p role="status">{t('measuring', {name: measuring})}</p>}
      {error !== null && <p class="notice bad" role="alert">{formatError(t, error)}</p>}
      {results.map(({name, engine, precision, loadMs, firstMs, medianMs, tokensPerSecond, memory, bytes}) => (
        <dl key={name} class="figures">
          <dt>{name}</dt><dd>{t(engine)} {precision}</dd>
          <dt>{t('loadTime')}</dt><dd>{formatMs(loadMs)}</dd>
          <dt>{t('firstTime')}</dt><dd>{formatMs(firstMs)}</dd>
          <dt>{t('medianTime')}</dt><dd>{formatMs(medianMs)}</dd>
          {tokensPerSecond !== null && <><dt>{t('perSecond')}</dt><dd>{Math.round(tokensPerSecond)}</dd></>}
          <dt>{t('memory')}</dt><dd>{memory === null ? t('notReported') : formatMegabytes(memory)}</dd>
          <dt>{t('fileSize')}</dt><dd>{formatMegabytes(bytes)}</dd>
        </dl>
      ))}
      {results.length > 0 && measuring === null && (
        <>
          <Bars title={t('medianTime')} unit="ms" values={results.map(({name, medianMs}) => [name, medianMs])} />
          <button onClick={() => void share()}>{t('share')}</button>
          {isCopied && <span role="status">{t('copied')}</span>}
        </>
      )}
    </section>
  );
}

export const screen: Screen = {
  name: 'engine',
  task: null,
  position: 100,
  icon: 'M7 7h10v10H7zM10 4v3m4-3v3m-4 10v3m4-3v3M4 10h3m-3 4h3m10-4h3m-3 4h3',
  Content: Engine,
};
