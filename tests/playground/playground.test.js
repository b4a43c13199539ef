import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ask, launchBrowser, openPage, settled, shownColumn, shownLoss, startServer } from './page.js';

let server;
let browser;
before(async () => {
  server = await startServer();
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

/** A test on a page opened at `hash`. */
const onPage = (name, hash, body, options) => test(name, async () => {
  const { page, close } = await openPage(browser, server.origin, hash, options);
  await body(page);
  await close();
});

const pathOf = (name) => fileURLToPath(new URL(name, import.meta.url));

onPage('what is shown at first is what the service says', '', async (page) => {
  const said = await ask(server.origin, {
    logits: [[2, 1, 0.1]], labels: [0], outputs: ['OUTPUT_LOSS', 'OUTPUT_GRADIENT', 'OUTPUT_PROBABILITIES'],
  });
  assert.equal(await shownLoss(page), said.loss);
  assert.deepEqual(await shownColumn(page, 'gradient'), said.gradient.values[0]);
  assert.deepEqual(await shownColumn(page, 'probability'), said.probabilities.values[0]);
  const info = await (await fetch(`${server.origin}/v1/serverInfo`)).json();
  assert.match(await page.locator('#server').textContent(), new RegExp(`lossd ${info.version} · ${info.kernel} kernel`));
});

onPage('the derivation has the numbers of the sample, as MathML', '', async (page) => {
  const text = (await page.locator('#panel').textContent()).replace(/\s|\u2061/g, '');
  assert.match(text, /=2\.41703−2=0\.41703/);
  assert.match(text, /=0\.659001−1=−0\.340999/);
  assert.ok(await page.locator('#panel math mfrac').count() > 3);
});

onPage('a logit that is dragged changes the loss', '', async (page) => {
  const slider = page.locator('#classes input[type=range]').nth(1);
  const box = await slider.boundingBox();
  await page.mouse.move(box.x + box.width * 0.55, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + box.height / 2, { steps: 10 });
  await page.mouse.up();
  await settled(page);
  const logit = Number(await slider.inputValue());
  assert.ok(logit > 7, `dragged to ${logit}`);
  assert.equal(await page.getByLabel('logit of class 1, typed').inputValue(), String(logit));
  const said = await ask(server.origin, { logits: [[2, logit, 0.1]], labels: [0] });
  assert.equal(await shownLoss(page), said.loss);
});

onPage('answers are shown while a logit is dragged, however slow they are', '', async (page) => {
  // Every answer waits until the logit has been moved again.
  let isSlow = true;
  let release = () => {};
  await page.route('**/v1/loss:compute', async (route) => {
    if (isSlow) await new Promise((resolve) => { release = resolve; });
    await route.continue();
  });
  const asked = () => page.waitForRequest('**/v1/loss:compute');
  const slider = page.locator('#classes input[type=range]').first();
  const first = asked();
  await slider.fill('3');
  await first;
  await slider.fill('4');
  const second = asked();
  release();
  await second;
  const said = await ask(server.origin, { logits: [[3, 1, 0.1]], labels: [0] });
  assert.equal(await shownLoss(page), said.loss);
  isSlow = false;
  release();
  await settled(page);
  assert.equal(await shownLoss(page), (await ask(server.origin, { logits: [[4, 1, 0.1]], labels: [0] })).loss);
});

onPage('all of it works by keyboard alone', '', async (page) => {
  const focusOn = async (locator) => {
    for (let presses = 0; presses < 60; ++presses) {
      if (await locator.evaluate((element) => element === document.activeElement)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail('not reached by Tab');
  };
  await focusOn(page.locator('#loss-kind'));
  await page.keyboard.type('Huber');
  await settled(page);
  await focusOn(page.locator('#classes input[type=range]').first());
  for (let presses = 0; presses < 5; ++presses) await page.keyboard.press('ArrowRight');
  await settled(page);
  const said = await ask(server.origin, {
    loss: { huber: {} }, logits: [[2.05, 1, 0.1]], labels: { dataType: 'DATA_TYPE_FLOAT32', values: [[1, 0, 0]] },
  });
  assert.equal(await shownLoss(page), said.loss);
  await focusOn(page.locator('[role=tab][aria-selected=true]'));
  await page.keyboard.press('ArrowRight');
  await settled(page);
  assert.match(await page.locator('#verdict').textContent(), /The gradient is the derivative/);
});

const LOSSES = {
  softmax_cross_entropy: 'y=0&label_smoothing=0.1&class_weights=1,2,0.5&z_loss=0.01&logit_scale=2&logit_softcap=30',
  sigmoid_cross_entropy: 't=1,0,1&positive_weights=2,1,1&label_smoothing=0.1',
  negative_log_likelihood: 'y=2&class_weights=1,2,0.5',
  kl_divergence: 't=1,0.5,-1&temperature=2&targets_are_logits=on',
  softmax_focal: 'y=1&gamma=1.5',
  sigmoid_focal: 't=1,0,0&gamma=2&alpha=0.25',
  multiclass_hinge: 'y=1&margin=0.5&power=2',
  squared_error: 't=1,2,3',
  huber: 't=1,2,3&delta=0.5',
};
for (const [name, words] of Object.entries(LOSSES)) {
  onPage(`${name}: its gradient is the derivative, in the formulas, the check and the curve`,
    `#loss=${name}&z=2,1,0.1&${words}&type=float64&view=check`, async (page) => {
      assert.match(await page.locator('#verdict').textContent(), /The gradient is the derivative/);
      const key = await page.locator('#loss-kind').inputValue();
      assert.equal(key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), name);
      await page.locator('#tab-derivation').click();
      await settled(page);
      assert.ok(await page.locator('#panel math').count() > 0);
      await page.locator('#tab-curve').click();
      await settled(page);
      assert.equal(await page.locator('#panel .line-chart .curve').count(), 2);
      assert.ok(Number.isFinite(await shownLoss(page)));
    });
}

onPage('targets of softmax cross-entropy are probabilities', '#z=2,1,0.1&t=0.5,0.25,0.25', async (page) => {
  const said = await ask(server.origin, {
    logits: [[2, 1, 0.1]], labels: { dataType: 'DATA_TYPE_FLOAT32', values: [[0.5, 0.25, 0.25]] },
  });
  assert.equal(await shownLoss(page), said.loss);
  assert.deepEqual(await shownColumn(page, 'gradient'), said.gradient.values[0]);
});

onPage('an error of the service is readable and its field is marked', '', async (page) => {
  await page.locator('#option-labelSmoothing').fill('1.5');
  await settled(page);
  assert.match(await page.locator('#error').textContent(), /label_smoothing = 1\.5, want \[0, 1\]/);
  assert.equal(await page.locator('#option-labelSmoothing').getAttribute('aria-invalid'), 'true');
  assert.equal(await page.locator('#loss').textContent(), '—');
  assert.equal(await page.locator('.cell.gradient data').first().isVisible(), false);
  await page.locator('#option-labelSmoothing').fill('0.5');
  await settled(page);
  assert.equal(await page.locator('#error').isVisible(), false);
  assert.equal(await page.locator('#option-labelSmoothing').getAttribute('aria-invalid'), 'false');
  assert.ok(Number.isFinite(await shownLoss(page)));
});

onPage('a logit that is no number is marked and not sent; a NaN is refused by the service', '', async (page) => {
  const loss = await shownLoss(page);
  const field = page.getByLabel('logit of class 0, typed');
  await field.fill('2..5');
  await settled(page);
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  assert.equal(await shownLoss(page), loss);
  await field.fill('nan');
  await settled(page);
  assert.match(await page.locator('#error').textContent(), /logits.*(nan|NaN)/);
});

onPage('a mask of -inf has probability 0', '', async (page) => {
  await page.getByLabel('logit of class 2, typed').fill('-inf');
  await settled(page);
  assert.equal((await shownColumn(page, 'probability'))[2], 0);
  assert.equal((await shownColumn(page, 'gradient'))[2], 0);
});

onPage('a batch as CSV: its loss, its rows, and any of them to look at', '', async (page) => {
  await page.locator('summary').click();
  await page.locator('#csv').fill('2, 1, 0.1, 0\n0, 3, 0, 1\n\n1; 1; 1; 0\n');
  await settled(page);
  const request = { logits: [[2, 1, 0.1], [0, 3, 0], [1, 1, 1]], labels: [0, 1, 0] };
  const said = await ask(server.origin, request);
  assert.equal(await shownLoss(page), said.loss);
  assert.equal(await page.locator('#loss-note').textContent(), 'the mean of 3 of 3 samples, 3 predicted right');
  await page.getByRole('button', { name: 'show sample 2' }).click();
  await settled(page);
  assert.deepEqual(await shownColumn(page, 'gradient'), said.gradient.values[1]);
  assert.equal(await page.locator('#sample-title').textContent(), 'Sample 2 of 3');
  await page.locator('#csv').fill('1, 2, 0\n1, 2, 3, 0');
  assert.equal(await page.locator('#csv-error').textContent(), 'line 2 has 3 logits, want 2 as the first one');
  await page.locator('#csv').fill('1, x, 0');
  assert.equal(await page.locator('#csv-error').textContent(), 'line 1: “x” is no number');
});

onPage('a label out of range is refused by name', '', async (page) => {
  await page.locator('summary').click();
  await page.locator('#csv').fill('2, 1, 0.1, 3');
  await settled(page);
  assert.match(await page.locator('#error').textContent(), /labels\[0\] = 3, want \[0, 3\)/);
});

onPage('classes are added, removed and pasted', '', async (page) => {
  await page.locator('#add-class').click();
  await settled(page);
  assert.equal((await shownColumn(page, 'gradient')).length, 4);
  await page.locator('#remove-class').click();
  await page.locator('#remove-class').click();
  await page.locator('#remove-class').click();
  await settled(page);
  assert.equal(await page.locator('#remove-class').isDisabled(), true);
  assert.equal(await shownLoss(page), 0);
  await page.locator('#paste').fill('5 4 3 2 1');
  await page.locator('#paste').press('Enter');
  await settled(page);
  assert.equal((await shownColumn(page, 'gradient')).length, 5);
});

onPage('the address has the state, and gives it back', '', async (page) => {
  await page.locator('#reduction').selectOption('SUM');
  await page.getByLabel('logit of class 1, typed').fill('-1.25');
  await page.locator('#tab-curve').click();
  await settled(page);
  const loss = await shownLoss(page);
  const hash = await page.evaluate(() => location.hash);
  const { page: other, close } = await openPage(browser, server.origin, hash);
  assert.equal(await shownLoss(other), loss);
  assert.equal(await other.locator('[role=tab][aria-selected=true]').textContent(), 'Along one logit');
  assert.equal(await other.locator('#axis').inputValue(), '1');
  await close();
});

onPage('the call to copy is one that works', '#loss=huber&z=2,1,0.1&t=1,0,0&delta=0.5&view=call', async (page) => {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const snippet = page.locator('.snippet', { has: page.getByRole('heading', { name: 'curl' }) });
  await snippet.getByRole('button').click();
  await snippet.getByRole('button', { name: 'Copied' }).waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  const { status, stdout, stderr } = spawnSync('bash', ['-c', `${command} --silent --show-error`], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).loss, await shownLoss(page));
});

onPage('each loss has the options of the C++ client, in its order, which a call in C++ has to keep', '', async (page) => {
  const header = readFileSync(pathOf('../../client/lossd/losses.h'), 'utf8');
  const want = [...header.matchAll(/^struct \w+ \{\n.*kName = "(\w+)";\n([^}]*(?:\{\}[^}]*)*)^\};/gm)].map(
    ([, name, body]) => [name, [...body.matchAll(/^  (?!static)[\w:<> ]+ (\w+) = /gm)].map(([, field]) => field)]);
  assert.equal(want.length, Object.keys(LOSSES).length);
  const shown = [];
  for (const key of await page.locator('#loss-kind option').evaluateAll((all) => all.map(({ value }) => value))) {
    await page.locator('#loss-kind').selectOption(key);
    shown.push([key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      await page.locator('#options [data-field]').evaluateAll((all) => all.map(({ dataset }) => dataset.field))]);
  }
  assert.deepEqual(shown, want);
});

