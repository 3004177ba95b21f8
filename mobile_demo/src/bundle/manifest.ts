/** Reads the manifest of a bundle, as `export/bundle.py` writes it. */
import {UserError} from '../errors';
import {type EngineName, isObject, type Manifest, type RunnableVariant} from './schema';
import {SCHEMA_1, upgradeManifest} from './schema_1';

export const SCHEMA_VERSION = 2;
export const MANIFEST = 'manifest.json';

const EXTENSIONS: [EngineName, string][] = [
  ['litert', '.tflite'],
  ['onnx', '.onnx'],
];

/** Returns the variants that this app can run, in the manifest's order. */
export function runnableVariants({variants, entry, files: contents}: Manifest): RunnableVariant[] {
  // ONNX has a file for each signature; the other files belong to all of them.
  const graphs = entry.interactive.map((signature) => `/${signature}.onnx`);
  const isNeeded = (path: string) => !path.endsWith('.onnx') || graphs.some((graph) => path.endsWith(graph));
  return variants.flatMap((variant) => {
    const [engine] = EXTENSIONS.find(([, extension]) => variant.files.some((path) => path.endsWith(extension))) ?? [];
    if (!engine) return [];
    const files = variant.files.filter(isNeeded);
    return [{...variant, engine, files, bytes: files.reduce((sum, path) => sum + (contents[path]?.bytes ?? 0), 0)}];
  });
}

/** Returns a size that the manifest gives as a number or a letter; Infinity if nothing bounds it. */
export function resolveSize({limits, dimensions}: Manifest, size: number | string): number {
  return typeof size === 'number' ? size : (limits[dimensions[size] ?? ''] ?? Infinity);
}

/** Parses the text of a manifest; throws a `UserError` that says what is wrong with it. */
export function parseManifest(text: string, name: string): Manifest {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new UserError('badManifest', {name});
  }
  return readManifest(content, name);
}

/** Checks a manifest and upgrades it to the current schema; throws a `UserError` that says what is wrong with it. */
export function readManifest(content: unknown, name: string): Manifest {
  if (!isObject(content)) throw new UserError('badManifest', {name});
  const {schema_version: version} = content;
  if (version !== SCHEMA_1 && version !== SCHEMA_VERSION) {
    throw new UserError('otherSchema', {name, version: String(version), known: SCHEMA_VERSION});
  }
  const manifest = version === SCHEMA_1 ? upgradeManifest(content) : content;
  if (manifest === null || !isManifest(manifest)) throw new UserError('badManifest', {name});
  const runnable = runnableVariants(manifest);
  if (runnable.length === 0) throw new UserError('noFormat', {name});
  const isListed = runnable.every(({files}) => files.every((path) => Object.hasOwn(manifest.files, path)));
  if (!isListed) throw new UserError('badManifest', {name});
  return manifest;
}

function isManifest(content: Record<string, unknown>): content is Record<string, unknown> & Manifest {
  const {task, entry, signatures, variants, files, limits, dimensions, labels, sha256} = content;
  const areObjects = [entry, signatures, files, limits, dimensions].every(isObject);
  if (!areObjects || !Array.isArray(labels) || !Array.isArray(variants)) return false;
  if (typeof task !== 'string' || typeof sha256 !== 'string') return false;
  const isOutside = (path: string) => path.startsWith('/') || path.split('/').includes('..');
  const areFiles = Object.entries(files as object).every(([path, file]) => isFile(file) && !isOutside(path));
  return areFiles && variants.every(isVariant) && isEntry(entry as Record<string, unknown>, signatures as object);
}

function isEntry({signature, interactive, defaults}: Record<string, unknown>, signatures: object): boolean {
  const names = Array.isArray(interactive) ? [signature, ...interactive] : [];
  return names.length > 1 && names.every((name) => typeof name === 'string' && Object.hasOwn(signatures, name)) && isObject(defaults);
}

function isVariant(value: unknown): boolean {
  if (!isObject(value)) return false;
  const {format, precision, files, sizes} = value;
  return typeof format === 'string' && typeof precision === 'string' && Array.isArray(files) && isObject(sizes);
}

function isFile(value: unknown): boolean {
  return isObject(value) && typeof value['sha256'] === 'string' && typeof value['bytes'] === 'number';
}
