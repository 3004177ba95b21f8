/** What a runtime does for the app: runs the signatures of a bundle. */
import type {Manifest, TensorSpec} from '../bundle/manifest';

export type Data = Float32Array | Int32Array | Uint8Array;

/** A tensor in the runtime's memory. Whoever gets one frees it, or hands it to the next call. */
export interface Held {
  read(): Promise<Data>;
  free(): void;
}

export type Inputs = Record<string, Data | number | Held>;
export type Outputs = Record<string, Held>;

export interface Engine {
  /**
   * Runs a signature. Inputs are one row: arrays without the batch dimension's 1, numbers for what
   * has one value, or what an earlier call gave.
   */
  run(signature: string, inputs: Inputs): Promise<Outputs>;
  close(): void;
  /** Bytes of the runtime's memory, where it says so. */
  memory(): number | null;
}

export type Accelerator = 'cpu' | 'webgpu';

export interface Options {
  /** Address of the folder with the runtimes' own files. */
  engines: string;
  accelerator: Accelerator;
  threads: number;
}

/** Opens one of a bundle's formats; `files` are its contents by path. */
export type Open = (
  manifest: Manifest,
  format: string,
  files: Map<string, Uint8Array<ArrayBuffer>>,
  options: Options,
) => Promise<Engine>;

/** Addresses of a runtime's own files. */
export interface RuntimeFiles {
  script: string;
  wasm: string;
}

/** Those that these options need. */
export type Files = (options: Options) => Promise<RuntimeFiles>;

const ARRAYS = {float32: Float32Array, int32: Int32Array, uint8: Uint8Array};

export function isHeld(value: Data | number | Held): value is Held {
  return typeof value === 'object' && 'read' in value;
}

/** An input as the file takes it: its values, and its shape with all sizes known. */
export function filled(spec: TensorSpec, value: Data | number, sizes: Record<string, number>): {data: Data; shape: number[]} {
  const array = ARRAYS[spec.dtype as keyof typeof ARRAYS];
  const values = typeof value === 'number' ? [value] : value;
  const shape = spec.shape.map((size) => {
    if (typeof size === 'number') return size;
    if (size === 'B') return 1;
    return sizes[size] ?? Math.max(values.length, 1); // An open size is as long as what is given.
  });
  const data = new array(shape.reduce((product, size) => product * size, 1));
  data.set(values.length > data.length ? Array.prototype.slice.call(values, 0, data.length) : values);
  return {data, shape};
}
