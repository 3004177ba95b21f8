/** Translates a text sentence by sentence, offers alternatives, and shows which words a word attends to. */
import type {TargetedKeyboardEvent} from 'preact';
import {memo} from 'preact/compat';
import {useEffect, useRef, useState} from 'preact/hooks';

import {taskFunctions} from '../backend/client';
import {useApp} from '../components/app_state';
import {useDraft} from '../components/drafts';
import type {ModelProps, Screen} from '../components/screen';
import {formatError, languageName, useTranslation} from '../i18n';
import {type Alternative, splitWords, type task, type Translation} from '../tasks/translate';

const SENTENCES = 50; // At first, and more at each request: each of their words is a button.
const PAUSE_MS = 350; // After the last key, before the text is translated.

function Translate({backend, bundle}: ModelProps) {
  const t = useTranslation();
  const {language} = useApp().choices;
  const [text, setText] = useDraft('translate', '');
  const [maxSentences, setMaxSentences] = useState(SENTENCES);
  const [remaining, setRemaining] = useState(0);
  const [translations, setTranslations] = useState<Translation[]>([]);
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const editedAt = useRef(-Infinity);
  const [source, target] = bundle.languages;

  useEffect(() => {
    if (!text.trim()) return setTranslations([]);
    let isCurrent = true;
    const translate = () => {
      const received: Translation[] = [];
      const onTranslation = (translation: Translation) => {
        if (!isCurrent) return;
        received.push(translation);
        setTranslations([...received]);
      };
      setIsBusy(true);
      setError(null);
      taskFunctions<typeof task>(backend, bundle.name)
        .translate(text, maxSentences, onTranslation)
        .then((remaining) => {
          if (!isCurrent) return;
          setRemaining(remaining);
          if (!received.length) setTranslations([]);
        })
        .catch((failure: unknown) => isCurrent && setError(failure))
        .finally(() => isCurrent && setIsBusy(false));
    };
    // A pasted text is translated at once, a typed one after a pause.
    const isFirst = performance.now() - editedAt.current > PAUSE_MS;
    editedAt.current = performance.now();
    const timer = setTimeout(translate, isFirst ? 0 : PAUSE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
      void backend.cancelPending();
    };
  }, [text, maxSentences, backend, bundle.name]);

  return (
    <>
      <label class="field">
        <span>{t('sourceText', {language: languageName(language, source)})}</span>
        <textarea
          rows={4} lang={source} value={text} placeholder={t('translateHint')}
          onInput={(event) => (setText(event.currentTarget.value), setMaxSentences(SENTENCES), setRemaining(0))}
        />
      </label>
      {error !== null && <p class="notice bad" role="alert">{formatError(t, error)}</p>}
      {translations.length > 0 && (
        <section aria-live="polite" aria-busy={isBusy}>
          <h2>{t('targetText', {language: languageName(language, target)})}</h2>
          {translations.map((translation, i) => (
            <Sentence key={`${i} ${translation.source}`} backend={backend} bundle={bundle} translation={translation} />
          ))}
          {remaining > 0 && (
            <button onClick={() => setMaxSentences(maxSentences + SENTENCES)}>{t('moreSentences', {count: remaining})}</button>
          )}
          <p class="quiet">{t('tapWord')}</p>
        </section>
      )}
    </>
  );
}

/** A word of a translation that was tapped, and its attention to each word of the source. */
interface TappedWord {
  alternative: number;
  word: number;
  weights: number[];
}

const Sentence = memo(({backend, bundle, translation}: ModelProps & {translation: Translation}) => {
  const t = useTranslation();
  const [tapped, setTapped] = useState<TappedWord | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [source, target] = bundle.languages;

  const tap = (alternative: number, word: number) => {
    if (tapped?.alternative === alternative && tapped.word === word) return setTapped(null);
    taskFunctions<typeof task>(backend, bundle.name)
      .attention(translation.source, translation.alternatives[alternative]!.text)
      .then((rows) => setTapped({alternative, word, weights: rows[word]!}), setError);
  };

  const [best, ...others] = translation.alternatives;
  const line = (alternative: Alternative, k: number) => (
    <Line alternative={alternative} language={target} tapped={tapped?.alternative === k ? tapped.word : null} onTap={(word) => tap(k, word)} />
  );
  return (
    <article class="sentence">
      <p class="source" lang={source}>
        {splitWords(translation.source).map((word, i) => {
          const strength = tapped ? tapped.weights[i]! / Math.max(...tapped.weights, 1e-6) : 0;
          return tapped && strength > 0.05
            ? <mark key={i} class="for" style={{'--strength': strength.toFixed(2)}}>{word}</mark>
            : <span key={i}>{word}</span>;
        })}
      </p>
      {best && line(best, 0)}
      {translation.unreadBytes > 0 && <p class="notice">{t('unreadText', {bytes: translation.unreadBytes})}</p>}
      {error !== null && <p class="notice bad" role="alert">{formatError(t, error)}</p>}
      {others.length > 0 && (
        <details>
          <summary>{t('alternatives')}</summary>
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
  const t = useTranslation();
  const parts = splitWords(alternative.text);
  const [focused, setFocused] = useState<number | null>(null);
  // The Tab key stops once at a line; within it the arrow keys go from word to word.
  const tabStop = focused ?? parts.findIndex(isWord);
  const moveFocus = (event: TargetedKeyboardEvent<HTMLParagraphElement>) => {
    const step = ARROWS.get(event.key);
    if (step === undefined) return;
    const buttons = [...event.currentTarget.querySelectorAll<HTMLButtonElement>('.word')];
    buttons[buttons.findIndex((button) => button === document.activeElement) + step]?.focus();
    event.preventDefault();
  };
  return (
    <p class="target" lang={language} onKeyDown={moveFocus}>
      {groupParts(parts).map((group, k) => (
        <span key={k} class={group.length > 1 && group.map(([part]) => part).join('').length < MAX_GROUP_LENGTH ? 'group' : ''}>
          {group.map(([part, i]) =>
            isWord(part)
              ? (
                <button
                  key={i} class="word" tabIndex={i === tabStop ? 0 : -1} aria-pressed={tapped === i}
                  onFocus={() => setFocused(i)} onClick={() => onTap(i)}
                >
                  {part}
                </button>
              )
              : part,
          )}
        </span>
      ))}
      {!alternative.isComplete && <small class="notice">{t('cutTranslation')}</small>}
    </p>
  );
}

const MAX_GROUP_LENGTH = 24; // Characters of a group that fit a line of the narrowest phone.

const isWord = (part: string) => /[\p{L}\p{N}]/u.test(part);

/** Groups the parts of a text that must stay on one line, each with its index: a word and the punctuation after it. */
function groupParts(parts: string[]): [string, number][][] {
  const groups: [string, number][][] = [];
  parts.forEach((part, i) => {
    const startsGroup = isWord(part) || !part.trim();
    if (startsGroup || groups.length === 0) groups.push([]);
    groups.at(-1)!.push([part, i]);
  });
  return groups;
}

export const screen: Screen = {
  name: 'translate',
  task: 'translate',
  taskLabel: 'translates',
  position: 3,
  icon: 'M3 6h9M7.5 4v2m2.7 0Q9 11 4 14m2-5q2 4 5 5m1 6l4.5-11L21 20m-7.400-3.500h5.800',
  Content: Translate,
};
