// Each screen as a person uses it, on two phones.
import assert from 'node:assert/strict';
import {after, before, describe, test} from 'node:test';

import {ENGINES, goTo, openApp, openScreen, PROFILES, readManifest, startAll, startHost, translateText, writeText} from './app.mjs';

const {host, browser} = await startAll();

/** Tells whether nothing is wider than the phone. */
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

for (const [i, profile] of Object.keys(PROFILES).entries()) {
  // A short run has each phone and each runtime once.
  for (const engine of process.env.FULL ? ENGINES : [ENGINES[i]]) {
    test(`the screens, ${profile}, ${engine}`, async () => {
      const {page, context, errors} = await openApp(browser, host.origin, {profile, choices: {engine}});

      await openScreen(page, 'sentiment');
      await page.locator('textarea').pressSequentially('A wonderful film. ');
      await page.locator('.verdict', {hasText: 'positive'}).waitFor();
      await page.locator('textarea').fill('A dull film, and a terrible waste of two hours.');
      await page.locator('.verdict', {hasText: 'negative'}).waitFor();
      await page.locator('.tinted mark.for', {hasText: /terrible|waste|dull/}).first().waitFor();
      assert.ok(await fits(page));

      await openScreen(page, 'write');
      const inputs = {prompt: 'JULIET:', seed: 7, temperature: 0.8, length: 60};
      const text = await writeText(page, inputs);
      assert.equal(await writeText(page, inputs), text);
      assert.notEqual(await writeText(page, {...inputs, seed: 8}), text);
      assert.match(await page.locator('.figure').last().textContent(), /^Tokens: 60, \d+ a second$/);
      assert.ok(await fits(page));

      await openScreen(page, 'translate');
      const [{alternatives}, second] = await translateText(page, 'A man in a blue shirt is standing on a ladder. Two dogs run.', 2);
      assert.match(alternatives[0], /^Ein Mann in .*blauen? .*Leiter\.$/);
      assert.ok(alternatives.length > 1 && new Set(alternatives).size === alternatives.length);
      assert.match(second.alternatives[0], /Hunde/);
      await page.locator('.word', {hasText: 'Leiter'}).first().click();
      const marks = page.locator('.source').first().locator('mark');
      await marks.first().waitFor();
      const strongest = await marks.evaluateAll((marks) =>
        marks.toSorted((a, b) => b.style.getPropertyValue('--strength') - a.style.getPropertyValue('--strength'))[0].textContent);
      assert.equal(strongest, 'ladder');
      await page.locator('.word', {hasText: 'Leiter'}).first().click(); // A second tap takes the marks away.
      await marks.first().waitFor({state: 'detached'});
      // The Tab key stops once at a line of words.
      const focused = () => page.evaluate(() => document.activeElement.textContent);
      await page.locator('textarea').focus();
      await page.keyboard.press('Tab');
      assert.equal(await focused(), 'Leiter'); // The word that was tapped last.
      await page.keyboard.press('ArrowLeft');
      assert.notEqual(await focused(), 'Leiter');
      await page.keyboard.press('Tab');
      assert.equal(await page.evaluate(() => document.activeElement.tagName), 'SUMMARY');
      assert.ok(await fits(page));

      await goTo(page, 'engine');
      assert.ok(await fits(page));
      assert.deepEqual(errors, []);
      await context.close();
    });
  }
}

