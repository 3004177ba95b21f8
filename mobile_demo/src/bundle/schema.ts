/** The content of a manifest, schema version 2. */
export interface TensorSpec {
  name: string;
  dtype: 'int32' | 'float32' | 'uint8' | 'string';
  /** Sizes, or letters of `Manifest.dimensions`; "B" is the batch. */
  shape: (number | string)[];
  minimum?: number;
  maximum?: number | string;
  /** A number, a letter of `Manifest.dimensions`, or "random" for numbers in [0, 1). */
  default?: number | string;
  /** The side that a text which is too long loses: "right" if it isn't given. */
  truncation_side?: 'left' | 'right';
}

export interface Signature {
  inputs: TensorSpec[];
  outputs: TensorSpec[];
}

/** A format in a precision. */
export interface Variant {
  format: string;
  precision: string;
  files: string[];
  /** Sizes of the dimensions that the files have fixed, by letter. */
  sizes: Record<string, number>;
}

export interface Manifest {
  schema_version: number;
  task: string;
  backbone: string;
  parameters: number;
  labels: string[];
  languages?: string[];
  entry: {
    /** The main signature. */
    signature: string;
    /** The signatures that an app calls to show results as they come, the first call first. */
    interactive: string[];
    /** What a user interface starts with, by input. */
    defaults: Record<string, number>;
  };
  /** The largest sizes, by name. */
  limits: Record<string, number>;
  /** The name of the limit that bounds a letter of the shapes. */
  dimensions: Record<string, string>;
  signatures: Record<string, Signature>;
  variants: Variant[];
  files: Record<string, {sha256: string; bytes: number}>;
  sha256: string;
}

export type EngineName = 'litert' | 'onnx';

/** A variant that this app can run. */
export interface RunnableVariant extends Variant {
  engine: EngineName;
  /** The files that the app needs: not those of signatures that it doesn't call. */
  files: string[];
  /** Bytes of these files. */
  bytes: number;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
