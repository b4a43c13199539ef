// The server's answers, read: numbers, and typed arrays over the received bytes.

import { internal } from './errors.js';
import { DATA_TYPES, readTensor } from './tensor.js';
import { fieldsOf, varintsOf } from './wire.js';

const sameType = (batch) => batch.logits.dataType;

// By ComputeLossResponse's field: the tensor's name, its type and its size.
const TENSORS = {
  5: ['rowLosses', sameType, (batch) => batch.rows],
  6: ['logSumExp', sameType, (batch) => batch.rows],
  7: ['predictions', () => 'int64', (batch) => batch.rows],
  13: ['logProbabilities', sameType, (batch) => batch.elements],
  14: ['probabilities', sameType, (batch) => batch.elements],
  15: ['gradient', (batch) => batch.gradientDataType, (batch) => batch.elements],
};

/** A LossResult of a ComputeLossResponse's bytes. */
export function readLossResponse(bytes, batch) {
  const result = { loss: undefined, rowCount: 0, correctCount: 0, divisor: 0 };
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 1) result.loss = value.readDoubleLE();
    if (field === 2) result.correctCount = value;
    if (field === 3) result.rowCount = value;
    if (field === 4) result.divisor = value.readDoubleLE();
    if (Object.hasOwn(TENSORS, field)) {
      const [name, dataType, count] = TENSORS[field];
      result[name] = readTensor(name, value, dataType(batch), count(batch));
    }
  }
  return result;
}

/** Throws unless `result` has each tensor that was asked for. */
export function checkComplete(result, wanted) {
  for (const output of wanted) {
    if (output !== 'loss' && result[output] === undefined) {
      throw internal(`the server answered no ${output}, which was asked for`);
    }
  }
}

/** The product of a ComputeHessianVectorProductResponse's bytes. */
export function readHessianResponse(bytes, batch) {
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 1) return readTensor('product', value, batch.logits.dataType, batch.elements);
  }
  throw internal('the server answered no product');
}

/** {firstRow, raw} or {summary}, whichever a StreamLossResponse's bytes are. */
export function readStreamResponse(bytes, batch) {
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 2) return { summary: readLossResponse(value, batch) };
    if (field === 1) {
      const { 1: firstRow = 0, 2: raw = Buffer.alloc(0) } = Object.fromEntries(fieldsOf(value));
      return { firstRow, raw };
    }
  }
  throw internal('the server answered neither a gradient chunk nor a summary');
}

/** A ServerInfo of a GetServerInfoResponse's bytes. */
export function readServerInfo(bytes) {
  const info = {
    version: '', kernel: '', computeThreads: 0, maxRequestBytes: 0, memoryBudgetBytes: 0, losses: [], dataTypes: [],
  };
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 1) info.version = value.toString();
    if (field === 2) info.kernel = value.toString();
    if (field === 3) info.computeThreads = value;
    if (field === 4) info.maxRequestBytes = value;
    if (field === 5) info.memoryBudgetBytes = value;
    if (field === 6) info.losses.push(value.toString());
    if (field === 7) info.dataTypes.push(...varintsOf(value).map((number) => DATA_TYPES[number - 1]));
  }
  return info;
}
