/** A bundle opened in a runtime. */
import type {Manifest} from '../bundle/manifest';
import type {Data, Engine, Held, Inputs, Outputs} from '../engine/engine';
import {bytes} from './utf8';

export interface Session {
  manifest: Manifest;
  engine: Engine;
}

export interface TextInputs {
  /** Its bytes, as many as the bundle takes, and how many they are. */
  inputs: {text: Uint8Array; length: number};
  /** How many more it has. */
  cut: number;
}

/** `text` as inputs of a signature. */
export function textInputs({manifest}: Session, signature: string, text: string): TextInputs {
  const spec = manifest.signatures[signature]!.inputs.find(({name}) => name === 'text')!;
  const content = bytes(text, sizeOf(manifest, spec.shape[1]!), spec.keep === 'end' ? 'end' : 'start');
  return {inputs: {text: content, length: content.length}, cut: bytes(text, Infinity).length - content.length};
}

export function sizeOf(manifest: Manifest, size: number | string): number {
  return typeof size === 'number' ? size : (manifest.limits[size] ?? Infinity);
}

/** Runs a signature and reads some outputs; those named in `keep` stay in the runtime. */
export async function call<Name extends string>(
  {engine}: Session,
  signature: string,
  inputs: Inputs,
  names: readonly Name[],
): Promise<Record<Name, Data>> {
  const outputs = await engine.run(signature, inputs);
  const read = await reading(outputs, names);
  free(Object.values(outputs));
  return read;
}

/** The values of some outputs, copied: what is in the runtime's memory moves when it grows. */
export async function reading<Name extends string>(outputs: Outputs, names: readonly Name[]): Promise<Record<Name, Data>> {
  const pairs = await Promise.all(names.map(async (name) => [name, (await outputs[name]!.read()).slice()] as const));
  return Object.fromEntries(pairs) as Record<Name, Data>;
}

export function free(held: Held[]): void {
  held.forEach((tensor) => tensor.free());
}
