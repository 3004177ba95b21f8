// A task is one screen file and its words: a copy of the app gets those of the task "toy", and no other change.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, test} from 'node:test';

import {BUILT, ENGINES, goTo, openApp, openScreen, readManifest, startBrowser, startHost} from './app.mjs';
import {DEMO, require} from './source.mjs';

const SCREEN = `
import {useEffect, useState} from 'preact/hooks';

import type {ModelProps, Screen} from '../components/screen';
import {useTranslation} from '../i18n';

function Toy({backend, bundle}: ModelProps) {
  const t = useTranslation();
  const [text, setText] = useState('');
  const [answer, setAnswer] = useState('');
  useEffect(() => {
    void backend.run(bundle.name, {text}).then(({probabilities}) => setAnswer(Array.from(probabilities!, (p) => p.toFixed(4)).join(' ')));
  }, [text, backend, bundle.name]);
  return <><textarea value={text} onInput={(event) => setText(event.currentTarget.value)} /><p class="toy">{t('toyAnswer', {answer})}</p></>;
}

export const screen: Screen = {name: 'toy', task: 'toy', taskLabel: 'plays', position: 4, icon: 'M4 4h16v16H4z', Content: Toy};
`;
const WORDS = {
  en: {toy: 'Toy', toyAnswer: 'Toy says {answer}', plays: 'plays'},
  zh: {toy: '玩具', toyAnswer: '玩具：{answer}', plays: '玩'},
};

const folder = mkdtempSync(join(tmpdir(), 'toy-'));
after(() => rmSync(folder, {recursive: true}));

/** Copies the app, and adds the screen, its words and a bundle of the task. */
async function makeSource() {
  for (const name of ['src', 'plugins', 'index.html', 'vite.config.ts', 'package.json', 'tsconfig.json', 'public/icons']) {
    cpSync(join(DEMO, name), join(folder, name), {recursive: true});
  }
  symlinkSync(join(DEMO, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'src/screens/toy.tsx'), SCREEN);
  for (const [language, words] of Object.entries(WORDS)) {
    const path = join(folder, `src/i18n/${language}.ts`);
    const lines = Object.entries(words).map(([key, text]) => `  ${key}: ${JSON.stringify(text)},\n`).join('');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/\n};/, `\n${lines}};`));
  }
  const bundle = join(folder, 'public/models/toy');
  mkdirSync(bundle, {recursive: true});
  cpSync(join(BUILT, 'models/sentiment'), bundle, {recursive: true});
  const {sha256: _, ...manifest} = await readManifest('sentiment');
  const toy = {...manifest, task: 'toy'};
  const sha256 = createHash('sha256').update(JSON.stringify(toy)).digest('hex');
  writeFileSync(join(bundle, 'manifest.json'), JSON.stringify({...toy, sha256}));
}

test('a screen file and its words are all that a task needs', async () => {
  await makeSource();
  execFileSync(join(DEMO, 'node_modules/.bin/tsc'), ['--noEmit'], {cwd: folder, stdio: 'inherit'});
  const {build} = await import(require.resolve('vite'));
  await build({root: folder, configFile: join(folder, 'vite.config.ts'), logLevel: 'error'});
  const [host, browser] = await Promise.all([startHost({folder: join(folder, 'dist')}), startBrowser()]);
  after(() => host.close());
  for (const engine of ENGINES) {
    const {page, context, errors} = await openApp(browser, host.origin, {path: '/#/toy', choices: {engine}, serviceWorkers: 'block'});
    await page.locator('h1', {hasText: 'Toy'}).waitFor();
    await openScreen(page, 'toy');
    const answer = page.locator('.toy', {hasText: /^Toy says 0\.\d{4} 0\.\d{4}$/});
    await answer.waitFor();
    const ofNothing = await answer.textContent();
    await page.locator('textarea').fill('A wonderful film: warm, funny, and over far too soon.');
    await answer.and(page.locator('.toy', {hasNotText: ofNothing})).waitFor();
    assert.match(await answer.textContent(), /^Toy says 0\.[0-4]\d+ 0\.[5-9]\d+$/); // Negative, positive.
    await goTo(page, 'engine');
    await page.locator('.bundles li', {hasText: 'plays · lstm'}).waitFor();
    await page.getByRole('button', {name: 'Measure'}).click();
    await page.getByRole('button', {name: 'Share as JSON'}).waitFor();
    assert.deepEqual(await page.locator('dl dt').first().textContent(), 'toy');
    assert.deepEqual(errors, []);
    await context.close();
  }
});
