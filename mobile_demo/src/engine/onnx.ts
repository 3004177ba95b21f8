/** ONNX files in onnxruntime-web: one session a signature, all but the first opened when called. */
import type {InferenceSession, Tensor} from 'onnxruntime-web';

import {CALLED, type Manifest} from '../bundle/manifest';
import {type Data, type Engine, type Files, filled, type Held, type Inputs, isHeld, type Open, type Options, type Outputs} from './engine';

type Ort = typeof import('onnxruntime-web');

export const open: Open = async (manifest, format, files, options) => {
  const engine = new OnnxEngine(await loaded(options), manifest, format, files, options);
  await engine.begin(); // The runtime itself comes with the first session: later there may be no network.
  return engine;
};

export const files: Files = async ({engines, accelerator}) => {
  const file = `${engines}${ENGINES.folders.onnx}/ort-wasm-simd-threaded${accelerator === 'webgpu' ? '.asyncify' : ''}`;
  return {script: `${file}.mjs`, wasm: `${file}.wasm`};
};

/** The runtime itself; that with WebGPU is twice as large, and loaded for WebGPU only. */
async function loaded(options: Options): Promise<Ort> {
  const isGpu = options.accelerator === 'webgpu';
  const ort = (await (isGpu ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm'))) as Ort;
  const {script, wasm} = await files(options);
  ort.env.wasm.wasmPaths = {mjs: script, wasm};
  ort.env.wasm.numThreads = options.threads;
  return ort;
}

class OnnxEngine implements Engine {
  private readonly sessions = new Map<string, Promise<InferenceSession>>();

  constructor(
    private readonly ort: Ort,
    private readonly manifest: Manifest,
    private readonly format: string,
    private readonly files: Map<string, Uint8Array<ArrayBuffer>>,
    private readonly options: Options,
  ) {}

  async begin(): Promise<void> {
    await this.session(CALLED[this.manifest.task][0]!);
  }

  async run(signature: string, inputs: Inputs): Promise<Outputs> {
    const session = await this.session(signature);
    const {sizes} = this.manifest.formats[this.format]!;
    const given: Record<string, Tensor> = {};
    // tf2onnx leaves out an input that the model does not use.
    for (const spec of this.manifest.signatures[signature]!.inputs.filter(({name}) => session.inputNames.includes(name))) {
      const value = inputs[spec.name]!;
      if (isHeld(value)) {
        given[spec.name] = (value as OnnxTensor).tensor;
        continue;
      }
      const {data, shape} = filled(spec, value, sizes);
      given[spec.name] = new this.ort.Tensor(spec.dtype as 'float32', data as Float32Array, shape);
    }
    const results = await session.run(given);
    // An output that is called as an input has another name in the file: see export/runtime/onnx.py.
    const names = new Map(Object.keys(inputs).map((name) => [`${name}_out`, name]));
    return Object.fromEntries(
      Object.entries(results).map(([name, tensor]) => [names.get(name) ?? name, new OnnxTensor(tensor)]),
    );
  }

  close(): void {
    for (const session of this.sessions.values()) void session.then((open) => open.release());
    this.sessions.clear();
  }

  memory(): number | null {
    return null; // It does not say.
  }

  private session(signature: string): Promise<InferenceSession> {
    const opened = this.sessions.get(signature);
    if (opened) return opened;
    const paths = [...this.files.keys()];
    const graph = paths.find((path) => path.endsWith(`/${signature}.onnx`))!;
    const externalData = paths
      .filter((path) => !path.endsWith('.onnx'))
      .map((path) => ({path: path.split('/').at(-1)!, data: this.files.get(path)!}));
    const providers = this.options.accelerator === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'];
    const made = this.ort.InferenceSession.create(this.files.get(graph)!, {
      externalData,
      executionProviders: providers,
      logSeverityLevel: 3,
    });
    this.sessions.set(signature, made);
    return made;
  }
}

class OnnxTensor implements Held {
  constructor(readonly tensor: Tensor) {}

  async read(): Promise<Data> {
    return (await this.tensor.getData()) as Data;
  }

  free(): void {
    this.tensor.dispose();
  }
}
