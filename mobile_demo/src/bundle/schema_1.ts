/** Manifests of schema version 1: devices keep bundles that were added when this was the current one. */
import {isObject, type Manifest, type Signature, type TensorSpec, type Variant} from './schema';

export const SCHEMA_1 = 1;

const DIMENSIONS: Record<string, string> = {
  T: 'max_length', N: 'max_new_tokens', L: 'max_bytes', K: 'num_beams', S: 'max_source_length', R: 'max_translation_bytes',
};

// Schema 1 has no `entry`; what it was depends on the task.
const ENTRIES: Record<string, {signature: string; interactive: string[]; defaults: string[]}> = {
  classify: {signature: 'classify_text', interactive: ['classify_text'], defaults: []},
  generate: {signature: 'generate_text', interactive: ['prefill_text', 'decode_text'], defaults: ['temperature', 'top_k', 'top_p', 'repetition_penalty']},
  translate: {signature: 'translate_text', interactive: ['translate_text', 'attend_text'], defaults: []},
};

type TensorSpec1 = Omit<TensorSpec, 'truncation_side'> & {keep?: string};
type Tensors1 = Record<'inputs' | 'outputs', TensorSpec1[]>;

/** Returns a manifest of schema 1 in schema 2, still to be checked; null if it lacks what it must have. */
export function upgradeManifest(content: Record<string, unknown>): Record<string, unknown> | null {
  try {
    return JSON.parse(JSON.stringify(upgrade(content))) as Record<string, unknown> | null; // Without what is undefined.
  } catch {
    return null; // A part is of another type.
  }
}

function upgrade(content: Record<string, unknown>): Record<string, unknown> | null {
  const {task, formats, limits, signatures: tensors, ...rest} = content;
  if (![formats, limits, tensors].every(isObject) || !Object.values(formats as object).every(isObject)) return null;
  const letters = Object.entries(limits as Record<string, number>);
  const signatures = Object.fromEntries(
    Object.entries(tensors as Record<string, Partial<Tensors1>>).map(([name, signature]) => [name, upgradeSignature(signature)]),
  );
  return {
    ...rest,
    schema_version: 2,
    task,
    limits: Object.fromEntries(letters.map(([letter, limit]) => [DIMENSIONS[letter] ?? letter, limit])),
    dimensions: Object.fromEntries(letters.map(([letter]) => [letter, DIMENSIONS[letter] ?? letter])),
    signatures,
    entry: entryOf(String(task), signatures),
    variants: Object.entries(formats as Record<string, Omit<Variant, 'format'>>).map(([format, variant]) => ({...variant, format})),
  };
}

function upgradeSignature({inputs = [], outputs = []}: Partial<Tensors1>): Signature {
  const upgradeInput = ({keep, ...spec}: TensorSpec1): TensorSpec => (keep === 'end' ? {...spec, truncation_side: 'left'} : spec);
  return {inputs: inputs.map(upgradeInput), outputs};
}

function entryOf(task: string, signatures: Record<string, Signature>): Manifest['entry'] | null {
  const [first] = Object.keys(signatures);
  if (first === undefined) return null;
  const entry = Object.hasOwn(ENTRIES, task) ? ENTRIES[task]! : {signature: first, interactive: [], defaults: []};
  const signature = Object.hasOwn(signatures, entry.signature) ? entry.signature : first;
  const interactive = entry.interactive.filter((name) => Object.hasOwn(signatures, name));
  const {inputs} = signatures[signature]!;
  const defaults = inputs.filter((input) => entry.defaults.includes(input.name)).map((input) => [input.name, Number(input.default)]);
  return {signature, interactive: interactive.length ? interactive : [signature], defaults: Object.fromEntries(defaults)};
}
