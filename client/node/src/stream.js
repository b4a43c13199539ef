// StreamLoss: chunks of whole rows out, the gradient's chunks in, both at once.

import { cancelled, internal, invalid } from './errors.js';
import { bytesOf, elementBytes, newArray } from './tensor.js';
import { readStreamResponse } from './response.js';
import { MessageWriter } from './wire.js';

const CHUNK_BYTES = 2 ** 20;
/** The most bytes that a chunk's message has beside its rows. */
const CHUNK_HEAD_BYTES = 12;

/** How many rows a message holds, of the usual length or as the server wants. */
export function chunkRows(batch, maxRequestBytes) {
  const most = Math.min(CHUNK_BYTES, maxRequestBytes - CHUNK_HEAD_BYTES);
  return Math.max(1, Math.floor(most / batch.rowBytes));
}

const headerMessage = (batch, memory) =>
  new MessageWriter().message(1, batch.message({ withLogits: false })).toBuffer(memory);
const chunkMessage = (rows, memory) =>
  new MessageWriter().message(2, new MessageWriter().bytes(1, rows)).toBuffer(memory);

function checkChunk(batch, chunk, index) {
  const like = newArray(batch.logits.dataType, 0);
  if (!(chunk instanceof like.constructor)) {
    throw invalid('logits.chunks', `logits.chunks[${index}] is no ${like.constructor.name}, which ${batch.logits.dataType} logits are in`);
  }
  if (chunk.length === 0 || chunk.length % batch.classes !== 0) {
    throw invalid('logits.chunks',
      `logits.chunks[${index}] has ${chunk.length} elements, want a positive multiple of ${batch.classes}: whole rows`);
  }
}

/**
 * The messages of one stream: the header, then at most `rowsPerMessage` rows
 * each, out of `chunks`, typed arrays. Asking for the next means that the last
 * was written, which `onSent` hears of, in rows.
 */
async function* messagesOf(batch, chunks, rowsPerMessage, memory, onSent) {
  yield headerMessage(batch, memory);
  const step = rowsPerMessage * batch.rowBytes;
  let sentBytes = 0;
  let index = 0;
  for await (const chunk of chunks) {
    checkChunk(batch, chunk, index);
    index += 1;
    const bytes = bytesOf(chunk);
    for (let start = 0; start < bytes.length; start += step) {
      const rows = bytes.subarray(start, start + step);
      yield chunkMessage(rows, memory);
      sentBytes += rows.length;
      onSent(sentBytes / batch.rowBytes);
    }
  }
}

// Writes `messages` one by one, the next made while one is written; stops once
// `over.is`, which `over.promise` waits for: reading tells why. gRPC has copied
// what is written, so `memory` may have it again.
async function writeAll(stream, messages, memory, over) {
  let written = Promise.resolve();
  for await (const message of messages) {
    await Promise.race([written, over.promise]);
    if (over.is) return;
    written = new Promise((resolve) => {
      stream.write(message, () => {
        memory.give(message);
        resolve();
      });
    });
  }
  await Promise.race([written, over.promise]);
  if (!over.is) stream.end();
}

function overOf(stream) {
  const over = { is: false };
  over.promise = new Promise((resolve) => {
    stream.on('status', () => {
      over.is = true;
      resolve();
    });
  });
  return over;
}

/** One StreamLoss: yields each answer's bytes; a reader that stops cancels it. */
async function* exchange(connection, messages, { deadline, signal }) {
  if (signal?.aborted) throw cancelled(signal);
  const stream = connection.openStream(deadline);
  const cancel = () => stream.cancel();
  // An error after the reader has gone is nobody's.
  stream.on('error', () => {});
  signal?.addEventListener('abort', cancel, { once: true });
  let sourceError;
  writeAll(stream, messages, connection.memory, overOf(stream)).catch((error) => {
    sourceError = error;
    cancel();
  });
  try {
    yield* stream;
  } catch (error) {
    throw sourceError ?? (signal?.aborted ? cancelled(signal) : error);
  } finally {
    signal?.removeEventListener('abort', cancel);
    cancel();
  }
}

// The rows of a gradient chunk, which must be the next of those not answered yet.
function rowsOf(batch, { firstRow, raw }, answered) {
  if (!batch.outputs.has('gradient')) throw internal('the server answered a gradient chunk, want none');
  if (firstRow !== answered) {
    throw internal(`the server answered a gradient chunk from row ${firstRow}, want row ${answered}`);
  }
  const rowBytes = batch.classes * elementBytes(batch.gradientDataType);
  const rows = raw.length / rowBytes;
  const left = batch.rows - answered;
  if (!Number.isInteger(rows) || rows < 1 || rows > left) {
    throw internal(`the server answered ${raw.length} bytes of gradient from row ${firstRow}, `
      + `want a positive multiple of ${rowBytes} up to ${left * rowBytes}`);
  }
  return rows;
}

/**
 * Streams `batch`, its logits out of `chunks` (typed arrays, at most
 * `rowsPerMessage` rows a message); yields {firstRow, rows, raw} of each gradient
 * chunk in the rows' order, then {summary}. One attempt.
 */
export async function* streamBatch(connection, batch, chunks, rowsPerMessage, call, onSent = () => {}) {
  const messages = messagesOf(batch, chunks, rowsPerMessage, connection.memory, onSent);
  let answered = 0;
  let summary;
  for await (const bytes of exchange(connection, messages, call)) {
    if (summary !== undefined) throw internal('the server answered more after its summary');
    const answer = readStreamResponse(bytes, batch);
    if (answer.summary === undefined) {
      const rows = rowsOf(batch, answer, answered);
      yield { firstRow: answered, rows, raw: answer.raw };
      answered += rows;
    } else {
      summary = answer.summary;
    }
  }
  if (summary === undefined || (batch.outputs.has('gradient') && answered < batch.rows)) {
    throw internal(`the server ended the stream without ${summary === undefined ? 'a summary' : 'the whole gradient'}, `
      + `${answered} of ${batch.rows} rows answered`);
  }
  yield { summary };
}
