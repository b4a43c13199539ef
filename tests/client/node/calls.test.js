// Transfers, streams, errors, cancellation, deadlines and retries.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { LossClient, LossError } from '../../../client/node/index.js';
import { failsWith, startServer } from './server.js';

const ROWS = 600;
const CLASSES = 2000; // 4.8 MB of float32: past where streams begin
const LOGITS = Float32Array.from({ length: ROWS * CLASSES }, (_, i) => Math.sin(i));
const LABELS = Int32Array.from({ length: ROWS }, (_, r) => (r * 7) % CLASSES);
const SMALL = Float32Array.of(2, 1, 0.1, 0, 3, 0);
const SMALL_LABELS = Int32Array.of(0, 1);

let server;
let client;
before(async () => {
  server = await startServer();
  client = new LossClient(server.target);
});
after(async () => {
  client.close();
  await server.stop();
});

const outputs = ['loss', 'gradient', 'rowLosses', 'logSumExp', 'predictions'];

test('a stream has the bits of one message, and its progress goes up to all rows', async () => {
  const unary = await client.crossEntropy(LOGITS, LABELS, { classes: CLASSES, outputs, transfer: 'unary' });
  const seen = [];
  const streamed = await client.crossEntropy(LOGITS, LABELS, { classes: CLASSES, outputs, progress: (done, all) => seen.push([done, all]) });
  assert.deepEqual(streamed, unary);
  assert.ok(seen.length > 1, 'chosen by size');
  assert.deepEqual(seen.at(-1), [ROWS, ROWS]);
  assert.deepEqual([...seen].sort(([a], [b]) => a - b), seen);
});

test('a batch below 4 MiB goes in one message, one at 4 MiB in chunks', async () => {
  for (const [rows, chunks] of [[1023, 1], [1024, 4]]) {
    let calls = 0;
    await client.crossEntropy(new Float32Array(rows * 1024), new Int32Array(rows), { classes: 1024, progress: () => { calls += 1; } });
    assert.equal(calls, chunks, `${rows} rows of 4 KiB`);
  }
});

test('a gradient is written into the array that was given', async () => {
  const want = await client.crossEntropy(LOGITS, LABELS, { classes: CLASSES });
  for (const transfer of ['unary', 'stream']) {
    const gradientInto = new Float32Array(LOGITS.length);
    const { gradient } = await client.crossEntropy(LOGITS, LABELS, { classes: CLASSES, transfer, gradientInto });
    assert.equal(gradient, gradientInto);
    assert.deepEqual(gradient, want.gradient);
  }
  const refused = (options) => assert.rejects(client.crossEntropy(SMALL, SMALL_LABELS, { classes: 3, ...options }),
    failsWith({ code: 'INVALID_ARGUMENT', field: 'gradientInto' }));
  await refused({ gradientInto: new Float32Array(5) });
  await refused({ gradientInto: new Float32Array(7) });
  await refused({ gradientInto: new Float64Array(6) });
  await refused({ gradientInto: new Float32Array(6), outputs: ['loss'] });
});

test('a loss without a gradient streams, too', async () => {
  let done = 0;
  const result = await client.crossEntropy(LOGITS, LABELS, {
    classes: CLASSES, outputs: ['loss'], transfer: 'stream', progress: (rows) => { done = rows; },
  });
  assert.equal(result.gradient, undefined);
  assert.equal(done, ROWS);
  assert.ok(result.loss > 7);
});

test('a batch of no rows has no gradient and a loss of NaN, in one message and in none', async () => {
  for (const transfer of ['unary', 'stream']) {
    const result = await client.crossEntropy(new Float32Array(0), new Int32Array(0), { rows: 0, classes: 3, transfer });
    assert.ok(Number.isNaN(result.loss));
    assert.equal(result.gradient.length, 0);
  }
});

