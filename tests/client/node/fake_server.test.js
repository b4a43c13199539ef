// What a lossd never answers, and what it answers at bad times: by a server that
// does as each test says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequire } from 'node:module';

import { LossClient } from '../../../client/node/index.js';
import { MessageWriter } from '../../../client/node/src/wire.js';
import { failsWith } from './server.js';

const grpc = createRequire(new URL('../../../client/node/index.js', import.meta.url))('@grpc/grpc-js');

const identity = (bytes) => bytes;
const path = (method) => `/lossd.v1.LossService/${method}`;
const method = (name, isStream) => ({
  path: path(name), requestStream: isStream, responseStream: isStream,
  requestSerialize: identity, requestDeserialize: identity, responseSerialize: identity, responseDeserialize: identity,
});

/** Runs `use` with a client of a server of these handlers. */
async function withServer(handlers, use) {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
  const methods = { ComputeLoss: method('ComputeLoss', false), StreamLoss: method('StreamLoss', true) };
  server.addService(methods, handlers);
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  const client = new LossClient(`127.0.0.1:${port}`, { retry: { initialBackoffMs: 1 } });
  try {
    await use(client);
  } finally {
    client.close();
    server.forceShutdown();
  }
}

const LOGITS = Float32Array.of(2, 1, 0.1, 0, 3, 0);
const LABELS = Int32Array.of(0, 1);
const OPTIONS = { classes: 3 };

const tensor = (shape, array) => new MessageWriter().varint(1, 1).packedVarints(2, shape)
  .bytes(3, new Uint8Array(array.buffer));
const answer = () => new MessageWriter().double(1, 0.5).varint(3, 2).double(4, 2);
const whole = () => answer().message(15, tensor([2, 3], LOGITS)).toBuffer();
const chunk = (firstRow, rows) => new MessageWriter().message(1, new MessageWriter().varint(1, firstRow)
  .bytes(2, new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength))).toBuffer();
const summary = () => new MessageWriter().message(2, answer()).toBuffer();

const rowsAt = (row, count = 1) => LOGITS.subarray(row * 3, (row + count) * 3);

/** A StreamLoss that reads all and answers these messages. */
const answering = (...messages) => (call) => {
  call.on('data', () => {});
  call.on('end', () => {
    for (const message of messages) call.write(message);
    call.end();
  });
};

const failing = (code, trailers = {}) => (call, callback) => {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
  callback({ code, details: 'as told', metadata });
};

test('an attempt that is UNAVAILABLE is followed by another with the same bytes', async () => {
  const seen = [];
  const ComputeLoss = (call, callback) => {
    seen.push(Buffer.from(call.request));
    if (seen.length < 3) failing(grpc.status.UNAVAILABLE)(call, callback);
    else callback(null, whole());
  };
  await withServer({ ComputeLoss }, async (client) => {
    const { loss, gradient } = await client.crossEntropy(LOGITS, LABELS, OPTIONS);
    assert.equal(loss, 0.5);
    assert.deepEqual(gradient, LOGITS);
  });
  assert.equal(seen.length, 3);
  assert.deepEqual(seen[1], seen[0]);
  assert.deepEqual(seen[2], seen[0]);
});

test('the bytes of a request are announced', async () => {
  let announced;
  let length;
  const ComputeLoss = (call, callback) => {
    [announced] = call.metadata.get('lossd-request-bytes');
    length = call.request.length;
    callback(null, whole());
  };
  await withServer({ ComputeLoss }, (client) => client.crossEntropy(LOGITS, LABELS, OPTIONS));
  assert.equal(announced, String(length));
});

test('a negative pushback ends the attempts, and so does any other code', async () => {
  const trailers = { 'grpc-retry-pushback-ms': '-1' };
  for (const [code, name] of [[grpc.status.UNAVAILABLE, 'UNAVAILABLE'], [grpc.status.INTERNAL, 'INTERNAL']]) {
    let calls = 0;
    const ComputeLoss = (call, callback) => {
      calls += 1;
      failing(code, name === 'UNAVAILABLE' ? trailers : {})(call, callback);
    };
    await withServer({ ComputeLoss }, (client) =>
      assert.rejects(client.crossEntropy(LOGITS, LABELS, OPTIONS), failsWith({ code: name, message: /^as told/ })));
    assert.equal(calls, 1);
  }
});

