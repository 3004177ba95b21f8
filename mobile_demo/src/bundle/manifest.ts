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
  bytes: number;
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
  bytes: number;
}

const EXTENSIONS: [EngineName, string][] = [
  ['litert', '.tflite'],
  ['onnx', '.onnx'],
];

/** The formats that run here, whatever they are called and however many precisions there are. */
export function variants(manifest: Manifest): Variant[] {
  return Object.entries(manifest.formats).flatMap(([format, {files, precision, bytes}]) => {
    const found = EXTENSIONS.find(([, extension]) => files.some((file) => file.endsWith(extension)));
    return found ? [{format, engine: found[0], precision, bytes}] : [];
  });
}

/** What the app calls, by the task of a bundle. */
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
  let manifest: Manifest;
  try {
    manifest = JSON.parse(text);
  } catch {
    throw new UserError('badManifest', {name});
  }
  if (manifest?.schema_version !== SCHEMA_VERSION) {
    throw new UserError('otherSchema', {name, version: String(manifest?.schema_version), known: SCHEMA_VERSION});
  }
  if (!manifest.formats || !manifest.signatures || !manifest.files || !manifest.sha256) {
    throw new UserError('badManifest', {name});
  }
  if (!(manifest.task in CALLED)) throw new UserError('noScreen', {name, task: String(manifest.task)});
  const missing = CALLED[manifest.task].find((signature) => !(signature in manifest.signatures));
  if (missing) throw new UserError('noSignature', {name, signature: missing});
  const outside = Object.keys(manifest.files).find((path) => path.startsWith('/') || path.split('/').includes('..'));
  if (outside) throw new UserError('badManifest', {name});
  return manifest;
}
