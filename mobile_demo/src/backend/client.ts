/** The page's end of the worker. */
import {proxy, type Remote, wrap} from 'comlink';

import type {Backend as BackendClass, Settings} from './backend';

export type Backend = Remote<BackendClass>;
export {proxy};

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
