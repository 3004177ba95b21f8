/** A text that goes on, as it is written. */
import {useEffect, useRef, useState} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import {type Backend, proxy} from '../backend/client';
import {useDraft} from '../parts/drafts';
import {WithModel} from '../parts/model';
import {isSeed} from '../tasks/seed';
import {told, useSay} from '../words/words';

export function Write() {
  return <WithModel task="generate">{(backend, bundle) => <Page backend={backend} bundle={bundle} />}</WithModel>;
}

const SEEDS = 1_000_000;

function Page({backend, bundle}: {backend: Backend; bundle: Listed}) {
  const say = useSay();
  const [prompt, setPrompt] = useDraft('prompt', 'ROMEO:\n');
  const [temperature, setTemperature] = useDraft('temperature', 0.7);
  const [asked, setLength] = useDraft('length', bundle.longest);
  const length = Math.min(asked, bundle.longest);
  const [seed, setSeed] = useDraft('seed', '1');
  const [text, setText] = useState('');
  const [tokens, setTokens] = useState(0);
  const [speed, setSpeed] = useState(0);
  const [unread, setUnread] = useState(0);
  const [isWriting, setIsWriting] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const begun = useRef('');

  useEffect(() => () => void backend.stop(), [backend]);

  const write = async () => {
    begun.current = prompt;
    setText('');
    setTokens(0);
    setUnread(0);
    setError(null);
    setIsWriting(true);
    const start = performance.now();
    const onPiece = (piece: string, count: number) => {
      setText((text) => text + piece);
      setTokens(count);
      setSpeed((1000 * count) / (performance.now() - start));
    };
    const sampling = {temperature, top_k: 0, top_p: 1, seed, max_new_tokens: length};
    try {
      setUnread(await backend.generate(bundle.name, prompt, sampling, proxy(onPiece)));
    } catch (failure) {
      setError(failure);
    } finally {
      setIsWriting(false);
    }
  };

  return (
    <>
      <label class="field">
        <span>{say('prompt')}</span>
        <textarea rows={3} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>{say('temperature')} <span class="figure">{temperature.toFixed(2)}</span></span>
        <input
          type="range" min={0} max={1.5} step={0.05} value={temperature}
          onInput={(event) => setTemperature(Number(event.currentTarget.value))}
        />
        <small>{say('temperatureHint')}</small>
      </label>
      <label class="field">
        <span>{say('length')} <span class="figure">{length}</span></span>
        <input
          type="range" min={1} max={bundle.longest} value={length}
          onInput={(event) => setLength(Number(event.currentTarget.value))}
        />
      </label>
      <div class="row">
        <label class="field">
          <span>{say('seed')}</span>
          <input
            type="text" inputMode="numeric" autocomplete="off" value={seed} aria-invalid={!isSeed(seed)}
            onInput={(event) => setSeed(event.currentTarget.value.trim())}
          />
          <small>{say('seedHint')}</small>
        </label>
        <button onClick={() => setSeed(String(Math.floor(Math.random() * SEEDS)))}>{say('otherSeed')}</button>
      </div>
      {isWriting
        ? <button class="primary" onClick={() => void backend.stop()}>{say('stop')}</button>
        : <button class="primary" disabled={!isSeed(seed)} onClick={() => void write()}>{say('writeIt')}</button>}
      {!isSeed(seed) && <p class="notice bad" role="alert">{say('badSeed', {seed: seed || '—'})}</p>}
      {error !== null && <p class="notice bad" role="alert">{told(say, error)}</p>}
      {(text || isWriting) && (
        <section aria-busy={isWriting}>
          <h2>{say('written')}</h2>
          <p class="written"><span class="quiet">{begun.current}</span><span>{text}</span></p>
          {unread > 0 && <p class="notice">{say('unreadPrompt', {bytes: unread})}</p>}
          <p class="quiet figure">{say('tokens', {count: tokens, speed: Math.round(speed)})}</p>
        </section>
      )}
    </>
  );
}
