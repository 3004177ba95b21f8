/** A bundle that is open in a runtime, and calls of its signatures. */
import {resolveSize} from '../bundle/manifest';
import type {Manifest, TensorSpec} from '../bundle/schema';
import type {Data, DeviceTensor, Engine, Inputs, Outputs} from '../engine/engine';
import {truncateUtf8} from './utf8';

export interface Session {
  manifest: Manifest;
  engine: Engine;
  /** Tokens that one call may write and still look fluent on this device; see `tasks/generate.ts`. */
  tokensPerCall: number;
}

/** Values of inputs, by name; a string stands for its bytes and their number. */
export type Values = Record<string, Data | number | string>;

export interface EncodedText {
  /** The bytes and their number, as a signature takes them. */
  inputs: Inputs;
  /** Bytes of the text that the bundle has no room for. */
  truncatedBytes: number;
}

/** Returns a text as the input `name` of a signature and the input that counts its bytes; see `texts_of` in keras_seq/signature.py. */
export function encodeText({manifest}: Session, signature: string, name: string, text: string): EncodedText {
  const {inputs} = manifest.signatures[signature]!;
  const spec = inputs.find((input) => input.name === name)!;
  const count = inputs.some((input) => input.name === `${name}_length`) ? `${name}_length` : 'length';
  const all = truncateUtf8(text, Infinity);
  const bytes = truncateUtf8(text, resolveSize(manifest, spec.shape[1]!), spec.truncation_side);
  return {inputs: {[name]: bytes, [count]: bytes.length}, truncatedBytes: all.length - bytes.length};
}

/**
 * Runs a signature on one row and returns the values of its outputs. Inputs that `values` lacks have
 * their defaults. `unread` also counts the bytes that the bundle has no room for.
 */
export async function runSignature(session: Session, signature: string, values: Values): Promise<Record<string, Data>> {
  const inputs: Inputs = {};
  let truncatedBytes = 0;
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'string') {
      inputs[name] = value;
      continue;
    }
    const text = encodeText(session, signature, name, value);
    Object.assign(inputs, text.inputs);
    truncatedBytes += text.truncatedBytes;
  }
  const outputs = await session.engine.run(signature, fillDefaults(session, signature, inputs));
  const data = await readOutputs(outputs, Object.keys(outputs));
  freeTensors(outputs);
  if (data['unread']) data['unread'][0]! += truncatedBytes;
  return data;
}

/** Returns inputs of a signature with the defaults of those that are left out. */
export function fillDefaults({manifest}: Session, signature: string, inputs: Inputs): Inputs {
  const filled = {...inputs};
  for (const spec of manifest.signatures[signature]!.inputs) {
    filled[spec.name] ??= defaultValue(manifest, signature, spec);
  }
  return filled;
}

function defaultValue(manifest: Manifest, signature: string, {name, shape, default: value}: TensorSpec): Data | number {
  if (value === undefined) throw new Error(`${signature} takes the input ${name}, which has no default`);
  if (value !== 'random') return resolveSize(manifest, value);
  const sizes = shape.filter((size) => size !== 'B').map((size) => resolveSize(manifest, size));
  return Float32Array.from({length: sizes.reduce((product, size) => product * size, 1)}, () => Math.random());
}

/** Returns copies of the values of some outputs: a view of the runtime's memory is lost when that grows. */
export async function readOutputs<Name extends string>(outputs: Outputs, names: readonly Name[]): Promise<Record<Name, Data>> {
  const pairs = await Promise.all(names.map(async (name) => [name, (await outputs[name]!.read()).slice()] as const));
  return Object.fromEntries(pairs) as Record<Name, Data>;
}

export function freeTensors(tensors: Record<string, DeviceTensor>): void {
  Object.values(tensors).forEach((tensor) => tensor.free());
}
