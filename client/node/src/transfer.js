// How one batch goes to the server, in one message or in chunks: as
// client/lossd/transfer.cc decides it.

import { invalid } from './errors.js';
import { checkComplete, readLossResponse } from './response.js';
import { withRetries } from './retry.js';
import { chunkRows, streamBatch } from './stream.js';
import { bytesOf, elementBytes, newArray } from './tensor.js';
import { MAX_MESSAGE_BYTES } from './wire.js';

/** Where streams begin: from here on memory is bounded on both sides. */
const MIN_STREAMED_BYTES = 4 * 2 ** 20;

const TRANSFERS = ['auto', 'unary', 'stream'];

async function unary(connection, batch, call) {
  const request = batch.message({ withLogits: true });
  const result = readLossResponse(await connection.unary('ComputeLoss', request, call), batch);
  checkComplete(result, batch.outputs);
  if (call.gradientInto !== undefined) {
    call.gradientInto.set(result.gradient);
    result.gradient = call.gradientInto;
  }
  call.progress?.(batch.rows, batch.rows);
  return result;
}

// One attempt, each gradient chunk copied to its place in one array.
async function streamOnce(connection, batch, rowsPerMessage, call) {
  const wantsGradient = batch.outputs.has('gradient');
  const gradient = wantsGradient ? call.gradientInto ?? newArray(batch.gradientDataType, batch.elements) : undefined;
  const rowBytes = batch.classes * elementBytes(batch.gradientDataType);
  const onSent = (rows) => { if (!wantsGradient) call.progress?.(rows, batch.rows); };
  const answers = streamBatch(connection, batch, [batch.logits.data].filter((data) => data.length > 0), rowsPerMessage, call, onSent);
  let result;
  for await (const { summary, firstRow, rows, raw } of answers) {
    if (summary !== undefined) {
      result = wantsGradient ? { ...summary, gradient } : summary;
    } else {
      bytesOf(gradient).set(raw, firstRow * rowBytes);
      call.progress?.(firstRow + rows, batch.rows);
    }
  }
  checkComplete(result, batch.outputs);
  return result;
}

async function stream(connection, batch, call) {
  let rowsPerMessage = chunkRows(batch, connection.maxRequestBytes);
  for (;;) {
    try {
      return await withRetries(connection, call, () => streamOnce(connection, batch, rowsPerMessage, call));
    } catch (error) {
      // Again, if that makes any message smaller that was too large.
      if (!connection.learnLimit(error)) throw error;
      const rows = chunkRows(batch, connection.maxRequestBytes);
      if (rows >= rowsPerMessage) throw error;
      rowsPerMessage = rows;
    }
  }
}

/** Computes `batch`; goes from one way to the other where the server refuses the first. */
export async function transferLoss(connection, batch, call) {
  const { transfer } = call;
  if (!TRANSFERS.includes(transfer)) throw invalid('transfer', `transfer = ${transfer}, want one of ${TRANSFERS.join(', ')}`);
  const obstacle = batch.streamObstacle;
  if (transfer === 'stream' && obstacle) throw obstacle;
  if (transfer === 'stream') return stream(connection, batch, call);
  if (transfer === 'unary' || obstacle) return unary(connection, batch, call);

  const bytes = batch.message({ withLogits: true }).length;
  const goesWhole = batch.logitsBytes < MIN_STREAMED_BYTES && bytes <= connection.maxRequestBytes;
  try {
    return await (goesWhole ? unary : stream)(connection, batch, call);
  } catch (error) {
    if (goesWhole && connection.learnLimit(error)) return stream(connection, batch, call);
    if (!goesWhole && error.code === 'UNIMPLEMENTED' && bytes <= MAX_MESSAGE_BYTES) return unary(connection, batch, call);
    throw error;
  }
}
