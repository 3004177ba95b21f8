/** Which class a text is of, and which of its words say so. */
import {call, type Session, textInputs} from './session';

/** Probabilities of the classes. */
export async function classify(session: Session, text: string): Promise<number[]> {
  const {probabilities} = await call(session, 'classify_text', textInputs(session, 'classify_text', text), ['probabilities']);
  return Array.from(probabilities);
}

export interface Word {
  text: string;
  /** How much the likeliest class owes to it: the change of its log-odds when the word is left out. */
  weight: number;
}

/**
 * What each word does for the verdict, by leaving it out (Zeiler & Fergus 2014, "occlusion"). Gives
 * what is known after each word; ends early when `isStale` says so.
 */
export async function* drivers(session: Session, text: string, isStale: () => boolean): AsyncGenerator<Word[]> {
  const segments = [...new Intl.Segmenter(undefined, {granularity: 'word'}).segment(text)];
  const words: Word[] = segments.map(({segment}) => ({text: segment, weight: 0}));
  const all = await classify(session, text);
  const top = all.indexOf(Math.max(...all));
  for (const [i, {isWordLike, index, segment}] of segments.entries()) {
    if (!isWordLike) continue;
    if (isStale()) return;
    const without = await classify(session, text.slice(0, index) + text.slice(index + segment.length));
    words[i]!.weight = logOdds(all[top]!) - logOdds(without[top]!);
    yield words;
  }
}

function logOdds(probability: number): number {
  const p = Math.min(Math.max(probability, 1e-6), 1 - 1e-6);
  return Math.log(p / (1 - p));
}
