// Makes the bundles of the shipped presets that public/models lacks. Uses the Python named in PYTHON,
// python3 where keras-seq can export with it, else an environment of its own: mobile_demo/.venv.
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {join} from 'node:path';

import {demo, own, pythonWith, root} from './python.mjs';

const models = join(demo, 'public', 'models');

// What the app calls, and no more: a phone has to fetch it. Half of a generator's places would be too
// many for a prompt on a phone.
const PRESETS = {
  sentiment: ['--signatures', 'classify_text'],
  shakespeare: ['--signatures', 'prefill_text', 'decode_text', '--max-length', '56', '--max-new-tokens', '200'],
  'en-de': ['--signatures', 'translate_text', 'attend_text'],
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
  const found = pythonWith('keras_seq', 'export', 'tensorflow', 'tf2onnx');
  if (found) return found;
  console.log('keras-seq is not installed for python3: installing it into mobile_demo/.venv, some minutes …');
  run('python3', ['-m', 'venv', join(demo, '.venv')]);
  run(own, ['-m', 'pip', 'install', '--quiet', '-e', `${root}[train]`, '-c', join(root, '.ci', 'constraints.txt')]);
  return own;
}

function run(command, options) {
  const {status, error} = spawnSync(command, options, {cwd: root, stdio: 'inherit'});
  if (status === 0) return;
  console.error(error?.code === 'ENOENT' ? `${command} is not installed: it makes the bundles. Install Python 3.11 or newer.` : '');
  process.exit(status ?? 1);
}
