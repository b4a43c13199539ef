import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import * as lossd from '../../../client/node/index.js';
import { LOSSES } from '../../../client/node/src/losses.js';
import { ANSWER_OPTIONS, BATCH_OPTIONS, CALL_OPTIONS, TRANSFER_OPTIONS } from '../../../client/node/src/request.js';

const pathOf = (name) => fileURLToPath(new URL(name, import.meta.url));
const package_ = '../../../client/node';
const declarations = readFileSync(pathOf(`${package_}/index.d.ts`), 'utf8');

test('types.ts compiles: what the types allow, and each thing that they refuse', () => {
  const tsc = pathOf(`${package_}/node_modules/typescript/bin/tsc`);
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', pathOf('tsconfig.json')], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

test('every method, option and export is declared', () => {
  const methods = Object.getOwnPropertyNames(lossd.LossClient.prototype).filter((name) => name !== 'constructor');
  for (const method of methods) assert.match(declarations, new RegExp(`^  ${method}[(<]`, 'm'));
  const options = [...Object.values(LOSSES).flatMap((loss) => Object.keys(loss.options)),
    ...BATCH_OPTIONS, ...CALL_OPTIONS, ...ANSWER_OPTIONS, ...TRANSFER_OPTIONS];
  for (const option of options) assert.match(declarations, new RegExp(`^  ${option}\\?:`, 'm'));
  for (const name of Object.keys(lossd)) assert.match(declarations, new RegExp(`^export class ${name} `, 'm'));
});

test('the package locks no address of a registry', () => {
  const lock = JSON.parse(readFileSync(pathOf(`${package_}/package-lock.json`), 'utf8'));
  const addresses = Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined);
  assert.deepEqual(addresses, []);
  assert.ok(Object.keys(lock.packages).includes('node_modules/@grpc/grpc-js'));
});
