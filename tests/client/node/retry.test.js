import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LossError } from '../../../client/node/src/errors.js';
import { retryDelayMs, retryOptions, withRetries } from '../../../client/node/src/retry.js';
import { failsWith } from './server.js';

test('a retry waits as the options say, and longer each time, up to the most', () => {
  const options = retryOptions({ maxAttempts: 9, jitter: 0 });
  const error = { code: 'UNAVAILABLE' };
  assert.deepEqual([1, 2, 6, 7, 8].map((attempt) => retryDelayMs(options, attempt, error, undefined, 0)), [100, 200, 3200, 5000, 5000]);
  assert.equal(retryDelayMs(options, 9, error, undefined, 0), undefined);
  assert.equal(retryDelayMs(options, 1, { code: 'INTERNAL' }, undefined, 0), undefined);
});

test('a retry waits what the server asks for, lengthened and never shortened', () => {
  const options = retryOptions({ jitter: 0.5 });
  const asked = { code: 'UNAVAILABLE', retryDelayMs: 40 };
  assert.equal(retryDelayMs(options, 1, asked, undefined, 0), 40);
  assert.equal(retryDelayMs(options, 1, asked, '70', 0), 70);
  assert.equal(retryDelayMs(options, 1, asked, undefined, 0.5), 50);
  assert.equal(retryDelayMs(options, 1, asked, '-1', 0), undefined);
  assert.equal(retryDelayMs(options, 1, asked, 'soon', 0), undefined);
});

test('retry options are refused one past their range', () => {
  const bad = { maxAttempts: 0, initialBackoffMs: 5001, multiplier: 0.99, jitter: 1, tries: 3 };
  for (const [name, value] of Object.entries(bad)) {
    assert.throws(() => retryOptions({ [name]: value }), failsWith({ code: 'INVALID_ARGUMENT', field: `retry.${name}` }));
  }
  retryOptions({ maxAttempts: 1, initialBackoffMs: 5000, multiplier: 1, jitter: 0 });
});

const UNAVAILABLE = new LossError('no room', { code: 'UNAVAILABLE', reason: 'OVERLOADED', retryDelayMs: 60000 });
const connection = { target: 'here:1', retry: retryOptions() };

test('a wait that would pass the deadline is not begun; the error says target and effort', async () => {
  const attempt = () => { throw UNAVAILABLE; };
  await assert.rejects(withRetries(connection, { deadline: Date.now() + 59000 }, attempt),
    failsWith({ code: 'UNAVAILABLE', reason: 'OVERLOADED', retryDelayMs: 60000, message: 'no room (here:1, 1 attempt)' }));
});

test('a signal ends a wait between attempts', async () => {
  const controller = new AbortController();
  const attempt = () => {
    setImmediate(() => controller.abort('enough'));
    throw UNAVAILABLE;
  };
  await assert.rejects(withRetries(connection, { deadline: Infinity, signal: controller.signal }, attempt),
    failsWith({ code: 'CANCELLED', cause: 'enough' }));
});
