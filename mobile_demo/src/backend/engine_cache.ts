/** The runtimes' own files on this device: the service worker answers with these. */
import type {Progress} from '../bundle/store';
import {UserError} from '../errors';
import type {EngineName} from '../bundle/manifest';
import type {RuntimeFiles} from '../engine/engine';

const NAME = 'engines'; // As in vite.config.ts.
// Whatever a host says an answer varies with: the files are the same.
const ANY = {ignoreVary: true};

/** Bytes of a runtime that are not here yet. */
export async function engineToFetch(files: RuntimeFiles): Promise<number> {
  const cache = await caches.open(NAME);
  let bytes = 0;
  for (const address of Object.values(files)) if (!(await cache.match(address, ANY))) bytes += sizeOf(address);
  return bytes;
}

/** Fetches and keeps a runtime, where it is not here yet; forgets the versions of before. */
export async function keepEngine(engine: EngineName, files: RuntimeFiles, progress: Progress): Promise<void> {
  const cache = await caches.open(NAME);
  const all = Object.values(files).reduce((sum, address) => sum + sizeOf(address), 0);
  let done = 0;
  for (const address of Object.values(files)) {
    if (!(await cache.match(address, ANY))) {
      const response = await fetch(address).catch(() => null);
      if (!response?.ok) throw new UserError('noRuntime', {engine});
      const [kept, counted] = [response.clone(), response.body!.getReader()];
      const putting = cache.put(address, kept);
      for (let before = done; ; ) {
        const part = await counted.read().catch(() => null);
        if (part === null) throw new UserError('noRuntime', {engine});
        if (part.done) break;
        before += part.value.length;
        progress(Math.min(before, all), all);
      }
      await putting.catch(() => undefined); // It runs without being kept.
    }
    done += sizeOf(address);
    progress(done, all);
  }
  const folder = new URL('..', files.script).href;
  const current = Object.values(ENGINES.folders).map((name) => `${folder}${name}/`);
  for (const {url} of await cache.keys()) {
    if (url.startsWith(folder) && !current.some((prefix) => url.startsWith(prefix))) await cache.delete(url, ANY);
  }
}

function sizeOf(address: string): number {
  return ENGINES.sizes[address.split('/').slice(-2).join('/')] ?? 0;
}
