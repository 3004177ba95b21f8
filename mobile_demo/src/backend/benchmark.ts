/** The speed of a bundle on this device. */
import type {Session} from '../inference/session';
import type {Task} from '../inference/task';
import type {BenchmarkResult} from './types';

const CALLS = 7; // As benchmarks/device.py.

type Figures = Pick<BenchmarkResult, 'firstMs' | 'medianMs' | 'tokens' | 'tokensPerSecond' | 'memory'>;

export async function measureTask(task: Task, session: Session): Promise<Figures> {
  const {firstMs} = await task.benchmark(session);
  const timings = [];
  for (let i = 0; i < CALLS; i++) timings.push(await task.benchmark(session));
  const speeds = timings.flatMap(({tokens, ms}) => (tokens ? [(1000 * tokens) / ms] : []));
  return {
    firstMs,
    medianMs: median(timings.map(({ms}) => ms)),
    tokens: speeds.length ? median(timings.map(({tokens}) => tokens)) : null,
    tokensPerSecond: speeds.length ? median(speeds) : null,
    memory: session.engine.memory(),
  };
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
