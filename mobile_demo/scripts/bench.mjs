// Measures the built app in Chromium, on one thread, beside the native runtimes on this machine and transformers.js.
// Needs `npm run build`, and a Python with keras-seq: see python.mjs.
import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

import {chromium} from 'playwright-core';
import {preview} from 'vite';

import {measureTransformersJs} from './peer.mjs';
import {demo, findPython, root} from './python.mjs';

const models = join(demo, 'dist', 'models');
if (!existsSync(models)) {
  console.error('The app is not built: npm --prefix mobile_demo run build');
  process.exit(1);
}

const FORMATS = {litert: 'tflite', onnx: 'onnx'};
const STARTS = 5;
const CALLS = 7; // As the app and benchmarks/device.py.
const SENTENCE = 'A man in a blue shirt is standing on a ladder.';

const python = findPython('keras_seq', 'ai_edge_litert', 'onnxruntime');
if (!python) {
  console.error('No Python has keras-seq and its runtimes: pip install -e ".[tflite,onnx]", or name one: PYTHON=…');
  process.exit(1);
}
const bundles = readdirSync(models).filter((name) => existsSync(join(models, name, 'manifest.json')));
const native = spawnSync(python, ['-m', 'benchmarks.device', '--json', ...bundles.map((name) => join(models, name))], {
  cwd: root, encoding: 'utf8', env: {...process.env, TF_CPP_MIN_LOG_LEVEL: '3'},
});
if (native.status !== 0) {
  console.error(native.stderr);
  process.exit(1);
}
const nativeResults = JSON.parse(native.stdout.trim().split('\n').at(-1));

const server = await preview({root: demo, preview: {port: 0, host: '127.0.0.1'}, logLevel: 'silent'});
const origin = server.resolvedUrls.local[0];
const browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox']});
const rows = [], starts = [];
let tokens = 0; // Of the longest text.
for (const [engine, format] of Object.entries(FORMATS)) {
  const context = await browser.newContext({permissions: ['clipboard-read', 'clipboard-write']});
  const page = await context.newPage();
  await page.addInitScript((engine) => {
    localStorage.setItem('choices /', JSON.stringify({engine, threads: 1}));
    Object.defineProperty(navigator, 'share', {value: undefined});
  }, engine);
  await page.goto(`${origin}#/engine`);
  await page.getByRole('button', {name: 'Measure'}).click({timeout: 60_000});
  await page.locator('dl').nth(bundles.length - 1).waitFor({timeout: 300_000});
  await page.getByRole('button', {name: 'Share as JSON'}).click();
  const {results} = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  for (const result of results) {
    const nativeResult = nativeResults.find((candidate) => candidate.name === result.name && candidate.format === format);
    tokens = Math.max(tokens, result.tokens ?? 0);
    rows.push({
      bundle: result.name, runtime: engine,
      'opening ms': Math.round(result.loadMs), 'first ms': round(result.firstMs), 'ms': round(result.medianMs),
      'tokens/s': result.tokensPerSecond ? Math.round(result.tokensPerSecond) : '',
      'native ms': round(nativeResult.medianMs),
      'native tokens/s': nativeResult.tokensPerSecond ? Math.round(nativeResult.tokensPerSecond) : '',
      'of native': round(nativeResult.medianMs / result.medianMs),
    });
  }
  // A warm start: the app, the runtime and the model are on the device already.
  for (let i = 0; i < STARTS; i++) {
    await page.goto('about:blank');
    await page.goto(`${origin}#/translate`);
    await page.locator('textarea').fill(SENTENCE);
    await page.locator('.sentence').waitFor();
    starts.push({engine, ms: await page.evaluate(() => performance.now())});
  }
  await context.close();
}
const inputs = JSON.parse(readFileSync(join(demo, 'src', 'backend', 'benchmark_inputs.json'), 'utf8'));
const peer = await measureTransformersJs(browser, python, {
  prompt: [...Buffer.from(inputs.prompt)], temperature: inputs.temperature, length: tokens, calls: CALLS,
});
if (!peer.error) {
  rows.push({
    bundle: 'GPT-2, as large as shakespeare', runtime: 'transformers.js',
    'opening ms': Math.round(peer.loadMs), 'first ms': round(peer.firstMs), 'ms': round(peer.medianMs),
    'tokens/s': Math.round(peer.tokensPerSecond),
  });
}
await browser.close();
await server.close();
console.table(rows);
if (peer.error) console.log(`transformers.js was not measured (it needs pip install -e ".[bench]"): ${peer.error}`);
for (const engine of Object.keys(FORMATS)) {
  const times = starts.filter((start) => start.engine === engine).map(({ms}) => ms).sort((a, b) => a - b);
  console.log(`Warm start to the first translation, ${engine}: ${Math.round(times[STARTS >> 1])} ms (median of ${STARTS})`);
}

function round(value) {
  return Number(value.toPrecision(3));
}
