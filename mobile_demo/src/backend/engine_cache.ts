/** The runtimes' own files on this device: the service worker answers with them. */
import type {EngineName} from '../bundle/schema';
import type {Progress} from '../bundle/store';
import type {RuntimeFiles} from '../engine/engine';
import {UserError} from '../errors';

const CACHE = 'engines'; // As in vite.config.ts.
// The files are the same, whatever headers the host says that they vary with.
const ANY_HEADERS = {ignoreVary: true};

/** Returns the bytes of a runtime's files that are not on this device. */
export async function missingEngineBytes(files: RuntimeFiles): Promise<number> {
  const cache = await caches.open(CACHE);
  let bytes = 0;
  for (const url of Object.values(files)) if (!(await cache.match(url, ANY_HEADERS))) bytes += sizeOf(url);
  return bytes;
}

/** Fetches and keeps the files of a runtime that are not on this device; removes those of other versions. */
export async function keepEngine(engine: EngineName, files: RuntimeFiles, onProgress: Progress): Promise<void> {
  const cache = await caches.open(CACHE);
  const total = Object.values(files).reduce((sum, url) => sum + sizeOf(url), 0);
  let done = 0;
  for (const url of Object.values(files)) {
    if (!(await cache.match(url, ANY_HEADERS))) {
      const response = await fetch(url).catch(() => null);
      if (!response?.ok) throw new UserError('noRuntime', {engine});
      const [copy, reader] = [response.clone(), response.body!.getReader()];
      const storing = cache.put(url, copy);
      for (let read = done; ; ) {
        const chunk = await reader.read().catch(() => null);
        if (chunk === null) throw new UserError('noRuntime', {engine});
        if (chunk.done) break;
        read += chunk.value.length;
        onProgress(Math.min(read, total), total);
      }
      await storing.catch(() => undefined); // The runtime works without being kept.
    }
    done += sizeOf(url);
    onProgress(done, total);
  }
  const folder = new URL('..', files.script).href;
  const current = Object.values(ENGINES.folders).map((name) => `${folder}${name}/`);
  for (const {url} of await cache.keys()) {
    if (url.startsWith(folder) && !current.some((prefix) => url.startsWith(prefix))) await cache.delete(url, ANY_HEADERS);
  }
}

function sizeOf(url: string): number {
  return ENGINES.sizes[url.split('/').slice(-2).join('/')] ?? 0;
}
