/** The runtimes' own files, served and emitted as they are: `engines/LITERT/…`, `engines/ORT/…`. */
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
  /** For the app: their folders, and the bytes of each FOLDER/FILE. */
  about: {folders: {litert: string; onnx: string}; sizes: Record<string, number>};
  plugin: Plugin;
}

export async function engines(): Promise<Engines> {
  const litert = await engine('@litertjs/core', '../wasm', /\.(js|wasm)$/);
  const onnx = await engine('onnxruntime-web', '.', /^ort-wasm-simd-threaded(\.asyncify)?\.(mjs|wasm)$/);
  const all = [litert, onnx];

  async function read({folder}: Engine, file: string): Promise<Buffer | string> {
    const content = await readFile(join(folder, file));
    // LiteRT's loaders are scripts; a module worker imports them, and looks for this.
    return file.endsWith('_internal.js') ? `${content}\nglobalThis.ModuleFactory = ModuleFactory;\n` : content;
  }

  const plugin: Plugin = {
    name: 'engines',
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        const [, name, file] = /\/engines\/([^/]+)\/([^/?]+)/.exec(request.url ?? '') ?? [];
        const found = all.find((one) => one.name === name);
        if (!found || !file || !found.files.includes(file)) return next();
        response.setHeader('Content-Type', TYPES[file.split('.').at(-1)!]!);
        for (const [header, value] of Object.entries(server.config.server.headers ?? {})) {
          response.setHeader(header, value as string);
        }
        response.end(await read(found, file));
      });
    },
    async generateBundle() {
      for (const one of all) {
        for (const file of one.files) {
          this.emitFile({type: 'asset', fileName: `engines/${one.name}/${file}`, source: await read(one, file)});
        }
      }
    },
  };
  const sizes: Record<string, number> = {};
  for (const one of all) {
    for (const file of one.files) {
      sizes[`${one.name}/${file}`] = (await stat(join(one.folder, file))).size;
    }
  }
  return {about: {folders: {litert: litert.name, onnx: onnx.name}, sizes}, plugin};
}

async function engine(library: string, folder: string, wanted: RegExp): Promise<Engine> {
  const main = require.resolve(library);
  const root = main.slice(0, main.lastIndexOf(library) + library.length);
  const {version} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const below = join(dirname(main), folder);
  const files = (await readdir(below)).filter((file) => wanted.test(file));
  return {name: `${library.replace(/^@/, '').replace('/', '-')}-${version}`, folder: below, files};
}
