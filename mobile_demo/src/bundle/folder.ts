/** A bundle that the user hands over: a folder of files, or a zip of one. */
import {unzip, type Unzipped} from 'fflate';

import {UserError} from '../errors';
import {type Manifest, MANIFEST, needed, parse, variants} from './manifest';

export interface Given {
  name: string;
  manifest: Manifest;
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** Reads what was chosen or dropped; a UserError says why it is no bundle that runs here. */
export async function read(given: File[]): Promise<Given> {
  const [first] = given;
  if (!first) throw new UserError('noManifest', {name: '—'});
  const isZip = given.length === 1 && /\.zip$/i.test(first.name);
  const contents = isZip ? await unpacked(first) : given.map((file): Entry => [file.webkitRelativePath || file.name, file]);
  const roots = contents
    .map(([path]) => path)
    .filter((path) => path.split('/').at(-1) === MANIFEST && !path.startsWith('__MACOSX/'))
    .map((path) => path.slice(0, -MANIFEST.length));
  const [root] = roots;
  const label = isZip ? first.name.replace(/\.zip$/i, '') : first.webkitRelativePath.split('/')[0] || first.name;
  if (root === undefined) throw new UserError('noManifest', {name: isZip ? first.name : label});
  if (roots.length > 1) throw new UserError('severalBundles', {name: label, count: roots.length});
  const name = root.split('/').at(-2) ?? label;
  const below = new Map(contents.filter(([path]) => path.startsWith(root)).map(([path, blob]) => [path.slice(root.length), blob]));
  const manifest = parse(await below.get(MANIFEST)!.text(), name);
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const path of variants(manifest).flatMap(({format}) => needed(manifest, format))) {
    const blob = below.get(path);
    if (!blob) throw new UserError('missingFile', {name, file: path});
    files.set(path, new Uint8Array(await blob.arrayBuffer()));
  }
  return {name, manifest, files};
}

type Entry = [string, Blob];

async function unpacked(file: File): Promise<Entry[]> {
  const content = await file.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => null);
  if (content === null) throw new UserError('badZip', {name: file.name});
  const found = await new Promise<Unzipped>((resolve, reject) =>
    unzip(content, (error, files) => (error ? reject(new UserError('badZip', {name: file.name})) : resolve(files))),
  );
  return Object.entries(found).map(([path, bytes]) => [path, new Blob([bytes as Uint8Array<ArrayBuffer>])]);
}
