// A lossd and a browser that shows its playground, for tests.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const binary = process.env.LOSSD_BINARY;
if (!binary) throw new Error('LOSSD_BINARY is not set, want the path of lossd');

/** Starts lossd; resolves to {origin, stop} once it serves HTTP. */
export async function startServer() {
  const child = spawn(binary, ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const [, address] = /^http listening on (\S+)/.exec(line) ?? [];
    if (address === undefined) continue;
    return {
      origin: `http://${address}`,
      async stop() {
        child.kill('SIGTERM');
        await exited;
      },
    };
  }
  throw new Error('lossd ended before it listened');
}

/** Debian's Chromium, which asks nobody else for anything. */
export const launchBrowser = () => chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

/**
 * Opens the playground at `hash`. Fails the test for an error on the page, and for a request to anywhere else.
 * @param {import('playwright-core').Browser} browser
 */
export async function openPage(browser, origin, hash = '', options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`)) wrong.push(`request to ${request.url()}`);
  });
  // What the content security policy refuses is told there. An answer of 400 is, too.
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('status of 400')) wrong.push(message.text());
  });
  await page.goto(`${origin}/${hash}`);
  await settled(page);
  return { page, async close() {
    await context.close();
    assert.deepEqual(wrong, []);
  } };
}

/** Waits until the page shows the answer to what it asked last. */
export const settled = (page) => page.locator('#main[aria-busy="false"]').waitFor();

/** What the service itself says to a request. */
export async function ask(origin, request) {
  const response = await fetch(`${origin}/v1/loss:compute`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request),
  });
  return response.json();
}

/** The numbers that the page shows, to their last bit. */
export const shownLoss = async (page) => Number(await page.locator('#loss').getAttribute('data-exact'));
export const shownColumn = (page, column) => page.locator(`#classes .cell.${column} data`)
  .evaluateAll((cells) => cells.map((cell) => Number(cell.dataset.exact)));
