// A Python that has keras-seq: the one named in PYTHON, the demo's own, or python3.
import {spawnSync} from 'node:child_process';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

export const demo = join(dirname(fileURLToPath(import.meta.url)), '..');
export const root = join(demo, '..');
export const own = join(demo, '.venv', 'bin', 'python');

/** One that can import `modules`; undefined if there is none. */
export function pythonWith(...modules) {
  const list = modules.map((name) => `"${name}"`).join(', ');
  const needed = `import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, (${list},))))`;
  const has = (python) => spawnSync(python, ['-c', needed], {cwd: root, stdio: 'ignore'}).status === 0;
  return [process.env.PYTHON, own, 'python3'].filter(Boolean).find(has);
}
