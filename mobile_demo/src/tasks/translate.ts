/** A text in another language: alternatives for each sentence, and the words that each word attends to. */
import inputs from '../backend/benchmark_inputs.json';
import {runSignature, type Session} from '../inference/session';
import {type Context, measureMs, type Report, type Task, yieldToEventLoop} from '../inference/task';
import {byteEnds, dropLastBytes} from '../inference/utf8';

const decoder = new TextDecoder();

export interface Alternative {
  text: string;
  score: number;
  /** False if the translation was cut at the longest that the model writes. */
  isComplete: boolean;
}

export interface Translation {
  /** The part of the sentence that the model read. */
  source: string;
  /** The best first. */
  alternatives: Alternative[];
  /** Bytes at the end of the sentence that the model has no room for. */
  unreadBytes: number;
}

/** Splits `text` into sentences: the model reads one at a time. */
function splitSentences(text: string, language: string): string[] {
  const segments = [...new Intl.Segmenter(language, {granularity: 'sentence'}).segment(text)];
  return segments.map(({segment}) => segment.trim()).filter(Boolean);
}

async function translateSentence(session: Session, sentence: string): Promise<Translation> {
  const {text, length, scores, ended, unread} = await runSignature(session, 'translate_text', {text: sentence});
  const width = text!.length / length!.length;
  const alternatives = Array.from(length!, (size, k) => ({
    text: decoder.decode(text!.slice(k * width, k * width + size) as Uint8Array<ArrayBuffer>),
    score: scores![k]!,
    isComplete: ended![k] === 1,
  }));
  const isFirst = ({text}: Alternative, k: number) => alternatives.findIndex((alternative) => alternative.text === text) === k;
  const unreadBytes = unread![0]!;
  return {source: dropLastBytes(sentence, unreadBytes), alternatives: alternatives.filter(isFirst), unreadBytes};
}

/** Returns for each word of a translation how much it attends to each word of the source; see `splitWords`. */
async function wordAttention(session: Session, source: string, translation: string): Promise<number[][]> {
  const outputs = await runSignature(session, 'attend_text', {text: source, translation});
  const {weights, text_ends: sourceEnds, translation_ends: translationEnds} = outputs;
  const columns = wordOfToken(byteEnds(splitWords(source)), sourceEnds as Int32Array);
  const rows = wordOfToken(byteEnds(splitWords(translation)), translationEnds as Int32Array);
  const width = sourceEnds!.length + 1; // The end-of-text token has a column, too.
  const attention = splitWords(translation).map(() => splitWords(source).map(() => 0));
  const tokens = splitWords(translation).map((_, i) => Math.max(1, rows.filter((row) => row === i).length));
  for (const [t, row] of rows.entries()) {
    for (const [s, column] of columns.entries()) {
      if (row >= 0 && column >= 0) attention[row]![column]! += weights![t * width + s]! / tokens[row]!;
    }
  }
  return attention;
}

/** Splits a text into words and what stands between them; joined, the parts are the text. */
export function splitWords(text: string): string[] {
  return [...new Intl.Segmenter(undefined, {granularity: 'word'}).segment(text)].map(({segment}) => segment);
}

/** Returns for each token the index of the word that holds its last byte; -1 for padding. */
function wordOfToken(wordEnds: number[], tokenEnds: Int32Array): number[] {
  let previousEnd = 0;
  return Array.from(tokenEnds, (end) => {
    const isToken = end > previousEnd;
    previousEnd = end;
    return isToken ? wordEnds.findIndex((wordEnd) => end <= wordEnd) : -1;
  });
}

export const task = {
  signatures: ['translate_text', 'attend_text'],
  functions: {
    /** Translates the first `maxSentences` sentences and reports each. Returns how many sentences are left. */
    async translate(
      {session, signal}: Context, text: string, maxSentences: number, onTranslation: Report<[Translation]>,
    ) {
      const sentences = splitSentences(text, session.manifest.languages?.[0] ?? 'en');
      let report: void | Promise<void> = undefined;
      for (const sentence of sentences.slice(0, maxSentences)) {
        await yieldToEventLoop();
        if (signal.aborted) break;
        report = onTranslation(await translateSentence(session, sentence));
      }
      await report;
      return Math.max(0, sentences.length - maxSentences);
    },
    attention: ({session}: Context, source: string, translation: string) => wordAttention(session, source, translation),
  },
  async benchmark(session: Session) {
    const times: number[] = [];
    for (const caption of inputs.captions) times.push(await measureMs(() => translateSentence(session, caption)));
    return {firstMs: times[0]!, ms: times.reduce((sum, ms) => sum + ms, 0) / times.length, tokens: 0};
  },
} satisfies Task;
