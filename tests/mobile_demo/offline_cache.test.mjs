// Bundles and the app on the device: without a network, damaged, missing, newer, and added by the user.
import assert from 'node:assert/strict';
import {cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, afterEach, beforeEach, test} from 'node:test';

import {BUILT, ENGINES, goTo, openApp, openScreen, readManifest, startBrowser, startHost, translateText, writeText} from './app.mjs';
import {require} from './source.mjs';

const {zipSync} = require('fflate');
const GOOD = 'A wonderful film: warm, funny, and over far too soon.';
const MODEL = '/models/sentiment/tflite/model.tflite';

const browser = await startBrowser({tieringBudget: 100_000_000}); // A model answers one text or two here.
const temporary = mkdtempSync(join(tmpdir(), 'mobile-demo-'));
after(() => rmSync(temporary, {recursive: true}));
let host;
beforeEach(async () => void (host = await startHost()));
afterEach(() => host.close());

/** Waits until the service worker serves the page from its cache. */
const waitForServiceWorker = (page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);

/** Returns the verdict of the Sentiment screen on a good review. */
const readVerdict = async (page) => {
  await page.locator('textarea').fill(GOOD);
  return page.locator('.verdict').textContent();
};

for (const engine of ENGINES) {
  test(`everything works without a network, ${engine}`, async () => {
    const {page, context, errors} = await openApp(browser, host.origin, {choices: {engine}});
    await waitForServiceWorker(page);
    for (const screen of ['sentiment', 'write', 'translate']) await openScreen(page, screen);
    await host.close();
    await page.reload();
    await openScreen(page, 'sentiment');
    assert.match(await readVerdict(page), /^positive/);
    await openScreen(page, 'write');
    assert.ok((await writeText(page, {prompt: 'ROMEO:', seed: 1, temperature: 0.5, length: 20})).length > 10);
    await openScreen(page, 'translate');
    const [{alternatives}] = await translateText(page, 'Two dogs are running in the snow.', 1);
    assert.match(alternatives[0], /Hunde/);
    assert.deepEqual(errors, []);
    await context.close();
  });
}

test('without a network, a model that is not on the device gets a sentence and another try', async () => {
  const {page, context} = await openApp(browser, host.origin);
  await waitForServiceWorker(page);
  await host.close();
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('is not on this device yet, and there is no network').waitFor();
  await host.reopen();
  await page.getByRole('button', {name: 'Try again'}).click();
  assert.match(await readVerdict(page), /^positive/);
  await context.close();
});

test('a sentence names the file that the host lacks', async () => {
  host.overrides.set(MODEL, null);
  const {page, context} = await openApp(browser, host.origin);
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('sentiment lacks tflite/model.tflite').waitFor();
  await context.close();
});

test('without models, a sentence says how to make one', async () => {
  host.overrides.set('/models/index.json', '[]');
  const {page, context} = await openApp(browser, host.origin);
  await page.getByText('No model for this screen yet').waitFor();
  await context.close();
});

test('a damaged bundle does not hide the others', async () => {
  host.overrides.set('/models/en-de/manifest.json', '{"schema_version": 1, "task');
  const {page, context} = await openApp(browser, host.origin);
  await openScreen(page, 'sentiment');
  assert.match(await readVerdict(page), /^positive/);
  await goTo(page, 'engine');
  await page.getByText('en-de is damaged').waitFor();
  await context.close();
});

test('progress that is reported late does not hide how the load ended', async () => {
  host.overrides.set(MODEL, Buffer.alloc(statSync(join(BUILT, MODEL)).size));
  const {page, context} = await openApp(browser, host.origin, {canHold: true});
  await page.evaluate(() => window.held.add('reports'));
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('sentiment arrived damaged').waitFor();
  // Two frames: what the reports change would be on the page by then.
  await page.evaluate(() => new Promise((resolve) => {
    window.release();
    requestAnimationFrame(() => requestAnimationFrame(resolve));
  }));
  assert.ok(await page.getByText('sentiment arrived damaged').isVisible());
  await context.close();
});

