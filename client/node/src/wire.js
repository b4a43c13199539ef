// Protobuf's wire format, as far as the contract needs it. Large fields are
// kept as views and copied once, when the message becomes one buffer.

import { LossError, internal } from './errors.js';
import { RequestMemory } from './memory.js';

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The most bytes of a message: protobuf's own limit, less what shapes and lengths may take. */
export const MAX_MESSAGE_BYTES = 2 ** 31 - 1 - 64 * 1024;

/** Throws for a message that is longer. */
export function checkMessageLength(length) {
  if (length <= MAX_MESSAGE_BYTES) return;
  throw new LossError(`a message of ${length} bytes is larger than the ${MAX_MESSAGE_BYTES} that one may have`,
    { code: 'RESOURCE_EXHAUSTED' });
}

function varintBytes(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** A message in the making: pieces in order, none copied before `toBuffer`. */
export class MessageWriter {
  #pieces = [];
  length = 0;

  #add(bytes) {
    this.#pieces.push(bytes);
    this.length += bytes.length;
  }

  #tag(field, wireType) {
    this.#add(varintBytes(field * 8 + wireType));
  }

  /** An integer, boolean or enum; negative ones take ten bytes, as int64 do. */
  varint(field, value) {
    this.#tag(field, VARINT);
    this.#add(varintBytes(value));
    return this;
  }

  double(field, value) {
    this.#tag(field, FIXED64);
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.#add(bytes);
    return this;
  }

  /** A view: `bytes` must not change before `toBuffer`. */
  bytes(field, bytes) {
    this.#tag(field, BYTES);
    this.#add(varintBytes(bytes.length));
    this.#add(bytes);
    return this;
  }

  packedVarints(field, values) {
    return this.bytes(field, Buffer.concat(values.map(varintBytes)));
  }

  message(field, message) {
    this.#tag(field, BYTES);
    this.#add(varintBytes(message.length));
    this.#pieces.push(...message.#pieces);
    this.length += message.length;
    return this;
  }

  /** The whole message in one buffer of `memory`: the one copy of what it is made of. */
  toBuffer(memory = new RequestMemory()) {
    checkMessageLength(this.length);
    const buffer = memory.take(this.length);
    let position = 0;
    for (const piece of this.#pieces) {
      buffer.set(piece, position);
      position += piece.length;
    }
    return buffer;
  }
}

class Cursor {
  constructor(buffer) {
    this.buffer = buffer;
    this.position = 0;
  }

  get atEnd() {
    return this.position === this.buffer.length;
  }

  take(count) {
    const start = this.position;
    const left = this.buffer.length - start;
    if (count < 0 || count > left) {
      throw internal(`the server's answer has a field of ${count} bytes where ${left} are left`);
    }
    this.position += count;
    return this.buffer.subarray(start, this.position);
  }

  // A number up to 2^53, a BigInt beyond: exact either way.
  varint() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.take(1)[0];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) {
        const signed = BigInt.asIntN(64, value);
        const number = Number(signed);
        return Number.isSafeInteger(number) ? number : signed;
      }
    }
    throw internal("the server's answer has an integer of more than 10 bytes");
  }

  value(wireType) {
    switch (wireType) {
      case VARINT:
        return this.varint();
      case FIXED64:
        return this.take(8);
      case BYTES:
        return this.take(this.varint());
      case FIXED32:
        return this.take(4);
      default:
        throw internal(`the server's answer has a field of wire type ${wireType}, want 0, 1, 2 or 5`);
    }
  }
}

/**
 * Yields [field, value] of each field of a message, in the order of its bytes:
 * a number for a varint (a BigInt beyond 2^53), else a view of `buffer`.
 */
export function* fieldsOf(buffer) {
  const cursor = new Cursor(buffer);
  while (!cursor.atEnd) {
    const tag = cursor.varint();
    yield [Math.floor(Number(tag) / 8), cursor.value(Number(tag) % 8)];
  }
}

/** The varints of a repeated field's value, packed or one by itself. */
export function varintsOf(value) {
  if (typeof value === 'number' || typeof value === 'bigint') return [value];
  const cursor = new Cursor(value);
  const values = [];
  while (!cursor.atEnd) values.push(cursor.varint());
  return values;
}
