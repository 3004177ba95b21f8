/** The page's end of the worker. */
import {proxy, type ProxyMarked, type Remote, wrap} from 'comlink';

import type {Progress} from '../bundle/store';
import type {Context, Task} from '../inference/task';
import type {Backend as BackendClass} from './backend';
import type {Settings} from './types';

export type Backend = Remote<BackendClass>;

/** Starts a backend in a new worker: a runtime is loaded with its threads, so other settings need another worker. */
export async function startBackend(worker: Worker, settings: Settings, tasks: string[]): Promise<Backend> {
  const RemoteBackend = wrap<typeof BackendClass>(worker);
  return new RemoteBackend(document.baseURI.split('#')[0]!, settings, tasks);
}

export function createWorker(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), {type: 'module'});
}

/**
 * Makes a call that reports its progress. The reports come through a port of their own and may come
 * after the answer; those are dropped.
 */
export function withProgress<T>(
  call: (onProgress: Progress & ProxyMarked) => Promise<T>, onProgress: Progress,
): Promise<T> {
  let isSettled = false;
  const forward: Progress = (done, total) => void (isSettled || onProgress(done, total));
  return call(proxy(forward)).finally(() => (isSettled = true));
}

type OnPage<F> = F extends (context: Context, ...parameters: infer P) => Promise<infer R> ? (...parameters: P) => Promise<R> : never;

/** Returns the functions of a bundle's task, to be called from the page: see `Task.functions`. */
export function taskFunctions<T extends Task>(
  backend: Backend, bundle: string,
): {[Name in keyof T['functions']]: OnPage<T['functions'][Name]>} {
  const callbacks = (parameter: unknown) => (typeof parameter === 'function' ? proxy(parameter) : parameter);
  const call = (_: object, name: string) => (...parameters: unknown[]) => backend.call(bundle, name, ...parameters.map(callbacks));
  return new Proxy({}, {get: call}) as ReturnType<typeof taskFunctions<T>>;
}
