/** TFLite files in LiteRT.js. */
import {type CompiledModel, getDefaultEnvironment, type LiteRt, loadAndCompile, loadLiteRt, setWebGpuDevice, supportsFeature, Tensor} from '@litertjs/core';

import type {Manifest, RunnableVariant} from '../bundle/schema';
import {
  type Data, type DeviceTensor, type Engine, type EngineOptions, type Inputs, isDeviceTensor, type LocateFiles, type OpenEngine,
  type Outputs, padInput,
} from './engine';

export const openEngine: OpenEngine = async (manifest, variant, files, options) => {
  const runtime = await loadRuntime(options);
  const [content] = [...files.values()];
  if (options.accelerator === 'webgpu' && !getDefaultEnvironment().webGpuDevice) {
    const adapter = await navigator.gpu.requestAdapter();
    setWebGpuDevice(await adapter!.requestDevice());
  }
  const model = await loadAndCompile(content!, {
    accelerator: options.accelerator === 'webgpu' ? 'webgpu' : 'wasm',
    cpuOptions: {numThreads: options.threads},
  });
  return new LiteRtEngine(runtime, model, manifest, variant);
};

export const locateFiles: LocateFiles = async ({engines, threads, accelerator}) => {
  const isRelaxed = await supportsFeature('relaxedSimd');
  const hasJspi = accelerator === 'webgpu' && (await supportsFeature('jspi'));
  const build = !isRelaxed ? 'compat_' : hasJspi ? 'jspi_' : threads > 1 ? 'threaded_' : '';
  const file = `${engines}${ENGINES.folders.litert}/litert_wasm_${build}internal`;
  return {script: `${file}.js`, wasm: `${file}.wasm`};
};

let runtime: Promise<LiteRt> | null = null;

/** Loads the runtime itself, once in a worker. */
function loadRuntime(options: EngineOptions): Promise<LiteRt> {
  runtime ??= (async () => {
    const {script} = await locateFiles(options);
    // LiteRT.js calls importScripts, which a module worker lacks: the script is imported before that.
    await import(/* @vite-ignore */ script);
    Object.assign(globalThis, {
      importScripts: () => undefined,
      Module: {
        locateFile: (file: string) => new URL(file, script).href,
        mainScriptUrlOrBlob: script,
        printErr: (line: string) => console.debug(line), // All of its log comes here, not only errors.
      },
    });
    return loadLiteRt(script);
  })();
  return runtime;
}

class LiteRtEngine implements Engine {
  constructor(
    private readonly runtime: LiteRt,
    private readonly model: CompiledModel,
    private readonly manifest: Manifest,
    private readonly variant: RunnableVariant,
  ) {}

  async run(signature: string, inputs: Inputs): Promise<Outputs> {
    const temporaries: Tensor[] = [];
    const feeds: Record<string, Tensor> = {};
    // The converter leaves out an input that the model does not use.
    const expected = new Set(this.model.signatures[signature]!.getInputDetails().map(({name}) => name));
    for (const spec of this.manifest.signatures[signature]!.inputs.filter(({name}) => expected.has(name))) {
      const value = inputs[spec.name]!;
      if (isDeviceTensor(value)) {
        feeds[spec.name] = (value as LiteRtTensor).tensor;
        continue;
      }
      const {data, shape} = padInput(spec, value, this.variant.sizes);
      feeds[spec.name] = new Tensor(data as never, shape);
      temporaries.push(feeds[spec.name]!);
    }
    try {
      const results = await this.model.run(signature, feeds);
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, new LiteRtTensor(tensor)]));
    } finally {
      temporaries.forEach((tensor) => tensor.delete());
    }
  }

  close(): void {
    this.model.delete();
  }

  memory(): number | null {
    const {HEAPU8} = this.runtime.liteRtWasm as unknown as {HEAPU8?: Uint8Array};
    return HEAPU8?.length ?? null;
  }
}

class LiteRtTensor implements DeviceTensor {
  constructor(readonly tensor: Tensor) {}

  async read(): Promise<Data> {
    const onCpu = this.tensor.accelerator === 'wasm' ? this.tensor : await this.tensor.copyTo('wasm');
    const data = onCpu.toTypedArray() as Data;
    if (onCpu !== this.tensor) onCpu.delete();
    return data;
  }

  free(): void {
    this.tensor.delete();
  }
}
