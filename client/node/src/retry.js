// When to call again after UNAVAILABLE; client/lossd/retry.h has the same rules.

import { setTimeout as sleep } from 'node:timers/promises';

import { LossError, cancelled, invalid } from './errors.js';
import { fromGrpc } from './status.js';

const DEFAULTS = { maxAttempts: 5, initialBackoffMs: 100, maxBackoffMs: 5000, multiplier: 2, jitter: 0.2 };

/** `given` with the defaults; throws for an option out of its range. */
export function retryOptions(given = {}) {
  const odd = Object.keys(given).find((name) => !Object.hasOwn(DEFAULTS, name));
  if (odd !== undefined) throw invalid(`retry.${odd}`, `no option retry.${odd}, want one of ${Object.keys(DEFAULTS).join(', ')}`);
  const options = { ...DEFAULTS, ...given };
  const check = (name, holds, want) => {
    if (!holds) throw invalid(`retry.${name}`, `retry.${name} = ${options[name]}, want ${want}`);
  };
  check('maxAttempts', Number.isInteger(options.maxAttempts) && options.maxAttempts >= 1, 'an integer >= 1');
  check('initialBackoffMs', options.initialBackoffMs > 0 && options.initialBackoffMs <= options.maxBackoffMs,
    `in (0, ${options.maxBackoffMs}], the maxBackoffMs`);
  check('multiplier', options.multiplier >= 1 && Number.isFinite(options.multiplier), 'finite and >= 1');
  check('jitter', options.jitter >= 0 && options.jitter < 1, 'in [0, 1)');
  return options;
}

/**
 * The wait in ms after attempt number `attempt` (from 1) failed with `error`, or
 * undefined: give up. `pushback`, the trailing grpc-retry-pushback-ms, goes
 * before the error's RetryInfo; negative or no number, it forbids to retry. What
 * the server asks for is lengthened by the jitter, never shortened. 0 <= random < 1.
 */
export function retryDelayMs(options, attempt, error, pushback, random) {
  if (error.code !== 'UNAVAILABLE' || attempt >= options.maxAttempts) return undefined;
  let asked = error.retryDelayMs;
  if (pushback !== undefined) {
    if (!/^\d+$/.test(pushback)) return undefined;
    asked = Number(pushback);
  }
  if (asked !== undefined) return asked * (1 + options.jitter * random);
  const backoff = Math.min(options.maxBackoffMs, options.initialBackoffMs * options.multiplier ** (attempt - 1));
  return backoff * (1 + options.jitter * (2 * random - 1));
}

// The network's own messages name neither the server nor the effort.
function explained(error, target, attempts) {
  if (error.code !== 'UNAVAILABLE' && error.code !== 'DEADLINE_EXCEEDED') return error;
  const effort = attempts === 1 ? '1 attempt' : `${attempts} attempts`;
  return new LossError(`${error.message} (${target}, ${effort})`, error);
}

async function wait(ms, signal) {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    throw cancelled(signal);
  }
}

/**
 * Runs `attempt` until it succeeds, fails with what is not to be retried, or the
 * next wait would pass `deadline` (ms since the epoch). Why here and not in gRPC:
 * its own retries leave out requests over 256 KiB, and streams under way.
 */
export async function withRetries({ retry, target }, { deadline, signal }, attempt) {
  for (let number = 1; ; number += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = fromGrpc(thrown);
      const pushback = thrown.metadata?.get?.('grpc-retry-pushback-ms')[0];
      const delay = retryDelayMs(retry, number, error, pushback, Math.random());
      if (delay === undefined || Date.now() + delay >= deadline) throw explained(error, target, number);
      await wait(delay, signal);
    }
  }
}
