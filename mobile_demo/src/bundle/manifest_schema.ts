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

export const MANIFEST_SCHEMA: object = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/Manifest", "$defs": {"Manifest": {"title": "Manifest", "description": "The whole of `manifest.json`.", "type": "object", "properties": {"schema_version": {"description": "Version of this schema.", "enum": [2]}, "task": {"description": "Name of the task.", "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$(?!\\n)"}, "backbone": {"description": "Kind of the model.", "type": "string", "maxLength": 10000}, "parameters": {"description": "Number of its parameters.", "type": "integer", "minimum": 0, "maximum": 9007199254740991}, "labels": {"description": "Names of the classes; empty for other tasks.", "type": "array", "items": {"type": "string", "maxLength": 10000}, "maxItems": 1000000}, "entry": {"description": "The signatures that servers and apps call first.", "$ref": "#/$defs/Entry"}, "limits": {"description": "The largest sizes, by name.", "type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 2147483647}}, "dimensions": {"description": "The limit that bounds each letter in the shapes. `B`, the batch, has none.", "type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}}, "signatures": {"description": "Inputs and outputs by signature.", "type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"$ref": "#/$defs/Signature"}, "minProperties": 1}, "variants": {"description": "One entry for each format and precision.", "type": "array", "items": {"$ref": "#/$defs/Variant"}, "maxItems": 100, "minItems": 1}, "files": {"description": "Hash and size of every file except the manifest.", "type": "object", "propertyNames": {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}){0,7}$(?!\\n)"}, "additionalProperties": {"$ref": "#/$defs/FileRecord"}, "minProperties": 1}, "sha256": {"description": "Hash of the rest of the manifest: of its JSON with sorted keys and without this key.", "type": "string", "pattern": "^[0-9a-f]{64}$(?!\\n)"}, "tokenizer": {"description": "File of the tokenizer; null if there is none.", "anyOf": [{"enum": ["tokenizer.json"]}, {"type": "null"}], "default": null}, "tokenizer_bytes": {"description": "Bytes of its tables in each file that reads texts.", "type": "integer", "minimum": 0, "maximum": 9007199254740991, "default": 0}, "created_with": {"description": "Versions of the packages that wrote it.", "type": "object", "propertyNames": {"maxLength": 10000}, "additionalProperties": {"type": "string", "maxLength": 10000}, "default": {}}, "metrics": {"description": "Results on held-out data.", "type": "object", "propertyNames": {"maxLength": 10000}, "default": {}}, "trained_on": {"description": "`data`, the name of the training data, and its `licence`.", "type": "object", "propertyNames": {"maxLength": 10000}, "additionalProperties": {"type": "string", "maxLength": 10000}, "default": {}}, "parity": {"description": "How each signature of a variant compared with Keras.", "$ref": "#/$defs/Parity"}, "name": {"description": "Name of a Keras model.", "type": "string", "maxLength": 10000}, "vocabulary_size": {"description": "Number of token ids.", "type": "integer", "minimum": 0, "maximum": 9007199254740991}, "hidden_dim": {"description": "Width of the backbone.", "type": "integer", "minimum": 0, "maximum": 9007199254740991}, "bidirectional": {"description": "Whether a classifier reads both ways.", "type": "boolean"}, "languages": {"description": "Languages that a translator reads and writes.", "type": "array", "items": {"type": "string", "maxLength": 10000}, "maxItems": 2}}, "required": ["schema_version", "task", "backbone", "parameters", "labels", "entry", "limits", "dimensions", "signatures", "variants", "files", "sha256"], "additionalProperties": false}, "Entry": {"title": "Entry", "description": "The signatures that servers and apps call first.", "type": "object", "properties": {"signature": {"description": "The main signature: what the bundle's own name stands for on a server.", "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "interactive": {"description": "The signatures that an app with live results calls, first call first.", "type": "array", "items": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "maxItems": 100, "minItems": 1}, "defaults": {"description": "Values by input name that a user interface starts with.", "type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "number"}}}, "required": ["signature", "interactive", "defaults"], "additionalProperties": false}, "Signature": {"title": "Signature", "description": "A named function.", "type": "object", "properties": {"inputs": {"description": "Its inputs.", "type": "array", "items": {"$ref": "#/$defs/Tensor"}, "maxItems": 1000}, "outputs": {"description": "Its outputs.", "type": "array", "items": {"$ref": "#/$defs/Tensor"}, "maxItems": 1000}, "formats": {"description": "The formats that have it, where not all do.", "type": "array", "items": {"enum": ["onnx", "saved_model", "tflite"]}, "minItems": 1}}, "required": ["inputs", "outputs"], "additionalProperties": false}, "Tensor": {"title": "Tensor", "description": "An input or output of a signature.", "type": "object", "properties": {"name": {"description": "Name.", "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "dtype": {"description": "NumPy's name of the dtype, or `string`.", "enum": ["bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "string", "uint16", "uint32", "uint64", "uint8"]}, "shape": {"description": "Sizes; a letter of `dimensions`, or another name, stands for one that the caller chooses. `B`, the batch, is the first if it is there.", "type": "array", "items": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 2147483647}, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}]}, "maxItems": 16}, "minimum": {"description": "Smallest value of an input.", "type": "number"}, "maximum": {"description": "Largest value of an input, or the letter whose size it is: `limits[dimensions[letter]]`.", "anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}]}, "default": {"description": "Value of an input that may be left out: a number, which all values of an array are; a letter, as in `maximum`; `\"random\"` for random numbers in [0, 1); `\"\"` for empty strings.", "anyOf": [{"type": "number"}, {"type": "string", "maxLength": 200}]}, "truncation_side": {"description": "Side on which a text that is too long is cut; without it, the end is.", "enum": ["left", "right"]}}, "required": ["name", "dtype", "shape"], "additionalProperties": false}, "Variant": {"title": "Variant", "description": "A format in a precision.", "type": "object", "properties": {"format": {"description": "Name of the format.", "enum": ["onnx", "saved_model", "tflite"]}, "precision": {"description": "Precision of the weights.", "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$(?!\\n)"}, "files": {"description": "Its files, all of which are in `files` and in the format's folder.", "type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}){0,7}$(?!\\n)"}, "maxItems": 10000, "minItems": 1}, "sizes": {"description": "Sizes that are fixed in them, by letter.", "type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 2147483647}}, "bytes": {"description": "Bytes of these files together.", "type": "integer", "minimum": 0, "maximum": 9007199254740991}}, "required": ["format", "precision", "files", "sizes", "bytes"], "additionalProperties": false}, "FileRecord": {"title": "FileRecord", "description": "What a file must be.", "type": "object", "properties": {"sha256": {"description": "SHA-256 of its content.", "type": "string", "pattern": "^[0-9a-f]{64}$(?!\\n)"}, "bytes": {"description": "Its size.", "type": "integer", "minimum": 0, "maximum": 9007199254740991}}, "required": ["sha256", "bytes"], "additionalProperties": false}, "Parity": {"title": "Parity", "description": "How all variants compared with Keras when the bundle was written.", "type": "object", "properties": {"inputs": {"description": "What they were compared on, in words.", "type": "string", "maxLength": 10000}, "tolerance": {"description": "Largest difference allowed.", "type": "number", "minimum": 0}, "variants": {"description": "Figures of each variant.", "type": "array", "items": {"$ref": "#/$defs/VariantParity"}, "maxItems": 100}}, "required": ["inputs", "tolerance", "variants"], "additionalProperties": false}, "VariantParity": {"title": "VariantParity", "description": "How a variant compared with Keras.", "type": "object", "properties": {"format": {"description": "Name of the format.", "enum": ["onnx", "saved_model", "tflite"]}, "precision": {"description": "Precision of the weights.", "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$(?!\\n)"}, "signatures": {"description": "Figures by signature.", "type": "object", "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,199}$(?!\\n)"}, "additionalProperties": {"$ref": "#/$defs/Figures"}}}, "required": ["format", "precision", "signatures"], "additionalProperties": false}, "Figures": {"title": "Figures", "description": "How a signature compared with Keras.", "type": "object", "properties": {"inputs": {"description": "Rows compared.", "type": "integer", "minimum": 0, "maximum": 9007199254740991}, "largest_difference": {"description": "Largest absolute difference of all float outputs.", "type": "number", "minimum": 0}, "agreement": {"description": "Share of rows, or of generated tokens, with the same answer.", "type": "number", "minimum": 0}, "within_tolerance": {"description": "Whether the runtime computes what Keras computes.", "type": "boolean"}, "latency_ms": {"description": "Milliseconds of a call with the longest input on one thread.", "type": "number", "minimum": 0}}, "required": ["inputs", "largest_difference", "agreement", "within_tolerance", "latency_ms"], "additionalProperties": false}}};
