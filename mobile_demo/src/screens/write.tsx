/** Continues a prompt, and shows the text as it is written. */
import {useEffect, useRef, useState} from 'preact/hooks';

import {taskFunctions} from '../backend/client';
import {useDraft} from '../components/drafts';
import type {ModelProps, Screen} from '../components/screen';
import {formatError, useTranslation} from '../i18n';
import {isSeed} from '../inference/seed';
import type {task} from '../tasks/generate';

const RANDOM_SEEDS = 1_000_000;

function Write({backend, bundle}: ModelProps) {
  const t = useTranslation();
  const maxTokens = bundle.limits['max_new_tokens']!;
  const [prompt, setPrompt] = useDraft('prompt', 'ROMEO:\n');
  const [temperature, setTemperature] = useDraft('temperature', bundle.defaults['temperature']!);
  const [lengthDraft, setLength] = useDraft('length', maxTokens);
  const length = Math.min(lengthDraft, maxTokens);
  const [seed, setSeed] = useDraft('seed', '1');
  const [text, setText] = useState('');
  const [tokens, setTokens] = useState(0);
  const [speed, setSpeed] = useState(0);
  const [unreadBytes, setUnreadBytes] = useState(0);
  const [isWriting, setIsWriting] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const continuedPrompt = useRef('');

  useEffect(() => () => void backend.cancelPending(), [backend]);

  const write = async () => {
    continuedPrompt.current = prompt;
    setText('');
    setTokens(0);
    setUnreadBytes(0);
    setError(null);
    setIsWriting(true);
    const start = performance.now();
    const onText = (text: string, tokens: number) => {
      setText((previous) => previous + text);
      setTokens(tokens);
      setSpeed((1000 * tokens) / (performance.now() - start));
    };
    const {top_k, top_p} = bundle.defaults as {top_k: number; top_p: number};
    const {generate} = taskFunctions<typeof task>(backend, bundle.name);
    try {
      setUnreadBytes(await generate(prompt, {temperature, top_k, top_p, seed, max_new_tokens: length}, onText));
    } catch (failure) {
      setError(failure);
    } finally {
      setIsWriting(false);
    }
  };

  return (
    <>
      <label class="field">
        <span>{t('prompt')}</span>
        <textarea rows={3} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>{t('temperature')} <span class="figure">{temperature.toFixed(2)}</span></span>
        <input
          type="range" min={0} max={1.5} step={0.05} value={temperature}
          onInput={(event) => setTemperature(Number(event.currentTarget.value))}
        />
        <small>{t('temperatureHint')}</small>
      </label>
      <label class="field">
        <span>{t('length')} <span class="figure">{length}</span></span>
        <input
          type="range" min={1} max={maxTokens} value={length}
          onInput={(event) => setLength(Number(event.currentTarget.value))}
        />
      </label>
      <div class="row">
        <label class="field">
          <span>{t('seed')}</span>
          <input
            type="text" inputMode="numeric" autocomplete="off" value={seed} aria-invalid={!isSeed(seed)}
            onInput={(event) => setSeed(event.currentTarget.value.trim())}
          />
          <small>{t('seedHint')}</small>
        </label>
        <button onClick={() => setSeed(String(Math.floor(Math.random() * RANDOM_SEEDS)))}>{t('anotherSeed')}</button>
      </div>
      {isWriting
        ? <button class="primary" onClick={() => void backend.cancelPending()}>{t('stop')}</button>
        : <button class="primary" disabled={!isSeed(seed)} onClick={() => void write()}>{t('startWriting')}</button>}
      {!isSeed(seed) && <p class="notice bad" role="alert">{t('badSeed', {seed: seed || '—'})}</p>}
      {error !== null && <p class="notice bad" role="alert">{formatError(t, error)}</p>}
      {(text || isWriting) && (
        <section aria-busy={isWriting}>
          <h2>{t('continuation')}</h2>
          <p class="written"><span class="quiet">{continuedPrompt.current}</span><span>{text}</span></p>
          {unreadBytes > 0 && <p class="notice">{t('unreadPrompt', {bytes: unreadBytes})}</p>}
          <p class="quiet figure">{t('tokens', {count: tokens, speed: Math.round(speed)})}</p>
        </section>
      )}
    </>
  );
}

export const screen: Screen = {
  name: 'write',
  task: 'generate',
  taskLabel: 'writes',
  position: 2,
  icon: 'M4 20l1-4L16.5 4.5l3 3L8 19zM13.5 7.5l3 3',
  Content: Write,
};
