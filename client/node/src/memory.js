// Memory of requests, kept from one to the next: writing 50 MB to pages that the
// system has yet to hand out takes longer than the copy.

const MAX_KEPT_BYTES = 64 * 2 ** 20;
const MIN_KEPT_BYTES = 64 * 2 ** 10;

export class RequestMemory {
  #kept = [];
  #keptBytes = 0;

  /** A buffer of `length` bytes with any contents. */
  take(length) {
    const found = this.#kept.findIndex((memory) => memory.length >= length && memory.length <= 2 * length);
    if (found < 0) return Buffer.allocUnsafeSlow(length);
    const [memory] = this.#kept.splice(found, 1);
    this.#keptBytes -= memory.length;
    return memory.subarray(0, length);
  }

  /** Takes a buffer of `take` back, which nobody reads any more. */
  give(buffer) {
    const memory = Buffer.from(buffer.buffer);
    if (memory.length < MIN_KEPT_BYTES || this.#keptBytes + memory.length > MAX_KEPT_BYTES) return;
    this.#kept.push(memory);
    this.#keptBytes += memory.length;
  }
}
