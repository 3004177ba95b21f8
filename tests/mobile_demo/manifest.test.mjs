// The manifest reader: schema 2, schema 1 upgraded, and what is refused.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {importSource} from './source.mjs';

const {parseManifest, readManifest, resolveSize, runnableVariants} = await importSource('bundle/manifest.ts');
const {encodeText, runSignature} = await importSource('inference/session.ts');

const FILE = {sha256: '0'.repeat(64), bytes: 10};
const text = {name: 'text', dtype: 'uint8', shape: ['B', 'L']};
const length = {name: 'length', dtype: 'int32', shape: ['B']};
const sampling = [
  {name: 'temperature', dtype: 'float32', shape: [], default: 0.8},
  {name: 'top_k', dtype: 'int32', shape: [], default: 0},
  {name: 'top_p', dtype: 'float32', shape: [], default: 1},
];
const maxNewTokens = {name: 'max_new_tokens', dtype: 'int32', shape: [], maximum: 'N', default: 'N'};
const unread = {name: 'unread', dtype: 'int32', shape: ['B']};
const common = {backbone: 'lstm', parameters: 1, labels: [], metrics: {}, sha256: '1'.repeat(64)};

const schema1 = {
  ...common,
  schema_version: 1,
  task: 'generate',
  limits: {T: 56, N: 200, L: 59},
  signatures: {
    prefill_text: {inputs: [{...text, keep: 'end'}, length, ...sampling], outputs: [unread]},
    decode_text: {inputs: [maxNewTokens, ...sampling], outputs: []},
    generate_text: {inputs: [{...text, keep: 'end'}, length, maxNewTokens, ...sampling], outputs: [unread]},
  },
  formats: {
    tflite: {files: ['tflite/model.tflite'], precision: 'float32', sizes: {B: 1, L: 59}, bytes: 10},
    onnx: {files: ['onnx/decode_text.onnx', 'onnx/generate_text.onnx', 'onnx/prefill_text.onnx', 'onnx/weights.bin'], precision: 'float32', sizes: {}, bytes: 40},
  },
  files: Object.fromEntries(
    ['tflite/model.tflite', 'onnx/decode_text.onnx', 'onnx/generate_text.onnx', 'onnx/prefill_text.onnx', 'onnx/weights.bin'].map((path) => [path, FILE]),
  ),
};

const textLeft = {...text, truncation_side: 'left'};
const {formats: {tflite, onnx}, ...rest} = schema1;
const schema2 = {
  ...rest,
  schema_version: 2,
  entry: {signature: 'generate_text', interactive: ['prefill_text', 'decode_text'], defaults: {temperature: 0.8, top_k: 0, top_p: 1}},
  limits: {max_length: 56, max_new_tokens: 200, max_bytes: 59},
  dimensions: {T: 'max_length', N: 'max_new_tokens', L: 'max_bytes'},
  signatures: {
    prefill_text: {inputs: [textLeft, length, ...sampling], outputs: [unread]},
    decode_text: {inputs: [maxNewTokens, ...sampling], outputs: []},
    generate_text: {inputs: [textLeft, length, maxNewTokens, ...sampling], outputs: [unread]},
  },
  variants: [{format: 'tflite', ...tflite}, {format: 'onnx', ...onnx}],
};

/** The upgraded manifest of a bundle of `task` with these signatures. */
function upgrade(task, names) {
  const signatures = Object.fromEntries(names.map((name) => [name, {inputs: sampling, outputs: []}]));
  return readManifest({...schema1, task, signatures}, 'a');
}

test('a manifest of schema 2 is taken as it is', () => {
  assert.deepEqual(parseManifest(JSON.stringify(schema2), 'a'), schema2);
});

test('a manifest of schema 1 becomes one of schema 2', () => {
  assert.deepEqual(readManifest(schema1, 'a'), schema2);
});

