/** Serves and emits `models/index.json`: the names of the bundles in `public/models` at that moment. */
import {existsSync} from 'node:fs';
import {readdir} from 'node:fs/promises';
import {join} from 'node:path';

import type {Plugin} from 'vite';

export function models(): Plugin {
  let folder = '';

  async function indexJson(): Promise<string> {
    const entries = existsSync(folder) ? await readdir(folder) : [];
    const names = entries.filter((name) => existsSync(join(folder, name, 'manifest.json')));
    return JSON.stringify(names.sort());
  }

  return {
    name: 'models',
    configResolved(config) {
      folder = join(config.publicDir, 'models');
    },
    configureServer(server) {
      server.middlewares.use(async (request, response, next) => {
        if (!/\/models\/index\.json(\?|$)/.test(request.url ?? '')) return next();
        response.setHeader('Content-Type', 'application/json');
        response.end(await indexJson());
      });
    },
    async generateBundle() {
      this.emitFile({type: 'asset', fileName: 'models/index.json', source: await indexJson()});
    },
  };
}
