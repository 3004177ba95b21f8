/** What a file of `tasks/` exports for the bundles of one task. */
import type {Session} from './session';

/** What a task's function gets from the worker, before the arguments that the screen gives. */
export interface Context {
  session: Session;
  /** Aborted when the screen no longer wants results. */
  signal: AbortSignal;
}

export interface Timing {
  /** Milliseconds to the first result: an answer, or a token. */
  firstMs: number;
  /** Milliseconds to the whole answer. */
  ms: number;
  /** Tokens of a text that was written; 0 if none was. */
  tokens: number;
}

/**
 * A callback on the page. Its calls come in order, but through a port of their own: a function that
 * awaits the last one returns after the page has had all of them.
 */
export type Report<T extends unknown[]> = (...values: T) => void | Promise<void>;

export interface Task {
  /** Signatures that the functions call: a bundle that lacks one is refused. */
  signatures: readonly string[];
  /** Functions that a screen may call, by name. */
  functions: Record<string, (context: Context, ...parameters: never[]) => Promise<unknown>>;
  /** Answers once, on a fixed input. */
  benchmark(session: Session): Promise<Timing>;
}

export async function measureMs(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Lets the worker receive messages: a loop over a runtime that answers at once could never be cancelled. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
