import {chromium} from 'playwright-core';

// Calls `use` with a new page of Chromium; what goes wrong in the page is written to standard error.
export async function withPage(use) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(String(error)));
    await use(page);
  } finally {
    await browser.close();
  }
}
