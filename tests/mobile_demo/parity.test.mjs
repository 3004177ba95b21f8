// What the app answers is what Python answers: 200 inputs a task, each engine, each precision.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';

import {ENGINES, open, opened, phone, sentiment, translate, write} from './app.mjs';

const expected = JSON.parse(readFileSync(process.env.EXPECTED, 'utf8'));
const SENTENCES = 50; // As many as the screen translates at first.
const {host, chromium} = await opened();

const wanted = Object.entries(expected.formats).map(([engine, precisions]) => [engine, precisions]);
assert.deepEqual(wanted.map(([engine]) => engine).sort(), [...ENGINES].sort());

for (const [engine, precisions] of wanted) {
  for (const precision of precisions) {
    const started = () => phone(chromium, host.origin, {choices: {engine, precision}});

    test(`sentiment, ${engine} ${precision}`, async () => {
      const {page, context} = await started();
      await open(page, 'sentiment');
      let largest = 0;
      for (const {text, probabilities} of expected.sentiment) {
        await page.locator('textarea').fill(text);
        const isShown = ({probabilities}) => {
          const meters = [...document.querySelectorAll('meter')];
          return meters.length > 0 && meters.every((meter, i) => Math.abs(meter.value - probabilities[i]) <= 1e-4);
        };
        await page.waitForFunction(isShown, {probabilities}, {timeout: 10_000, polling: 5}).catch(() => undefined);
        const found = await sentiment(page, text);
        found.forEach((p, i) => (largest = Math.max(largest, Math.abs(p - probabilities[i]))));
      }
      assert.ok(largest <= 1e-4, `probabilities differ by ${largest}`);
      await context.close();
    });

    test(`write, ${engine} ${precision}`, async () => {
      const {page, context} = await started();
      await open(page, 'write');
      for (const one of expected.write) assert.equal(await write(page, one), one.text, JSON.stringify(one));
      await context.close();
    });

    test(`translate, ${engine} ${precision}`, async () => {
      const {page, context} = await started();
      await open(page, 'translate');
      for (let start = 0; start < expected.translate.length; start += SENTENCES) {
        const some = expected.translate.slice(start, start + SENTENCES);
        // A line is a sentence of its own, whatever it holds.
        const found = await translate(page, some.map(({source}) => source).join('\n'), some.length);
        assert.deepEqual(found, some);
      }
      await context.close();
    });
  }
}
