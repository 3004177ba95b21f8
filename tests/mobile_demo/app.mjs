// The built app in Chromium, as a person uses it. BUILT names the folder of `npm run build`, CHROMIUM the browser.
import {EventEmitter, once} from 'node:events';
import {createReadStream, readFileSync, statSync} from 'node:fs';
import {createServer} from 'node:http';
import {dirname, extname, join} from 'node:path';
import {after} from 'node:test';

import {importSource, require} from './source.mjs';

const {chromium, devices} = require('playwright-core');

export const BUILT = process.env.BUILT;
export const ENGINES = ['litert', 'onnx'];
const {defaultBrowserType: _, ...pixel} = devices['Pixel 7'];
export const PROFILES = {
  'Pixel 7': pixel,
  'small phone': {...pixel, viewport: {width: 320, height: 568}, screen: {width: 320, height: 568}, deviceScaleFactor: 2},
};

const TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.json': 'application/json',
  '.wasm': 'application/wasm', '.webmanifest': 'application/manifest+json', '.svg': 'image/svg+xml', '.png': 'image/png'};

/** Returns the manifest of a bundle beside the app, in the current schema. */
export async function readManifest(name) {
  const {parseManifest} = await importSource('bundle/manifest.ts');
  return parseManifest(readFileSync(join(BUILT, 'models', name, 'manifest.json'), 'utf8'), name);
}

/** A host of static files, those of `folder`. `overrides` maps paths to what is answered instead: bytes, or null for 404. */
export async function startHost({isolated = true, folder = BUILT} = {}) {
  const overrides = new Map();
  const requests = [];
  const events = new EventEmitter();
  const server = createServer((request, response) => {
    let path = decodeURIComponent(new URL(request.url, 'http://host').pathname);
    if (path.endsWith('/')) path += 'index.html';
    requests.push(path);
    events.emit('request');
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    response.setHeader('Content-Type', TYPES[extname(path)] ?? 'application/octet-stream');
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Vary', 'Origin, Accept-Encoding'); // As many hosts do.
    if (overrides.has(path)) {
      const content = overrides.get(path);
      return content === null ? response.writeHead(404).end() : response.end(content);
    }
    const file = join(folder, path);
    if (!statSync(file, {throwIfNoEntry: false})?.isFile()) return response.writeHead(404).end();
    createReadStream(file).pipe(response);
  });
  const listen = (port) => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  const countRequests = (path) => requests.filter((request) => request === path).length;
  const waitForRequests = async (path, count) => {
    while (countRequests(path) < count) await once(events, 'request');
  };
  await listen(0);
  const {port} = server.address();
  // A browser in offline mode still lets workers out, so the network is the host itself: `close` and `reopen`.
  return {origin: `http://127.0.0.1:${port}`, overrides, requests, countRequests, waitForRequests, close, reopen: () => listen(port)};
}

/**
 * Starts the browser, until the tests of the file have ended. V8 optimises a function of a runtime when it has used
 * `tieringBudget`, by default three times the usual: pages live for seconds, and would spend more on that than on models.
 */
export async function startBrowser({tieringBudget = 40_000_000} = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--enable-blink-features=ForceEagerMeasureMemory',
      `--js-flags=--wasm-tiering-budget=${tieringBudget}`,
    ],
  });
  after(() => browser.close());
  return browser;
}

/** Starts the browser and a host for all tests of a file. */
export async function startAll() {
  const [host, browser] = await Promise.all([startHost(), startBrowser()]);
  after(() => host.close());
  return {host, browser};
}

/**
 * Opens the app on a phone; `choices` are those of its Engine screen. Where `canHold`, the test can hold
 * back what the worker sends: see `holdMessages`.
 */
export async function openApp(browser, origin, {profile = 'Pixel 7', choices = {}, path = '/', canHold = false, ...options} = {}) {
  const context = await browser.newContext({...PROFILES[profile], locale: 'en-GB', ...options});
  context.setDefaultTimeout(60_000); // Ends what hangs; nothing here takes as long, even on a busy machine.
  await context.addInitScript((choices) => {
    if (!localStorage.getItem('choices /')) localStorage.setItem('choices /', JSON.stringify(choices));
  }, choices);
  if (canHold) await context.addInitScript(holdMessages);
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(origin + path);
  await page.locator('nav').waitFor();
  return {context, page, errors};
}

