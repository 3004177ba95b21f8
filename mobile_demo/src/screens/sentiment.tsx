/** Classifies a text as it is typed, and highlights the words that decide the result. */
import {useEffect, useState} from 'preact/hooks';

import {taskFunctions} from '../backend/client';
import {useDraft} from '../components/drafts';
import type {ModelProps, Screen} from '../components/screen';
import {formatError, useTranslation} from '../i18n';
import type {Prediction, task, WordAttribution} from '../tasks/classify';

function Sentiment({backend, bundle}: ModelProps) {
  const t = useTranslation();
  const [text, setText] = useDraft('sentiment', '');
  const [prediction, setPrediction] = useState<Prediction | null>(null);
  const [words, setWords] = useState<WordAttribution[]>([]);
  const [error, setError] = useState<unknown>(null);

  useEffect(() => {
    setWords([]);
    if (!text.trim()) {
      setPrediction(null);
      return;
    }
    let isCurrent = true;
    const {classify, attributeWords} = taskFunctions<typeof task>(backend, bundle.name);
    const update = async () => {
      const prediction = await classify(text);
      if (!isCurrent) return;
      setPrediction(prediction);
      setError(null);
      await attributeWords(text, prediction, (words) => void (isCurrent && setWords(words)));
    };
    update().catch((failure: unknown) => isCurrent && setError(failure));
    return () => {
      isCurrent = false;
      void backend.cancelPending();
    };
  }, [text, backend, bundle.name]);

  const probabilities = prediction?.probabilities;
  const top = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
  const largestWeight = Math.max(...words.map(({weight}) => Math.abs(weight)), 0.5);
  return (
    <>
      <label class="field">
        <span>{t('yourText')}</span>
        <textarea rows={5} value={text} placeholder={t('sentimentHint')} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {error !== null && <p class="notice bad" role="alert">{formatError(t, error)}</p>}
      {prediction && probabilities && (
        <section aria-live="polite">
          <p class="verdict">
            {t('verdict', {label: bundle.labels[top]!, percent: formatPercent(probabilities[top]!)})}
          </p>
          <ul class="bars">
            {probabilities.map((probability, i) => (
              <li key={i}>
                <span>{bundle.labels[i]}</span>
                <meter value={probability} max={1} aria-label={bundle.labels[i]!} />
                <span class="figure">{formatPercent(probability)}</span>
              </li>
            ))}
          </ul>
          {prediction.unreadBytes > 0 && <p class="notice">{t('unreadText', {bytes: prediction.unreadBytes})}</p>}
        </section>
      )}
      {words.length > 0 && (
        <section>
          <h2>{t('decidingWords')}</h2>
          <p class="tinted">{words.map((word, i) => <TintedWord key={i} word={word} largestWeight={largestWeight} />)}</p>
          <p class="quiet">
            <mark class="for">{t('wordsFor')}</mark> <mark class="against">{t('wordsAgainst')}</mark> {t('decidingWordsHint')}
          </p>
        </section>
      )}
    </>
  );
}

const MIN_STRENGTH = 0.1; // As a share of the largest weight: less isn't tinted.

function TintedWord({word, largestWeight}: {word: WordAttribution; largestWeight: number}) {
  const strength = Math.abs(word.weight) / largestWeight;
  if (strength < MIN_STRENGTH) return <>{word.text}</>;
  return <mark class={word.weight > 0 ? 'for' : 'against'} style={{'--strength': strength.toFixed(2)}}>{word.text}</mark>;
}

function formatPercent(probability: number): string {
  return `${(100 * probability).toFixed(1)} %`;
}

export const screen: Screen = {
  name: 'sentiment',
  task: 'classify',
  taskLabel: 'classifies',
  position: 1,
  icon: 'M4 5h16v11H10l-5 4v-4H4zM9 9v.5m6-.5v.5M9 12.5q3 2.4 6 0',
  Content: Sentiment,
};
