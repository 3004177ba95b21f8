/** The runtimes: their folders below `engines/`, and the bytes of their files; see plugins/engines.ts. */
declare const ENGINES: {folders: {litert: string; onnx: string}; sizes: Record<string, number>};
