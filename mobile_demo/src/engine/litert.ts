/** TFLite files in LiteRT.js. */
import {type CompiledModel, getDefaultEnvironment, type LiteRt, loadAndCompile, loadLiteRt, setWebGpuDevice, supportsFeature, Tensor} from '@litertjs/core';

import type {Manifest} from '../bundle/manifest';
import {type Data, type Engine, type Files, filled, type Held, type Inputs, isHeld, type Open, type Options, type Outputs} from './engine';

export const open: Open = async (manifest, format, files, options) => {
  const runtime = await loaded(options);
  const [content] = [...files.values()];
  if (options.accelerator === 'webgpu' && !getDefaultEnvironment().webGpuDevice) {
    const adapter = await navigator.gpu.requestAdapter();
    setWebGpuDevice(await adapter!.requestDevice());
  }
  const model = await loadAndCompile(content!, {
    accelerator: options.accelerator === 'webgpu' ? 'webgpu' : 'wasm',
    cpuOptions: {numThreads: options.threads},
  });
  return new LiteRtEngine(runtime, model, manifest, format);
};

export const files: Files = async ({engines, threads, accelerator}) => {
  const isRelaxed = await supportsFeature('relaxedSimd');
  const hasJspi = accelerator === 'webgpu' && (await supportsFeature('jspi'));
  const build = !isRelaxed ? 'compat_' : hasJspi ? 'jspi_' : threads > 1 ? 'threaded_' : '';
  const file = `${engines}${ENGINES.folders.litert}/litert_wasm_${build}internal`;
  return {script: `${file}.js`, wasm: `${file}.wasm`};
};

let runtime: Promise<LiteRt> | null = null;

/** The runtime itself, once in a worker. */
function loaded(options: Options): Promise<LiteRt> {
  runtime ??= (async () => {
    const {script} = await files(options);
    // LiteRT.js calls importScripts, which a module worker has not: what it loads is there already.
    await import(/* @vite-ignore */ script);
    Object.assign(globalThis, {
      importScripts: () => undefined,
      Module: {
        locateFile: (file: string) => new URL(file, script).href,
        mainScriptUrlOrBlob: script,
        printErr: (line: string) => console.debug(line), // It says all it does there.
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
    private readonly format: string,
  ) {}

  async run(signature: string, inputs: Inputs): Promise<Outputs> {
    const {sizes} = this.manifest.formats[this.format]!;
    const made: Tensor[] = [];
    const given: Record<string, Tensor> = {};
    // The converter leaves out an input that the model does not use.
    const taken = new Set(this.model.signatures[signature]!.getInputDetails().map(({name}) => name));
    for (const spec of this.manifest.signatures[signature]!.inputs.filter(({name}) => taken.has(name))) {
      const value = inputs[spec.name]!;
      if (isHeld(value)) {
        given[spec.name] = (value as LiteRtTensor).tensor;
        continue;
      }
      const {data, shape} = filled(spec, value, sizes);
      given[spec.name] = new Tensor(data as never, shape);
      made.push(given[spec.name]!);
    }
    try {
      const results = await this.model.run(signature, given);
      return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, new LiteRtTensor(tensor)]));
    } finally {
      made.forEach((tensor) => tensor.delete());
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

class LiteRtTensor implements Held {
  constructor(readonly tensor: Tensor) {}

  async read(): Promise<Data> {
    const here = this.tensor.accelerator === 'wasm' ? this.tensor : await this.tensor.copyTo('wasm');
    const data = here.toTypedArray() as Data;
    if (here !== this.tensor) here.delete();
    return data;
  }

  free(): void {
    this.tensor.delete();
  }
}