test('a served file that is not what was exported is refused, and fetched again', async () => {
  const content = readFileSync(join(BUILT, MODEL));
  content[content.length >> 1] ^= 1;
  host.overrides.set(MODEL, content);
  const {page, context} = await openApp(browser, host.origin);
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('sentiment arrived damaged: tflite/model.tflite').waitFor();
  host.overrides.set(MODEL, content.subarray(0, 1000)); // A download that ended early.
  await page.getByRole('button', {name: 'Try again'}).click();
  await host.waitForRequests(MODEL, 2);
  await page.getByText('sentiment arrived damaged').waitFor();
  host.overrides.clear();
  await page.getByRole('button', {name: 'Try again'}).click();
  assert.match(await readVerdict(page), /^positive/);
  await context.close();
});

test('a damaged file on the device is refused, and fetched again', async () => {
  const {page, context} = await openApp(browser, host.origin);
  await openScreen(page, 'sentiment');
  const damage = async () => {
    const cache = await caches.open('files /models/');
    for (const request of await cache.keys()) {
      const content = new Uint8Array(await (await cache.match(request)).arrayBuffer());
      content[content.length >> 1] ^= 1;
      await cache.put(request, new Response(content));
    }
  };
  await page.evaluate(damage);
  const requests = host.countRequests(MODEL);
  await page.reload();
  await page.locator('textarea').waitFor();
  assert.match(await readVerdict(page), /^positive/);
  assert.equal(host.countRequests(MODEL), requests + 1);
  await context.close();
});

test('two tabs work at the same time', async () => {
  const {page, context} = await openApp(browser, host.origin);
  const other = await context.newPage();
  await other.goto(host.origin);
  await Promise.all([openScreen(page, 'sentiment'), openScreen(other, 'translate')]);
  const [verdict, [{alternatives}]] = await Promise.all([readVerdict(page), translateText(other, 'A man is sleeping.', 1)]);
  assert.match(verdict, /^positive/);
  assert.match(alternatives[0], /schläft/);
  await context.close();
});

test('a newer model is offered, and fetched on request', async () => {
  const {page, context} = await openApp(browser, host.origin);
  await openScreen(page, 'sentiment');
  const newer = {...(await readManifest('sentiment')), labels: ['bad', 'good'], sha256: '0'.repeat(64)};
  host.overrides.set('/models/sentiment/manifest.json', JSON.stringify(newer));
  await page.reload();
  await page.locator('textarea').waitFor();
  assert.match(await readVerdict(page), /^positive/);
  await goTo(page, 'engine');
  await page.getByText('A newer sentiment is available').waitFor();
  await page.getByRole('button', {name: 'Update'}).click();
  await page.getByText('A newer sentiment is available').waitFor({state: 'detached'});
  await openScreen(page, 'sentiment');
  assert.match(await readVerdict(page), /^good/);
  await context.close();
});

/** Returns the contents of a folder's files, by their paths. */
function readFolder(folder) {
  const files = readdirSync(folder, {recursive: true}).filter((path) => statSync(join(folder, path)).isFile());
  return Object.fromEntries(files.map((path) => [path, readFileSync(join(folder, path))]));
}

test('the user adds a bundle as a folder, and as a zip file', async () => {
  const {page, context} = await openApp(browser, host.origin);
  const folder = mkdtempSync(join(temporary, 'bundles-'));
  cpSync(join(BUILT, 'models/sentiment'), join(folder, 'mine'), {recursive: true});
  writeFileSync(join(folder, 'ours.zip'), zipSync({ours: readFolder(join(folder, 'mine'))}, {level: 0}));
  host.overrides.set('/models/index.json', '["en-de"]');
  await goTo(page, 'engine');
  await page.locator('fieldset.drop:enabled').waitFor();
  await page.locator('input[type=file]').nth(0).setInputFiles(join(folder, 'mine'));
  await page.locator('h1', {hasText: 'Sentiment'}).waitFor(); // The screen of its task opens.
  await openScreen(page, 'sentiment');
  assert.match(await readVerdict(page), /^positive/);
  await goTo(page, 'engine');
  await page.locator('input[type=file]').nth(1).setInputFiles(join(folder, 'ours.zip'));
  await page.locator('h1', {hasText: 'Sentiment'}).waitFor();
  assert.match(await readVerdict(page), /^positive/);
  assert.deepEqual(await page.locator('select option').allTextContents(), ['mine', 'ours']);
  await waitForServiceWorker(page);
  await host.close(); // From here on it can come from the device only.
  await page.reload();
  assert.equal(await page.locator('select').inputValue(), 'ours');
  assert.match(await readVerdict(page), /^positive/);
  await goTo(page, 'engine');
  for (const name of ['mine', 'ours']) {
    await page.locator('li', {hasText: name}).getByRole('button', {name: 'Remove'}).click();
    await page.locator('.bundles strong', {hasText: name}).waitFor({state: 'detached'});
  }
  await context.close();
});

