// Uses a page in Chromium: node press.mjs URL RANDOM STEPS
// STEPS is a JSON list of [text, id]: what <input> holds when the button `id` is pressed. Prints, as a JSON list, what
// <pre> shows after each. Math.random() is RANDOM.
import {withPage} from './browser.mjs';

const [url, random, steps] = process.argv.slice(2);
await withPage(async (page) => {
  await page.addInitScript((value) => { Math.random = () => value; }, Number(random));
  await page.goto(url);
  const changed = (before) => page.waitForFunction((old) => document.querySelector('pre').textContent !== old, before);
  await changed(''); // The page says that it is ready.
  const answers = [];
  for (const [text, id] of JSON.parse(steps)) {
    const before = await page.textContent('pre');
    await page.fill('input', text);
    await page.click(`#${id}`);
    await changed(before);
    answers.push(await page.textContent('pre'));
  }
  console.log(JSON.stringify(answers));
});
