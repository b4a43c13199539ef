import assert from 'node:assert/strict';
import { test } from 'node:test';

import { detailsOf } from '../../../client/node/src/status.js';
import { RequestMemory } from '../../../client/node/src/memory.js';
import { readTensor, viewOf } from '../../../client/node/src/tensor.js';
import { MAX_MESSAGE_BYTES, MessageWriter, checkMessageLength, fieldsOf, varintsOf } from '../../../client/node/src/wire.js';
import { failsWith } from './server.js';

test('a varint comes back as it went, up to the ends of 64 bits', () => {
  const values = [0, 1, 127, 128, 300, 2 ** 32, 2 ** 53 - 1, -1, -100, 2n ** 63n - 1n, -(2n ** 63n)];
  for (const value of values) {
    const [[field, read]] = fieldsOf(new MessageWriter().varint(7, value).toBuffer());
    assert.equal(field, 7);
    assert.equal(BigInt(read), BigInt(value));
  }
});

test('a varint is written as protobuf writes it', () => {
  assert.deepEqual([...new MessageWriter().varint(1, 300).toBuffer()], [0x08, 0xac, 0x02]);
  assert.equal(new MessageWriter().varint(3, -1).toBuffer().length, 11);
});

test('a message in a message is read back, its bytes views of the whole', () => {
  const inner = new MessageWriter().bytes(1, Uint8Array.of(5, 6)).double(2, 0.5);
  const buffer = new MessageWriter().message(15, inner).packedVarints(3, [1, 200]).toBuffer();
  const { 15: read, 3: packed } = Object.fromEntries(fieldsOf(buffer));
  const { 1: bytes, 2: double } = Object.fromEntries(fieldsOf(read));
  assert.equal(bytes.buffer, buffer.buffer);
  assert.deepEqual([...bytes], [5, 6]);
  assert.equal(double.readDoubleLE(), 0.5);
  assert.deepEqual(varintsOf(packed), [1, 200]);
});

test('a field longer than the message is an error, whatever its length', () => {
  for (const bytes of [[0x0a, 2, 1], [0x09, 1], [0x80], [0x0a, ...Array(9).fill(255), 1]]) {
    assert.throws(() => [...fieldsOf(Buffer.from(bytes))], failsWith({ code: 'INTERNAL' }));
  }
  assert.equal([...fieldsOf(Buffer.from([0x0a, 1, 1]))].length, 1);
});

test('a varint of eleven bytes is an error, and so is wire type 3', () => {
  assert.throws(() => [...fieldsOf(Buffer.alloc(11, 0x80))], failsWith({ code: 'INTERNAL', message: /10 bytes/ }));
  assert.throws(() => [...fieldsOf(Buffer.from([0x0b]))], failsWith({ code: 'INTERNAL', message: /wire type 3/ }));
});

test('a typed array is a view: where its bytes lie, or moved down in place', () => {
  const values = Float64Array.of(0, 1, -2);
  for (let offset = 8; offset <= 16; offset += 1) {
    const bytes = Buffer.alloc(offset + values.byteLength + 1, 7);
    const memory = Buffer.from(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    memory.set(new Uint8Array(values.buffer), offset);
    const array = viewOf(memory.subarray(offset, offset + values.byteLength), 'float64');
    assert.equal(array.buffer, memory.buffer);
    assert.deepEqual(array, values);
    assert.deepEqual([...memory.subarray(0, 8), memory.at(-1)], Array(9).fill(7));
  }
});

test('a message may be as long as protobuf takes, and not a byte longer', () => {
  checkMessageLength(MAX_MESSAGE_BYTES);
  assert.throws(() => checkMessageLength(MAX_MESSAGE_BYTES + 1), failsWith({ code: 'RESOURCE_EXHAUSTED' }));
  // Untouched memory costs nothing, and nothing is copied of it.
  const message = new MessageWriter().bytes(1, new Uint8Array(2 ** 31));
  assert.throws(() => message.toBuffer(), failsWith({ code: 'RESOURCE_EXHAUSTED', message: /2147483654 bytes/ }));
});

test("a request's memory serves the next one of at least half its size", () => {
  const memory = new RequestMemory();
  const first = memory.take(100000);
  memory.give(first);
  assert.notEqual(memory.take(49999).buffer, first.buffer);
  assert.notEqual(memory.take(100001).buffer, first.buffer);
  const second = memory.take(50000);
  assert.equal(second.buffer, first.buffer);
  assert.equal(second.length, 50000);
  assert.notEqual(memory.take(50000).buffer, first.buffer);
  memory.give(second);
  assert.equal(memory.take(100000).buffer, first.buffer);
});

test('no more than 64 MiB of memory is kept', () => {
  const memory = new RequestMemory();
  const [half, other, third] = [0, 1, 2].map(() => memory.take(2 ** 25));
  for (const buffer of [half, other, third]) memory.give(buffer);
  assert.deepEqual([memory.take(2 ** 25), memory.take(2 ** 25)].map(({ buffer }) => buffer), [half.buffer, other.buffer]);
  assert.notEqual(memory.take(2 ** 25).buffer, third.buffer);
});

test('a tensor of another type or size than asked for is refused', () => {
  const tensor = () => new MessageWriter().varint(1, 1).packedVarints(2, [2]).bytes(3, new Uint8Array(8)).toBuffer();
  assert.deepEqual([...readTensor('gradient', tensor(), 'float32', 2)], [0, 0]);
  assert.throws(() => readTensor('gradient', tensor(), 'float64', 2), failsWith({ message: /float32, want float64/ }));
  assert.throws(() => readTensor('gradient', tensor(), 'float32', 3), failsWith({ message: /8 bytes.*want 12/ }));
});

test('a status gives its reason, field, metadata and delay', () => {
  const any = (type, value) => new MessageWriter()
    .bytes(1, Buffer.from(`type.googleapis.com/google.rpc.${type}`)).message(2, value);
  const pair = (key, value) => new MessageWriter().bytes(1, Buffer.from(key)).bytes(2, Buffer.from(value));
  const info = new MessageWriter().bytes(1, Buffer.from('LIMIT')).message(3, pair('bytes', '7'));
  const bad = new MessageWriter().message(1, pair('base.labels', 'no')).message(1, pair('second', 'no'));
  const retry = new MessageWriter().message(1, new MessageWriter().varint(1, 2).varint(2, 5e8));
  const status = new MessageWriter().varint(1, 3)
    .message(3, any('ErrorInfo', info)).message(3, any('BadRequest', bad)).message(3, any('RetryInfo', retry)).toBuffer();
  assert.deepEqual(detailsOf(status), {
    reason: 'LIMIT', field: 'base.labels', metadata: { bytes: '7' }, retryDelayMs: 2500,
  });
});
