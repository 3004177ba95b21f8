/** The bundles on this device: each file is fetched once, kept by its hash, and verified at each use. */
import {UserError} from '../errors';
import {MANIFEST, parseManifest, readManifest} from './manifest';
import type {Manifest} from './schema';

export interface Bundle {
  name: string;
  manifest: Manifest;
  /** Added by the user, not served beside the app. */
  isAdded: boolean;
  /** In use on this device: some of its files are here. */
  isOnDevice: boolean;
  /** The newer version that is served, and the bytes to fetch for it; null if there is none. */
  update: {manifest: Manifest; bytes: number} | null;
}

/** A bundle that cannot be used. */
export interface Problem {
  name: string;
  error: unknown;
  isOnDevice: boolean;
}

/** Receives the bytes so far and the bytes in total. */
export type Progress = (done: number, total: number) => void;

type Bytes = Uint8Array<ArrayBuffer>;

/** An entry of the manifest cache. */
interface StoredManifest {
  /** In the schema of the day when it was stored. */
  manifest: unknown;
  isAdded: boolean;
}

export class Store {
  /** Files by hash: what two bundles share is kept once. */
  private readonly fileCache: string;
  /** Manifests in use on this device, by name of the bundle. */
  private readonly manifestCache: string;
  /** Manifests as they were last served, by name of the bundle. */
  private readonly servedCache: string;

  /** `models` is the URL of the folder with the bundles. */
  constructor(private readonly models: URL) {
    // Other paths of the same host may hold other apps, with bundles of their own.
    [this.fileCache, this.manifestCache, this.servedCache] = ['files', 'manifests', 'served'].map(
      (kind) => `${kind} ${models.pathname}`,
    ) as [string, string, string];
  }

  /** Returns every bundle that is served or on this device, by name, and those that cannot be used. */
  async list(): Promise<{bundles: Bundle[]; problems: Problem[]}> {
    const stored = await this.readCache<StoredManifest>(this.manifestCache);
    const served = await this.fetchServed();
    const names = [...new Set([...served.keys(), ...stored.keys()])].sort();
    const bundles: Bundle[] = [], problems: Problem[] = [];
    for (const name of names) {
      try {
        const bundle = await this.describe(name, stored.get(name), served.get(name));
        if (bundle) bundles.push(bundle);
      } catch (error) {
        problems.push({name, error, isOnDevice: stored.has(name)});
      }
    }
    return {bundles, problems};
  }

  /** Returns the texts of the manifests beside the app; without a network, those of the last time. */
  private async fetchServed(): Promise<Map<string, string>> {
    const names = await fetchJson(new URL('index.json', this.models));
    if (!Array.isArray(names)) return this.readCache<string>(this.servedCache);
    const texts = await Promise.all(names.map(async (name) => {
      const response = await fetchFresh(this.urlOf(String(name), MANIFEST));
      return response?.ok ? response.text() : null;
    }));
    const served = new Map<string, string>();
    names.forEach((name, i) => texts[i] !== null && served.set(String(name), texts[i]!));
    const previous = await this.readCache<string>(this.servedCache);
    for (const [name, text] of served) if (previous.get(name) !== text) await this.writeCache(this.servedCache, name, text);
    const cache = await caches.open(this.servedCache);
    for (const name of previous.keys()) if (!served.has(name)) await cache.delete(entryKey(name));
    return served;
  }

  private async describe(name: string, stored: StoredManifest | undefined, text: string | undefined): Promise<Bundle | null> {
    if (!stored) {
      return text === undefined ? null : {name, manifest: parseManifest(text, name), isAdded: false, isOnDevice: false, update: null};
    }
    const {isAdded} = stored;
    const manifest = readManifest(stored.manifest, name);
    const served = text === undefined || isAdded ? null : parseManifest(text, name);
    const isNewer = served !== null && served.sha256 !== manifest.sha256;
    const update = isNewer ? {manifest: served, bytes: await this.missingBytes(served, await this.storedPaths(manifest))} : null;
    return {name, manifest, isAdded, isOnDevice: true, update};
  }

  /** Returns the paths of a bundle's files that are on this device. */
  private async storedPaths(manifest: Manifest): Promise<string[]> {
    const cache = await caches.open(this.fileCache);
    const paths = Object.keys(manifest.files);
    const responses = await Promise.all(paths.map((path) => cache.match(fileKey(manifest, path))));
    return paths.filter((_, i) => responses[i]);
  }

  /** Returns how many bytes of a bundle's files `paths` have to be fetched. */
  async missingBytes(manifest: Manifest, paths: string[]): Promise<number> {
    const cache = await caches.open(this.fileCache);
    let bytes = 0;
    for (const path of paths.filter((path) => path in manifest.files)) {
      if (!(await cache.match(fileKey(manifest, path)))) bytes += manifest.files[path]!.bytes;
    }
    return bytes;
  }

  /** Returns the contents of files of a bundle: from this device if they are what was exported, or fetched. */
  async readFiles(bundle: Bundle, paths: string[], onProgress: Progress = () => undefined): Promise<Map<string, Bytes>> {
    const sizes = paths.map((path) => bundle.manifest.files[path]?.bytes ?? 0);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const contents = new Map<string, Bytes>();
    let done = 0;
    for (const [i, path] of paths.entries()) {
      contents.set(path, await this.readFile(bundle, path, (bytes) => onProgress(done + bytes, total)));
      done += sizes[i]!;
      onProgress(done, total);
    }
    // From now on this version is in use here, whatever is served.
    await this.storeManifest(bundle.name, bundle.manifest, bundle.isAdded);
    return contents;
  }