describe('on one page, where no test depends on what another has written', () => {
  let page, context;
  before(async () => void ({page, context} = await openApp(browser, host.origin, {canHold: true})));
  after(() => context.close());

  test('writing is stopped, and starts again from another seed', async () => {
    await openScreen(page, 'write');
    const output = page.locator('.written span').nth(1);
    // The end is held back, so that there is time to press, however fast the device is.
    await page.evaluate(() => window.held.add('answers'));
    await page.getByRole('button', {name: 'Write', exact: true}).click();
    await output.filter({hasText: /\w/}).waitFor();
    await page.getByRole('button', {name: 'Stop'}).click();
    assert.equal((await page.evaluate(() => window.calls)).at(-1), 'cancelPending'); // What the worker does then: generate.test.mjs.
    await page.evaluate(() => window.release());
    await page.locator('section[aria-busy=false]').waitFor();
    const first = await output.textContent();
    await page.getByRole('button', {name: 'Another seed'}).click();
    assert.notEqual(await page.getByLabel('Seed').inputValue(), '1');
    assert.equal(await output.textContent(), first);
    await page.getByRole('button', {name: 'Write', exact: true}).click();
    await page.locator('section[aria-busy=false]').waitFor();
    assert.notEqual(await output.textContent(), first);
  });

  test('seeds as Python takes them, and no others', async () => {
    await openScreen(page, 'write');
    for (const seed of ['-5', '1.5', '1e5', '', '18446744073709551616', 'abc']) {
      await page.getByLabel('Seed').fill(seed);
      await page.locator('[role=alert]', {hasText: 'A seed is a whole number from 0 to 18446744073709551615'}).waitFor();
      assert.ok(await page.getByRole('button', {name: 'Write', exact: true}).isDisabled());
    }
    const texts = [];
    for (const seed of ['0', '4294967296', '18446744073709551615']) {
      texts.push(await writeText(page, {prompt: 'ROMEO:', seed, temperature: 1, length: 30}));
    }
    assert.equal(new Set(texts).size, 3);
  });

  test('texts of any length: the page names the bytes that were not read', async () => {
    const long = 'A wonderful film that nobody should miss. '.repeat(1_500);
    await openScreen(page, 'sentiment');
    await page.locator('textarea').fill(long);
    await page.getByText(/The last \d+ bytes were not read/).waitFor();
    await page.locator('.tinted mark').first().waitFor();
    await page.locator('textarea').fill('');
    await page.locator('.verdict').waitFor({state: 'detached'});
    await openScreen(page, 'write');
    await writeText(page, {prompt: long, seed: 1, temperature: 0, length: 5});
    await page.getByText(/The first \d+ bytes of the beginning were not read/).waitFor();
    await openScreen(page, 'translate');
    const [{source}] = await translateText(page, 'dog '.repeat(10_000), 1);
    assert.ok(source.length < 810);
    const unread = 4 * 10_000 - 1 - Buffer.byteLength(source);
    await page.getByText(`The last ${unread} bytes were not read`).waitFor();
    await page.locator('textarea').fill('Two dogs run. '.repeat(130));
    await page.getByRole('button', {name: 'Translate the other 80 sentences, too'}).click();
    await page.getByRole('button', {name: 'Translate the other 30 sentences, too'}).waitFor();
  });
});

test('the controls of Write start with the defaults of the manifest', async () => {
  const manifest = await readManifest('shakespeare');
  manifest.entry.defaults.temperature = 0.35;
  host.overrides.set('/models/shakespeare/manifest.json', JSON.stringify(manifest));
  const {page, context} = await openApp(browser, host.origin);
  await openScreen(page, 'write');
  assert.equal(await page.getByLabel('Temperature').inputValue(), '0.35');
  assert.equal(await page.getByLabel('Tokens').inputValue(), String(manifest.limits.max_new_tokens));
  await context.close();
  host.overrides.clear();
});

test('a draft is still there on another screen, and in another runtime', async () => {
  const {page, context} = await openApp(browser, host.origin);
  await openScreen(page, 'sentiment');
  await page.locator('textarea').fill('A wonderful film.');
  await page.locator('.verdict').waitFor();
  await goTo(page, 'engine');
  await page.getByLabel('ONNX Runtime').check();
  await openScreen(page, 'sentiment');
  assert.equal(await page.locator('textarea').inputValue(), 'A wonderful film.');
  await page.locator('.verdict', {hasText: 'positive'}).waitFor();
  await context.close();
});

