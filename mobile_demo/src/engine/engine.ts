/** A runtime as the app sees it: it runs the signatures of a bundle. */
import type {Manifest, RunnableVariant, TensorSpec} from '../bundle/schema';

export type Data = Float32Array | Int32Array | Uint8Array;

/** A tensor in the runtime's memory. Its owner frees it, or passes it to the next call first. */
export interface DeviceTensor {
  read(): Promise<Data>;
  free(): void;
}

export type Inputs = Record<string, Data | number | DeviceTensor>;
export type Outputs = Record<string, DeviceTensor>;

export interface Engine {
  /**
   * Runs a signature on one row. An input is an array without the batch dimension, a number where
   * there is one value, or an output of an earlier call.
   */
  run(signature: string, inputs: Inputs): Promise<Outputs>;
  close(): void;
  /** Returns the bytes of the runtime's memory; null if the runtime doesn't report them. */
  memory(): number | null;
}

export type Accelerator = 'cpu' | 'webgpu';

export interface EngineOptions {
  /** URL of the folder that holds the runtimes' own files. */
  engines: string;
  accelerator: Accelerator;
  threads: number;
}

/** Opens a variant of a bundle; `files` holds its contents by path. */
export type OpenEngine = (
  manifest: Manifest,
  variant: RunnableVariant,
  files: Map<string, Uint8Array<ArrayBuffer>>,
  options: EngineOptions,
) => Promise<Engine>;

/** URLs of a runtime's own files. */
export interface RuntimeFiles {
  script: string;
  wasm: string;
}

/** Returns the files that a runtime needs with these options. */
export type LocateFiles = (options: EngineOptions) => Promise<RuntimeFiles>;

const ARRAYS = {float32: Float32Array, int32: Int32Array, uint8: Uint8Array};

export function isDeviceTensor(value: Data | number | DeviceTensor): value is DeviceTensor {
  return typeof value === 'object' && 'read' in value;
}

/** Returns an input with every size known: its values, padded with zeros, and its shape. */
export function padInput(spec: TensorSpec, value: Data | number, sizes: Record<string, number>): {data: Data; shape: number[]} {
  const array = ARRAYS[spec.dtype as keyof typeof ARRAYS];
  const values = typeof value === 'number' ? [value] : value;
  const shape = spec.shape.map((size) => {
    if (typeof size === 'number') return size;
    if (size === 'B') return 1;
    return sizes[size] ?? Math.max(values.length, 1); // An open size is as long as the values.
  });
  const data = new array(shape.reduce((product, size) => product * size, 1));
  data.set(values.length > data.length ? Array.prototype.slice.call(values, 0, data.length) : values);
  return {data, shape};
}
