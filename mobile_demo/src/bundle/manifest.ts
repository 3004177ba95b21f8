/** What a bundle says of itself; written by `export/bundle.py`. */
import {UserError} from '../errors';

export const SCHEMA_VERSION = 1;
export const MANIFEST = 'manifest.json';

export interface TensorSpec {
  name: string;
  dtype: 'int32' | 'float32' | 'uint8' | 'string';
  shape: (number | string)[];
  minimum?: number;
  maximum?: number | string;
  default?: number | string;
  /** 'end' if the end of a text that is too long is read. */
  keep?: string;
}

export interface Signature {
  inputs: TensorSpec[];
  outputs: TensorSpec[];
}

export interface Format {
  files: string[];
  precision: string;
  /** Sizes of dimensions that the file has fixed. */
  sizes: Record<string, number>;
}

export interface Manifest {
  schema_version: number;
  task: 'classify' | 'generate' | 'translate';
  backbone: string;
  parameters: number;
  labels: string[];
  languages?: string[];
  limits: Record<string, number>;
  signatures: Record<string, Signature>;
  formats: Record<string, Format>;
  files: Record<string, {sha256: string; bytes: number}>;
  sha256: string;
}

export type EngineName = 'litert' | 'onnx';

/** One way to run a bundle: a format in a precision. */
export interface Variant {
  /** Its key in the manifest's `formats`. */
  format: string;
  engine: EngineName;
  precision: string;
  /** Of the files that are needed here. */
  bytes: number;
}

const EXTENSIONS: [EngineName, string][] = [
  ['litert', '.tflite'],
  ['onnx', '.onnx'],
];

/** The formats that run here, whatever they are called and however many precisions there are. */
export function variants(manifest: Manifest): Variant[] {
  return Object.entries(manifest.formats).flatMap(([format, {files, precision}]) => {
    const found = EXTENSIONS.find(([, extension]) => files.some((file) => file.endsWith(extension)));
    const bytes = needed(manifest, format).reduce((sum, path) => sum + (manifest.files[path]?.bytes ?? 0), 0);
    return found ? [{format, engine: found[0], precision, bytes}] : [];
  });
}

/** What the app calls, by the task of a bundle; what it calls first, first. */
export const CALLED: Record<Manifest['task'], string[]> = {
  classify: ['classify_text'],
  generate: ['prefill_text', 'decode_text'],
  translate: ['translate_text', 'attend_text'],
};

/** Of a format the files that are needed here: of the signatures that are called, and what these refer to. */
export function needed(manifest: Manifest, format: string): string[] {
  const graphs = CALLED[manifest.task].map((signature) => `/${signature}.onnx`);
  return manifest.formats[format]!.files.filter(
    (path) => !path.endsWith('.onnx') || graphs.some((graph) => path.endsWith(graph)),
  );
}

/** The manifest in `text`; a UserError says what is the matter with it. */
export function parse(text: string, name: string): Manifest {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch {
    throw new UserError('badManifest', {name});
  }
  return checked(manifest, name);
}

/** `manifest`, if the app can do something with it; a UserError says why not. */
export function checked(manifest: unknown, name: string): Manifest {
  if (!isObject(manifest)) throw new UserError('badManifest', {name});
  const {schema_version: version, task, signatures, formats, files, limits, labels, sha256} = manifest;
  if (version !== SCHEMA_VERSION) {
    throw new UserError('otherSchema', {name, version: String(version), known: SCHEMA_VERSION});
  }
  const areFormats = isObject(formats) && Object.values(formats).every(isFormat);
  const areFiles = isObject(files) && Object.values(files).every(isFile);
  const isOutside = (path: string) => path.startsWith('/') || path.split('/').includes('..');
  if (!areFormats || !areFiles || ![signatures, limits].every(isObject) || !Array.isArray(labels) || typeof sha256 !== 'string') {
    throw new UserError('badManifest', {name});
  }
  if (Object.keys(files).some(isOutside)) throw new UserError('badManifest', {name});
  if (typeof task !== 'string' || !Object.hasOwn(CALLED, task)) throw new UserError('noScreen', {name, task: String(task)});
  const found = manifest as unknown as Manifest;
  const missing = CALLED[found.task].find((signature) => !(signature in found.signatures));
  if (missing) throw new UserError('noSignature', {name, signature: missing});
  const runnable = variants(found);
  if (runnable.length === 0) throw new UserError('noFormat', {name});
  const isListed = runnable.every(({format}) => needed(found, format).every((path) => path in found.files));
  if (!isListed) throw new UserError('badManifest', {name});
  return found;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFormat(value: unknown): boolean {
  return isObject(value) && Array.isArray(value['files']) && typeof value['precision'] === 'string' && isObject(value['sizes']);
}

function isFile(value: unknown): boolean {
  return isObject(value) && typeof value['sha256'] === 'string' && typeof value['bytes'] === 'number';
}
