/** A text in another language, its alternatives, and where each word looked. */
import type {TargetedKeyboardEvent} from 'preact';
import {memo} from 'preact/compat';
import {useEffect, useRef, useState} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import {type Backend, proxy} from '../backend/client';
import {useDraft} from '../parts/drafts';
import {WithModel} from '../parts/model';
import {type Alternative, type Sentence, words} from '../tasks/translate';
import {languageName, told, useSay} from '../words/words';

export function Translate() {
  return <WithModel task="translate">{(backend, bundle) => <Page backend={backend} bundle={bundle} />}</WithModel>;
}

const SENTENCES = 50; // At first, and more at each asking: each word of them can be tapped.
const PAUSE_MS = 350; // After the last key, before it is translated.

function Page({backend, bundle}: {backend: Backend; bundle: Listed}) {
  const say = useSay();
  const [text, setText] = useDraft('translate', '');
  const [most, setMost] = useState(SENTENCES);
  const [left, setLeft] = useState(0);
  const [found, setFound] = useState<Sentence[]>([]);
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const edited = useRef(-Infinity);
  const [source, target] = bundle.languages;

  useEffect(() => {
    if (!text.trim()) return setFound([]);
    let isCurrent = true;
    const translate = () => {
      const sentences: Sentence[] = [];
      const onSentence = (sentence: Sentence) => {
        if (!isCurrent) return;
        sentences.push(sentence);
        setFound([...sentences]);
      };
      setIsBusy(true);
      setError(null);
      backend
        .translate(bundle.name, text, most, proxy(onSentence))
        .then((left) => {
          if (!isCurrent) return;
          setLeft(left);
          if (!sentences.length) setFound([]);
        })
        .catch((failure: unknown) => isCurrent && setError(failure))
        .finally(() => isCurrent && setIsBusy(false));
    };
    // What is pasted is translated at once, what is typed at a pause.
    const isFirst = performance.now() - edited.current > PAUSE_MS;
    edited.current = performance.now();
    const timer = setTimeout(translate, isFirst ? 0 : PAUSE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [text, most, backend, bundle.name]);
  useEffect(() => () => void backend.rest(), [backend]);

  return (
    <>
      <label class="field">
        <span>{say('from', {language: languageName(say, source)})}</span>
        <textarea
          rows={4} lang={source} value={text} placeholder={say('translateHint')}
          onInput={(event) => (setText(event.currentTarget.value), setMost(SENTENCES), setLeft(0))}
        />
      </label>
      {error !== null && <p class="notice bad" role="alert">{told(say, error)}</p>}
      {found.length > 0 && (
        <section aria-live="polite" aria-busy={isBusy}>
          <h2>{say('into', {language: languageName(say, target)})}</h2>
          {found.map((sentence, i) => (
            <Translated key={`${i} ${sentence.source}`} backend={backend} bundle={bundle} sentence={sentence} />
          ))}
          {left > 0 && <button onClick={() => setMost(most + SENTENCES)}>{say('moreSentences', {count: left})}</button>}
          <p class="quiet">{say('tapWord')}</p>
        </section>
      )}
    </>
  );
}

interface Looked {
  alternative: number;
  word: number;
  weights: number[];
}

const Translated = memo(({backend, bundle, sentence}: {backend: Backend; bundle: Listed; sentence: Sentence}) => {
  const say = useSay();
  const [looked, setLooked] = useState<Looked | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [source, target] = bundle.languages;

  const tap = (alternative: number, word: number) => {
    if (looked?.alternative === alternative && looked.word === word) return setLooked(null);
    backend.attention(bundle.name, sentence.source, sentence.alternatives[alternative]!.text).then(
      (rows) => setLooked({alternative, word, weights: rows[word]!}),
      setError,
    );
  };

  const [best, ...others] = sentence.alternatives;
  const line = (alternative: Alternative, k: number) => (
    <Line alternative={alternative} language={target} tapped={looked?.alternative === k ? looked.word : null} onTap={(word) => tap(k, word)} />
  );
  return (
    <article class="sentence">
      <p class="source" lang={source}>
        {words(sentence.source).map((word, i) => {
          const strength = looked ? looked.weights[i]! / Math.max(...looked.weights, 1e-6) : 0;
          return looked && strength > 0.05
            ? <mark key={i} class="for" style={{'--strength': strength.toFixed(2)}}>{word}</mark>
            : <span key={i}>{word}</span>;
        })}
      </p>
      {best && line(best, 0)}
      {sentence.unread > 0 && <p class="notice">{say('unread', {bytes: sentence.unread})}</p>}
      {error !== null && <p class="notice bad" role="alert">{told(say, error)}</p>}
      {others.length > 0 && (
        <details>
          <summary>{say('alternatives')}</summary>
          <ol>{others.map((alternative, k) => <li key={k}>{line(alternative, k + 1)}</li>)}</ol>
        </details>
      )}
    </article>
  );
});

interface LineProps {
  alternative: Alternative;
  language: string | undefined;
  tapped: number | null;
  onTap: (word: number) => void;
}

const ARROWS = new Map([['ArrowLeft', -1], ['ArrowRight', 1]]);

function Line({alternative, language, tapped, onTap}: LineProps) {
  const say = useSay();
  const parts = words(alternative.text);
  const [stop, setStop] = useState<number | null>(null);
  // The Tab key comes to a line once; within it the arrows go from word to word.
  const stopped = stop ?? parts.findIndex(isWord);
  const move = (event: TargetedKeyboardEvent<HTMLParagraphElement>) => {
    const step = ARROWS.get(event.key);
    if (step === undefined) return;
    const buttons = [...event.currentTarget.querySelectorAll<HTMLButtonElement>('.word')];
    buttons[buttons.findIndex((button) => button === document.activeElement) + step]?.focus();
    event.preventDefault();
  };
  return (
    <p class="target" lang={language} onKeyDown={move}>
      {grouped(parts).map((group, k) => (
        <span key={k} class={group.length > 1 && group.map(([word]) => word).join('').length < WHOLE ? 'group' : ''}>
          {group.map(([word, i]) =>
            isWord(word)
              ? (
                <button
                  key={i} class="word" tabIndex={i === stopped ? 0 : -1} aria-pressed={tapped === i}
                  onFocus={() => setStop(i)} onClick={() => onTap(i)}
                >
                  {word}
                </button>
              )
              : word,
          )}
        </span>
      ))}
      {!alternative.ended && <small class="notice">{say('cut')}</small>}
    </p>
  );
}

const WHOLE = 24; // Characters of a group that surely fit a line.

const isWord = (part: string) => /[\p{L}\p{N}]/u.test(part);

/** Parts of a text with their places, those together between which no line may end. */
function grouped(parts: string[]): [string, number][][] {
  const groups: [string, number][][] = [];
  parts.forEach((part, i) => {
    const isAlone = isWord(part) || !part.trim();
    if (isAlone || groups.length === 0) groups.push([]);
    groups.at(-1)!.push([part, i]);
  });
  return groups;
}
