/** The continuation of a prompt, as it is written. */
import inputs from '../backend/benchmark_inputs.json';
import type {DeviceTensor, Outputs} from '../engine/engine';
import {encodeText, fillDefaults, freeTensors, readOutputs, type Session} from '../inference/session';
import {type Context, type Report, type Task, yieldToEventLoop} from '../inference/task';
import {randomUniforms} from '../inference/uniforms';

export interface Sampling {
  temperature: number;
  top_k: number;
  top_p: number;
  /** A whole number; see `isSeed`. */
  seed: string;
  max_new_tokens: number;
}

interface Chunk {
  bytes: Uint8Array;
  tokens: number;
  /** Bytes at the start of the prompt that the model has no room for; 0 after the first chunk. */
  unreadBytes: number;
}

const UPDATE_EVERY_MS = 40;

/**
 * Continues `prompt`. Yields the first token alone, and then as many tokens at a time as a reader
 * sees appear at once.
 */
async function* continuePrompt(session: Session, prompt: string, sampling: Sampling): AsyncGenerator<Chunk> {
  const {seed, max_new_tokens, ...settings} = sampling;
  const limit = session.manifest.limits['max_new_tokens']!;
  const maxTokens = Math.min(max_new_tokens, limit);
  const uniforms = randomUniforms(seed, maxTokens);
  const {inputs: text, truncatedBytes} = encodeText(session, 'prefill_text', 'text', prompt);
  const first = fillDefaults(session, 'prefill_text', {...text, ...settings, uniform: uniforms[0]!});
  let outputs = await session.engine.run('prefill_text', first);
  let unreadBytes = (await readOutputs(outputs, ['unread'])).unread[0]! + truncatedBytes;
  let count = 1;
  try {
    for (let total = 0; ; ) {
      const {text, length, token} = await readOutputs(outputs, ['text', 'length', 'token']);
      total += count;
      if (length[0]) yield {bytes: (text as Uint8Array).slice(0, length[0]), tokens: count, unreadBytes};
      unreadBytes = 0;
      // Token 0 is padding: the text has ended. No bytes: the model's positions are used up.
      if (token[0] === 0 || !length[0] || total >= maxTokens) return;
      const nextUniforms = new Float32Array(limit);
      count = Math.min(session.tokensPerCall, maxTokens - total);
      nextUniforms.set(uniforms.subarray(total, total + count));
      const start = performance.now();
      const values = {...settings, token: token as Int32Array, max_new_tokens: count, uniforms: nextUniforms};
      const next = fillDefaults(session, 'decode_text', {...stateOf(outputs), ...values});
      const nextOutputs = await session.engine.run('decode_text', next);
      adaptTokensPerCall(session, count, performance.now() - start);
      freeTensors(outputs);
      outputs = nextOutputs;
    }
  } finally {
    freeTensors(outputs);
  }
}

/** Returns the outputs that the next call takes as its state. */
function stateOf(outputs: Outputs): Record<string, DeviceTensor> {
  const {text: _, length: __, token: ___, unread: ____, ...state} = outputs;
  return state;
}

/** Fits the tokens of a call to the time that the last one took; at most doubles them. */
function adaptTokensPerCall(session: Session, count: number, milliseconds: number): void {
  const fluent = Math.floor((UPDATE_EVERY_MS * count) / Math.max(milliseconds, 0.1));
  session.tokensPerCall = Math.min(Math.max(fluent, 1), 2 * session.tokensPerCall);
}

export const task = {
  signatures: ['prefill_text', 'decode_text'],
  functions: {
    /** Reports each piece of text with the tokens so far. Returns how many bytes at the start of the prompt weren't read. */
    async generate({session, signal}: Context, prompt: string, sampling: Sampling, onText: Report<[string, number]>) {
      const decoder = new TextDecoder();
      let tokens = 0, unreadBytes = 0;
      for await (const chunk of continuePrompt(session, prompt, sampling)) {
        tokens += chunk.tokens;
        unreadBytes += chunk.unreadBytes;
        void onText(decoder.decode(chunk.bytes, {stream: true}), tokens);
        await yieldToEventLoop();
        if (signal.aborted) break;
      }
      await onText(decoder.decode(), tokens);
      return unreadBytes;
    },
  },
  async benchmark(session: Session) {
    const {temperature, seed, prompt} = inputs;
    const start = performance.now();
    let firstMs = 0, tokens = 0;
    const max_new_tokens = session.manifest.limits['max_new_tokens']!;
    const sampling = {temperature, top_k: 0, top_p: 1, seed: String(seed), max_new_tokens};
    for await (const chunk of continuePrompt(session, prompt, sampling)) {
      tokens += chunk.tokens;
      firstMs ||= performance.now() - start;
    }
    return {firstMs, ms: performance.now() - start, tokens};
  },
} satisfies Task;
