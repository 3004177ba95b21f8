/** Made by `python docs/generate_reference.py` of export/manifest.py: change it there. */

/** The whole of `manifest.json`. */
export interface Manifest {
  /** Version of this schema. */
  schema_version: 2;
  /** Name of the task. */
  task: string;
  /** Kind of the model. */
  backbone: string;
  /** Number of its parameters. */
  parameters: number;
  /** Names of the classes; empty for other tasks. */
  labels: string[];
  /** The signatures that servers and apps call first. */
  entry: Entry;
  /** The largest sizes, by name. */
  limits: Record<string, number>;
  /** The limit that bounds each letter in the shapes. `B`, the batch, has none. */
  dimensions: Record<string, string>;
  /** Inputs and outputs by signature. */
  signatures: Record<string, Signature>;
  /** One entry for each format and precision. */
  variants: Variant[];
  /** Hash and size of every file except the manifest. */
  files: Record<string, FileRecord>;
  /** Hash of the rest of the manifest: of its JSON with sorted keys and without this key. */
  sha256: string;
  /** File of the tokenizer; null if there is none. */
  tokenizer?: 'tokenizer.json' | null;
  /** Bytes of its tables in each file that reads texts. */
  tokenizer_bytes?: number;
  /** Versions of the packages that wrote it. */
  created_with?: Record<string, string>;
  /** Results on held-out data. */
  metrics?: Record<string, unknown>;
  /** `data`, the name of the training data, and its `licence`. */
  trained_on?: Record<string, string>;
  /** How each signature of a variant compared with Keras. */
  parity?: Parity;
  /** Name of a Keras model. */
  name?: string;
  /** Number of token ids. */
  vocabulary_size?: number;
  /** Width of the backbone. */
  hidden_dim?: number;
  /** Whether a classifier reads both ways. */
  bidirectional?: boolean;
  /** Languages that a translator reads and writes. */
  languages?: string[];
}

/** The signatures that servers and apps call first. */
export interface Entry {
  /** The main signature: what the bundle's own name stands for on a server. */
  signature: string;
  /** The signatures that an app with live results calls, first call first. */
  interactive: string[];
  /** Values by input name that a user interface starts with. */
  defaults: Record<string, number>;
}

/** A named function. */
export interface Signature {
  /** Its inputs. */
  inputs: Tensor[];
  /** Its outputs. */
  outputs: Tensor[];
  /** The formats that have it, where not all do. */
  formats?: ('onnx' | 'saved_model' | 'tflite')[];
}

/** An input or output of a signature. */
export interface Tensor {
  /** Name. */
  name: string;
  /** NumPy's name of the dtype, or `string`. */
  dtype: 'bool' | 'float16' | 'float32' | 'float64' | 'int16' | 'int32' | 'int64' | 'int8' | 'string' | 'uint16' | 'uint32' | 'uint64' | 'uint8';
  /** Sizes; a letter of `dimensions`, or another name, stands for one that the caller chooses. `B`, the batch, is the first if it is there. */
  shape: (number | string)[];
  /** Smallest value of an input. */
  minimum?: number;
  /** Largest value of an input, or the letter whose size it is: `limits[dimensions[letter]]`. */
  maximum?: number | string;
  /** Value of an input that may be left out: a number, which all values of an array are; a letter, as in `maximum`; `"random"` for random numbers in [0, 1); `""` for empty strings. */
  default?: number | string;
  /** Side on which a text that is too long is cut; without it, the end is. */
  truncation_side?: 'left' | 'right';
}

/** A format in a precision. */
export interface Variant {
  /** Name of the format. */
  format: 'onnx' | 'saved_model' | 'tflite';
  /** Precision of the weights. */
  precision: string;
  /** Its files, all of which are in `files` and in the format's folder. */
  files: string[];
  /** Sizes that are fixed in them, by letter. */
  sizes: Record<string, number>;
  /** Bytes of these files together. */
  bytes: number;
}

/** What a file must be. */
export interface FileRecord {
  /** SHA-256 of its content. */
  sha256: string;
  /** Its size. */
  bytes: number;
}

/** How all variants compared with Keras when the bundle was written. */
export interface Parity {
  /** What they were compared on, in words. */
  inputs: string;
  /** Largest difference allowed. */
  tolerance: number;
  /** Figures of each variant. */
  variants: VariantParity[];
}

/** How a variant compared with Keras. */
export interface VariantParity {
  /** Name of the format. */
  format: 'onnx' | 'saved_model' | 'tflite';
  /** Precision of the weights. */
  precision: string;
  /** Figures by signature. */
  signatures: Record<string, Figures>;
}

/** How a signature compared with Keras. */
export interface Figures {
  /** Rows compared. */
  inputs: number;
  /** Largest absolute difference of all float outputs. */
  largest_difference: number;
  /** Share of rows, or of generated tokens, with the same answer. */
  agreement: number;
  /** Whether the runtime computes what Keras computes. */
  within_tolerance: boolean;
  /** Milliseconds of a call with the longest input on one thread. */
  latency_ms: number;
}

