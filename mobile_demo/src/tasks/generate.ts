/** A text that goes on, as it is written. */
import type {Held, Outputs} from '../engine/engine';
import {free, reading, type Session, sizeOf, textInputs} from './session';
import {uniforms} from './uniforms';

export interface Sampling {
  temperature: number;
  top_k: number;
  top_p: number;
  /** A whole number; see `isSeed`. */
  seed: string;
  max_new_tokens: number;
}

export interface Piece {
  bytes: Uint8Array;
  tokens: number;
  /** Bytes at the beginning of the prompt that the model has no place for; with the first piece. */
  unread: number;
}

const SHOWN_EVERY_MS = 40;

/** Tokens of a text at most, its prompt aside. */
export function longest({manifest}: Session): number {
  return sizeOf(manifest, 'N');
}

/**
 * Continues `prompt`; gives its bytes as they are written, a token first, then as many as the eye
 * sees at once. Whoever stops asking stops it.
 */
export async function* generate(session: Session, prompt: string, sampling: Sampling): AsyncGenerator<Piece> {
  const {seed, max_new_tokens, ...settings} = sampling;
  const longestText = longest(session);
  const most = Math.min(max_new_tokens, longestText);
  const numbers = uniforms(seed, most);
  const {inputs, cut} = textInputs(session, 'prefill_text', prompt);
  let outputs = await session.engine.run('prefill_text', {...inputs, ...settings, uniform: numbers[0]!});
  let unread = (await reading(outputs, ['unread'])).unread[0]! + cut;
  let count = 1;
  try {
    for (let written = 0; ; ) {
      const {text, length, token} = await reading(outputs, ['text', 'length', 'token']);
      written += count;
      if (length[0]) yield {bytes: (text as Uint8Array).slice(0, length[0]), tokens: count, unread};
      unread = 0;
      // 0 is no token: the text has ended. Nothing written: there is no place left.
      if (token[0] === 0 || !length[0] || written >= most) return;
      const following = new Float32Array(longestText);
      count = Math.min(speed.tokens, most - written);
      following.set(numbers.subarray(written, written + count));
      const start = performance.now();
      const next = await session.engine.run('decode_text', {
        ...states(outputs),
        ...settings,
        token: token as Int32Array,
        max_new_tokens: count,
        uniforms: following,
      });
      speed.learn(count, performance.now() - start);
      free(Object.values(outputs));
      outputs = next;
    }
  } finally {
    free(Object.values(outputs));
  }
}

/** What a later call takes of an earlier one. */
function states(outputs: Outputs): Record<string, Held> {
  const {text: _, length: __, token: ___, unread: ____, ...rest} = outputs;
  return rest;
}

/** How many tokens a call may write and still seem fluent. */
const speed = {
  tokens: 1,
  learn(count: number, milliseconds: number): void {
    const fluent = Math.floor((SHOWN_EVERY_MS * count) / Math.max(milliseconds, 0.1));
    this.tokens = Math.min(Math.max(fluent, 1), 2 * this.tokens);
  },
};