test('the iterator gives the gradient chunk by chunk, then the summary', async () => {
  const whole = await client.crossEntropy(LOGITS, LABELS, { classes: CLASSES });
  async function* chunks() {
    for (let row = 0; row < ROWS; row += 50) yield LOGITS.subarray(row * CLASSES, (row + 50) * CLASSES);
  }
  const stream = client.streamLoss('softmax_cross_entropy', { chunks: chunks(), shape: [ROWS, CLASSES] }, LABELS);
  assert.equal(stream.summary, undefined);
  let next = 0;
  for await (const { firstRow, rows, gradient } of stream) {
    assert.equal(firstRow, next);
    assert.deepEqual(gradient, whole.gradient.subarray(firstRow * CLASSES, (firstRow + rows) * CLASSES));
    next += rows;
  }
  assert.equal(next, ROWS);
  assert.equal(stream.summary.loss, whole.loss);
});

test('a reader that does not ask holds the sending up', async () => {
  const rows = 64;
  const classes = 2 ** 18; // 64 chunks of 1 MiB
  let made = 0;
  async function* chunks() {
    for (; made < rows; made += 1) yield new Float32Array(classes);
  }
  const stream = client.streamLoss('softmax_cross_entropy', { chunks: chunks(), shape: [rows, classes] }, new Int32Array(rows));
  const iterator = stream[Symbol.asyncIterator]();
  await iterator.next();
  // Until nothing more is made while the server answers many other calls.
  for (let before = -1; before !== made;) {
    before = made;
    for (let call = 0; call < 100; call += 1) await client.serverInfo();
  }
  assert.ok(made < rows, `${made} of ${rows} chunks were made for a reader of one`);
  while (!(await iterator.next()).done);
  assert.equal(made, rows);
  assert.equal(stream.summary.rowCount, rows);
});

test('a reader that leaves ends the call and the source of chunks', async () => {
  let closed = false;
  async function* chunks() {
    try {
      for (;;) yield LOGITS.subarray(0, CLASSES);
    } finally {
      closed = true;
    }
  }
  const stream = client.streamLoss('softmax_cross_entropy', { chunks: chunks(), shape: [1e6, CLASSES] }, new Int32Array(1e6));
  for await (const chunk of stream) {
    assert.equal(chunk.firstRow, 0);
    break;
  }
  assert.equal(stream.summary, undefined);
  while (!closed) await new Promise(setImmediate);
});

test('what the source of chunks throws is what the reader gets', async () => {
  async function* chunks() {
    yield LOGITS.subarray(0, CLASSES);
    throw new RangeError('the disk is gone');
  }
  const stream = client.streamLoss('softmax_cross_entropy', { chunks: chunks(), shape: [2, CLASSES] }, Int32Array.of(0, 1));
  await assert.rejects(async () => { for await (const _ of stream); }, RangeError);
});

test('a chunk of no whole rows, of another type or too many rows is named', async () => {
  const run = async (chunks) => {
    const stream = client.streamLoss('softmax_cross_entropy', { chunks, shape: [2, 3] }, SMALL_LABELS);
    for await (const _ of stream);
  };
  await assert.rejects(run([SMALL.subarray(0, 3), SMALL.subarray(3, 5)]),
    failsWith({ code: 'INVALID_ARGUMENT', message: /chunks\[1\] has 2 elements/ }));
  await assert.rejects(run([new Float64Array(6)]), failsWith({ code: 'INVALID_ARGUMENT', message: /chunks\[0\] is no Float32Array/ }));
  await assert.rejects(run([SMALL, SMALL]), failsWith({ code: 'INVALID_ARGUMENT' }));
  await assert.rejects(run([SMALL.subarray(0, 3)]), failsWith({ code: 'INVALID_ARGUMENT' }));
  await run([SMALL.subarray(0, 3), SMALL.subarray(3)]);
});

test("the server's errors carry code, reason, field and metadata", async () => {
  await assert.rejects(client.crossEntropy(SMALL, Int32Array.of(0, 3), { classes: 3 }), (error) => {
    assert.ok(error instanceof LossError);
    return failsWith({
      code: 'INVALID_ARGUMENT', reason: 'LABEL_OUT_OF_RANGE', field: 'labels',
      metadata: { row: '1', label: '3', classes: '3' }, message: 'labels[1] = 3, want [0, 3)',
    })(error);
  });
  await client.crossEntropy(SMALL, Int32Array.of(0, 2), { classes: 3 });
});

