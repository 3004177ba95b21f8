// Writing a text, with a runtime that answers when the test says so.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {importSource} from './source.mjs';

const {task} = await importSource('tasks/generate.ts');
const sampling = {temperature: 1, top_k: 0, top_p: 1, seed: '1', max_new_tokens: 20};

/** A session whose model writes "a" for each token, and the calls that it gets. */
function fakeSession() {
  const calls = [];
  const live = new Set();
  const tensor = (data) => {
    const handle = {read: async () => data, free: () => assert.ok(live.delete(handle))};
    live.add(handle);
    return handle;
  };
  const run = async (signature, inputs) => {
    calls.push([signature, inputs]);
    const count = inputs.max_new_tokens ?? 1;
    const [text, length, token] = [new Uint8Array(20).fill(97), Int32Array.of(count), Int32Array.of(5)];
    return {text: tensor(text), length: tensor(length), token: tensor(token), unread: tensor(Int32Array.of(0)), state: tensor(Float32Array.of(1))};
  };
  const inputs = [{name: 'text', dtype: 'uint8', shape: ['B', 'L']}, {name: 'length', dtype: 'int32', shape: ['B']}];
  const penalty = {name: 'repetition_penalty', dtype: 'float32', shape: [], default: 1};
  const signatures = {prefill_text: {inputs: [...inputs, penalty]}, decode_text: {inputs: [penalty]}};
  const manifest = {limits: {max_new_tokens: 20, max_bytes: 9}, dimensions: {L: 'max_bytes'}, signatures};
  return {session: {manifest, engine: {run}, tokensPerCall: 1}, calls, live};
}

test('it ends when it is cancelled, and frees what it holds', async () => {
  const {session, calls, live} = fakeSession();
  const controller = new AbortController();
  const texts = [];
  const onText = (text, tokens) => {
    texts.push([text, tokens]);
    controller.abort();
  };
  await task.functions.generate({session, signal: controller.signal}, 'To be', sampling, onText);
  assert.deepEqual(calls.map(([signature]) => signature), ['prefill_text']);
  assert.deepEqual(texts, [['a', 1], ['', 1]]);
  assert.equal(live.size, 0);
});

test('it writes as many tokens as the caller wants, with the numbers of the seed in order', async (t) => {
  t.mock.method(performance, 'now', () => 0); // A device on which a call takes no time.
  const {session, calls, live} = fakeSession();
  let output = '';
  await task.functions.generate({session, signal: new AbortController().signal}, 'To be', sampling, (text) => (output += text));
  assert.equal(output, 'a'.repeat(20));
  assert.equal(live.size, 0);
  assert.ok(calls.every(([, inputs]) => inputs.repetition_penalty === 1)); // the default
  const [first, ...others] = calls;
  assert.deepEqual(others.map(([, {max_new_tokens}]) => max_new_tokens), [1, 2, 4, 8, 4]);
  const uniforms = [first[1].uniform, ...others.flatMap(([, {uniforms, max_new_tokens}]) => [...uniforms.subarray(0, max_new_tokens)])];
  const {randomUniforms} = await importSource('inference/uniforms.ts');
  assert.deepEqual(uniforms, [...randomUniforms('1', 20)]);
});

test('how many tokens a call may write is learnt for each session alone', async (t) => {
  t.mock.method(performance, 'now', () => 0);
  const [used, fresh] = [fakeSession(), fakeSession()];
  await task.functions.generate({session: used.session, signal: new AbortController().signal}, 'To be', sampling, () => undefined);
  assert.equal(used.session.tokensPerCall, 32);
  assert.equal(fresh.session.tokensPerCall, 1);
  await task.functions.generate({session: fresh.session, signal: new AbortController().signal}, 'To be', sampling, () => undefined);
  assert.equal(fresh.calls[1][1].max_new_tokens, 1);
});
