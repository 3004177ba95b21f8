/** Which class a text is of, and which of its words say so. */
import {call, type Session, textInputs} from './session';
import {beginning} from './utf8';

export interface Verdict {
  /** Of the classes. */
  probabilities: number[];
  /** Bytes at the end of the text that the model has no place for. */
  unread: number;
}

export async function classify(session: Session, text: string): Promise<Verdict> {
  const {inputs, cut} = textInputs(session, 'classify_text', text);
  const {probabilities, unread} = await call(session, 'classify_text', inputs, ['probabilities', 'unread']);
  return {probabilities: Array.from(probabilities), unread: unread[0]! + cut};
}

export interface Word {
  text: string;
  /** How much the likeliest class owes to it: the change of its log-odds when the word is left out. */
  weight: number;
}

/**
 * What each word that was read does for the verdict, by leaving it out (Zeiler & Fergus 2014,
 * "occlusion"). Gives what is known after each word; ends early when `isStale` says so.
 */
export async function* drivers(session: Session, whole: string, verdict: Verdict, isStale: () => boolean): AsyncGenerator<Word[]> {
  const text = beginning(whole, verdict.unread);
  const segments = [...new Intl.Segmenter(undefined, {granularity: 'word'}).segment(text)];
  const words: Word[] = segments.map(({segment}) => ({text: segment, weight: 0}));
  const top = verdict.probabilities.indexOf(Math.max(...verdict.probabilities));
  for (const [i, {isWordLike, index, segment}] of segments.entries()) {
    if (!isWordLike) continue;
    if (isStale()) return;
    const without = await classify(session, text.slice(0, index) + text.slice(index + segment.length));
    words[i]!.weight = logOdds(verdict.probabilities[top]!) - logOdds(without.probabilities[top]!);
    yield words;
  }
}

function logOdds(probability: number): number {
  const p = Math.min(Math.max(probability, 1e-6), 1 - 1e-6);
  return Math.log(p / (1 - p));
}
