/** What the models run on, which there are, and how fast they are here. */
import {useEffect, useRef, useState} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import type {Measured} from '../backend/benchmark';
import {proxy} from '../backend/client';
import {UserError} from '../errors';
import {useApp} from '../parts/app_state';
import {Bars} from '../parts/bars';
import {ModelUpdate} from '../parts/model_update';
import {canThread, mostThreads} from '../parts/settings';
import {type Language, LANGUAGES, megabytes, type Say, told, toldOf, useSay} from '../words/words';

export function Engine() {
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
  const say = useSay();
  const [hasGpu, setHasGpu] = useState(false);
  useEffect(() => {
    void navigator.gpu?.requestAdapter().then((adapter) => setHasGpu(adapter !== null));
  }, []);
  const fitting = bundles?.flatMap(({variants}) => variants.filter(({engine}) => engine === choices.engine)) ?? [];
  const precisions = [...new Set(fitting.map(({precision}) => precision))];
  const precision = choices.precision !== null && precisions.includes(choices.precision) ? choices.precision : precisions[0];
  return (
    <section>
      <fieldset>
        <legend>{say('engines')}</legend>
        {(['litert', 'onnx'] as const).map((engine) => (
          <label key={engine} class="choice">
            <input type="radio" name="engine" checked={choices.engine === engine} onChange={() => choose({engine})} />
            {say(engine)}
          </label>
        ))}
      </fieldset>
      <label class="field">
        <span>{say('precision')}</span>
        <select value={precision} onChange={(event) => choose({precision: event.currentTarget.value})}>
          {precisions.map((name) => <option key={name}>{name}</option>)}
        </select>
      </label>
      <label class="field">
        <span>{say('accelerator')}</span>
        <select
          value={choices.accelerator}
          onChange={(event) => choose({accelerator: event.currentTarget.value as 'cpu' | 'webgpu'})}
        >
          <option value="cpu">{say('cpu')}</option>
          {hasGpu && <option value="webgpu">{say('webgpu')}</option>}
        </select>
        {!hasGpu && <small>{say('noWebgpu')}</small>}
      </label>
      <label class="field">
        <span>{say('threads')} <span class="figure">{choices.threads}</span></span>
        <input
          type="range" min={1} max={mostThreads()} value={choices.threads} disabled={!canThread}
          onChange={(event) => choose({threads: Number(event.currentTarget.value)})}
        />
        {!canThread && <small>{say('oneThread')}</small>}
      </label>
      <label class="field">
        <span>{say('language')}</span>
        <select value={choices.language} onChange={(event) => choose({language: event.currentTarget.value as Language})}>
          {Object.entries(LANGUAGES).map(([code, name]) => <option key={code} value={code}>{name}</option>)}
        </select>
      </label>
    </section>
  );
}

function Bundles() {
  const {backend, bundles, problems, choices, choose, refresh} = useApp();
  const say = useSay();
  const [message, setMessage] = useState<{text: string; isBad: boolean} | null>(null);
  const folder = useRef<HTMLInputElement>(null);
  const zip = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (folder.current) folder.current.webkitdirectory = true;
  }, []);

  const tell = (error: unknown) => setMessage({text: told(say, error), isBad: true});
  const add = async (files: File[]) => {
    try {
      const name = await backend!.add(files);
      await refresh();
      setMessage({text: say('added', {name}), isBad: false});
      const {bundles} = await backend!.list();
      const {task} = bundles.find((bundle) => bundle.name === name)!;
      choose({chosen: {...choices.chosen, [task]: name}});
      location.hash = `#/${SCREENS[task]}`;
    } catch (error) {
      tell(error);
    }
  };
  const picked = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    const files = [...(input.files ?? [])];
    input.value = '';
    if (files.length) void add(files);
  };
  const remove = (name: string) => void backend!.remove(name).then(refresh, tell);

  return (
    <section>
      <h2>{say('bundles')}</h2>
      <ul class="bundles">
        {bundles?.map((bundle) => (
          <li key={bundle.name}>
            <strong>{bundle.name}</strong>
            <span class="quiet">{about(say, bundle)}</span>
            <ModelUpdate bundle={bundle} />
            {bundle.isKept && <button onClick={() => remove(bundle.name)}>{say('remove')}</button>}
          </li>
        ))}
      </ul>
      {problems.map(({name, isKept, ...problem}) => (
        <div key={name} class="notice bad">
          <p>{toldOf(say, problem)}</p>
          {isKept && <button onClick={() => remove(name)}>{say('remove')}</button>}
        </div>
      ))}
      <fieldset
        class="drop"
        disabled={!backend}
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event) => {
          event.preventDefault();
          void dropped(event.dataTransfer!).then(add, tell);
        }}
      >
        <legend>{say('addBundle')}</legend>
        <label class="button">{say('addFolder')}<input ref={folder} type="file" multiple onChange={picked} /></label>
        <label class="button">{say('addZip')}<input ref={zip} type="file" accept=".zip" onChange={picked} /></label>
        <span class="quiet">{say('dropHere')}</span>
      </fieldset>
      {message && <p class={message.isBad ? 'notice bad' : 'notice'} role="alert">{message.text}</p>}
    </section>
  );
}

