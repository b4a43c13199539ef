// What a caller sees: index.d.ts has the contract.

import { Connection } from './connection.js';
import { invalid } from './errors.js';
import { ANSWER_OPTIONS, Batch, CALL_OPTIONS, TRANSFER_OPTIONS, batchOptions, checkNames, hessianMessage } from './request.js';
import { checkComplete, readHessianResponse, readServerInfo } from './response.js';
import { fromGrpc } from './status.js';
import { chunkRows, streamBatch } from './stream.js';
import { viewOf } from './tensor.js';
import { transferLoss } from './transfer.js';
import { MessageWriter } from './wire.js';

// setTimeout's own most, in ms; gRPC waits by it.
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

function callOf({ timeoutMs = Infinity, signal }) {
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) throw invalid('timeoutMs', `timeoutMs = ${timeoutMs}, want a number > 0`);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalid('signal', `signal is ${typeof signal}, want an AbortSignal`);
  return { deadline: timeoutMs > MAX_TIMEOUT_MS ? Infinity : Date.now() + timeoutMs, signal };
}

/** A batch that streams, its gradient chunk by chunk: iterate it, once. */
class LossStream {
  #connection;
  #batch;
  #chunks;
  #call;

  constructor(connection, batch, chunks, call) {
    this.#connection = connection;
    this.#batch = batch;
    this.#chunks = chunks;
    this.#call = call;
    this.summary = undefined;
  }

  async *[Symbol.asyncIterator]() {
    const [connection, batch] = [this.#connection, this.#batch];
    const rowsPerMessage = chunkRows(batch, connection.maxRequestBytes);
    try {
      for await (const { summary, firstRow, rows, raw } of streamBatch(connection, batch, this.#chunks, rowsPerMessage, this.#call)) {
        if (summary === undefined) {
          yield { firstRow, rows, gradient: viewOf(raw, batch.gradientDataType) };
        } else {
          checkComplete(summary, [...batch.outputs].filter((output) => output !== 'gradient'));
          this.summary = summary;
        }
      }
    } catch (error) {
      throw fromGrpc(error);
    }
  }
}

export class LossClient {
  #connection;

  constructor(target = '127.0.0.1:50051', options = {}) {
    this.#connection = new Connection(target, options);
  }

  async computeLoss(loss, logits, labels, options = {}) {
    checkNames(options, [...batchOptions(loss), ...ANSWER_OPTIONS, ...TRANSFER_OPTIONS]);
    if (logits?.chunks !== undefined) throw invalid('logits', 'logits.chunks were given, which streamLoss alone takes');
    const { transfer = 'auto', progress, gradientInto } = options;
    if (progress !== undefined && typeof progress !== 'function') throw invalid('progress', `progress is ${typeof progress}, want a function`);
    const batch = new Batch(loss, logits, labels, options);
    if (gradientInto !== undefined) batch.checkGradientInto(gradientInto);
    return transferLoss(this.#connection, batch, { ...callOf(options), transfer, progress, gradientInto });
  }

  crossEntropy(logits, labels, options) {
    return this.computeLoss('softmax_cross_entropy', logits, labels, options);
  }

  sigmoidCrossEntropy(logits, targets, options) {
    return this.computeLoss('sigmoid_cross_entropy', logits, targets, options);
  }

  negativeLogLikelihood(logits, labels, options) {
    return this.computeLoss('negative_log_likelihood', logits, labels, options);
  }

  klDivergence(logits, teacher, options) {
    return this.computeLoss('kl_divergence', logits, teacher, options);
  }

  softmaxFocal(logits, labels, options) {
    return this.computeLoss('softmax_focal', logits, labels, options);
  }

  sigmoidFocal(logits, targets, options) {
    return this.computeLoss('sigmoid_focal', logits, targets, options);
  }

  multiclassHinge(logits, labels, options) {
    return this.computeLoss('multiclass_hinge', logits, labels, options);
  }

  squaredError(logits, targets, options) {
    return this.computeLoss('squared_error', logits, targets, options);
  }

  huber(logits, targets, options) {
    return this.computeLoss('huber', logits, targets, options);
  }

  streamLoss(loss, logits, labels, options = {}) {
    checkNames(options, [...batchOptions(loss), ...ANSWER_OPTIONS]);
    const batch = new Batch(loss, logits, labels, options);
    if (batch.streamObstacle) throw batch.streamObstacle;
    const chunks = logits.chunks ?? [batch.logits.data].filter((data) => data.length > 0);
    return new LossStream(this.#connection, batch, chunks, callOf(options));
  }

  async hessianVectorProduct(loss, logits, labels, vector, options = {}) {
    checkNames(options, batchOptions(loss));
    const batch = new Batch(loss, logits, labels, options);
    const request = hessianMessage(batch, vector);
    const answer = await this.#connection.unary('ComputeHessianVectorProduct', request, callOf(options));
    return readHessianResponse(answer, batch);
  }

  async serverInfo(options = {}) {
    checkNames(options, CALL_OPTIONS);
    return readServerInfo(await this.#connection.unary('GetServerInfo', new MessageWriter(), callOf(options)));
  }

  close() {
    this.#connection.close();
  }
}
