// No module of the app imports itself through others. Imports of types, globs and the worker count as well.
import assert from 'node:assert/strict';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {basename, dirname, extname, join, relative} from 'node:path';
import {test} from 'node:test';

import {DEMO} from './source.mjs';

const SOURCE = join(DEMO, 'src');
const IMPORT = /(?:from|import|import\(|new URL\(|import\.meta\.glob(?:<\w+>)?\()\s*'(\.\.?\/[^']+)'/g;

/** Returns the modules that a relative import or a glob names. */
function resolve(folder, specifier) {
  const path = join(folder, specifier);
  if (basename(path).startsWith('*')) {
    return readdirSync(dirname(path)).filter((name) => extname(name) === extname(path)).map((name) => join(dirname(path), name));
  }
  const file = [path, `${path}.ts`, `${path}.tsx`, join(path, 'index.ts')].find((candidate) => existsSync(candidate) && extname(candidate));
  assert.ok(file, `${specifier} in ${folder} is no module`);
  return /\.tsx?$/.test(file) ? [file] : [];
}

/** Returns a cycle of an import graph as a list of modules; null if there is none. */
function findCycle(graph) {
  const done = new Set();
  const visit = (module, path) => {
    if (path.includes(module)) return [...path.slice(path.indexOf(module)), module];
    if (done.has(module)) return null;
    for (const next of graph.get(module) ?? []) {
      const cycle = visit(next, [...path, module]);
      if (cycle) return cycle;
    }
    done.add(module);
    return null;
  };
  for (const module of graph.keys()) {
    const cycle = visit(module, []);
    if (cycle) return cycle;
  }
  return null;
}

test('a cycle is found', () => {
  const graph = new Map([['a', ['b', 'c']], ['b', ['c']], ['c', ['d']], ['d', ['b']]]);
  assert.deepEqual(findCycle(graph), ['b', 'c', 'd', 'b']);
  graph.set('d', []);
  assert.equal(findCycle(graph), null);
});

test('the modules of the app import each other in one direction', () => {
  const modules = readdirSync(SOURCE, {recursive: true}).filter((path) => /\.tsx?$/.test(path)).map((path) => join(SOURCE, path));
  const graph = new Map(modules.map((module) => {
    const specifiers = [...readFileSync(module, 'utf8').matchAll(IMPORT)].map(([, specifier]) => specifier);
    return [module, specifiers.flatMap((specifier) => resolve(dirname(module), specifier))];
  }));
  const edges = [...graph.values()].flat();
  for (const name of ['screens/write.tsx', 'tasks/generate.ts', 'backend/worker.ts', 'bundle/schema.ts', 'engine/onnx.ts']) {
    assert.ok(edges.includes(join(SOURCE, name)), `nothing imports ${name}: the graph is incomplete`);
  }
  const cycle = findCycle(graph);
  assert.equal(cycle, null, cycle?.map((module) => relative(SOURCE, module)).join(' -> '));
});