const SCREENS = {classify: 'sentiment', generate: 'write', translate: 'translate'};

function about(say: Say, {task, backbone, parameters, variants}: Listed): string {
  const sizes = variants.map(({engine, precision, bytes}) => `${say(engine)} ${precision} ${megabytes(bytes)}`);
  return [say('about', {task: say(task === 'translate' ? 'translates' : task), backbone, parameters: parameters.toLocaleString()}), ...sizes].join(' · ');
}

/** What was dropped: files, and those of folders with their paths. */
async function dropped(data: DataTransfer): Promise<File[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  return (await Promise.all(entries.map(below))).flat();
}

async function below(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    const path = entry.fullPath.replace(/^\//, '');
    if (path.includes('/')) Object.defineProperty(file, 'webkitRelativePath', {value: path});
    return [file];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  for (;;) { // A reader gives some at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    found.push(...(await Promise.all(some.map(below))).flat());
  }
}

/** Of one runtime: what its worker was asked is never answered once there is another. */
function Benchmark() {
  const {backend, bundles, choices} = useApp();
  const say = useSay();
  const runnable = bundles?.filter(({variants}) => variants.some(({engine}) => engine === choices.engine)) ?? [];
  const [measuring, setMeasuring] = useState<string | null>(null);
  const [found, setFound] = useState<Measured[]>([]);
  const [error, setError] = useState<unknown>(null);
  const [isShared, setIsShared] = useState(false);

  const measure = async () => {
    setFound([]);
    setError(null);
    setIsShared(false);
    try {
      for (const {name} of runnable) {
        setMeasuring(name);
        await backend!.load(name, proxy(() => undefined));
        const measured = await backend!.benchmark(name);
        setFound((found) => [...found, measured]);
      }
    } catch (failure) {
      setError(failure);
    } finally {
      setMeasuring(null);
    }
  };
  const share = async () => {
    const text = JSON.stringify({userAgent: navigator.userAgent, when: new Date().toISOString(), measured: found}, null, 2);
    try {
      if (navigator.share) return await navigator.share({text});
      await navigator.clipboard.writeText(text);
      setIsShared(true);
    } catch (failure) {
      const isDismissed = failure instanceof DOMException && failure.name === 'AbortError';
      if (!isDismissed) setError(new UserError('notShared', {reason: String(failure)}));
    }
  };

  const ms = (value: number) => `${value.toFixed(1)} ms`;
  return (
    <section>
      <h2>{say('benchmark')}</h2>
      <button class="primary" disabled={!backend || measuring !== null || !runnable.length} onClick={() => void measure()}>{say('measure')}</button>
      {measuring && <p role="status">{say('measuring', {name: measuring})}</p>}
      {error !== null && <p class="notice bad" role="alert">{told(say, error)}</p>}
      {found.map((one) => (
        <dl key={one.name} class="figures">
          <dt>{one.name}</dt><dd>{say(one.engine)} {one.precision}</dd>
          <dt>{say('loadTime')}</dt><dd>{ms(one.loadMs)}</dd>
          <dt>{say('firstTime')}</dt><dd>{ms(one.firstMs)}</dd>
          <dt>{say('medianTime')}</dt><dd>{ms(one.medianMs)}</dd>
          {one.tokensPerSecond !== null && <><dt>{say('perSecond')}</dt><dd>{Math.round(one.tokensPerSecond)}</dd></>}
          <dt>{say('memory')}</dt><dd>{one.memory === null ? say('unknown') : megabytes(one.memory)}</dd>
          <dt>{say('fileSize')}</dt><dd>{megabytes(one.bytes)}</dd>
        </dl>
      ))}
      {found.length > 0 && measuring === null && (
        <>
          <Bars title={say('medianTime')} unit="ms" values={found.map(({name, medianMs}) => [name, medianMs])} />
          <button onClick={() => void share()}>{say('share')}</button>
          {isShared && <span role="status">{say('shared')}</span>}
        </>
      )}
    </section>
  );
}
