// Runs files of bundles in Chromium: node run.mjs REQUESTS.json
// A request is {format, file, signature, inputs, weights}; `weights` is the file with the weights of an
// ONNX file, or null. Prints a list of answers as JSON, each {outputs} or {error}.
import {createReadStream, readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {dirname, extname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

import {withPage} from './browser.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const types = {'.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript',
  '.wasm': 'application/wasm'};
const requests = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
  const [, kind, i] = path.split('/');
  const file = ['file', 'weights'].includes(kind) ? requests[Number(i)][kind] : join(here, path);
  response.setHeader('Content-Type', types[extname(file)] ?? 'application/octet-stream');
  createReadStream(file).on('error', () => response.writeHead(404).end()).pipe(response);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

try {
  await withPage(async (page) => {
    await page.goto(`${origin}/page.html`);
    await page.waitForFunction(() => window.loaded);
    const answers = [];
    for (const [i, {format, signature, inputs, weights}] of requests.entries()) {
      answers.push(await page.evaluate(
        ([format, url, signature, inputs, weights]) => window[format](url, signature, inputs, weights)
          .then((outputs) => ({outputs}), (error) => ({error: String(error)})),
        [format, `${origin}/file/${i}`, signature, inputs, weights && `${origin}/weights/${i}`],
      ));
    }
    console.log(JSON.stringify(answers));
  });
} finally {
  server.close();
}
