// Exports the presets of keras-seq that public/models lacks. Uses the Python named in PYTHON, or
// python3 if keras-seq can export with it, or installs keras-seq into mobile_demo/.venv.
import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync} from 'node:fs';
import {join} from 'node:path';

import {demo, findPython, ownPython, root} from './python.mjs';

const models = join(demo, 'public', 'models');

// A phone needs only the signatures that an app calls to show results as they come.
const OPTIONS = ['--format', 'tflite', 'onnx', '--signatures', 'interactive'];
// By default half of a generator's positions are for the prompt: more than a phone needs.
const PRESET_OPTIONS = {shakespeare: ['--max-length', '56', '--max-new-tokens', '200']};

const presets = readdirSync(join(root, 'keras_seq', 'presets'), {withFileTypes: true})
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith('_'))
  .map(({name}) => name);
const missing = presets.filter((name) => !existsSync(join(models, name, 'manifest.json')));
// In one process, for TensorFlow takes seconds to start: ends with the status of the first that fails.
const EXPORT_ALL = `
import json, sys
from export.cli import main
for arguments in json.load(sys.stdin):
    print(f"\\nThe bundle {arguments[0]} (a minute or two)", flush=True)
    if status := main(arguments):
        sys.exit(status)
`;
if (missing.length > 0) {
  const all = missing.map((name) => [`preset:${name}`, ...OPTIONS, ...(PRESET_OPTIONS[name] ?? []), '--output', join(models, name)]);
  run(exportingPython(), ['-c', EXPORT_ALL], JSON.stringify(all));
}

/** Returns a Python that can export; installs keras-seq if there is none. */
function exportingPython() {
  const python = findPython('keras_seq', 'export', 'tensorflow', 'tf2onnx');
  if (python) return python;
  console.log('python3 has no keras-seq: installing it into mobile_demo/.venv, which takes a few minutes …');
  run('python3', ['-m', 'venv', join(demo, '.venv')]);
  run(ownPython, ['-m', 'pip', 'install', '--quiet', '-e', `${root}[train]`, '-c', join(root, '.ci', 'constraints.txt')]);
  return ownPython;
}

function run(command, options, input = '') {
  const {status, error} = spawnSync(command, options, {cwd: root, input, stdio: ['pipe', 'inherit', 'inherit']});
  if (status === 0) return;
  if (error?.code === 'ENOENT') console.error(`${command} is not installed, and it exports the bundles. Install Python 3.11 or newer.`);
  process.exit(status ?? 1);
}