test('odd addresses and odd choices', async () => {
  const {page, context, errors} = await openApp(browser, host.origin, {choices: {language: 'fr', bundleByTask: null, threads: 'x', engine: 'y'}});
  for (const name of ['constructor', 'toString', '__proto__']) {
    await page.goto(`${host.origin}/#/${name}`);
    await page.reload();
    assert.equal(await page.locator('h1').textContent(), 'Sentiment');
  }
  await openScreen(page, 'sentiment');
  assert.deepEqual(errors, []);
  await context.close();
});

test('back and forward, rotation, and a screen by its address', async () => {
  const {page, context} = await openApp(browser, host.origin, {path: '/#/translate'});
  const titled = (title) => page.locator('h1', {hasText: title}).waitFor();
  await titled('Translate');
  await goTo(page, 'write');
  await goTo(page, 'engine');
  await page.goBack();
  await titled('Write');
  await page.goForward();
  await titled('Engine');
  await openScreen(page, 'translate');
  await translateText(page, 'A man is sleeping.', 1);
  await page.setViewportSize({width: 839, height: 412});
  assert.match(await page.locator('.target').first().textContent(), /schläft/);
  assert.ok(await fits(page));
  await page.goto(`${host.origin}/#/nowhere`);
  await titled('Sentiment');
  await context.close();
});

test('the engine is chosen, also during a measurement, measured and shared', async () => {
  const {page, context} = await openApp(browser, host.origin, {path: '/#/engine', permissions: ['clipboard-read', 'clipboard-write']});
  await page.evaluate(() => Object.defineProperty(navigator, 'share', {value: undefined}));
  await page.getByRole('button', {name: 'Measure'}).click();
  await page.getByText('Measuring').waitFor();
  await page.getByLabel('ONNX Runtime').check();
  await page.getByText('Measuring').waitFor({state: 'detached'});
  await page.getByRole('button', {name: 'Measure', disabled: false}).click();
  await page.locator('dl').nth(2).waitFor();
  await page.getByRole('button', {name: 'Share as JSON'}).waitFor();
  // A quick user presses in the moment of the change, before anything is painted.
  const isDisabled = await page.evaluate(async () => {
    document.querySelector('[name=engine]').click(); // LiteRT; performance.test.mjs measures it with one thread.
    for (let i = 0; i < 9; i++) await null;
    return [...document.querySelectorAll('button')].find(({textContent}) => textContent === 'Measure').disabled;
  });
  assert.ok(isDisabled);
  await page.getByRole('button', {name: 'Measure', disabled: false}).waitFor();
  await page.locator('[type=range]').fill('2'); // Threads, in another worker.
  await page.getByRole('button', {name: 'Measure'}).click();
  await page.locator('dl').nth(2).waitFor();
  await page.getByRole('button', {name: 'Measure', disabled: false}).waitFor();
  await page.getByRole('button', {name: 'Share as JSON'}).click();
  await page.getByText('Copied.').waitFor();
  const {results} = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
  assert.deepEqual(results.map(({name}) => name), ['en-de', 'sentiment', 'shakespeare']);
  for (const {threads, engine, loadMs, firstMs, medianMs, bytes, memory} of results) {
    assert.equal(threads, 2);
    assert.equal(engine, 'litert');
    assert.ok(loadMs > 0 && firstMs > 0 && medianMs > 0 && bytes > 1e6 && memory > 1e6);
  }
  const [, sentiment, shakespeare] = results;
  assert.deepEqual([sentiment.tokens, sentiment.tokensPerSecond], [null, null]);
  assert.equal(shakespeare.tokens, 200);
  assert.ok(shakespeare.tokensPerSecond > 0);
  assert.equal(await page.locator('.chart .bar').count(), 3);
  await context.close();
});

