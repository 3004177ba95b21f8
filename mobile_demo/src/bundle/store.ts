/** Bundles on this device: fetched once, kept by the hashes of their files, verified at each use. */
import {UserError} from '../errors';
import {type Manifest, MANIFEST, parse} from './manifest';

const FILES = 'files'; // By hash: what two bundles share is kept once.
const MANIFESTS = 'manifests'; // By name: what is in use here.

export interface Bundle {
  name: string;
  manifest: Manifest;
  /** Added by the user, not served beside the app. */
  isAdded: boolean;
  /** What a newer version of it, if there is one, has to fetch. */
  update: {manifest: Manifest; bytes: number} | null;
}

/** Called with the bytes there are and the bytes there will be. */
export type Progress = (done: number, all: number) => void;

export class Store {
  /** `models` is the address of the folder with the bundles. */
  constructor(private readonly models: URL) {}

  /** Every bundle that is served or kept here, by name; and what is the matter with others. */
  async list(): Promise<{bundles: Bundle[]; problems: unknown[]}> {
    const kept = await this.kept();
    const served = await fetchedJson<string[]>(new URL('index.json', this.models));
    const names = [...new Set([...(served ?? []), ...kept.keys()])].sort();
    const found = await Promise.allSettled(names.map((name) => this.find(name, kept.get(name), served?.includes(name) ?? false)));
    return {
      bundles: found.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : [])),
      problems: found.flatMap((one) => (one.status === 'rejected' ? [one.reason] : [])),
    };
  }

  private async find(name: string, kept: Kept | undefined, isServed: boolean): Promise<Bundle | null> {
    let served: Manifest | null = null;
    if (isServed) {
      const response = await fetched(this.address(name, MANIFEST));
      if (response?.ok) served = parse(await response.text(), name);
    }
    const manifest = kept?.manifest ?? served;
    if (!manifest) return null;
    const isNewer = kept && served && !kept.isAdded && served.sha256 !== kept.manifest.sha256;
    const update = isNewer ? {manifest: served!, bytes: await this.missing(served!, await this.used(kept.manifest))} : null;
    return {name, manifest, isAdded: kept?.isAdded ?? false, update};
  }

  /** Of a bundle the files below one of `folders` that are kept here, as paths. */
  private async used(manifest: Manifest): Promise<string[]> {
    const cache = await caches.open(FILES);
    const paths = Object.keys(manifest.files);
    const kept = await Promise.all(paths.map((path) => cache.match(fileKey(manifest, path))));
    return paths.filter((_, i) => kept[i]);
  }

  private async missing(manifest: Manifest, paths: string[]): Promise<number> {
    const cache = await caches.open(FILES);
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
    const cache = await caches.open(FILES);
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
    if (!response.ok) throw new UserError('missingFile', {name: bundle.name, file: path});
    const content = await read(response, expected.bytes, progress);
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
    const cache = await caches.open(FILES);
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
    await (await caches.open(MANIFESTS)).delete(manifestKey(name));
    await this.tidy();
  }

  /** Bytes of a bundle's files that would have to be fetched. */
  async toFetch(bundle: Bundle, paths: string[]): Promise<number> {
    return this.missing(bundle.manifest, paths);
  }

  private async tidy(): Promise<void> {
    const wanted = new Set<string>();
    for (const {manifest} of (await this.kept()).values()) {
      for (const path of Object.keys(manifest.files)) wanted.add(fileKey(manifest, path));
    }
    const cache = await caches.open(FILES);
    for (const request of await cache.keys()) {
      if (!wanted.has(new URL(request.url).pathname)) await cache.delete(request);
    }
  }

  private async keep(name: string, manifest: Manifest, isAdded: boolean): Promise<void> {
    const headers = {'Content-Type': 'application/json'};
    const kept: Kept = {manifest, isAdded};
    await (await caches.open(MANIFESTS)).put(manifestKey(name), new Response(JSON.stringify(kept), {headers}));
  }

  private async kept(): Promise<Map<string, Kept>> {
    const cache = await caches.open(MANIFESTS);
    const found = new Map<string, Kept>();
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      const name = decodeURIComponent(new URL(request.url).pathname.split('/').at(-1)!);
      if (response) found.set(name, await response.json());
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
const manifestKey = (name: string) => `/kept/manifests/${encodeURIComponent(name)}`;

async function fetched(address: URL): Promise<Response | null> {
  try {
    // The store is the cache of these.
    return await fetch(address, {cache: 'no-store'});
  } catch {
    return null;
  }
}

async function fetchedJson<T>(address: URL): Promise<T | null> {
  const response = await fetched(address);
  const isJson = response?.headers.get('Content-Type')?.includes('json');
  return response?.ok && isJson ? response.json() : null;
}

async function read(response: Response, size: number, progress: (done: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const content = new Uint8Array(size);
  let done = 0;
  for (const reader = response.body!.getReader(); ; ) {
    const {done: ended, value} = await reader.read().catch(() => ({done: true, value: undefined}));
    if (ended || !value) return content.subarray(0, done);
    if (done + value.length > size) return content.subarray(0, 0); // Not the file that was exported.
    content.set(value, done);
    done += value.length;
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