/** Adds a bundle as a zip file on the Engine screen, and waits for the Sentiment screen. */
async function addZip(page, name, contents) {
  const file = join(mkdtempSync(join(temporary, 'zip-')), `${name}.zip`);
  writeFileSync(file, zipSync(contents, {level: 0}));
  await page.locator('fieldset.drop:enabled').waitFor();
  await page.locator('input[type=file]').nth(1).setInputFiles(file);
  await page.locator('h1', {hasText: 'Sentiment'}).waitFor();
}

test('a bundle in several precisions: each can be chosen', async () => {
  const {page, context} = await openApp(browser, host.origin, {path: '/#/engine'});
  const contents = readFolder(join(BUILT, 'models/sentiment'));
  const manifest = await readManifest('sentiment');
  const tflite = manifest.variants.find(({format}) => format === 'tflite');
  manifest.variants.push({...tflite, precision: 'int8'});
  await addZip(page, 'small', {...contents, 'manifest.json': Buffer.from(JSON.stringify(manifest))});
  await openScreen(page, 'sentiment');
  await goTo(page, 'engine');
  const precision = page.getByLabel('Precision');
  assert.deepEqual(await precision.locator('option').allTextContents(), ['float32', 'int8']);
  await precision.selectOption('int8');
  await openScreen(page, 'sentiment');
  assert.match(await readVerdict(page), /^positive/);
  await context.close();
});

/** Returns a manifest as schema 1 had it. */
function downgrade({entry: _, dimensions, variants, limits, ...rest}) {
  return {
    ...rest,
    schema_version: 1,
    limits: Object.fromEntries(Object.entries(dimensions).map(([letter, name]) => [letter, limits[name]])),
    formats: Object.fromEntries(variants.map(({format, ...variant}) => [format, variant])),
  };
}

test('a bundle that was added in schema 1 goes on working', async () => {
  const {page, context} = await openApp(browser, host.origin, {path: '/#/engine'});
  host.overrides.set('/models/index.json', '["en-de"]');
  const manifest = downgrade(await readManifest('sentiment'));
  const contents = readFolder(join(BUILT, 'models/sentiment'));
  await addZip(page, 'old', {...contents, 'manifest.json': Buffer.from(JSON.stringify(manifest))});
  await openScreen(page, 'sentiment');
  // As an app of that time has stored it.
  await page.evaluate(async (stored) => {
    const cache = await caches.open('manifests /models/');
    await cache.put('/kept/manifests/old', new Response(JSON.stringify(stored)));
  }, {manifest, isAdded: true});
  await page.reload();
  await openScreen(page, 'sentiment');
  assert.match(await readVerdict(page), /^positive/);
  await context.close();
});

test('a newer app is offered, and starts on request', async () => {
  const {page, context} = await openApp(browser, host.origin);
  await waitForServiceWorker(page);
  const worker = readFileSync(join(BUILT, 'sw.js'), 'utf8');
  host.overrides.set('/sw.js', `${worker}\n// newer`);
  await page.reload();
  await page.getByText('A newer version of this app is available').waitFor();
  const loaded = page.waitForEvent('load');
  await page.getByRole('button', {name: 'Reload'}).click();
  await loaded;
  await openScreen(page, 'sentiment');
  assert.match(await readVerdict(page), /^positive/);
  assert.equal(await page.getByText('A newer version').count(), 0);
  await context.close();
});

test('a runtime that could not be fetched gets a sentence and another try', async () => {
  const files = readdirSync(join(BUILT, 'engines'), {recursive: true}).map((path) => `/engines/${path}`);
  for (const engine of ENGINES) {
    files.forEach((path) => host.overrides.set(path, null));
    const {page, context} = await openApp(browser, host.origin, {choices: {engine}});
    await page.getByRole('button', {name: 'Load the model'}).click();
    await page.getByText('itself is not on this device yet').waitFor();
    host.overrides.clear();
    await page.getByRole('button', {name: 'Try again'}).click();
    assert.match(await readVerdict(page), /^positive/);
    await context.close();
  }
});

