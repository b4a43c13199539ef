// A caller's batch and options, checked, and the request's messages of them.

import { invalid } from './errors.js';
import { LOSSES, checkLoss, lossMessage } from './losses.js';
import {
  DATA_TYPES, checkShape, dataTypeNumber, elementBytes, elementCount, isIntegral, tensorMessage, tensorOf, weightsOf, withShape,
} from './tensor.js';
import { MessageWriter } from './wire.js';

const REDUCTIONS = ['mean', 'sum', 'none'];
const POLICIES = ['reject', 'propagate'];
/** The contract's outputs in the order of their numbers, from 1. */
const OUTPUTS = [
  'loss', 'gradient', 'rowLosses', 'logSumExp', 'probabilities', 'logProbabilities', 'predictions',
];
const FLOAT_TYPES = DATA_TYPES.filter((type) => !isIntegral(type));

/** The options of every call. */
export const CALL_OPTIONS = ['timeoutMs', 'signal'];
/** The options of a batch, whatever its loss. */
export const BATCH_OPTIONS = [
  'shape', 'rows', 'classes', 'classAxis', 'reduction', 'divisor', 'rowWeights', 'upstreamGradient', 'nonFinitePolicy',
];
/** The options of what comes back and how. */
export const ANSWER_OPTIONS = ['outputs', 'gradientDataType'];
export const TRANSFER_OPTIONS = ['transfer', 'progress', 'gradientInto'];

/** Throws for an option that nobody would read. */
export function checkNames(options, known) {
  if (options === null || typeof options !== 'object') throw invalid('options', `options is ${options}, want an object`);
  const odd = Object.keys(options).find((name) => !known.includes(name));
  if (odd !== undefined) throw invalid(odd, `no option ${odd} here, want one of ${known.join(', ')}`);
}

function checkOneOf(name, value, allowed) {
  if (!allowed.includes(value)) throw invalid(name, `${name} = ${value}, want one of ${allowed.join(', ')}`);
}

function shapeOf(logits, given, options) {
  const { shape = given, classes, rows } = options;
  if (shape !== undefined) {
    const others = given === undefined ? { rows, classes } : { shape: options.shape, rows, classes };
    const twice = Object.keys(others).find((name) => others[name] !== undefined);
    if (twice !== undefined) throw invalid(twice, `${twice} was given beside the shape [${given ?? shape}], want one of them`);
    return given ?? shape;
  }
  if (!Number.isSafeInteger(classes) || classes < 1) {
    throw invalid('classes', `classes = ${classes}, want an integer >= 1, or the logits' shape`);
  }
  return [rows ?? (logits.data && Math.floor(logits.data.length / classes)), classes];
}

function axisOf(shape, classAxis) {
  const rank = shape.length;
  if (!Number.isInteger(classAxis) || classAxis < -rank || classAxis >= rank) {
    throw invalid('classAxis', `classAxis = ${classAxis}, want an integer in [${-rank}, ${rank})`);
  }
  return classAxis < 0 ? classAxis + rank : classAxis;
}

// A stream may get its logits later, in chunks: their shape and type are all there is.
function logitsOf(value, options) {
  const isChunked = value?.chunks !== undefined;
  const tensor = isChunked ? { dataType: value.dataType ?? 'float32' } : tensorOf('logits', value);
  const shape = shapeOf(tensor, value?.shape, options);
  if (!FLOAT_TYPES.includes(tensor.dataType)) {
    throw invalid('logits', `logits are ${tensor.dataType}, want one of ${FLOAT_TYPES.join(', ')}`);
  }
  checkShape('logits', shape);
  return isChunked ? { ...tensor, shape } : withShape('logits', tensor, shape);
}

function labelsOf(value, logits, axis) {
  const tensor = tensorOf('labels', value);
  const shape = isIntegral(tensor.dataType) ? without(logits.shape, axis) : logits.shape;
  return withShape('labels', tensor, shape);
}

function without(shape, axis) {
  return shape.filter((_, index) => index !== axis);
}

function factorsOf(name, value, lengths) {
  const tensor = weightsOf(name, value);
  if (!lengths.includes(tensor.data.length)) {
    throw invalid(name, `${name} has ${tensor.data.length} elements, want ${lengths.join(' or ')}`);
  }
  return withShape(name, tensor, [tensor.data.length]);
}

function outputsOf(options) {
  const outputs = options.outputs ?? ['loss', 'gradient'];
  if (!Array.isArray(outputs)) throw invalid('outputs', `outputs is ${typeof outputs}, want an array`);
  outputs.forEach((output, index) => checkOneOf(`outputs[${index}]`, output, OUTPUTS));
  return new Set(outputs);
}

