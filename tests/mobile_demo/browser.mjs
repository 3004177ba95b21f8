// Starts one Chromium for all test files; prints the address that app.mjs connects to, and ends with its input.
import {require} from './source.mjs';

const {chromium} = require('playwright-core');

const server = await chromium.launchServer({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--enable-blink-features=ForceEagerMeasureMemory'],
});
console.log(server.wsEndpoint());
process.stdin.on('end', () => server.close()).resume();