test('the entry of schema 1 follows from the task and the signatures that there are', () => {
  const entries = [
    ['classify', ['classify', 'classify_text'], 'classify_text', ['classify_text'], {}],
    ['classify', ['classify'], 'classify', ['classify'], {}],
    ['generate', ['prefill_text', 'decode_text'], 'prefill_text', ['prefill_text', 'decode_text'], {temperature: 0.8, top_k: 0, top_p: 1}],
    ['generate', ['generate_text', 'prefill_text'], 'generate_text', ['prefill_text'], {temperature: 0.8, top_k: 0, top_p: 1}],
    ['translate', ['attend_text', 'translate_text'], 'translate_text', ['translate_text', 'attend_text'], {}],
    ['translate', ['encode', 'translate_text'], 'translate_text', ['translate_text'], {}],
    ['predict', ['call', 'stream'], 'call', ['call'], {}],
    ['constructor', ['call'], 'call', ['call'], {}],
  ];
  for (const [task, names, signature, interactive, defaults] of entries) {
    assert.deepEqual(upgrade(task, names).entry, {signature, interactive, defaults}, `${task} ${names}`);
  }
});

test('a letter of a shape is a limit by its name', () => {
  assert.equal(resolveSize(schema2, 'N'), 200);
  assert.equal(resolveSize(schema2, 7), 7);
  assert.equal(resolveSize(schema2, 'Q'), Infinity);
});

test('a format may come in several precisions, with the files of the interactive signatures', () => {
  const path = 'tflite/model.int8.tflite';
  const int8 = {format: 'tflite', precision: 'int8', files: [path], sizes: {}, bytes: 4};
  const graph = 'saved_model/saved_model.pb';
  const saved = {format: 'saved_model', precision: 'float32', files: [graph], sizes: {}, bytes: 10};
  const manifest = readManifest(
    {...schema2, variants: [saved, ...schema2.variants, int8], files: {...schema2.files, [graph]: FILE, [path]: {...FILE, bytes: 4}}}, 'a',
  );
  assert.deepEqual(
    runnableVariants(manifest).map(({engine, precision, files, bytes}) => [engine, precision, files.length, bytes]),
    [['litert', 'float32', 1, 10], ['onnx', 'float32', 3, 30], ['litert', 'int8', 1, 4]],
  );
});

test('what is wrong with a manifest is named', () => {
  const refused = (manifest) => {
    try {
      readManifest(manifest, 'a');
    } catch (error) {
      return JSON.parse(error.message).key;
    }
    return null;
  };
  const without = (manifest, name) => Object.fromEntries(Object.entries(manifest).filter(([key]) => key !== name));
  for (const name of ['limits', 'signatures', 'formats', 'files', 'labels', 'sha256', 'task']) {
    assert.equal(refused(without(schema1, name)), 'badManifest', name);
  }
  for (const name of ['limits', 'dimensions', 'signatures', 'variants', 'entry', 'files', 'labels', 'sha256', 'task']) {
    assert.equal(refused(without(schema2, name)), 'badManifest', name);
  }
  for (const manifest of [null, [], 3, {...schema2, entry: {...schema2.entry, interactive: []}}, {...schema1, signatures: {}},
    {...schema2, entry: {...schema2.entry, signature: 'lost'}}, {...schema2, variants: [{format: 'tflite'}]},
    {...schema1, limits: 5}, {...schema1, formats: {tflite: 5}}, {...schema2, files: {...schema2.files, '../x': FILE}},
    {...schema2, files: without(schema2.files, 'onnx/weights.bin')}]) {
    assert.equal(manifest === null ? refused(null) : refused(manifest), 'badManifest', JSON.stringify(manifest));
  }
  assert.equal(refused({...schema2, schema_version: 3}), 'otherSchema');
  const saved = {...schema2.variants[0], format: 'saved_model', files: ['saved_model/a.pb']};
  assert.equal(refused({...schema2, variants: [saved], files: {'saved_model/a.pb': FILE}}), 'noFormat');
  assert.throws(() => parseManifest('{"schema_version": 2, ', 'a'), {name: 'UserError'});
});

