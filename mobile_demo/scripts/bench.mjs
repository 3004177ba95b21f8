// What the built app measures in Chromium, on one thread, beside the native runtimes on this machine and transformers.js.
// Needs `npm run build`, and a Python with keras-seq: see python.mjs.
import {spawnSync} from 'node:child_process';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

import {chromium} from 'playwright-core';
import {preview} from 'vite';

import {transformersJs} from './peer.mjs';
import {demo, pythonWith, root} from './python.mjs';

const models = join(demo, 'dist', 'models');
if (!existsSync(models)) {
  console.error('The app is not built: npm --prefix mobile_demo run build');
  process.exit(1);
}

const ENGINES = {litert: 'tflite', onnx: 'onnx'};
const STARTS = 5;
const CALLS = 7; // As the app and benchmarks/device.py.
const SENTENCE = 'A man in a blue shirt is standing on a ladder.';

const python = pythonWith('keras_seq', 'ai_edge_litert', 'onnxruntime');
if (!python) {
  console.error('No Python with keras-seq and its runtimes: pip install -e ".[tflite,onnx]", or name one: PYTHON=…');
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
const natively = JSON.parse(native.stdout.trim().split('\n').at(-1));

const server = await preview({root: demo, preview: {port: 0, host: '127.0.0.1'}, logLevel: 'silent'});
const origin = server.resolvedUrls.local[0];
const browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox']});
const rows = [], starts = [];
for (const [engine, format] of Object.entries(ENGINES)) {
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
  const {measured} = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  for (const one of measured) {
    const beside = natively.find(({name, format: other}) => name === one.name && other === format);
    rows.push({
      bundle: one.name, runtime: engine,
      'opening ms': Math.round(one.loadMs), 'first ms': round(one.firstMs), 'ms': round(one.medianMs),
      'tokens/s': one.tokensPerSecond ? Math.round(one.tokensPerSecond) : '',
      'native ms': round(beside.medianMs), 'native tokens/s': beside.tokensPerSecond ? Math.round(beside.tokensPerSecond) : '',
      'of native': round(beside.medianMs / one.medianMs),
    });
  }
  // Warm: the app, the runtime and the model are on the device already.
  for (let i = 0; i < STARTS; i++) {
    await page.goto('about:blank');
    await page.goto(`${origin}#/translate`);
    await page.locator('textarea').fill(SENTENCE);
    await page.locator('.sentence').waitFor();
    starts.push({engine, ms: await page.evaluate(() => performance.now())});
  }
  await context.close();
}
const parsed = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'));
const inputs = parsed(demo, 'src', 'backend', 'benchmark_inputs.json');
const {limits} = parsed(models, 'shakespeare', 'manifest.json'); // N: the tokens that the app writes.
const peer = await transformersJs(browser, python, {
  prompt: [...Buffer.from(inputs.prompt)], temperature: inputs.temperature, length: limits.N, calls: CALLS,
});
if (!peer.why) {
  rows.push({
    bundle: 'GPT-2, as large as shakespeare', runtime: 'transformers.js',
    'opening ms': Math.round(peer.loadMs), 'first ms': round(peer.firstMs), 'ms': round(peer.medianMs),
    'tokens/s': Math.round(peer.tokensPerSecond),
  });
}
await browser.close();
await server.close();
console.table(rows);
if (peer.why) console.log(`transformers.js was not measured (it takes pip install -e ".[bench]"): ${peer.why}`);
for (const engine of Object.keys(ENGINES)) {
  const times = starts.filter((one) => one.engine === engine).map(({ms}) => ms).sort((a, b) => a - b);
  console.log(`Warm start to the first translation, ${engine}: ${Math.round(times[STARTS >> 1])} ms (median of ${STARTS})`);
}

function round(value) {
  return Number(value.toPrecision(3));
}
