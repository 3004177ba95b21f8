/** The page's end of the worker. */
import {proxy, type ProxyMarked, type Remote, wrap} from 'comlink';

import type {Progress} from '../bundle/store';
import type {Backend as BackendClass, Settings} from './backend';

export type Backend = Remote<BackendClass>;
export {proxy};

/**
 * The answer of a call that says how far it is. What it says comes through a port of its own, and may
 * come after the answer: it is dropped then.
 */
export function followed<T>(
  call: (progress: Progress & ProxyMarked) => Promise<T>, onProgress: Progress,
): Promise<T> {
  let isOver = false;
  const progress: Progress = (done, all) => void (isOver || onProgress(done, all));
  return call(proxy(progress)).finally(() => (isOver = true));
}

let worker: Worker | null = null;

/**
 * A worker with these settings. There is one at a time: a runtime is loaded with its threads, and
 * other settings need another.
 */
export async function started(settings: Settings): Promise<Backend> {
  worker?.terminate();
  worker = new Worker(new URL('./worker.ts', import.meta.url), {type: 'module'});
  const Remote = wrap<typeof BackendClass>(worker);
  return new Remote(document.baseURI.split('#')[0]!, settings);
}
