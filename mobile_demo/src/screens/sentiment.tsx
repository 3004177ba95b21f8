/** What one thinks, told while one types; and the words that say so. */
import {useEffect, useState} from 'preact/hooks';

import type {Listed} from '../backend/backend';
import {type Backend, proxy} from '../backend/client';
import {useDraft} from '../parts/drafts';
import {WithModel} from '../parts/model';
import type {Verdict as Known, Word} from '../tasks/classify';
import {told, useSay} from '../words/words';

export function Sentiment() {
  return <WithModel task="classify">{(backend, bundle) => <Verdict backend={backend} bundle={bundle} />}</WithModel>;
}

function Verdict({backend, bundle}: {backend: Backend; bundle: Listed}) {
  const say = useSay();
  const [text, setText] = useDraft('sentiment', '');
  const [verdict, setVerdict] = useState<Known | null>(null);
  const [words, setWords] = useState<Word[]>([]);
  const [error, setError] = useState<unknown>(null);

  useEffect(() => {
    let isCurrent = true;
    setWords([]);
    if (!text.trim()) {
      setVerdict(null);
      return;
    }
    const onWords = (words: Word[]) => isCurrent && setWords(words);
    backend.classify(bundle.name, text, proxy(onWords)).then(
      (found) => isCurrent && (setVerdict(found), setError(null)),
      (failure: unknown) => isCurrent && setError(failure),
    );
    return () => void (isCurrent = false);
  }, [text, backend, bundle.name]);
  useEffect(() => () => void backend.rest(), [backend]);

  const probabilities = verdict?.probabilities;
  const top = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
  const most = Math.max(...words.map(({weight}) => Math.abs(weight)), 0.5);
  return (
    <>
      <label class="field">
        <span>{say('yourText')}</span>
        <textarea rows={5} value={text} placeholder={say('sentimentHint')} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {error !== null && <p class="notice bad" role="alert">{told(say, error)}</p>}
      {verdict && probabilities && (
        <section aria-live="polite">
          <p class="verdict">
            {say('verdict', {label: bundle.labels[top]!, percent: percent(probabilities[top]!)})}
          </p>
          <ul class="bars">
            {probabilities.map((probability, i) => (
              <li key={i}>
                <span>{bundle.labels[i]}</span>
                <meter value={probability} max={1} aria-label={bundle.labels[i]!} />
                <span class="figure">{percent(probability)}</span>
              </li>
            ))}
          </ul>
          {verdict.unread > 0 && <p class="notice">{say('unread', {bytes: verdict.unread})}</p>}
        </section>
      )}
      {words.length > 0 && (
        <section>
          <h2>{say('drove')}</h2>
          <p class="tinted">{words.map((word, i) => <Tinted key={i} word={word} most={most} />)}</p>
          <p class="quiet">
            <mark class="for">{say('forIt')}</mark> <mark class="against">{say('againstIt')}</mark> {say('droveHint')}
          </p>
        </section>
      )}
    </>
  );
}

const FAINTEST = 0.1; // Of the strongest: less is not tinted.

function Tinted({word, most}: {word: Word; most: number}) {
  const strength = Math.abs(word.weight) / most;
  if (strength < FAINTEST) return <>{word.text}</>;
  return <mark class={word.weight > 0 ? 'for' : 'against'} style={{'--strength': strength.toFixed(2)}}>{word.text}</mark>;
}

function percent(probability: number): string {
  return `${(100 * probability).toFixed(1)} %`;
}