test('a server without StreamLoss gets a large batch in one message', async () => {
  const rows = 1024;
  const logits = new Float32Array(rows * 1024);
  const ComputeLoss = (call, callback) => callback(null, answer().toBuffer());
  const StreamLoss = (call) => call.emit('error', { code: grpc.status.UNIMPLEMENTED, details: 'no streams here' });
  await withServer({ ComputeLoss, StreamLoss }, async (client) => {
    const options = { classes: 1024, outputs: ['loss'] };
    assert.equal((await client.crossEntropy(logits, new Int32Array(rows), options)).loss, 0.5);
    await assert.rejects(client.crossEntropy(logits, new Int32Array(rows), { ...options, transfer: 'stream' }),
      failsWith({ code: 'UNIMPLEMENTED' }));
  });
});

test('an answer without what was asked for, or of another size, is INTERNAL', async () => {
  const wrong = {
    'no gradient': answer().toBuffer(),
    'bytes of gradient': answer().message(15, tensor([1, 3], LOGITS.slice(0, 3))).toBuffer(),
    'a field of': Buffer.from([0x7a, 100, 1]),
  };
  for (const [message, bytes] of Object.entries(wrong)) {
    const ComputeLoss = (call, callback) => callback(null, bytes);
    await withServer({ ComputeLoss }, (client) =>
      assert.rejects(client.crossEntropy(LOGITS, LABELS, OPTIONS), failsWith({ code: 'INTERNAL', message: new RegExp(message) })));
  }
});

test("a stream's chunks must be the batch's rows, in order, and a summary last", async () => {
  const right = [chunk(0, rowsAt(0)), chunk(1, rowsAt(1)), summary()];
  const wrong = [
    [/from row 1, want row 0/, [chunk(1, rowsAt(1))]],
    [/8 bytes of gradient from row 0, want a positive multiple of 12/, [chunk(0, LOGITS.subarray(0, 2))]],
    [/0 bytes/, [chunk(0, LOGITS.subarray(0, 0))]],
    [/24 bytes.*up to 12/, [right[0], chunk(1, rowsAt(0, 2))]],
    [/without a summary, 2 of 2/, right.slice(0, 2)],
    [/without the whole gradient, 1 of 2/, [right[0], summary()]],
    [/more after its summary/, [...right, summary()]],
    [/neither/, [Buffer.alloc(0)]],
  ];
  const options = { ...OPTIONS, transfer: 'stream' };
  await withServer({ StreamLoss: answering(...right) }, async (client) =>
    assert.deepEqual((await client.crossEntropy(LOGITS, LABELS, options)).gradient, LOGITS));
  for (const [message, messages] of wrong) {
    await withServer({ StreamLoss: answering(...messages) }, (client) =>
      assert.rejects(client.crossEntropy(LOGITS, LABELS, options), failsWith({ code: 'INTERNAL', message })));
  }
});

test('a gradient that was not asked for is refused', async () => {
  await withServer({ StreamLoss: answering(chunk(0, rowsAt(0)), summary()) }, (client) =>
    assert.rejects(client.crossEntropy(LOGITS, LABELS, { ...OPTIONS, transfer: 'stream', outputs: ['loss'] }),
      failsWith({ code: 'INTERNAL', message: /want none/ })));
});

test('what progress throws ends the call', async () => {
  let isCancelled;
  const cancelled = new Promise((resolve) => { isCancelled = resolve; });
  const StreamLoss = (call) => {
    call.on('data', () => {});
    call.on('cancelled', isCancelled);
    call.write(chunk(0, rowsAt(0)));
  };
  await withServer({ StreamLoss }, async (client) => {
    const progress = () => { throw new RangeError('enough'); };
    await assert.rejects(client.crossEntropy(LOGITS, LABELS, { ...OPTIONS, transfer: 'stream', progress }), RangeError);
    await cancelled;
  });
});

test('a stream is tried again as a whole', async () => {
  let calls = 0;
  const StreamLoss = (call) => {
    calls += 1;
    if (calls > 1) answering(chunk(0, rowsAt(0, 2)), summary())(call);
    else {
      call.write(chunk(0, rowsAt(1)));
      call.emit('error', { code: grpc.status.UNAVAILABLE, details: 'draining' });
    }
  };
  await withServer({ StreamLoss }, async (client) => {
    const { gradient } = await client.crossEntropy(LOGITS, LABELS, { ...OPTIONS, transfer: 'stream' });
    assert.deepEqual(gradient, LOGITS);
  });
  assert.equal(calls, 2);
});