test('local misuse is refused before anything is sent, the offender named', async () => {
  const nowhere = new LossClient('127.0.0.1:1', { retry: { maxAttempts: 1 } });
  const cases = [
    [[[2, 1, 0], SMALL_LABELS, { classes: 3 }], 'logits'],
    [[Int32Array.of(1, 2), SMALL_LABELS, { classes: 1 }], 'logits'],
    [[SMALL, SMALL_LABELS, { classes: 4 }], 'logits'],
    [[SMALL, SMALL_LABELS, {}], 'classes'],
    [[SMALL, SMALL_LABELS, { classes: 0 }], 'classes'],
    [[SMALL, Int32Array.of(0, 1, 2), { classes: 3 }], 'labels'],
    [[SMALL, new Float32Array(2), { classes: 3 }], 'labels'],
    [[SMALL, SMALL_LABELS, { classes: 3, classAxis: 2 }], 'classAxis'],
    [[SMALL, SMALL_LABELS, { classes: 3, classAxis: -3 }], 'classAxis'],
    [[SMALL, SMALL_LABELS, { classes: 3, gamma: 2 }], 'gamma'],
    [[SMALL, SMALL_LABELS, { classes: 3, labelSmoothing: '0.1' }], 'labelSmoothing'],
    [[SMALL, SMALL_LABELS, { classes: 3, classWeights: [1, 2] }], 'classWeights'],
    [[SMALL, SMALL_LABELS, { classes: 3, ignoreIndex: 2n ** 63n }], 'ignoreIndex'],
    [[SMALL, SMALL_LABELS, { classes: 3, shape: [2, 3] }], 'classes'],
    [[{ data: SMALL, shape: [2, 3] }, SMALL_LABELS, { shape: [2, 3] }], 'shape'],
    [[SMALL, SMALL_LABELS, { shape: [2, -3] }], 'logits'],
    [[SMALL, SMALL_LABELS, { classes: 3, rowWeights: [1] }], 'rowWeights'],
    [[SMALL, SMALL_LABELS, { classes: 3, reduction: 'average' }], 'reduction'],
    [[SMALL, SMALL_LABELS, { classes: 3, outputs: ['hessian'] }], 'outputs[0]'],
    [[SMALL, SMALL_LABELS, { classes: 3, timeoutMs: 0 }], 'timeoutMs'],
    [[SMALL, SMALL_LABELS, { classes: 3, transfer: 'stream', outputs: ['probabilities'] }], 'outputs'],
    [[SMALL, SMALL_LABELS, { shape: [2, 3, 1], classAxis: 0, transfer: 'stream' }], 'labels'],
    [[SMALL, Int32Array.of(0, 1, 1), { shape: [2, 3], classAxis: 0, transfer: 'stream' }], 'classAxis'],
  ];
  for (const [args, field] of cases) {
    await assert.rejects(nowhere.crossEntropy(...args), failsWith({ code: 'INVALID_ARGUMENT', field }));
  }
  for (const power of [2 ** 31, -(2 ** 31) - 1, 1.5]) {
    await assert.rejects(nowhere.multiclassHinge(SMALL, SMALL_LABELS, { classes: 3, power }), failsWith({ code: 'INVALID_ARGUMENT', field: 'power' }));
  }
  await assert.rejects(nowhere.computeLoss('cubic', SMALL, SMALL_LABELS), failsWith({ field: 'loss' }));
  nowhere.close();
  assert.throws(() => new LossClient(''), failsWith({ field: 'target' }));
  assert.throws(() => new LossClient('x', { retries: 1 }), failsWith({ field: 'retries' }));
});

test('int64 ends pass as an ignore_index', async () => {
  const result = await client.crossEntropy(SMALL, BigInt64Array.of(-(2n ** 63n), 1n), { classes: 3, ignoreIndex: -(2n ** 63n) });
  assert.equal(result.rowCount, 1);
});

