/** The runtimes' own files, for use without a network: the service worker answers with these. */
const NAME = 'engines'; // As in vite.config.ts.

/** Keeps a runtime, and forgets the versions of before. */
export async function keepEngine(files: {script: string; wasm: string}): Promise<void> {
  const cache = await caches.open(NAME);
  // On the first visit these may have been fetched before there was a service worker.
  for (const address of Object.values(files)) {
    if (!(await cache.match(address))) await cache.add(address).catch(() => undefined);
  }
  const current = Object.values(ENGINES).map((folder) => `/engines/${folder}/`);
  for (const {url} of await cache.keys()) {
    if (!current.some((folder) => url.includes(folder))) await cache.delete(url);
  }
}