test('without the headers that threads need: one thread, and the page says so', async () => {
  const plain = await startHost({isolated: false});
  const {page, context} = await openApp(browser, plain.origin, {path: '/#/engine', choices: {threads: 4}});
  for (const engine of ['LiteRT (TFLite)', 'ONNX Runtime']) {
    await page.getByLabel(engine).check();
    await page.getByText('One thread: this page is not served with the headers').waitFor();
    await openScreen(page, 'sentiment');
    await page.locator('textarea').fill('A wonderful film.');
    await page.locator('.verdict', {hasText: 'positive'}).waitFor();
    await goTo(page, 'engine');
  }
  await context.close();
  await plain.close();
});

test('in Chinese', async () => {
  const {page, context} = await openApp(browser, host.origin, {locale: 'zh-CN'});
  assert.equal(await page.locator('h1').textContent(), '情感');
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh');
  await openScreen(page, 'sentiment');
  await goTo(page, 'engine');
  await page.getByLabel('语言').selectOption('en');
  assert.equal(await page.locator('h1').textContent(), 'Engine');
  await page.reload();
  assert.equal(await page.locator('h1').textContent(), 'Engine'); // The choice is kept.
  await context.close();
});

test('by keyboard alone', async () => {
  const {page, context} = await openApp(browser, host.origin);
  await page.getByRole('button', {name: 'Load the model'}).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.tagName);
  await page.keyboard.press('Tab');
  assert.match(await focused(), /^Load the model/);
  await page.keyboard.press('Enter');
  await page.locator('textarea').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TEXTAREA'); // The user can write at once.
  await page.keyboard.type('A wonderful film.');
  await page.locator('.verdict').waitFor();
  const order = [];
  for (let i = 0; i < 4; i++) {
    await page.keyboard.press('Tab');
    order.push(await focused());
  }
  assert.deepEqual(order, ['Sentiment', 'Write', 'Translate', 'Engine']);
  await page.keyboard.press('Enter');
  await page.locator('h1', {hasText: 'Engine'}).waitFor();
  await context.close();
});

test('every control has a name, and text has contrast, in light and dark, at 200 %', async () => {
  const {page, context} = await openApp(browser, host.origin, {reducedMotion: 'reduce'});
  await page.addStyleTag({content: ':root { font-size: 200% !important; }'});
  for (const screen of ['sentiment', 'write', 'translate', 'engine']) {
    if (screen === 'engine') await goTo(page, 'engine');
    else await openScreen(page, screen);
    if (screen === 'sentiment') await page.locator('textarea').fill('A wonderful film, and a terrible end.');
    if (screen === 'sentiment') await page.locator('.tinted mark').first().waitFor();
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({colorScheme});
      const problems = await page.evaluate(audit);
      assert.deepEqual(problems, {unnamed: [], faint: [], small: []}, `${screen}, ${colorScheme}`);
      assert.ok(await fits(page), `${screen} is wider than the phone at 200 %`);
    }
  }
  await context.close();
});

/** Returns the controls without a name, the texts with a contrast below 4.5 : 1, and the controls too small for a thumb. */
function audit() {
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(colour(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, [r, g, b, a = 1]) => below.map((c, i) => c + ([r, g, b][i] - c) * a), [255, 255, 255]);
  };
  const isShown = (element) => element.getClientRects().length > 0;
  const unnamed = [], faint = [], small = [];
  for (const element of document.querySelectorAll('button, a, input, textarea, select, meter, progress')) {
    if (!isShown(element)) continue;
    const name = element.ariaLabel || element.textContent.trim() || element.labels?.[0]?.textContent.trim();
    if (!name) unnamed.push(element.outerHTML.slice(0, 80));
    const {height} = (element.type === 'file' || element.type === 'radio' ? element.labels[0] : element).getBoundingClientRect();
    if (!['METER', 'PROGRESS'].includes(element.tagName) && !element.matches('.word') && height < 44) small.push(element.outerHTML.slice(0, 80));
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !isShown(element) || element.closest('script, style, option, :disabled')) continue;
    const [a, b] = [luminance(colour(getComputedStyle(element).color)), luminance(behind(element))];
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) faint.push(walker.currentNode.data.slice(0, 40));
  }
  return {unnamed, faint, small};
}
