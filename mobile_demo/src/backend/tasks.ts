/** The modules of `tasks/`: each file serves the bundles of the task that it is named after. */
import {runSignature, type Session} from '../inference/session';
import {measureMs, type Task} from '../inference/task';
import inputs from './benchmark_inputs.json'; // benchmarks/device.py reads the same.

const MODULES = import.meta.glob<Task>('../tasks/*.ts', {import: 'task', eager: true});

/** Serves a task that has no file: its screen calls signatures by `Backend.run`. */
const GENERIC: Task = {
  signatures: [],
  functions: {},
  async benchmark(session) {
    const ms = await measureMs(() => runMainSignature(session));
    return {firstMs: ms, ms, tokens: 0};
  },
};

export function taskModule(name: string): Task {
  return MODULES[`../tasks/${name}.ts`] ?? GENERIC;
}

/** Runs the main signature with the same text for each of its texts, and defaults for all else. */
function runMainSignature(session: Session): Promise<unknown> {
  const {entry, signatures} = session.manifest;
  const texts = signatures[entry.signature]!.inputs.filter(({dtype}) => dtype === 'uint8');
  return runSignature(session, entry.signature, Object.fromEntries(texts.map(({name}) => [name, inputs.review])));
}
