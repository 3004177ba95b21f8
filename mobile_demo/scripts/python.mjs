// Finds a Python that has keras-seq: the one named in PYTHON, the demo's own, or python3.
import {spawnSync} from 'node:child_process';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

export const demo = join(dirname(fileURLToPath(import.meta.url)), '..');
export const root = join(demo, '..');
export const ownPython = join(demo, '.venv', 'bin', 'python');

/** Returns a Python that can import `modules`; undefined if there is none. */
export function findPython(...modules) {
  const names = modules.map((name) => `"${name}"`).join(', ');
  const check = `import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, (${names},))))`;
  const isSuitable = (python) => spawnSync(python, ['-c', check], {cwd: root, stdio: 'ignore'}).status === 0;
  return [process.env.PYTHON, ownPython, 'python3'].filter(Boolean).find(isSuitable);
}
