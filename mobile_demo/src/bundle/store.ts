/** Bundles on this device: fetched once, kept by the hashes of their files, verified at each use. */
import {UserError} from '../errors';
import {checked, type Manifest, MANIFEST, parse} from './manifest';

export interface Bundle {
  name: string;
  manifest: Manifest;
  /** Added by the user, not served beside the app. */
  isAdded: boolean;
  /** In use on this device: some of its files are here. */
  isKept: boolean;
  /** What a newer version of it, if there is one, has to fetch. */
  update: {manifest: Manifest; bytes: number} | null;
}

/** What is the matter with a bundle that cannot be used. */
export interface Problem {
  name: string;
  error: unknown;
  isKept: boolean;
}

/** Called with the bytes there are and the bytes there will be. */
export type Progress = (done: number, all: number) => void;

export class Store {
  /** By hash: what two bundles share is kept once. */
  private readonly fileCache: string;
  /** By name: what is in use here. */
  private readonly manifestCache: string;
  /** By name: what was served when there was last a network. */
  private readonly servedCache: string;

  /** `models` is the address of the folder with the bundles. */
  constructor(private readonly models: URL) {
    // Apps below other paths of the same host keep their own.
    [this.fileCache, this.manifestCache, this.servedCache] = ['files', 'manifests', 'served'].map(
      (kind) => `${kind} ${models.pathname}`,
    ) as [string, string, string];
  }

  /** Every bundle that is served or kept here, by name; and what is the matter with others. */
  async list(): Promise<{bundles: Bundle[]; problems: Problem[]}> {
    const kept = await this.entries<Kept>(this.manifestCache);
    const served = await this.served();
    const names = [...new Set([...served.keys(), ...kept.keys()])].sort();
    const bundles: Bundle[] = [], problems: Problem[] = [];
    for (const name of names) {
      try {
        const bundle = await this.find(name, kept.get(name), served.get(name));
        if (bundle) bundles.push(bundle);
      } catch (error) {
        problems.push({name, error, isKept: kept.has(name)});
      }
    }
    return {bundles, problems};
  }

  /** The manifests beside the app, as texts; those of the last time where there is no network. */
  private async served(): Promise<Map<string, string>> {
    const names = await fetchedJson(new URL('index.json', this.models));
    if (!Array.isArray(names)) return this.entries<string>(this.servedCache);
    const texts = await Promise.all(names.map(async (name) => {
      const response = await fetched(this.address(String(name), MANIFEST));
      return response?.ok ? response.text() : null;
    }));
    const found = new Map<string, string>();
    names.forEach((name, i) => texts[i] !== null && found.set(String(name), texts[i]!));
    const before = await this.entries<string>(this.servedCache);
    for (const [name, text] of found) if (before.get(name) !== text) await this.put(this.servedCache, name, text);
    const cache = await caches.open(this.servedCache);
    for (const name of before.keys()) if (!found.has(name)) await cache.delete(entryKey(name));
    return found;
  }

  private async find(name: string, kept: Kept | undefined, text: string | undefined): Promise<Bundle | null> {
    if (kept) {
      const manifest = checked(kept.manifest, name);
      const served = text === undefined || kept.isAdded ? null : parse(text, name);
      const isNewer = served !== null && served.sha256 !== manifest.sha256;
      const update = isNewer ? {manifest: served, bytes: await this.missing(served, await this.used(manifest))} : null;
      return {name, manifest, isAdded: kept.isAdded, isKept: true, update};
    }
    return text === undefined ? null : {name, manifest: parse(text, name), isAdded: false, isKept: false, update: null};
  }

  /** Of a bundle the files that are kept here, as paths. */
  private async used(manifest: Manifest): Promise<string[]> {
    const cache = await caches.open(this.fileCache);
    const paths = Object.keys(manifest.files);
    const kept = await Promise.all(paths.map((path) => cache.match(fileKey(manifest, path))));
    return paths.filter((_, i) => kept[i]);
  }

  private async missing(manifest: Manifest, paths: string[]): Promise<number> {
    const cache = await caches.open(this.fileCache);
    let bytes = 0;
    for (const path of paths.filter((path) => path in manifest.files)) {
      if (!(await cache.match(fileKey(manifest, path)))) bytes += manifest.files[path]!.bytes;
    }
    return bytes;
  }

