// What the browser measures: what the first screen costs, whether typing stutters, whether memory grows.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {test} from 'node:test';
import {gzipSync} from 'node:zlib';

import {BUILT, ENGINES, go, open, opened, phone, translate, write} from './app.mjs';

const {host, chromium} = await opened('--enable-blink-features=ForceEagerMeasureMemory');

const SENTENCE = 'The acting is fine, but the story goes nowhere and takes its time about it.';

test('the first screen is there before any model, in 200 kB', async () => {
  const {page, context} = await phone(chromium, host.origin, {serviceWorkers: 'block'});
  await page.getByRole('button', {name: 'Load the model'}).waitFor();
  const files = [...new Set(host.asked)].filter((path) => !path.startsWith('/models/'));
  const sizes = files.map((path) => gzipSync(readFileSync(join(BUILT, path))).length);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  console.log(`first paint ${paint.toFixed(0)} ms, ${bytes} bytes compressed in ${files.length} files`);
  assert.ok(bytes < 200_000, `${bytes} bytes: ${files.join(' ')}`);
  assert.ok(!files.some((path) => path.startsWith('/engines/')));
  await context.close();
});

/** What the Engine screen says of the runtime's own memory, in bytes; 0 where it does not say. */
async function ofRuntime(page) {
  await go(page, 'engine');
  await page.getByRole('button', {name: 'Measure'}).click();
  await page.getByRole('button', {name: 'Share as JSON'}).waitFor();
  const told = await page.locator('dt', {hasText: 'Memory of the runtime'}).first().locator('+ dd').textContent();
  return 1e6 * (parseFloat(told) || 0);
}

for (const engine of ENGINES) {
  test(`typing never stutters, ${engine}`, async () => {
    const {page, context} = await phone(chromium, host.origin, {choices: {engine}});
    await open(page, 'sentiment');
    await page.evaluate(() => {
      window.longest = 0;
      new PerformanceObserver((list) => list.getEntries().forEach(({duration}) => (window.longest = Math.max(window.longest, duration))))
        .observe({type: 'longtask'});
    });
    const tries = [];
    // What the page does itself is there in every try; another process may hold a core in some.
    for (let i = 0; i < 9 && !tries.includes(0); i++) {
      await page.evaluate(() => (window.longest = 0));
      await page.locator('textarea').fill('');
      await page.locator('textarea').pressSequentially(SENTENCE, {delay: 20});
      await page.locator('.tinted mark').first().waitFor();
      tries.push(await page.evaluate(() => window.longest));
    }
    console.log(`longest task on the page while typing: ${tries.map((ms) => ms.toFixed(0)).join(', ')} ms (0: none of 50 ms)`);
    assert.ok(tries.includes(0));
    await context.close();
  });

  test(`memory does not grow with use, ${engine}`, async () => {
    const {page, context} = await phone(chromium, host.origin, {choices: {engine}});
    const memory = async () => {
      const ofPage = await page.evaluate(async () => (await performance.measureUserAgentSpecificMemory()).bytes);
      return [ofPage, await ofRuntime(page)];
    };
    const captions = ['A man is sleeping.', 'Two dogs are running in the snow.', 'A woman in a red dress reads a book.'];
    // A text in each screen: what a person does in a minute.
    const use = async (i) => {
      await open(page, 'sentiment');
      await page.locator('textarea').fill(`${SENTENCE} ${i}`);
      await page.locator('.tinted mark').first().waitFor();
      await open(page, 'write');
      await write(page, {prompt: `ROMEO: ${i}`, seed: i, temperature: 0.8, length: 30});
      await open(page, 'translate');
      await translate(page, captions[i % captions.length], 1);
      await page.locator('.word').first().click();
      await page.locator('.source mark').first().waitFor();
    };
    for (let i = 0; i < 4; i++) await use(i);
    const before = await memory();
    for (let i = 4; i < 24; i++) await use(i); // 20 minutes' worth.
    const after = await memory();
    console.log(`memory of page and runtime: ${before}, after 20 rounds ${after} bytes`);
    // A runtime's memory grows by a fifth at a time: once is not yet growth (60 rounds are as 20).
    before.forEach((bytes, i) => assert.ok(after[i] < 1.25 * bytes + 4e6, `${before} bytes grew to ${after}`));
    await context.close();
  });
}
