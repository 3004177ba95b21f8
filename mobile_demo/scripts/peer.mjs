// Measures transformers.js in Chromium, on one thread, with a GPT-2 of the shape of preset:shakespeare.
import {spawnSync} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createServer} from 'node:http';
import {tmpdir} from 'node:os';
import {extname, join, normalize} from 'node:path';

import {root} from './python.mjs';

const TYPES = {'.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json'};

/** Measures `length` tokens after `prompt` (bytes), `calls` times after the first call. Returns `{error}` if it cannot run. */
export async function measureTransformersJs(browser, python, {prompt, temperature, length, calls}) {
  const packages = join(root, 'benchmarks', 'transformers_js');
  const models = mkdtempSync(join(tmpdir(), 'peer-'));
  try {
    const steps = [[python, ['-m', 'benchmarks.device_peer', join(models, 'gpt2')]]];
    if (!existsSync(join(packages, 'node_modules'))) {
      steps.push(['npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', packages]]);
    }
    for (const [command, options] of steps) {
      const {status, stderr} = spawnSync(command, options, {cwd: root, encoding: 'utf8'});
      if (status !== 0) return {error: stderr.trim().split('\n').at(-1)};
    }
    const folders = {
      lib: join(packages, 'node_modules', '@huggingface', 'transformers', 'dist'),
      ort: join(packages, 'node_modules', 'onnxruntime-web', 'dist'),
      models,
    };
    const server = await serveFolders(folders);
    const page = await (await browser.newContext()).newPage();
    try {
      await page.goto(`http://127.0.0.1:${server.address().port}/`);
      return await page.evaluate(measureInPage, {prompt, temperature, length, calls});
    } finally {
      await page.context().close();
      server.close();
    }
  } finally {
    rmSync(models, {recursive: true});
  }
}

function serveFolders(folders) {
  const server = createServer(({url}, response) => {
    const [, folder, ...rest] = normalize(new URL(url, 'http://localhost').pathname).split('/');
    if (!folder) return response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>peer</title>');
    try {
      const file = join(folders[folder], ...rest);
      const content = readFileSync(file);
      response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream').end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** Measures the model; runs in the page. */
async function measureInPage({prompt, temperature, length, calls}) {
  const {AutoModelForCausalLM, Tensor, env} = await import('/lib/transformers.min.js');
  Object.assign(env, {allowRemoteModels: false, allowLocalModels: true, localModelPath: '/models/', useBrowserCache: false});
  Object.assign(env.backends.onnx.wasm, {numThreads: 1, wasmPaths: '/ort/'});
  const start = performance.now();
  const model = await AutoModelForCausalLM.from_pretrained('gpt2', {dtype: 'fp32', device: 'wasm'});
  const loadMs = performance.now() - start;
  const ids = BigInt64Array.from(prompt, BigInt);
  const generate = async (count) => {
    const start = performance.now();
    const output = await model.generate({
      inputs: new Tensor('int64', ids, [1, ids.length]),
      attention_mask: new Tensor('int64', ids.map(() => 1n), [1, ids.length]),
      max_new_tokens: count, do_sample: true, temperature, top_k: 0,
    });
    const tokens = output.dims[1] - ids.length;
    if (tokens !== count) throw new Error(`transformers.js wrote ${tokens} tokens of ${count}`);
    return performance.now() - start;
  };
  const firstMs = await generate(1);
  const times = [];
  for (let i = 0; i < calls; i++) times.push(await generate(length));
  const medianMs = times.sort((a, b) => a - b)[times.length >> 1];
  return {loadMs, firstMs, medianMs, tokensPerSecond: (1000 * length) / medianMs};
}