// A link is made by anyone, and what it makes the page show is pasted into a shell.
const FOREIGN = `1'; echo "foreign \\`;
onPage('what a link says as an option stays a text in the calls to copy',
  `#z=2,1,0.1&y=0&label_smoothing=${encodeURIComponent(FOREIGN)}&class_weights=${encodeURIComponent(FOREIGN)}&view=call`,
  async (page) => {
    const [curl, python, cpp] = await page.locator('.snippet code').allTextContents();
    // A shell without the real curl says what it would be called with.
    const { status, stdout, stderr } = spawnSync('bash', ['-c', `curl() { printf '%s\\0' "$@"; }\n${curl}`], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const words = stdout.split('\0');
    assert.equal(words.pop(), '');
    assert.equal(words.length, 5);
    assert.deepEqual(JSON.parse(words[4]).loss,
      { softmaxCrossEntropy: { labelSmoothing: FOREIGN, classWeights: FOREIGN } });
    const text = JSON.stringify(FOREIGN);
    assert.ok(python.includes(`lossd.SoftmaxCrossEntropy(label_smoothing=${text}, class_weights=${text})`), python);
    assert.ok(cpp.includes(`class_weights = ${text};`) && cpp.includes(`.label_smoothing = ${text},`), cpp);
  });

onPage('where the browser has no clipboard the call is selected', '#z=2,1,0.1&y=0&view=call', async (page) => {
  await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
  const snippet = page.locator('.snippet', { has: page.getByRole('heading', { name: 'Python' }) });
  await snippet.getByRole('button').click();
  await snippet.getByRole('button', { name: 'Selected' }).waitFor();
  assert.equal(await page.evaluate(() => String(getSelection())), await snippet.locator('code').innerText());
});

for (const colorScheme of ['light', 'dark']) {
  onPage(`text has contrast in ${colorScheme} mode`, '', async (page) => {
    const colours = await page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      return Object.fromEntries(['card', 'ink', 'soft', 'bad', 'good', 'accent', 'rise']
        .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    });
    const luminance = (colour) => {
      const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const card = luminance(colours.card);
    for (const name of ['ink', 'soft', 'bad', 'good', 'accent', 'rise']) {
      const text = luminance(colours[name]);
      const contrast = (Math.max(card, text) + 0.05) / (Math.min(card, text) + 0.05);
      assert.ok(contrast >= 4.5, `${name} on card: ${contrast.toFixed(2)}, want 4.5`);
    }
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(background === 'rgb(20, 22, 26)', colorScheme === 'dark');
  }, { colorScheme });
}

for (const view of ['derivation', 'check', 'curve', 'call']) {
  onPage(`nothing is wider than a phone: ${view}`, `#z=2,1,0.1,-3,4,12.5&y=0&view=${view}`, async (page) => {
    await page.locator('summary').click();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  }, { viewport: { width: 360, height: 740 } });
}

test('a page that is no longer served says so', async () => {
  const other = await startServer();
  const { page } = await openPage(browser, other.origin);
  await other.stop();
  await page.locator('#add-class').click();
  await page.locator('#error', { hasText: 'is lossd still running?' }).waitFor();
  await page.context().close();
});

test('the modules are as their types say', () => {
  const tsc = pathOf('node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', pathOf('tsconfig.json')], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

test('the tests lock no address of a registry', () => {
  const lock = JSON.parse(readFileSync(pathOf('package-lock.json'), 'utf8'));
  assert.deepEqual(Object.values(lock.packages).filter(({ resolved }) => resolved !== undefined), []);
});
