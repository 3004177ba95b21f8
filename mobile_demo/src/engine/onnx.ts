/** ONNX files in onnxruntime-web: one session for each signature. All but the first open when they are called. */
import type {InferenceSession, Tensor} from 'onnxruntime-web';

import type {Manifest, RunnableVariant} from '../bundle/schema';
import {
  type Data, type DeviceTensor, type Engine, type EngineOptions, type Inputs, isDeviceTensor, type LocateFiles, type OpenEngine,
  type Outputs, padInput,
} from './engine';

type Ort = typeof import('onnxruntime-web');

export const openEngine: OpenEngine = async (manifest, variant, files, options) => {
  const engine = new OnnxEngine(await loadRuntime(options), manifest, variant, files, options);
  // The runtime's own files are loaded with the first session: later there may be no network.
  await engine.openSession(manifest.entry.interactive[0]!);
  return engine;
};

export const locateFiles: LocateFiles = async ({engines, accelerator}) => {
  const file = `${engines}${ENGINES.folders.onnx}/ort-wasm-simd-threaded${accelerator === 'webgpu' ? '.asyncify' : ''}`;
  return {script: `${file}.mjs`, wasm: `${file}.wasm`};
};

/** Loads the runtime itself. The build with WebGPU is twice as large, so it is loaded for WebGPU only. */
async function loadRuntime(options: EngineOptions): Promise<Ort> {
  const isGpu = options.accelerator === 'webgpu';
  const ort = (await (isGpu ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm'))) as Ort;
  const {script, wasm} = await locateFiles(options);
  ort.env.wasm.wasmPaths = {mjs: script, wasm};
  ort.env.wasm.numThreads = options.threads;
  return ort;
}

class OnnxEngine implements Engine {
  private readonly sessions = new Map<string, Promise<InferenceSession>>();

  constructor(
    private readonly ort: Ort,
    private readonly manifest: Manifest,
    private readonly variant: RunnableVariant,
    private readonly files: Map<string, Uint8Array<ArrayBuffer>>,
    private readonly options: EngineOptions,
  ) {}

  async run(signature: string, inputs: Inputs): Promise<Outputs> {
    const session = await this.openSession(signature);
    const feeds: Record<string, Tensor> = {};
    // tf2onnx leaves out an input that the model does not use.
    for (const spec of this.manifest.signatures[signature]!.inputs.filter(({name}) => session.inputNames.includes(name))) {
      const value = inputs[spec.name]!;
      if (isDeviceTensor(value)) {
        feeds[spec.name] = (value as OnnxTensor).tensor;
        continue;
      }
      const {data, shape} = padInput(spec, value, this.variant.sizes);
      feeds[spec.name] = new this.ort.Tensor(spec.dtype as 'float32', data as Float32Array, shape);
    }
    const results = await session.run(feeds);
    // An output with the name of an input has another name in the file: see export/runtime/onnx.py.
    const names = new Map(Object.keys(inputs).map((name) => [`${name}_out`, name]));
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [names.get(name) ?? name, new OnnxTensor(tensor)]),
    );
  }

  close(): void {
    for (const session of this.sessions.values()) void session.then((opened) => opened.release());
    this.sessions.clear();
  }

  memory(): number | null {
    return null; // onnxruntime-web doesn't report it.
  }

  /** Returns the session of a signature; opens it at the first call. */
  openSession(signature: string): Promise<InferenceSession> {
    const existing = this.sessions.get(signature);
    if (existing) return existing;
    const paths = [...this.files.keys()];
    const graph = paths.find((path) => path.endsWith(`/${signature}.onnx`))!;
    const externalData = paths
      .filter((path) => !path.endsWith('.onnx'))
      .map((path) => ({path: path.split('/').at(-1)!, data: this.files.get(path)!}));
    const session = this.ort.InferenceSession.create(this.files.get(graph)!, {
      externalData,
      executionProviders: this.options.accelerator === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'],
      logSeverityLevel: 3,
    });
    this.sessions.set(signature, session);
    return session;
  }
}

class OnnxTensor implements DeviceTensor {
  constructor(readonly tensor: Tensor) {}

  async read(): Promise<Data> {
    return (await this.tensor.getData()) as Data;
  }

  free(): void {
    this.tensor.dispose();
  }
}