test('the limit that a server names is learned, and a larger batch streams', async () => {
  const small = await startServer(['--max-request-bytes', '100000']);
  const limited = new LossClient(small.target);
  const [logits, labels] = [LOGITS.subarray(0, 20 * CLASSES), LABELS.subarray(0, 20)];
  const want = await client.crossEntropy(logits, labels, { classes: CLASSES });
  for (const call of ['first', 'second']) {
    assert.deepEqual(await limited.crossEntropy(logits, labels, { classes: CLASSES }), want, call);
  }
  await assert.rejects(new LossClient(small.target).crossEntropy(logits, labels, { classes: CLASSES, transfer: 'unary' }),
    failsWith({ code: 'RESOURCE_EXHAUSTED', reason: 'REQUEST_TOO_LARGE' }));
  limited.close();
  await small.stop();
});

test('a signal cancels a call and a stream', async () => {
  const reason = new Error('enough');
  const cancelledBy = (error) => failsWith({ code: 'CANCELLED' })(error) && error.cause === reason;
  await assert.rejects(client.serverInfo({ signal: AbortSignal.abort(reason) }), cancelledBy);
  for (const transfer of ['unary', 'stream']) {
    const controller = new AbortController();
    const call = client.crossEntropy(LOGITS, LABELS, { classes: CLASSES, transfer, signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await assert.rejects(call, cancelledBy);
  }
});

test('a call ends by its timeout, in one message and in chunks', async () => {
  for (const transfer of ['unary', 'stream']) {
    await assert.rejects(client.crossEntropy(LOGITS, LABELS, { classes: CLASSES, transfer, timeoutMs: 1 }),
      failsWith({ code: 'DEADLINE_EXCEEDED', message: /127\.0\.0\.1:\d+, 1 attempt/ }));
  }
});

test('a server that is not there is UNAVAILABLE after the attempts, target named', async () => {
  const nowhere = new LossClient('127.0.0.1:1', { retry: { maxAttempts: 3, initialBackoffMs: 1 } });
  await assert.rejects(nowhere.serverInfo(), failsWith({ code: 'UNAVAILABLE', message: /\(127\.0\.0\.1:1, 3 attempts\)$/ }));
  nowhere.close();
});

test('a server that starts later is found by a later attempt', async () => {
  const first = await startServer();
  const { target } = first;
  const patient = new LossClient(target, { retry: { maxAttempts: 1000, initialBackoffMs: 20, maxBackoffMs: 20 } });
  await patient.serverInfo();
  await first.stop();
  const call = patient.crossEntropy(SMALL, SMALL_LABELS, { classes: 3 });
  const second = await startServer([], target);
  assert.equal((await call).rowCount, 2);
  patient.close();
  await second.stop();
});

test('TLS: the server is trusted by its CA, and files that cannot be used are named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lossd-'));
  const [cert, key, text] = ['cert.pem', 'key.pem', 'text'].map((name) => join(folder, name));
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key,
      '-out', cert, '-subj', '/CN=loss.test', '-addext', 'subjectAltName=DNS:loss.test'], { stdio: 'ignore' });
    writeFileSync(text, 'no PEM');
    const secure = await startServer(['--tls-certificate', cert, '--tls-key', key]);
    const trusting = new LossClient(secure.target, { tls: { caFile: cert, serverName: 'loss.test' } });
    assert.equal((await trusting.crossEntropy(SMALL, SMALL_LABELS, { classes: 3 })).rowCount, 2);
    const wary = new LossClient(secure.target, { tls: { caFile: cert }, retry: { maxAttempts: 1 } });
    await assert.rejects(wary.serverInfo(), failsWith({ code: 'UNAVAILABLE' }));
    trusting.close();
    wary.close();
    await secure.stop();
    const refused = (tls, field) => assert.throws(() => new LossClient('localhost:1', { tls }), failsWith({ code: 'INVALID_ARGUMENT', field }));
    refused({ caFile: text }, 'tls.caFile');
    refused({ caFile: join(folder, 'none') }, 'tls.caFile');
    refused({ certificateFile: cert }, 'tls.keyFile');
    refused({ keyFile: key }, 'tls.certificateFile');
    refused({ certificateFile: cert, keyFile: text }, 'tls.keyFile');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
