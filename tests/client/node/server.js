// A started lossd, for tests.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { inspect, isDeepStrictEqual } from 'node:util';

const binary = process.env.LOSSD_BINARY;
if (!binary) throw new Error('LOSSD_BINARY is not set, want the path of lossd');

/** Starts lossd on `listen`; resolves to {target, stop} once it listens. */
export async function startServer(flags = [], listen = '127.0.0.1:0') {
  const child = spawn(binary, ['--listen', listen, ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(child, 'exit');
  let target;
  for await (const line of createInterface({ input: child.stdout })) {
    [, target] = /^listening on (\S+)/.exec(line) ?? [];
    if (target !== undefined) break;
  }
  if (target === undefined) throw new Error(`lossd ${flags.join(' ')} ended before it listened`);
  return {
    target,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** A function that checks that a promise rejects with a LossError of these members. */
export const failsWith = (expected) => (error) => {
  for (const [name, want] of Object.entries(expected)) {
    const got = error[name];
    const holds = want instanceof RegExp ? want.test(got) : isDeepStrictEqual(got, want);
    if (!holds) throw new Error(`${name} = ${inspect(got)}, want ${inspect(want)}; the error: ${error.stack}`);
  }
  return true;
};
