/** A bundle that the user adds: a folder of files, or a zip file of one. */
import {unzip, type Unzipped} from 'fflate';

import {UserError} from '../errors';
import {MANIFEST, MAX_BYTES, parseManifest, runnableVariants} from './manifest';
import type {Manifest} from './schema';

export interface AddedBundle {
  name: string;
  manifest: Manifest;
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/**
 * Reads a bundle from the files that the user picked or dropped. Throws a `UserError` if there is
 * none, or whatever `assertSupported` throws.
 */
export async function readBundle(picked: File[], assertSupported: (manifest: Manifest, name: string) => void): Promise<AddedBundle> {
  const [first] = picked;
  if (!first) throw new UserError('noManifest', {name: '—'});
  const isZip = picked.length === 1 && /\.zip$/i.test(first.name);
  const contents = isZip ? await readZip(first) : picked.map((file): Entry => [file.webkitRelativePath || file.name, file]);
  const roots = contents
    .map(([path]) => path)
    .filter((path) => path.split('/').at(-1) === MANIFEST && !path.startsWith('__MACOSX/'))
    .map((path) => path.slice(0, -MANIFEST.length));
  const [root] = roots;
  const label = isZip ? first.name.replace(/\.zip$/i, '') : first.webkitRelativePath.split('/')[0] || first.name;
  if (root === undefined) throw new UserError('noManifest', {name: isZip ? first.name : label});
  if (roots.length > 1) throw new UserError('severalBundles', {name: label, count: roots.length});
  const name = root.split('/').at(-2) ?? label;
  const inRoot = new Map(contents.filter(([path]) => path.startsWith(root)).map(([path, blob]) => [path.slice(root.length), blob]));
  const text = inRoot.get(MANIFEST)!;
  if (text.size > MAX_BYTES) throw new UserError('badManifest', {name, place: `${text.size} B`});
  const manifest = parseManifest(await text.text(), name);
  assertSupported(manifest, name);
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const path of runnableVariants(manifest).flatMap((variant) => variant.files)) {
    const blob = inRoot.get(path);
    if (!blob) throw new UserError('missingFile', {name, file: path});
    files.set(path, new Uint8Array(await blob.arrayBuffer()));
  }
  return {name, manifest, files};
}

/** A path and the content of its file. */
type Entry = [string, Blob];

async function readZip(file: File): Promise<Entry[]> {
  const content = await file.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => null);
  if (content === null) throw new UserError('badZip', {name: file.name});
  const files = await new Promise<Unzipped>((resolve, reject) =>
    unzip(content, (error, files) => (error ? reject(new UserError('badZip', {name: file.name})) : resolve(files))),
  );
  return Object.entries(files).map(([path, bytes]) => [path, new Blob([bytes as Uint8Array<ArrayBuffer>])]);
}