test('odd manifests are named, and the other bundles work', async () => {
  const manifest = await readManifest('sentiment');
  const {limits: _, ...less} = manifest;
  host.overrides.set('/models/shakespeare/manifest.json', JSON.stringify({...manifest, limits: 5}));
  host.overrides.set('/models/en-de/manifest.json', JSON.stringify(less));
  const {page, context} = await openApp(browser, host.origin);
  await openScreen(page, 'sentiment');
  await goTo(page, 'engine');
  await page.getByText('shakespeare is damaged').waitFor();
  await page.getByText('en-de is damaged').waitFor();
  host.overrides.set('/models/index.json', '["en-de", ');
  await page.reload(); // The list of the last time holds.
  await page.locator('.bundles strong', {hasText: 'sentiment'}).waitFor();
  await context.close();
});

test('one tab takes a newer app: the other is left alone', async () => {
  const {page, context} = await openApp(browser, host.origin);
  await waitForServiceWorker(page);
  const other = await context.newPage();
  await other.goto(host.origin);
  await openScreen(other, 'sentiment');
  await other.locator('textarea').fill('Unfinished');
  // Workbox's listener comes first: if that reloads, the navigation has begun by now.
  await other.evaluate(() => {
    window.navigations = 0;
    navigation.addEventListener('navigate', () => window.navigations++);
    window.newController = new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve));
  });
  host.overrides.set('/sw.js', `${readFileSync(join(BUILT, 'sw.js'), 'utf8')}\n// newer`);
  await page.reload();
  const loaded = page.waitForEvent('load');
  await page.getByRole('button', {name: 'Reload'}).click();
  await loaded;
  assert.equal(await other.evaluate(() => window.newController.then(() => window.navigations)), 0);
  assert.equal(await other.locator('textarea').inputValue(), 'Unfinished');
  await context.close();
});

test('a file that is no bundle is refused with a reason', async () => {
  const {page, context} = await openApp(browser, host.origin, {path: '/#/engine'});
  const folder = mkdtempSync(join(temporary, 'bad-'));
  const contents = readFolder(join(BUILT, 'models/sentiment'));
  const manifest = await readManifest('sentiment');
  const [variant] = manifest.variants;
  const zip = (name, files) => {
    writeFileSync(join(folder, name), zipSync(files, {level: 0}));
    return join(folder, name);
  };
  const {'tflite/model.tflite': model, ...rest} = contents;
  const damaged = Buffer.from(model);
  damaged[1000] ^= 1;
  const text = (value) => Buffer.from(JSON.stringify(value));
  const graph = 'saved_model/saved_model.pb';
  const onServers = {
    variants: [{...variant, format: 'saved_model', files: [graph]}],
    files: {...manifest.files, [graph]: {sha256: '0'.repeat(64), bytes: 1}},
  };
  const cases = [
    [zip('empty.zip', {'notes.txt': Buffer.from('hello')}), 'empty.zip is not a bundle: it has no manifest.json'],
    [zip('less.zip', rest), 'less lacks tflite/model.tflite'],
    [zip('bad.zip', {...contents, 'tflite/model.tflite': damaged}), 'tflite/model.tflite is not the file that was exported'],
    [zip('old.zip', {...contents, 'manifest.json': text({...manifest, schema_version: 7})}), 'the schema version 7'],
    [zip('server.zip', {...contents, 'manifest.json': text({...manifest, ...onServers})}), 'neither a TFLite nor an ONNX'],
    [zip('own.zip', {...contents, 'manifest.json': text({...manifest, task: 'predict'})}), 'own is for the task “predict”, and this app has screens for classify, generate, and translate.'],
    [zip('early.zip', {...contents, 'manifest.json': text({...downgrade(manifest), signatures: {classify: {}}})}), 'early has no signature classify_text'],
    [zip('out.zip', {...contents, 'manifest.json': text({...manifest, files: {'../x': {}}})}), 'out is damaged'],
  ];
  writeFileSync(join(folder, 'torn.zip'), Buffer.from('PK\x03\x04 and no more'));
  cases.push([join(folder, 'torn.zip'), 'torn.zip cannot be read as a zip file']);
  await page.locator('fieldset.drop:enabled').waitFor();
  for (const [file, reason] of cases) {
    await page.locator('input[type=file]').nth(1).setInputFiles(file);
    await page.locator('[role=alert]', {hasText: reason}).waitFor();
  }
  assert.equal(await page.locator('.bundles strong').count(), 3);
  await context.close();
});
