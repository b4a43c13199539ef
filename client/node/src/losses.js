// The losses of the contract and their options, as LossSpec's messages have them.

import { invalid } from './errors.js';
import { tensorMessage, weightsOf, withShape } from './tensor.js';
import { MessageWriter } from './wire.js';

function number(message, field, value, name) {
  if (typeof value !== 'number') throw invalid(name, `${name} is ${typeof value}, want a number`);
  message.double(field, value);
}

function integer(bits, message, field, value, name) {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) {
    throw invalid(name, `${name} = ${value}, want an integer below 2^53, or a BigInt`);
  }
  if (BigInt.asIntN(bits, BigInt(value)) !== BigInt(value)) {
    throw invalid(name, `${name} = ${value}, want an integer of ${bits} bits`);
  }
  message.varint(field, value);
}

const int64 = (...option) => integer(64, ...option);
const int32 = (...option) => integer(32, ...option);

function flag(message, field, value, name) {
  if (typeof value !== 'boolean') throw invalid(name, `${name} is ${typeof value}, want a boolean`);
  message.varint(field, value ? 1 : 0);
}

function perClass(message, field, value, name, classes) {
  message.message(field, tensorMessage(withShape(name, weightsOf(name, value), [classes])));
}

/** By the contract's name: LossSpec's field, and each option's field and writer. */
export const LOSSES = {
  softmax_cross_entropy: {
    field: 1,
    options: {
      labelSmoothing: [1, number],
      classWeights: [2, perClass],
      ignoreIndex: [3, int64],
      zLoss: [4, number],
      logitScale: [5, number],
      logitSoftcap: [6, number],
    },
  },
  sigmoid_cross_entropy: {
    field: 2,
    options: { positiveWeights: [1, perClass], labelSmoothing: [2, number] },
  },
  negative_log_likelihood: {
    field: 3,
    options: { classWeights: [1, perClass], ignoreIndex: [2, int64] },
  },
  kl_divergence: {
    field: 4,
    options: { temperature: [1, number], targetsAreLogits: [2, flag] },
  },
  softmax_focal: {
    field: 5,
    options: { gamma: [1, number], classWeights: [2, perClass], ignoreIndex: [3, int64] },
  },
  sigmoid_focal: {
    field: 6,
    options: { gamma: [1, number], alpha: [2, number] },
  },
  multiclass_hinge: {
    field: 7,
    options: { margin: [1, number], power: [2, int32] },
  },
  squared_error: { field: 8, options: {} },
  huber: { field: 9, options: { delta: [1, number] } },
};

/** Throws unless `loss` is a name of the contract. */
export function checkLoss(loss) {
  if (!Object.hasOwn(LOSSES, loss)) {
    throw invalid('loss', `loss = ${loss}, want one of ${Object.keys(LOSSES).join(', ')}`);
  }
}

/** The LossSpec message of `loss` with what `options` has for it. */
export function lossMessage(loss, options, classes) {
  const message = new MessageWriter();
  for (const [name, [field, write]] of Object.entries(LOSSES[loss].options)) {
    if (options[name] !== undefined) write(message, field, options[name], name, classes);
  }
  return new MessageWriter().message(LOSSES[loss].field, message);
}
