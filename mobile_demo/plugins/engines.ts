/** Serves and emits the runtimes' own files: `engines/LITERT/…`, `engines/ORT/…`. */
import {readFile, readdir, stat} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';

import type {Plugin} from 'vite';

const require = createRequire(import.meta.url);
const TYPES: Record<string, string> = {js: 'text/javascript', mjs: 'text/javascript', wasm: 'application/wasm'};

interface Engine {
  /** Folder below `engines/`, with the version: a file there never changes. */
  name: string;
  folder: string;
  files: string[];
}

export interface Engines {
  /** What the app knows as `ENGINES`: the folders, and the bytes of each FOLDER/FILE. */
  constants: {folders: {litert: string; onnx: string}; sizes: Record<string, number>};
  plugin: Plugin;
}

export async function engines(): Promise<Engines> {
  const litert = await locate('@litertjs/core', '../wasm', /\.(js|wasm)$/);
  const onnx = await locate('onnxruntime-web', '.', /^ort-wasm-simd-threaded(\.asyncify)?\.(mjs|wasm)$/);
  const all = [litert, onnx];

  async function read({folder}: Engine, file: string): Promise<Buffer | string> {
    const content = await readFile(join(folder, file));
    // LiteRT's loaders define a global ModuleFactory as scripts; imported by a module worker, they wouldn't.
    return file.endsWith('_internal.js') ? `${content}\nglobalThis.ModuleFactory = ModuleFactory;\n` : content;
  }

  const plugin: Plugin = {
    name: 'engines',
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        const [, name, file] = /\/engines\/([^/]+)\/([^/?]+)/.exec(request.url ?? '') ?? [];
        const engine = all.find((candidate) => candidate.name === name);
        if (!engine || !file || !engine.files.includes(file)) return next();
        response.setHeader('Content-Type', TYPES[file.split('.').at(-1)!]!);
        for (const [header, value] of Object.entries(server.config.server.headers ?? {})) {
          response.setHeader(header, value as string);
        }
        response.end(await read(engine, file));
      });
    },
    async generateBundle() {
      for (const engine of all) {
        for (const file of engine.files) {
          this.emitFile({type: 'asset', fileName: `engines/${engine.name}/${file}`, source: await read(engine, file)});
        }
      }
    },
  };
  const sizes: Record<string, number> = {};
  for (const engine of all) {
    for (const file of engine.files) {
      sizes[`${engine.name}/${file}`] = (await stat(join(engine.folder, file))).size;
    }
  }
  return {constants: {folders: {litert: litert.name, onnx: onnx.name}, sizes}, plugin};
}

/** Finds the files of a runtime that match `pattern`, in `folder` beside the main file of its package. */
async function locate(library: string, folder: string, pattern: RegExp): Promise<Engine> {
  const main = require.resolve(library);
  const root = main.slice(0, main.lastIndexOf(library) + library.length);
  const {version} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const location = join(dirname(main), folder);
  const files = (await readdir(location)).filter((file) => pattern.test(file));
  return {name: `${library.replace(/^@/, '').replace('/', '-')}-${version}`, folder: location, files};
}