  private async readFile(bundle: Bundle, path: string, onBytes: (done: number) => void): Promise<Bytes> {
    const expected = bundle.manifest.files[path];
    if (!expected) throw new UserError('badManifest', {name: bundle.name, place: path});
    const cache = await caches.open(this.fileCache);
    const key = fileKey(bundle.manifest, path);
    const stored = await cache.match(key);
    if (stored) {
      const content = new Uint8Array(await stored.arrayBuffer());
      if ((await sha256(content)) === expected.sha256) return content;
      await cache.delete(key);
      if (bundle.isAdded) throw new UserError('damagedAdded', {name: bundle.name});
    }
    const response = await fetchFresh(this.urlOf(bundle.name, path));
    if (!response) throw new UserError('offlineModel', {name: bundle.name});
    if (!response.ok || isPage(response)) throw new UserError('missingFile', {name: bundle.name, file: path});
    const content = await readBody(response, expected.bytes, onBytes);
    if (content === null) throw new UserError('lostModel', {name: bundle.name});
    if ((await sha256(content)) !== expected.sha256) throw new UserError('damagedServed', {name: bundle.name, file: path});
    await storeFile(cache, key, content);
    return content;
  }

  /** Takes the newer version of a bundle, and removes what only the old one needed. */
  async update(bundle: Bundle, onProgress: Progress): Promise<void> {
    if (!bundle.update) return;
    const newer = {...bundle, manifest: bundle.update.manifest, update: null};
    const paths = (await this.storedPaths(bundle.manifest)).filter((path) => path in newer.manifest.files);
    await this.readFiles(newer, paths, onProgress);
    await this.removeUnused();
  }

  /** Stores a bundle of the user's. */
  async add(name: string, manifest: Manifest, files: Map<string, Bytes>): Promise<void> {
    const served = (await this.list()).bundles.filter((bundle) => !bundle.isAdded);
    if (served.some((bundle) => bundle.name === name)) throw new UserError('nameTaken', {name});
    const cache = await caches.open(this.fileCache);
    for (const [path, content] of files) {
      const expected = manifest.files[path];
      if (!expected) continue;
      if ((await sha256(content)) !== expected.sha256) throw new UserError('damagedFile', {file: path});
      await storeFile(cache, fileKey(manifest, path), content);
    }
    await this.storeManifest(name, manifest, true);
  }

  /** Removes a bundle from this device. */
  async remove(name: string): Promise<void> {
    await (await caches.open(this.manifestCache)).delete(entryKey(name));
    await this.removeUnused();
  }

  /** Removes the files that no bundle on this device has. */
  private async removeUnused(): Promise<void> {
    const used = new Set<string>();
    for (const {manifest} of (await this.readCache<StoredManifest>(this.manifestCache)).values()) {
      for (const {sha256} of Object.values((manifest as Manifest).files ?? {})) used.add(fileKeyOf(sha256));
    }
    const cache = await caches.open(this.fileCache);
    for (const request of await cache.keys()) {
      if (!used.has(new URL(request.url).pathname)) await cache.delete(request);
    }
  }

  private async storeManifest(name: string, manifest: Manifest, isAdded: boolean): Promise<void> {
    await this.writeCache(this.manifestCache, name, {manifest, isAdded} satisfies StoredManifest);
  }

  private async writeCache(cache: string, name: string, value: unknown): Promise<void> {
    const headers = {'Content-Type': 'application/json'};
    await (await caches.open(cache)).put(entryKey(name), new Response(JSON.stringify(value), {headers}));
  }

  private async readCache<T>(cacheName: string): Promise<Map<string, T>> {
    const cache = await caches.open(cacheName);
    const entries = new Map<string, T>();
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      if (response) entries.set(decodeURIComponent(new URL(request.url).pathname.split('/').at(-1)!), await response.json());
    }
    return entries;
  }

  private urlOf(name: string, path: string): URL {
    return new URL([name, ...path.split('/')].map(encodeURIComponent).join('/'), this.models);
  }
}

// Keys of a cache are URLs; nothing is ever fetched from these.
const fileKeyOf = (sha256: string) => `/kept/files/${sha256}`;
const fileKey = (manifest: Manifest, path: string) => fileKeyOf(manifest.files[path]!.sha256);
const entryKey = (name: string) => `/kept/manifests/${encodeURIComponent(name)}`;

/** Returns the host's response; null if there is no network. */
async function fetchFresh(url: URL): Promise<Response | null> {
  try {
    return await fetch(url, {cache: 'no-store'}); // The store is the cache.
  } catch {
    return null;
  }
}

async function fetchJson(url: URL): Promise<unknown> {
  const response = await fetchFresh(url);
  return response?.ok ? response.json().catch(() => null) : null;
}

/** Tells whether the host lacks the file and has answered with its first page. */
function isPage(response: Response): boolean {
  return response.headers.get('Content-Type')?.includes('text/html') ?? false;
}

/** Returns the body of a response, at most `size` bytes; an empty one if it is longer, null if the connection was lost. */
async function readBody(response: Response, size: number, onBytes: (done: number) => void): Promise<Bytes | null> {
  const content = new Uint8Array(size);
  let done = 0;
  for (const reader = response.body!.getReader(); ; ) {
    const chunk = await reader.read().catch(() => null);
    if (chunk === null) return null;
    if (chunk.done) return content.subarray(0, done);
    if (done + chunk.value.length > size) return content.subarray(0, 0);
    content.set(chunk.value, done);
    done += chunk.value.length;
    onBytes(done);
  }
}

async function storeFile(cache: Cache, key: string, content: Bytes): Promise<void> {
  try {
    await cache.put(key, new Response(content, {headers: {'Content-Type': 'application/octet-stream'}}));
  } catch (error) {
    // The model runs without being kept; the next visit fetches it again.
    console.warn('The model could not be kept on this device.', error);
  }
}

async function sha256(content: Bytes): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
