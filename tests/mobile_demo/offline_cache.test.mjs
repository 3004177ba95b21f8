// What is kept on the device: without a network, damaged, missing, newer, the user's own.
import assert from 'node:assert/strict';
import {cpSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join, relative} from 'node:path';
import {after, afterEach, before, beforeEach, test} from 'node:test';

import {browser, BUILT, ENGINES, go, open, phone, sentiment, served, translate, write} from './app.mjs';

const require = createRequire(new URL('../../mobile_demo/package.json', import.meta.url));
const {zipSync} = require('fflate');
const GOOD = 'A wonderful film: warm, funny, and over far too soon.';
const MODEL = '/models/sentiment/tflite/model.tflite';

let chromium, host;
before(async () => void (chromium = await browser()));
after(() => chromium.close());
beforeEach(async () => void (host = await served()));
afterEach(() => host.close());

/** Until the service worker has the page, and what it keeps. */
const settled = (page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);

const verdict = async (page) => {
  await page.locator('textarea').fill(GOOD);
  return page.locator('.verdict').textContent();
};

for (const engine of ENGINES) {
  test(`everything works without a network, ${engine}`, async () => {
    const {page, context, errors} = await phone(chromium, host.origin, {choices: {engine}});
    await settled(page);
    for (const screen of ['sentiment', 'write', 'translate']) await open(page, screen);
    await host.close();
    await page.reload();
    await open(page, 'sentiment');
    assert.match(await verdict(page), /^positive/);
    await open(page, 'write');
    assert.ok((await write(page, {prompt: 'ROMEO:', seed: 1, temperature: 0.5, length: 20})).length > 10);
    await open(page, 'translate');
    const [{alternatives}] = await translate(page, 'Two dogs are running in the snow.', 1);
    assert.match(alternatives[0], /Hunde/);
    assert.deepEqual(errors, []);
    await context.close();
  });
}

test('a model that is not here and no network: a sentence, and another try', async () => {
  const {page, context} = await phone(chromium, host.origin);
  await settled(page);
  await host.close();
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('is not on this device yet, and there is no network').waitFor();
  await host.reopen();
  await page.getByRole('button', {name: 'Try again'}).click();
  assert.match(await verdict(page), /^positive/);
  await context.close();
});

test('a model that the host lacks: a sentence that names the file', async () => {
  host.changed.set(MODEL, null);
  const {page, context} = await phone(chromium, host.origin);
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('sentiment lacks tflite/model.tflite').waitFor();
  await context.close();
});

test('no models at all: a sentence that says how to make one', async () => {
  host.changed.set('/models/index.json', '[]');
  const {page, context} = await phone(chromium, host.origin);
  await page.getByText('No model for this screen yet').waitFor();
  await context.close();
});

test('a damaged bundle does not hide the others', async () => {
  host.changed.set('/models/en-de/manifest.json', '{"schema_version": 1, "task');
  const {page, context} = await phone(chromium, host.origin);
  await open(page, 'sentiment');
  assert.match(await verdict(page), /^positive/);
  await go(page, 'engine');
  await page.getByText('en-de is damaged').waitFor();
  await context.close();
});

test('what is told late of a load does not hide its end', async () => {
  host.changed.set(MODEL, Buffer.alloc(statSync(join(BUILT, MODEL)).size));
  const {page, context} = await phone(chromium, host.origin, {late: true});
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('sentiment came damaged').waitFor();
  await page.waitForTimeout(1000);
  assert.ok(await page.getByText('sentiment came damaged').isVisible());
  await context.close();
});

test('what is served is not what was exported: refused, and fetched again', async () => {
  const content = readFileSync(join(BUILT, MODEL));
  content[content.length >> 1] ^= 1;
  host.changed.set(MODEL, content);
  const {page, context} = await phone(chromium, host.origin);
  await page.getByRole('button', {name: 'Load the model'}).click();
  await page.getByText('sentiment came damaged (tflite/model.tflite').waitFor();
  host.changed.set(MODEL, content.subarray(0, 1000)); // A download that ended early.
  await page.getByRole('button', {name: 'Try again'}).click();
  while (host.asked.filter((path) => path === MODEL).length < 2) await page.waitForTimeout(50);
  await page.getByText('sentiment came damaged').waitFor();
  host.changed.clear();
  await page.getByRole('button', {name: 'Try again'}).click();
  assert.match(await verdict(page), /^positive/);
  await context.close();
});

test('what was kept is damaged: refused, and fetched again', async () => {
  const {page, context} = await phone(chromium, host.origin);
  await open(page, 'sentiment');
  const damage = async () => {
    const cache = await caches.open('files /models/');
    for (const request of await cache.keys()) {
      const content = new Uint8Array(await (await cache.match(request)).arrayBuffer());
      content[content.length >> 1] ^= 1;
      await cache.put(request, new Response(content));
    }
  };
  await page.evaluate(damage);
  const asked = host.asked.filter((path) => path === MODEL).length;
  await page.reload();
  await page.locator('textarea').waitFor();
  assert.match(await verdict(page), /^positive/);
  assert.equal(host.asked.filter((path) => path === MODEL).length, asked + 1);
  await context.close();
});

