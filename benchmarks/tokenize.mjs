// Token ids by Hugging Face's JavaScript library: node tokenize.mjs PACKAGE TOKENIZER.json
// Reads a JSON list of texts a line, prints a JSON list of their ids a line.
import {readFileSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {pathToFileURL} from 'node:url';

const {Tokenizer} = await import(pathToFileURL(process.argv[2]));
const tokenizer = new Tokenizer(JSON.parse(readFileSync(process.argv[3], 'utf8')), {});
for await (const line of createInterface({input: process.stdin, crlfDelay: Infinity})) {
  const ids = JSON.parse(line).map((text) => Array.from(tokenizer.encode(text).ids, Number));
  console.log(JSON.stringify(ids));
}
