// The built app in Chromium, as a person uses it. BUILT names the folder of `npm run build`.
import {createReadStream, statSync} from 'node:fs';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {extname, join} from 'node:path';
import {after} from 'node:test';

const require = createRequire(new URL('../../mobile_demo/package.json', import.meta.url));
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

/** A plain host of static files. `changed` maps paths to what is answered instead: bytes, or null for 404. */
export async function served({isolated = true} = {}) {
  const changed = new Map();
  const asked = [];
  const server = createServer((request, response) => {
    let path = decodeURIComponent(new URL(request.url, 'http://host').pathname);
    if (path.endsWith('/')) path += 'index.html';
    asked.push(path);
    if (isolated) {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    }
    response.setHeader('Content-Type', TYPES[extname(path)] ?? 'application/octet-stream');
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('Vary', 'Origin, Accept-Encoding'); // As many hosts do.
    if (changed.has(path)) {
      const content = changed.get(path);
      return content === null ? response.writeHead(404).end() : response.end(content);
    }
    const file = join(BUILT, path);
    if (!statSync(file, {throwIfNoEntry: false})?.isFile()) return response.writeHead(404).end();
    createReadStream(file).pipe(response);
  });
  const listen = (port) => new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  const close = () => {
    server.closeAllConnections();
    return new Promise((closed) => server.close(closed));
  };
  await listen(0);
  const {port} = server.address();
  // A browser that is told to be offline still lets workers out: the network is the host itself.
  return {origin: `http://127.0.0.1:${port}`, changed, asked, close, reopen: () => listen(port)};
}

export function browser(...more) {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', ...more];
  return chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args});
}

/** A host and a browser for all tests of a file. */
export async function opened(...more) {
  const [host, chromium] = await Promise.all([served(), browser(...more)]);
  after(async () => {
    await chromium.close();
    await host.close();
  });
  return {host, chromium};
}

/** A phone with the app open; `choices` are those of its Engine screen. */
export async function phone(browser, origin, {profile = 'Pixel 7', choices = {}, path = '/', late = false, ...options} = {}) {
  const context = await browser.newContext({...PROFILES[profile], locale: 'en-GB', ...options});
  context.setDefaultTimeout(60_000); // A limit for what hangs: a busy machine is slow.
  await context.addInitScript((choices) => {
    if (!localStorage.getItem('choices /')) localStorage.setItem('choices /', JSON.stringify(choices));
  }, choices);
  // What the worker calls comes late; what it answers does not.
  if (late) await context.addInitScript(() => {
    const {addEventListener} = MessagePort.prototype;
    MessagePort.prototype.addEventListener = function (type, listener, ...more) {
      return addEventListener.call(this, type, (event) => setTimeout(() => listener(event), event.data?.type === 'APPLY' ? 300 : 0), ...more);
    };
  });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(origin + path);
  await page.locator('nav').waitFor();
  return {context, page, errors};
}

/** Goes to a screen. A click changes the address; the screen follows when the page is told of that. */
export async function go(page, screen) {
  await page.locator(`nav a[href="#/${screen}"]`).click();
  await page.locator(`nav a[href="#/${screen}"][aria-current=page]`).waitFor();
}

/** Opens a screen, and its model where that is not open yet. */
export async function open(page, screen) {
  await go(page, screen);
  const field = page.locator('main textarea').first();
  const load = page.locator('main button.primary', {hasText: /Load|Open|加载/});
  await field.or(load).first().waitFor();
  if (await load.count()) await load.click();
  await field.waitFor();
}

/** The probabilities that the Sentiment screen shows of `text`. */
export async function sentiment(page, text) {
  await page.locator('textarea').fill(text);
  return page.locator('meter').evaluateAll((meters) => meters.map((meter) => meter.value));
}

/** What the Write screen writes. */
export async function write(page, {prompt, seed, temperature, length}) {
  await page.locator('textarea').fill(prompt);
  const sliders = page.locator('input[type=range]');
  await sliders.nth(0).fill(String(temperature));
  await sliders.nth(1).fill(String(length));
  await page.getByLabel('Seed').fill(String(seed));
  await page.getByRole('button', {name: 'Write', exact: true}).click();
  await page.locator('section[aria-busy=false]').waitFor();
  return page.locator('.written span').nth(1).textContent();
}

/** The Translate screen's sentences: [{source, alternatives}]. */
export async function translate(page, text, count) {
  await page.locator('textarea').fill('');
  await page.locator('.sentence').first().waitFor({state: 'detached'});
  await page.locator('textarea').fill(text);
  await page.locator('.sentence').nth(count - 1).waitFor();
  await page.waitForFunction((count) => document.querySelectorAll('.sentence').length === count, count);
  return page.locator('.sentence').evaluateAll((found) =>
    found.map((one) => ({
      source: one.querySelector('.source').textContent,
      alternatives: [...one.querySelectorAll('.target')].map((line) => line.textContent),
    })));
}