  /** The bytes of files of a bundle: those kept here, if they are what was exported, or fetched. */
  async files(bundle: Bundle, paths: string[], progress: Progress = () => undefined): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
    const sizes = paths.map((path) => bundle.manifest.files[path]?.bytes ?? 0);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    const found = new Map<string, Uint8Array<ArrayBuffer>>();
    let done = 0;
    for (const [i, path] of paths.entries()) {
      found.set(path, await this.file(bundle, path, (part) => progress(done + part, all)));
      done += sizes[i]!;
      progress(done, all);
    }
    // From now on this version is in use here, whatever is served.
    await this.keep(bundle.name, bundle.manifest, bundle.isAdded);
    return found;
  }

  private async file(bundle: Bundle, path: string, progress: (done: number) => void): Promise<Uint8Array<ArrayBuffer>> {
    const expected = bundle.manifest.files[path];
    if (!expected) throw new UserError('badManifest', {name: bundle.name});
    const cache = await caches.open(this.fileCache);
    const key = fileKey(bundle.manifest, path);
    const kept = await cache.match(key);
    if (kept) {
      const content = new Uint8Array(await kept.arrayBuffer());
      if ((await sha256(content)) === expected.sha256) return content;
      await cache.delete(key);
      if (bundle.isAdded) throw new UserError('damagedAdded', {name: bundle.name});
    }
    const response = await fetched(this.address(bundle.name, path));
    if (!response) throw new UserError('offlineModel', {name: bundle.name});
    if (!response.ok || isPage(response)) throw new UserError('missingFile', {name: bundle.name, file: path});
    const content = await read(response, expected.bytes, progress);
    if (content === null) throw new UserError('lostModel', {name: bundle.name});
    if ((await sha256(content)) !== expected.sha256) throw new UserError('damagedServed', {name: bundle.name, file: path});
    await put(cache, key, content);
    return content;
  }

  /** Takes the newer version of a bundle; what only the old one needed is forgotten. */
  async update(bundle: Bundle, progress: Progress): Promise<void> {
    if (!bundle.update) return;
    const newer = {...bundle, manifest: bundle.update.manifest, update: null};
    const paths = (await this.used(bundle.manifest)).filter((path) => path in newer.manifest.files);
    await this.files(newer, paths, progress);
    await this.tidy();
  }

  /** Keeps a bundle of the user's own. */
  async add(name: string, manifest: Manifest, files: Map<string, Uint8Array<ArrayBuffer>>): Promise<void> {
    const others = (await this.list()).bundles.filter((bundle) => !bundle.isAdded);
    if (others.some((bundle) => bundle.name === name)) throw new UserError('nameTaken', {name});
    const cache = await caches.open(this.fileCache);
    for (const [path, content] of files) {
      const expected = manifest.files[path];
      if (!expected) continue;
      if ((await sha256(content)) !== expected.sha256) throw new UserError('damagedFile', {file: path});
      await put(cache, fileKey(manifest, path), content);
    }
    await this.keep(name, manifest, true);
  }

  /** Forgets what is kept of a bundle. */
  async remove(name: string): Promise<void> {
    await (await caches.open(this.manifestCache)).delete(entryKey(name));
    await this.tidy();
  }

  /** Bytes of a bundle's files that would have to be fetched. */
  async toFetch(bundle: Bundle, paths: string[]): Promise<number> {
    return this.missing(bundle.manifest, paths);
  }

  private async tidy(): Promise<void> {
    const wanted = new Set<string>();
    for (const {manifest} of (await this.entries<Kept>(this.manifestCache)).values()) {
      for (const path of Object.keys(manifest.files ?? {})) wanted.add(fileKey(manifest, path));
    }
    const cache = await caches.open(this.fileCache);
    for (const request of await cache.keys()) {
      if (!wanted.has(new URL(request.url).pathname)) await cache.delete(request);
    }
  }

  private async keep(name: string, manifest: Manifest, isAdded: boolean): Promise<void> {
    await this.put(this.manifestCache, name, {manifest, isAdded} satisfies Kept);
  }

  private async put(cache: string, name: string, value: unknown): Promise<void> {
    const headers = {'Content-Type': 'application/json'};
    await (await caches.open(cache)).put(entryKey(name), new Response(JSON.stringify(value), {headers}));
  }

  private async entries<T>(name: string): Promise<Map<string, T>> {
    const cache = await caches.open(name);
    const found = new Map<string, T>();
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      if (response) found.set(decodeURIComponent(new URL(request.url).pathname.split('/').at(-1)!), await response.json());
    }
    return found;
  }

  private address(name: string, path: string): URL {
    return new URL([name, ...path.split('/')].map(encodeURIComponent).join('/'), this.models);
  }
}

interface Kept {
  manifest: Manifest;
  isAdded: boolean;
}

// Cache keys are addresses; nothing is ever fetched from these.
const fileKey = (manifest: Manifest, path: string) => `/kept/files/${manifest.files[path]!.sha256}`;
const entryKey = (name: string) => `/kept/manifests/${encodeURIComponent(name)}`;

async function fetched(address: URL): Promise<Response | null> {
  try {
    // The store is the cache of these.
    return await fetch(address, {cache: 'no-store'});
  } catch {
    return null;
  }
}

async function fetchedJson(address: URL): Promise<unknown> {
  const response = await fetched(address);
  return response?.ok ? response.json().catch(() => null) : null;
}

/** Whether a host that knows no such file has answered with its first page. */
function isPage(response: Response): boolean {
  return response.headers.get('Content-Type')?.includes('text/html') ?? false;
}

/** The bytes of an answer; fewer or more than `size` are not what was exported, null is a lost connection. */
async function read(response: Response, size: number, progress: (done: number) => void): Promise<Uint8Array<ArrayBuffer> | null> {
  const content = new Uint8Array(size);
  let done = 0;
  for (const reader = response.body!.getReader(); ; ) {
    const part = await reader.read().catch(() => null);
    if (part === null) return null;
    if (part.done) return content.subarray(0, done);
    if (done + part.value.length > size) return content.subarray(0, 0);
    content.set(part.value, done);
    done += part.value.length;
    progress(done);
  }
}

async function put(cache: Cache, key: string, content: Uint8Array<ArrayBuffer>): Promise<void> {
  try {
    await cache.put(key, new Response(content, {headers: {'Content-Type': 'application/octet-stream'}}));
  } catch (error) {
    // It runs without being kept; the next visit fetches it again.
    console.warn('The model could not be kept on this device.', error);
  }
}

async function sha256(content: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
