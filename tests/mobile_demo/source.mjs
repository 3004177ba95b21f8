// Imports TypeScript modules of the app into Node.
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';

export const DEMO = fileURLToPath(new URL('../../mobile_demo/', import.meta.url));
export const require = createRequire(new URL('../../mobile_demo/package.json', import.meta.url));

/** Imports a module of mobile_demo/src by its path there. */
export async function importSource(path) {
  const {runnerImport} = await import(require.resolve('vite'));
  const {module} = await runnerImport(`${DEMO}src/${path}`, {configFile: false, root: DEMO, logLevel: 'error'});
  return module;
}
