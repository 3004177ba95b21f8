// Takes the pictures of README.md from the built app: every screen, light and dark.
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';

import {chromium} from 'playwright-core';
import {preview} from 'vite';

import {demo} from './python.mjs';

const SIZE = {width: 360, height: 720};

const server = await preview({root: demo, preview: {port: 0, host: '127.0.0.1'}, logLevel: 'silent'});
const browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox']});
mkdirSync(join(demo, 'pictures'), {recursive: true});
for (const colorScheme of ['light', 'dark']) {
  const context = await browser.newContext({viewport: SIZE, colorScheme, deviceScaleFactor: 1.5, locale: 'en-GB', reducedMotion: 'reduce'});
  const page = await context.newPage();
  await page.goto(server.resolvedUrls.local[0]);
  const shots = [];
  const shoot = async () => {
    await page.evaluate(() => document.activeElement.blur());
    shots.push((await page.screenshot()).toString('base64'));
  };
  const open = async (screen) => {
    await page.locator(`nav a[href="#/${screen}"]`).click();
    await page.locator(`nav a[href="#/${screen}"][aria-current=page]`).waitFor();
    await page.getByRole('button', {name: 'Load the model'}).click();
    await page.locator('textarea').waitFor();
  };

  await open('sentiment');
  await page.locator('textarea').fill('A wonderful film, warm and funny, but the ending was a terrible bore.');
  await page.locator('.tinted mark').nth(3).waitFor();
  await shoot();

  await open('write');
  await page.getByRole('button', {name: 'Write', exact: true}).click();
  await page.locator('section[aria-busy=false]').waitFor();
  await page.locator('.written').scrollIntoViewIfNeeded();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await shoot();

  await open('translate');
  await page.locator('textarea').fill('A man in a blue shirt is standing on a ladder. Two dogs are running in the snow.');
  await page.locator('.sentence').nth(1).waitFor();
  await page.locator('summary').first().click();
  await page.locator('.word', {hasText: 'Leiter'}).first().click();
  await page.locator('.source mark').first().waitFor();
  await shoot();

  await page.locator('nav a[href="#/engine"]').click();
  await page.getByRole('button', {name: 'Measure'}).click();
  await page.getByRole('button', {name: 'Share as JSON'}).waitFor();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await shoot();
  await context.close();

  const sheet = await browser.newPage({viewport: {width: 4 * SIZE.width + 60, height: SIZE.height}, deviceScaleFactor: 0.75});
  const images = shots.map((shot) => `<img src="data:image/png;base64,${shot}" width="${SIZE.width}">`);
  await sheet.setContent(`<body style="margin:0;display:flex;gap:20px;background:#888">${images.join('')}`);
  await sheet.screenshot({path: join(demo, 'pictures', `${colorScheme}.jpg`), type: 'jpeg', quality: 80});
}
await browser.close();
await server.close();
