/** How fast a bundle is on this device. */
import {classify} from '../tasks/classify';
import {generate} from '../tasks/generate';
import type {Session} from '../tasks/session';
import {translate} from '../tasks/translate';
import type {Settings} from './backend';
import inputs from './benchmark_inputs.json'; // benchmarks/device.py takes the same.

export interface Figures {
  /** To the first answer, or token, of a model that has just been opened. */
  firstMs: number;
  /** Median of the calls after it; of a whole text, where one is written. */
  medianMs: number;
  /** Of a text that is written; null where none is. */
  tokensPerSecond: number | null;
  /** Of the runtime, in bytes; null if it does not say. */
  memory: number | null;
}

export interface Measured extends Figures, Settings {
  name: string;
  format: string;
  bytes: number;
  loadMs: number;
}

const CALLS = 7;
export async function measured(session: Session, longest: number): Promise<Figures> {
  const once = {classify: classified, generate: generated, translate: translated}[session.manifest.task];
  const first = await once(session, longest);
  const others = [];
  for (let i = 0; i < CALLS; i++) others.push(await once(session, longest));
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  const speeds = others.flatMap(({tokens, ms}) => (tokens ? [(1000 * tokens) / ms] : []));
  return {
    firstMs: first.firstMs,
    medianMs: median(others.map(({ms}) => ms)),
    tokensPerSecond: speeds.length ? median(speeds) : null,
    memory: session.engine.memory(),
  };
}

interface Once {
  firstMs: number;
  ms: number;
  tokens: number;
}

async function classified(session: Session): Promise<Once> {
  const ms = await timed(() => classify(session, inputs.review));
  return {firstMs: ms, ms, tokens: 0};
}

async function generated(session: Session, longest: number): Promise<Once> {
  const start = performance.now();
  let firstMs = 0;
  let tokens = 0;
  const sampling = {temperature: inputs.temperature, top_k: 0, top_p: 1, seed: String(inputs.seed), max_new_tokens: longest};
  for await (const piece of generate(session, inputs.prompt, sampling)) {
    tokens += piece.tokens;
    firstMs ||= performance.now() - start;
  }
  return {firstMs, ms: performance.now() - start, tokens};
}

async function translated(session: Session): Promise<Once> {
  const times = [];
  for (const caption of inputs.captions) times.push(await timed(() => translate(session, caption)));
  return {firstMs: times[0]!, ms: times.reduce((sum, ms) => sum + ms, 0) / times.length, tokens: 0};
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
