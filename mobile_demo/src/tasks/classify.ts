/** The classes of a text, and the words that decide between them. */
import inputs from '../backend/benchmark_inputs.json';
import {runSignature, type Session} from '../inference/session';
import {type Context, measureMs, type Report, type Task, yieldToEventLoop} from '../inference/task';
import {dropLastBytes} from '../inference/utf8';

export interface Prediction {
  /** One for each class, in the order of the bundle's labels. */
  probabilities: number[];
  /** Bytes at the end of the text that the model has no room for. */
  unreadBytes: number;
}

export interface WordAttribution {
  text: string;
  /** How much the likeliest class owes to the word: the change of its log-odds when the word is left out. */
  weight: number;
}

const UPDATE_EVERY_MS = 100;

async function predict(session: Session, text: string): Promise<Prediction> {
  const {probabilities, unread} = await runSignature(session, 'classify_text', {text});
  return {probabilities: Array.from(probabilities!), unreadBytes: unread![0]!};
}

/**
 * Attributes the prediction to the words that were read, by leaving out one at a time (Zeiler &
 * Fergus 2014, "occlusion"). Yields the attributions known after each word.
 */
async function* wordAttributions(session: Session, text: string, prediction: Prediction): AsyncGenerator<WordAttribution[]> {
  const readText = dropLastBytes(text, prediction.unreadBytes);
  const segments = [...new Intl.Segmenter(undefined, {granularity: 'word'}).segment(readText)];
  const words: WordAttribution[] = segments.map(({segment}) => ({text: segment, weight: 0}));
  const top = prediction.probabilities.indexOf(Math.max(...prediction.probabilities));
  for (const [i, {isWordLike, index, segment}] of segments.entries()) {
    if (!isWordLike) continue;
    const without = await predict(session, readText.slice(0, index) + readText.slice(index + segment.length));
    words[i]!.weight = logOdds(prediction.probabilities[top]!) - logOdds(without.probabilities[top]!);
    yield words;
  }
}

function logOdds(probability: number): number {
  const p = Math.min(Math.max(probability, 1e-6), 1 - 1e-6);
  return Math.log(p / (1 - p));
}

export const task = {
  signatures: ['classify_text'],
  functions: {
    classify: ({session}: Context, text: string) => predict(session, text),

    /** Attributes a prediction to words, and reports them a few times a second. */
    async attributeWords({session, signal}: Context, text: string, prediction: Prediction, onWords: Report<[WordAttribution[]]>) {
      let latest: WordAttribution[] = [];
      let reportedAt = performance.now();
      if (signal.aborted) return;
      for await (const words of wordAttributions(session, text, prediction)) {
        latest = words;
        await yieldToEventLoop();
        if (signal.aborted) return;
        if (performance.now() - reportedAt < UPDATE_EVERY_MS) continue;
        void onWords(latest);
        reportedAt = performance.now();
      }
      await onWords(latest);
    },
  },
  async benchmark(session: Session) {
    const ms = await measureMs(() => predict(session, inputs.review));
    return {firstMs: ms, ms, tokens: 0};
  },
} satisfies Task;
