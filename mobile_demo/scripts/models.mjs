// Makes the bundles of the shipped presets that public/models lacks. Uses the Python named in PYTHON,
// python3 where keras-seq can export with it, else an environment of its own: mobile_demo/.venv.
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const demo = join(dirname(fileURLToPath(import.meta.url)), '..');
const root = join(demo, '..');
const models = join(demo, 'public', 'models');

// A phone's screen is short: half of a generator's places for a prompt would be too many.
const PRESETS = {
  sentiment: [],
  shakespeare: ['--max-length', '56', '--max-new-tokens', '200'],
  'en-de': [],
};

const missing = Object.keys(PRESETS).filter((name) => !existsSync(join(models, name, 'manifest.json')));
if (missing.length > 0) {
  const python = exporting();
  for (const [i, name] of missing.entries()) {
    console.log(`\nThe bundle ${name} (${i + 1} of ${missing.length}, a minute or two)`);
    const output = join(models, name);
    run(python, ['-m', 'export', `preset:${name}`, '--format', 'tflite', 'onnx', ...PRESETS[name], '--output', output]);
  }
}

/** A Python that can export. */
function exporting() {
  const own = join(demo, '.venv', 'bin', 'python');
  const found = [process.env.PYTHON, own, 'python3'].filter(Boolean).find(canExport);
  if (found) return found;
  console.log('keras-seq is not installed for python3: installing it into mobile_demo/.venv, some minutes …');
  run('python3', ['-m', 'venv', join(demo, '.venv')]);
  run(own, ['-m', 'pip', 'install', '--quiet', '-e', `${root}[train]`, '-c', join(root, '.ci', 'constraints.txt')]);
  return own;
}

function canExport(python) {
  const needed = 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("keras_seq", "export", "tensorflow", "tf2onnx"))))';
  return spawnSync(python, ['-c', needed], {cwd: root, stdio: 'ignore'}).status === 0;
}

function run(command, options) {
  const {status, error} = spawnSync(command, options, {cwd: root, stdio: 'inherit'});
  if (status === 0) return;
  console.error(error?.code === 'ENOENT' ? `${command} is not installed: it makes the bundles. Install Python 3.11 or newer.` : '');
  process.exit(status ?? 1);
}
