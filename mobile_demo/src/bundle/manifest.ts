/** Reads the manifest of a bundle, as `export/bundle.py` writes it. */
import {Validator} from '@cfworker/json-schema';

import {UserError} from '../errors';
import {MANIFEST_SCHEMA} from './manifest_schema';
import {type EngineName, isObject, type Manifest, type RunnableVariant, type TensorSpec} from './schema';
import {SCHEMA_1, upgradeManifest} from './schema_1';

export const SCHEMA_VERSION = 2;
export const MANIFEST = 'manifest.json';
/** More is not read; see `export/manifest.py`. */
export const MAX_BYTES = 16 * 2 ** 20;

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
    throw new UserError('badManifest', {name, place: 'JSON'});
  }
  return readManifest(content, name);
}

/** Checks a manifest and upgrades it to the current schema; throws a `UserError` that says what is wrong with it. */
export function readManifest(content: unknown, name: string): Manifest {
  if (!isObject(content)) throw new UserError('badManifest', {name, place: 'JSON'});
  const {schema_version: version} = content;
  if (version !== SCHEMA_1 && version !== SCHEMA_VERSION) {
    throw new UserError('otherSchema', {name, version: String(version).slice(0, 40), known: SCHEMA_VERSION});
  }
  const manifest = version === SCHEMA_1 ? upgradeManifest(content) : content;
  if (manifest === null) throw new UserError('badManifest', {name, place: 'JSON'});
  // Made here: at the top it would stay in every part of the app that reads a size.
  const form = new Validator(MANIFEST_SCHEMA, '2020-12').validate(manifest);
  // The last error is the innermost, the place itself.
  if (!form.valid) throw new UserError('badManifest', {name, place: namePlace(form.errors.at(-1)?.instanceLocation)});
  const checked = manifest as unknown as Manifest;
  const fault = findFault(checked);
  if (fault !== null) throw new UserError('badManifest', {name, place: fault});
  if (runnableVariants(checked).length === 0) throw new UserError('noFormat', {name});
  return checked;
}

/** Returns a place of JSON Schema as a path: "#/labels/0" is "labels.0". */
function namePlace(pointer = ''): string {
  return pointer.replace(/^#\/?/, '').replaceAll('/', '.').slice(0, 200) || 'JSON';
}

/** Formats hold no larger tensor; see `export/manifest.py`. */
const MAX_TENSOR_BYTES = 2 ** 31;

/** Returns the place where the parts of a manifest do not fit together; null if there is none. */
function findFault(manifest: Manifest): string | null {
  const {entry, signatures, variants, files, limits, dimensions} = manifest;
  for (const name of [entry.signature, ...entry.interactive]) if (!Object.hasOwn(signatures, name)) return `entry: ${name}`;
  for (const [letter, limit] of Object.entries(dimensions)) if (!Object.hasOwn(limits, limit)) return `dimensions.${letter}`;
  for (const [i, variant] of variants.entries()) {
    const isOurs = (path: string) => Object.hasOwn(files, path) && path.startsWith(`${variant.format}/`);
    const stranger = variant.files.find((path) => !isOurs(path));
    if (stranger !== undefined) return `variants.${i}.files: ${stranger}`;
  }
  const isLetter = (size: unknown) => typeof size !== 'string' || Object.hasOwn(dimensions, size);
  for (const [name, {inputs, outputs}] of Object.entries(signatures)) {
    for (const tensor of [...inputs, ...outputs]) {
      const isKnown = isLetter(tensor.maximum) && (isLetter(tensor.default) || ['random', ''].includes(tensor.default as string));
      const fits = [{}, ...variants.map(({sizes}) => sizes)].every((sizes) => countBytes(manifest, tensor, sizes) <= MAX_TENSOR_BYTES);
      if (!isKnown || !fits) return `signatures.${name}: ${tensor.name}`;
    }
  }
  return null;
}

/** Returns the bytes of a row of a tensor at its largest size. */
function countBytes(manifest: Manifest, {dtype, shape}: TensorSpec, sizes: Record<string, number>): number {
  const width = Number(dtype.replace(/\D/g, '') || 8) / 8;
  const sizeOf = (size: number | string) => {
    const known = typeof size === 'string' && Object.hasOwn(sizes, size) ? sizes[size]! : resolveSize(manifest, size);
    return Number.isFinite(known) ? known : 1;
  };
  return shape.reduce<number>((product, size) => product * sizeOf(size), width);
}