export const MANIFEST_SCHEMA: object = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/Manifest", "$defs": {"Manifest": {"type": "object", "properties": {"schema_version": {"enum": [2]}, "task": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$(?!\\n)"}, "backbone": {"type": "string", "maxLength": 10000}, "parameters": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}, "labels": {"type": "array", "items": {"type": "string", "maxLength": 10000}, "maxItems": 1000000}, "entry": {"$ref": "#/$defs/Entry"}, "limits": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 2147483647}}, "dimensions": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}}, "signatures": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"$ref": "#/$defs/Signature"}, "minProperties": 1}, "variants": {"type": "array", "items": {"$ref": "#/$defs/Variant"}, "maxItems": 100, "minItems": 1}, "files": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}){0,7}$(?!\\n)"}, "additionalProperties": {"$ref": "#/$defs/FileRecord"}, "minProperties": 1}, "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$(?!\\n)"}, "tokenizer": {"anyOf": [{"enum": ["tokenizer.json"]}, {"type": "null"}], "default": null}, "tokenizer_bytes": {"type": "integer", "minimum": 0, "maximum": 9007199254740991, "default": 0}, "created_with": {"type": "object", "propertyNames": {"maxLength": 10000}, "additionalProperties": {"type": "string", "maxLength": 10000}, "default": {}}, "metrics": {"type": "object", "propertyNames": {"maxLength": 10000}, "default": {}}, "trained_on": {"type": "object", "propertyNames": {"maxLength": 10000}, "additionalProperties": {"type": "string", "maxLength": 10000}, "default": {}}, "parity": {"$ref": "#/$defs/Parity"}, "name": {"type": "string", "maxLength": 10000}, "vocabulary_size": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}, "hidden_dim": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}, "bidirectional": {"type": "boolean"}, "languages": {"type": "array", "items": {"type": "string", "maxLength": 10000}, "maxItems": 2}}, "required": ["schema_version", "task", "backbone", "parameters", "labels", "entry", "limits", "dimensions", "signatures", "variants", "files", "sha256"], "additionalProperties": false}, "Entry": {"type": "object", "properties": {"signature": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "interactive": {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "maxItems": 100, "minItems": 1}, "defaults": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "number"}}}, "required": ["signature", "interactive", "defaults"], "additionalProperties": false}, "Signature": {"type": "object", "properties": {"inputs": {"type": "array", "items": {"$ref": "#/$defs/Tensor"}, "maxItems": 1000}, "outputs": {"type": "array", "items": {"$ref": "#/$defs/Tensor"}, "maxItems": 1000}, "formats": {"type": "array", "items": {"enum": ["onnx", "saved_model", "tflite"]}, "minItems": 1}}, "required": ["inputs", "outputs"], "additionalProperties": false}, "Tensor": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "dtype": {"enum": ["bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "string", "uint16", "uint32", "uint64", "uint8"]}, "shape": {"type": "array", "items": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 2147483647}, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}]}, "maxItems": 16}, "minimum": {"type": "number"}, "maximum": {"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}]}, "default": {"anyOf": [{"type": "number"}, {"type": "string", "maxLength": 200}]}, "truncation_side": {"enum": ["left", "right"]}}, "required": ["name", "dtype", "shape"], "additionalProperties": false}, "Variant": {"type": "object", "properties": {"format": {"enum": ["onnx", "saved_model", "tflite"]}, "precision": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$(?!\\n)"}, "files": {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}){0,7}$(?!\\n)"}, "maxItems": 10000, "minItems": 1}, "sizes": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 2147483647}}, "bytes": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}}, "required": ["format", "precision", "files", "sizes", "bytes"], "additionalProperties": false}, "FileRecord": {"type": "object", "properties": {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$(?!\\n)"}, "bytes": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}}, "required": ["sha256", "bytes"], "additionalProperties": false}, "Parity": {"type": "object", "properties": {"inputs": {"type": "string", "maxLength": 10000}, "tolerance": {"type": "number", "minimum": 0}, "variants": {"type": "array", "items": {"$ref": "#/$defs/VariantParity"}, "maxItems": 100}}, "required": ["inputs", "tolerance", "variants"], "additionalProperties": false}, "VariantParity": {"type": "object", "properties": {"format": {"enum": ["onnx", "saved_model", "tflite"]}, "precision": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$(?!\\n)"}, "signatures": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"$ref": "#/$defs/Figures"}}}, "required": ["format", "precision", "signatures"], "additionalProperties": false}, "Figures": {"type": "object", "properties": {"inputs": {"type": "integer", "minimum": 0, "maximum": 9007199254740991}, "largest_difference": {"type": "number", "minimum": 0}, "agreement": {"type": "number", "minimum": 0}, "within_tolerance": {"type": "boolean"}, "latency_ms": {"type": "number", "minimum": 0}}, "required": ["inputs", "largest_difference", "agreement", "within_tolerance", "latency_ms"], "additionalProperties": false}}};
