// The app answers what Python answers: a fifth of the inputs of a task through the screens, and all of them through the worker.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {after, before, describe, test} from 'node:test';

import {callWorker, ENGINES, openApp, openScreen, startAll, translateText, writeText} from './app.mjs';

const expected = JSON.parse(readFileSync(process.env.EXPECTED, 'utf8'));
const ON_SCREEN = Math.floor(expected.write.length / 5);
const TOLERANCE = 1e-4;
const {host, browser} = await startAll();

for (const engine of ENGINES) {
  describe(engine, () => {
    let page, context;
    before(async () => void ({page, context} = await openApp(browser, host.origin, {choices: {engine}})));
    after(() => context.close());

    test('sentiment', async () => {
      await openScreen(page, 'sentiment');
      for (const {text, probabilities} of expected.sentiment.slice(0, ON_SCREEN)) {
        await page.locator('textarea').fill(text);
        await page.waitForFunction(({probabilities, tolerance}) => {
          const meters = [...document.querySelectorAll('meter')];
          return meters.length > 0 && meters.every((meter, i) => Math.abs(meter.value - probabilities[i]) <= tolerance);
        }, {probabilities, tolerance: TOLERANCE}, {polling: 'raf'});
      }
      const answers = await callWorker({page, host, engine, tasks: ['classify', 'generate', 'translate']}, async (backend, proxy, texts) => {
        const answers = [];
        for (const text of texts) answers.push((await backend.call('sentiment', 'classify', text)).probabilities);
        return answers;
      }, expected.sentiment.map(({text}) => text));
      for (const [i, {text, probabilities}] of expected.sentiment.entries()) {
        const difference = Math.max(...probabilities.map((probability, k) => Math.abs(probability - answers[i][k])));
        assert.ok(difference <= TOLERANCE, `the probabilities differ by ${difference}: ${text}`);
      }
    });

    test('write', async () => {
      await openScreen(page, 'write');
      for (const {text, ...inputs} of expected.write.slice(0, ON_SCREEN)) {
        assert.equal(await writeText(page, inputs), text, JSON.stringify(inputs));
      }
      const answers = await callWorker({page, host, engine, tasks: ['classify', 'generate', 'translate']}, async (backend, proxy, cases) => {
        const answers = [];
        for (const {prompt, seed, temperature, length} of cases) {
          let text = '';
          const sampling = {temperature, top_k: 0, top_p: 1, seed: String(seed), max_new_tokens: length};
          await backend.call('shakespeare', 'generate', prompt, sampling, proxy((part) => void (text += part)));
          answers.push(text);
        }
        return answers;
      }, expected.write);
      assert.deepEqual(answers, expected.write.map(({text}) => text));
    });

    test('translate', async () => {
      await openScreen(page, 'translate');
      const onScreen = expected.translate.slice(0, ON_SCREEN);
      // Each line is a sentence of its own, whatever it holds.
      assert.deepEqual(await translateText(page, onScreen.map(({source}) => source).join('\n'), onScreen.length), onScreen);
      const answers = await callWorker({page, host, engine, tasks: ['classify', 'generate', 'translate']}, async (backend, proxy, sources) => {
        const answers = [];
        const onTranslation = ({source, alternatives}) => void answers.push({source, alternatives: alternatives.map(({text}) => text)});
        await backend.call('en-de', 'translate', sources.join('\n'), sources.length, proxy(onTranslation));
        return answers;
      }, expected.translate.map(({source}) => source));
      assert.deepEqual(answers, expected.translate);
    });
  });
}