test('a manifest with any of its parts wrong is refused in a sentence, or is still right', () => {
  const values = [null, true, -1, 1e300, 2 ** 53, '', '../../etc/x', '/etc/x', 'a\u001b[2Jb', 'a\u0000', [], {}, [[[]]], {__proto__x: 1}];
  let refused = 0, right = 0;
  const attempt = (manifest) => {
    try {
      const read = readManifest(manifest, 'a');
      runnableVariants(read).forEach((variant) => variant.files.forEach((path) => assert.ok(path in read.files)));
      right += 1;
    } catch (error) {
      assert.equal(error.name, 'UserError', JSON.stringify(manifest));
      refused += 1;
    }
  };
  for (const whole of [schema1, schema2]) {
    const visit = (node) => {
      for (const key of Object.keys(node)) {
        const old = node[key];
        for (const value of values) {
          node[key] = value;
          attempt(whole);
        }
        delete node[key];
        if (!Array.isArray(node)) attempt(whole);
        node[key] = old;
        node['extra key'] = old;
        attempt(whole);
        delete node['extra key'];
        if (typeof old === 'object' && old !== null) visit(old);
      }
    };
    visit(whole);
    assert.ok(readManifest(whole, 'a'));
  }
  assert.ok(refused > 1000 && right > 100, `${refused} ${right}`);
  assert.throws(() => parseManifest(`{"schema_version": 2, "labels": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'a'), {name: 'UserError'});
});

test('a text is cut on the side that the manifest names, between characters', () => {
  const limit = {...schema2, limits: {...schema2.limits, max_bytes: 4}};
  const side = (truncation_side) => ({
    manifest: {...limit, signatures: {call: {inputs: [{...text, truncation_side}, length], outputs: []}}},
  });
  const bytes = (session) => Buffer.from(encodeText(session, 'call', 'text', 'abüde').inputs.text).toString();
  assert.equal(bytes(side('right')), 'abü');
  assert.equal(bytes(side('left')), 'üde');
  assert.equal(bytes(side(undefined)), 'abü');
  assert.equal(encodeText(side('right'), 'call', 'text', 'abcüde').truncatedBytes, 4); // "ü" would be the fourth byte and the fifth.
});

test('a signature runs on strings, with defaults for the other inputs', async () => {
  const calls = [];
  const tensor = (values) => ({read: async () => Int32Array.from(values), free: () => calls.push('free')});
  const engine = {
    run: async (signature, inputs) => {
      calls.push([signature, inputs]);
      return {unread: tensor([3])};
    },
  };
  const random = {name: 'uniforms', dtype: 'float32', shape: ['B', 'N'], default: 'random'};
  const inputs = [text, length, {...text, name: 'question'}, {...length, name: 'question_length'}, maxNewTokens, ...sampling, random];
  const manifest = {...schema2, limits: {max_bytes: 5, max_new_tokens: 8}, signatures: {answer: {inputs, outputs: [unread]}}};
  const outputs = await runSignature({manifest, engine}, 'answer', {text: 'abcdefg', question: 'why', top_k: 4});
  const [[signature, {uniforms, text: bytes, question, ...numbers}], freed] = calls;
  assert.equal(signature, 'answer');
  assert.equal(Buffer.from(bytes).toString(), 'abcde');
  assert.equal(Buffer.from(question).toString(), 'why');
  assert.deepEqual(numbers, {length: 5, question_length: 3, max_new_tokens: 8, temperature: 0.8, top_k: 4, top_p: 1});
  assert.ok(uniforms.length === 8 && uniforms.every((value) => value >= 0 && value < 1));
  assert.equal(freed, 'free');
  assert.deepEqual([...outputs.unread], [5]); // 3 that the model has no room for, 2 that the bundle has none for.
  await assert.rejects(runSignature({manifest, engine}, 'answer', {text: 'a'}), /answer takes the input question, which has no default/);
});