test('two tabs', async () => {
  const {page, context} = await phone(chromium, host.origin);
  const other = await context.newPage();
  await other.goto(host.origin);
  await Promise.all([open(page, 'sentiment'), open(other, 'translate')]);
  const [told, [{alternatives}]] = await Promise.all([verdict(page), translate(other, 'A man is sleeping.', 1)]);
  assert.match(told, /^positive/);
  assert.match(alternatives[0], /schläft/);
  await context.close();
});

test('a newer model is offered, and taken when the user says so', async () => {
  const {page, context} = await phone(chromium, host.origin);
  await open(page, 'sentiment');
  const path = join(BUILT, 'models/sentiment/manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  const newer = {...manifest, labels: ['bad', 'good'], sha256: '0'.repeat(64)};
  host.changed.set('/models/sentiment/manifest.json', JSON.stringify(newer));
  await page.reload();
  await page.locator('textarea').waitFor();
  assert.match(await verdict(page), /^positive/);
  await go(page, 'engine');
  await page.getByText('A newer sentiment is available').waitFor();
  await page.getByRole('button', {name: 'Update'}).click();
  await page.getByText('A newer sentiment is available').waitFor({state: 'detached'});
  await open(page, 'sentiment');
  assert.match(await verdict(page), /^good/);
  await context.close();
});

/** The files of a folder, by their paths. */
function below(folder) {
  const files = readdirSync(folder, {recursive: true}).filter((path) => statSync(join(folder, path)).isFile());
  return Object.fromEntries(files.map((path) => [path, readFileSync(join(folder, path))]));
}

test("the user's own bundle, as a folder and as a zip", async () => {
  const {page, context} = await phone(chromium, host.origin);
  const folder = mkdtempSync(join(tmpdir(), 'bundles-'));
  cpSync(join(BUILT, 'models/sentiment'), join(folder, 'mine'), {recursive: true});
  writeFileSync(join(folder, 'ours.zip'), zipSync({ours: below(join(folder, 'mine'))}, {level: 0}));
  host.changed.set('/models/index.json', '["en-de"]');
  await go(page, 'engine');
  await page.locator('fieldset.drop:enabled').waitFor();
  await page.locator('input[type=file]').nth(0).setInputFiles(join(folder, 'mine'));
  await page.locator('h1', {hasText: 'Sentiment'}).waitFor(); // Its screen opens by itself.
  await open(page, 'sentiment');
  assert.match(await verdict(page), /^positive/);
  await go(page, 'engine');
  await page.locator('input[type=file]').nth(1).setInputFiles(join(folder, 'ours.zip'));
  await page.locator('h1', {hasText: 'Sentiment'}).waitFor();
  assert.match(await verdict(page), /^positive/);
  assert.deepEqual(await page.locator('select option').allTextContents(), ['mine', 'ours']);
  await settled(page);
  await host.close(); // Nothing of it comes from anywhere else.
  await page.reload();
  assert.equal(await page.locator('select').inputValue(), 'ours');
  assert.match(await verdict(page), /^positive/);
  await go(page, 'engine');
  for (const name of ['mine', 'ours']) {
    await page.locator('li', {hasText: name}).getByRole('button', {name: 'Remove'}).click();
    await page.locator('.bundles strong', {hasText: name}).waitFor({state: 'detached'});
  }
  await context.close();
});

test('a bundle in several precisions: each can be chosen', async () => {
  const {page, context} = await phone(chromium, host.origin, {path: '/#/engine'});
  const contents = below(join(BUILT, 'models/sentiment'));
  const manifest = JSON.parse(contents['manifest.json']);
  // As a later export may name it.
  manifest.formats.tflite_int8 = {...manifest.formats.tflite, precision: 'int8'};
  const file = join(mkdtempSync(join(tmpdir(), 'precisions-')), 'small.zip');
  writeFileSync(file, zipSync({...contents, 'manifest.json': Buffer.from(JSON.stringify(manifest))}, {level: 0}));
  await page.locator('fieldset.drop:enabled').waitFor();
  await page.locator('input[type=file]').nth(1).setInputFiles(file);
  await page.locator('h1', {hasText: 'Sentiment'}).waitFor();
  await open(page, 'sentiment');
  await go(page, 'engine');
  const precision = page.getByLabel('Precision');
  assert.deepEqual(await precision.locator('option').allTextContents(), ['float32', 'int8']);
  await precision.selectOption('int8');
  await open(page, 'sentiment');
  assert.match(await verdict(page), /^positive/);
  await context.close();
});

test('a newer app is offered, and comes when the user says so', async () => {
  const {page, context} = await phone(chromium, host.origin);
  await settled(page);
  const worker = readFileSync(join(BUILT, 'sw.js'), 'utf8');
  host.changed.set('/sw.js', `${worker}\n// newer`);
  await page.reload();
  await page.getByText('A newer version of this app is available').waitFor();
  const loaded = page.waitForEvent('load');
  await page.getByRole('button', {name: 'Reload'}).click();
  await loaded;
  await open(page, 'sentiment');
  assert.match(await verdict(page), /^positive/);
  assert.equal(await page.getByText('A newer version').count(), 0);
  await context.close();
});

test('a runtime that did not come: a sentence, and another try', async () => {
  const files = readdirSync(join(BUILT, 'engines'), {recursive: true}).map((path) => `/engines/${path}`);
  for (const engine of ENGINES) {
    files.forEach((path) => host.changed.set(path, null));
    const {page, context} = await phone(chromium, host.origin, {choices: {engine}});
    await page.getByRole('button', {name: 'Load the model'}).click();
    await page.getByText('itself is not on this device yet').waitFor();
    host.changed.clear();
    await page.getByRole('button', {name: 'Try again'}).click();
    assert.match(await verdict(page), /^positive/);
    await context.close();
  }
});

test('odd manifests are named, and the others go on', async () => {
  const manifest = JSON.parse(readFileSync(join(BUILT, 'models/sentiment/manifest.json'), 'utf8'));
  const {limits: _, ...less} = manifest;
  host.changed.set('/models/shakespeare/manifest.json', JSON.stringify({...manifest, limits: 5}));
  host.changed.set('/models/en-de/manifest.json', JSON.stringify(less));
  const {page, context} = await phone(chromium, host.origin);
  await open(page, 'sentiment');
  await go(page, 'engine');
  await page.getByText('shakespeare is damaged').waitFor();
  await page.getByText('en-de is damaged').waitFor();
  host.changed.set('/models/index.json', '["en-de", ');
  await page.reload(); // What was served before is still known.
  await page.locator('.bundles strong', {hasText: 'sentiment'}).waitFor();
  await context.close();
});

test('one tab takes a newer app: the other is left alone', async () => {
  const {page, context} = await phone(chromium, host.origin);
  await settled(page);
  const other = await context.newPage();
  await other.goto(host.origin);
  await open(other, 'sentiment');
  await other.locator('textarea').fill('Unfinished');
  host.changed.set('/sw.js', `${readFileSync(join(BUILT, 'sw.js'), 'utf8')}\n// newer`);
  await page.reload();
  const loaded = page.waitForEvent('load');
  await page.getByRole('button', {name: 'Reload'}).click();
  await loaded;
  await page.waitForTimeout(500);
  assert.equal(await other.locator('textarea').inputValue(), 'Unfinished');
  await context.close();
});

test('what is no bundle is refused with a reason', async () => {
  const {page, context} = await phone(chromium, host.origin, {path: '/#/engine'});
  const folder = mkdtempSync(join(tmpdir(), 'bad-'));
  const contents = below(join(BUILT, 'models/sentiment'));
  const manifest = JSON.parse(contents['manifest.json']);
  const zipped = (name, files) => {
    writeFileSync(join(folder, name), zipSync(files, {level: 0}));
    return join(folder, name);
  };
  const {'tflite/model.tflite': model, ...rest} = contents;
  const damaged = Buffer.from(model);
  damaged[1000] ^= 1;
  const text = (value) => Buffer.from(JSON.stringify(value));
  const cases = [
    [zipped('empty.zip', {'notes.txt': Buffer.from('hello')}), 'empty.zip is not a bundle: it has no manifest.json'],
    [zipped('less.zip', rest), 'less lacks tflite/model.tflite'],
    [zipped('bad.zip', {...contents, 'tflite/model.tflite': damaged}), 'tflite/model.tflite is not the file that was exported'],
    [zipped('old.zip', {...contents, 'manifest.json': text({...manifest, schema_version: 7})}), 'the schema version 7'],
    [zipped('server.zip', {...contents, 'manifest.json': text({...manifest, formats: {saved_model: {files: [], precision: 'float32', sizes: {}}}})}), 'neither a TFLite nor an ONNX'],
    [zipped('own.zip', {...contents, 'manifest.json': text({...manifest, task: 'predict'})}), 'own is for the task “predict”'],
    [zipped('early.zip', {...contents, 'manifest.json': text({...manifest, signatures: {classify: {}}})}), 'early has no signature classify_text'],
    [zipped('out.zip', {...contents, 'manifest.json': text({...manifest, files: {'../x': {}}})}), 'out is damaged'],
  ];
  writeFileSync(join(folder, 'torn.zip'), Buffer.from('PK\x03\x04 and no more'));
  cases.push([join(folder, 'torn.zip'), 'torn.zip cannot be read as a zip file']);
  await page.locator('fieldset.drop:enabled').waitFor();
  for (const [file, reason] of cases) {
    await page.locator('input[type=file]').nth(1).setInputFiles(file);
    await page.locator('[role=alert]', {hasText: reason}).waitFor();
  }
  assert.equal(await page.locator('.bundles strong').count(), 3, relative('.', folder));
  await context.close();
});