/**
 * Runs in the page, before the app: what the worker sends waits for `window.release()`, if `window.held`
 * has "answers" (to calls of the page) or "reports" (calls of the page's callbacks).
 */
function holdMessages() {
  const waiting = [];
  Object.assign(window, {
    held: new Set(),
    calls: [], // The methods of the worker that the page has called, by name.
    release() {
      window.held.clear();
      waiting.splice(0).forEach((deliver) => deliver());
    },
  });
  for (const {prototype} of [MessagePort, Worker]) {
    const {addEventListener, postMessage} = prototype;
    prototype.addEventListener = function (type, listener, ...more) {
      const isHeld = ({data}) => window.held.has(data?.type === 'APPLY' ? 'reports' : 'answers');
      const deliver = (event) => (isHeld(event) ? waiting.push(() => listener(event)) : listener(event));
      return addEventListener.call(this, type, deliver, ...more);
    };
    prototype.postMessage = function (message, ...more) {
      if (message?.path) window.calls.push(message.path.join('.'));
      return postMessage.call(this, message, ...more);
    };
  }
}

/** Goes to a screen. A click changes the address; the screen follows when the page hears of that. */
export async function goTo(page, screen) {
  await page.locator(`nav a[href="#/${screen}"]`).click();
  await page.locator(`nav a[href="#/${screen}"][aria-current=page]`).waitFor();
}

/** Goes to a screen, and loads its model unless it is loaded. */
export async function openScreen(page, screen) {
  await goTo(page, screen);
  const field = page.locator('main textarea').first();
  const load = page.locator('main button.primary', {hasText: /Load|加载/});
  await field.or(load).first().waitFor();
  if (await load.count()) await load.click();
  await field.waitFor();
}

/** Returns what the Write screen writes. */
export async function writeText(page, {prompt, seed, temperature, length}) {
  await page.locator('textarea').fill(prompt);
  const sliders = page.locator('input[type=range]');
  await sliders.nth(0).fill(String(temperature));
  await sliders.nth(1).fill(String(length));
  await page.getByLabel('Seed').fill(String(seed));
  await page.getByRole('button', {name: 'Write', exact: true}).click();
  await page.locator('section[aria-busy=false]').waitFor();
  return page.locator('.written span').nth(1).textContent();
}

/** Returns what the Translate screen shows for a text of `count` sentences: [{source, alternatives}]. */
export async function translateText(page, text, count) {
  await page.locator('textarea').fill(text);
  await page.waitForFunction(({text, count}) => {
    const sources = [...document.querySelectorAll('section[aria-busy=false] .sentence .source')];
    return sources.length === count && sources.every(({textContent}) => text.includes(textContent));
  }, {text, count});
  return page.locator('.sentence').evaluateAll((sentences) =>
    sentences.map((sentence) => ({
      source: sentence.querySelector('.source').textContent,
      alternatives: [...sentence.querySelectorAll('.target')].map((line) => line.textContent),
    })));
}

/**
 * Runs `work(backend, proxy, argument)` in a page of the app, with a worker of its own: what the screens
 * call, without the screens. `proxy` makes a callback that the worker can call.
 */
export async function callWorker({page, host, engine, tasks}, work, argument) {
  const comlink = join(dirname(require.resolve('comlink')), '..', 'esm', 'comlink.mjs');
  host.overrides.set('/comlink.mjs', readFileSync(comlink));
  while (!page.workers().length) await page.waitForEvent('worker');
  const settings = {engine, precision: null, accelerator: 'cpu', threads: 1};
  return page.evaluate(async ({script, settings, tasks, work, argument}) => {
    const {proxy, wrap} = await import('/comlink.mjs');
    const worker = new Worker(script, {type: 'module'});
    try {
      const Backend = wrap(worker);
      const backend = await new Backend(`${location.origin}/`, settings, tasks);
      return await eval(`(${work})`)(backend, proxy, argument);
    } finally {
      worker.terminate();
    }
  }, {script: page.workers()[0].url(), settings, tasks, work: String(work), argument});
}
