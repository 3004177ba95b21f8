/** The content of a manifest, schema version 2, and what this app makes of it. */
import type {Variant} from './manifest_schema';

export type {Entry, Manifest, Signature, Tensor as TensorSpec, Variant} from './manifest_schema';

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