/** One batch as the caller gave it: views of the caller's arrays, shapes checked. */
export class Batch {
  constructor(loss, logits, labels, options) {
    checkLoss(loss);
    this.loss = loss;
    this.options = options;
    this.logits = logitsOf(logits, options);
    const { shape } = this.logits;
    const axis = axisOf(shape, options.classAxis ?? -1);
    this.classes = shape[axis];
    this.rows = elementCount(without(shape, axis));
    this.classAxisIsLast = elementCount(shape.slice(axis + 1)) === 1;
    this.labels = labelsOf(labels, this.logits, axis);
    this.outputs = outputsOf(options);
    this.gradientDataType = options.gradientDataType ?? this.logits.dataType;
    checkOneOf('gradientDataType', this.gradientDataType, FLOAT_TYPES);
    checkOneOf('reduction', options.reduction ?? 'mean', REDUCTIONS);
    checkOneOf('nonFinitePolicy', options.nonFinitePolicy ?? 'reject', POLICIES);
  }

  get elements() {
    return this.rows * this.classes;
  }

  get logitsBytes() {
    return this.elements * elementBytes(this.logits.dataType);
  }

  get rowBytes() {
    return this.classes * elementBytes(this.logits.dataType);
  }

  /** Throws unless the gradient can be written into `array`. */
  checkGradientInto(array) {
    if (!this.outputs.has('gradient')) throw invalid('gradientInto', 'gradientInto was given, want none: outputs has no gradient');
    const { dataType } = tensorOf('gradientInto', array instanceof Uint16Array ? { data: array, dataType: this.gradientDataType } : array);
    if (dataType !== this.gradientDataType || array.length !== this.elements) {
      throw invalid('gradientInto', `gradientInto has ${array.length} elements of ${dataType}, want ${this.elements} of ${this.gradientDataType}`);
    }
  }

  /** Why this cannot be a stream; undefined where it can. */
  get streamObstacle() {
    if (!this.classAxisIsLast) {
      return invalid('classAxis', `classAxis = ${this.options.classAxis}, want the last for a stream: its chunks are of whole rows`);
    }
    const whole = ['probabilities', 'logProbabilities'].find((output) => this.outputs.has(output));
    return whole && invalid('outputs', `${whole} were asked of a stream, want none: they are one message`);
  }

  /** The ComputeLossRequest; without the logits' elements it is a stream's header. */
  message({ withLogits }) {
    const { options } = this;
    const message = new MessageWriter()
      .message(1, lossMessage(this.loss, options, this.classes))
      .varint(2, REDUCTIONS.indexOf(options.reduction ?? 'mean') + 1);
    if (options.divisor !== undefined) message.double(3, this.#divisor());
    if (options.classAxis !== undefined) message.varint(4, options.classAxis);
    message.packedVarints(5, [...this.outputs].map((output) => OUTPUTS.indexOf(output) + 1));
    message.varint(6, dataTypeNumber(this.gradientDataType));
    message.varint(7, POLICIES.indexOf(options.nonFinitePolicy ?? 'reject') + 1);
    this.#addFactors(message);
    const { data, ...logitsHead } = this.logits;
    return message
      .message(14, tensorMessage(this.labels))
      .message(15, tensorMessage(withLogits ? this.logits : logitsHead));
  }

  #divisor() {
    const { divisor } = this.options;
    if (typeof divisor !== 'number') throw invalid('divisor', `divisor is ${typeof divisor}, want a number`);
    return divisor;
  }

  #addFactors(message) {
    const { rowWeights, upstreamGradient } = this.options;
    if (rowWeights !== undefined) {
      message.message(8, tensorMessage(factorsOf('rowWeights', rowWeights, [this.rows])));
    }
    if (upstreamGradient !== undefined) {
      message.message(9, tensorMessage(factorsOf('upstreamGradient', upstreamGradient, [this.rows, 1])));
    }
  }
}

/** The option names that `loss` and every batch have. */
export function batchOptions(loss) {
  checkLoss(loss);
  return [...BATCH_OPTIONS, ...CALL_OPTIONS, ...Object.keys(LOSSES[loss].options)];
}

/** The ComputeHessianVectorProductRequest of `batch` and `vector`, of the logits' shape and type. */
export function hessianMessage(batch, vector) {
  const tensor = withShape('vector', tensorOf('vector', vector), batch.logits.shape);
  return new MessageWriter()
    .message(1, batch.message({ withLogits: true }))
    .message(2, tensorMessage(tensor));
}

