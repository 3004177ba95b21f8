/** A text in another language: its alternatives, and where each word of them looks. */
import {call, type Session, sizeOf, textInputs} from './session';
import {beginning, bytes, ends} from './utf8';

const decoder = new TextDecoder();

export interface Alternative {
  text: string;
  score: number;
  /** Whether it ended by itself; it was cut otherwise. */
  ended: boolean;
}

export interface Sentence {
  /** What was read of it. */
  source: string;
  alternatives: Alternative[];
  /** Bytes at its end that the model has no place for. */
  unread: number;
}

/** The sentences of `text`, of which the model knows one at a time. */
export function sentences(text: string, language: string): string[] {
  const found = [...new Intl.Segmenter(language, {granularity: 'sentence'}).segment(text)];
  return found.map(({segment}) => segment.trim()).filter(Boolean);
}

/** What a beam search finds for one sentence, the best first. */
export async function translate(session: Session, whole: string): Promise<Sentence> {
  const {manifest} = session;
  const {inputs} = manifest.signatures['translate_text']!;
  const standard = Number(inputs.find(({name}) => name === 'length_penalty')!.default);
  const {inputs: ofText, cut} = textInputs(session, 'translate_text', whole);
  const outputs = await call(
    session,
    'translate_text',
    {...ofText, max_new_tokens: sizeOf(manifest, 'N'), length_penalty: standard},
    ['text', 'length', 'scores', 'ended', 'unread'],
  );
  const {text, length, scores, ended, unread} = outputs;
  const width = text.length / length.length;
  const alternatives = Array.from(length, (size, k) => ({
    text: decoder.decode(text.slice(k * width, k * width + size) as Uint8Array<ArrayBuffer>),
    score: scores[k]!,
    ended: ended[k] === 1,
  }));
  const isFirst = ({text}: Alternative, k: number) => alternatives.findIndex((other) => other.text === text) === k;
  const left = unread[0]! + cut;
  return {source: beginning(whole, left), alternatives: alternatives.filter(isFirst), unread: left};
}

/** Of each word of a translation, how much it looked at each word of the source; see `words`. */
export async function attention(session: Session, source: string, translation: string): Promise<number[][]> {
  const {manifest} = session;
  const spec = manifest.signatures['attend_text']!.inputs.find(({name}) => name === 'translation')!;
  const written = bytes(translation, sizeOf(manifest, spec.shape[1]!));
  const {weights, text_ends, translation_ends} = await call(
    session,
    'attend_text',
    {...textInputs(session, 'attend_text', source).inputs, translation: written, translation_length: written.length},
    ['weights', 'text_ends', 'translation_ends'],
  );
  const columns = wordOfToken(ends(words(source)), text_ends as Int32Array);
  const rows = wordOfToken(ends(words(translation)), translation_ends as Int32Array);
  const width = text_ends.length + 1; // The end of the source has a place, too.
  const found = words(translation).map(() => words(source).map(() => 0));
  const tokens = words(translation).map((_, i) => Math.max(1, rows.filter((row) => row === i).length));
  for (const [t, row] of rows.entries()) {
    for (const [s, column] of columns.entries()) {
      if (row >= 0 && column >= 0) found[row]![column]! += weights[t * width + s]! / tokens[row]!;
    }
  }
  return found;
}

/** A text in words, with what stands between them as parts of their own: joined they are the text. */
export function words(text: string): string[] {
  return [...new Intl.Segmenter(undefined, {granularity: 'word'}).segment(text)].map(({segment}) => segment);
}

/** For each token the word that its last byte lies in, -1 where there is no token. */
function wordOfToken(wordEnds: number[], tokenEnds: Int32Array): number[] {
  let before = 0;
  return Array.from(tokenEnds, (end) => {
    const isToken = end > before;
    before = end;
    return isToken ? wordEnds.findIndex((wordEnd) => end <= wordEnd) : -1;
  });
}
