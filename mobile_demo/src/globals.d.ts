/** Folders of the runtimes below `engines/`; see plugins/engines.ts. */
declare const ENGINES: {litert: string; onnx: string};
