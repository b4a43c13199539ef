// What is asked of the service, as the JSON of the contract.
import { lossOf } from './losses.js';
import { toJson, toNumber, toNumbers } from './format.js';
import { hasTargets } from './state.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./state.js').Sample} Sample */

/**
 * @param {string} dataType
 * @param {number[][]} values
 */
const tensor = (dataType, values) => ({
  dataType: `DATA_TYPE_${dataType}`,
  values: values.map((row) => row.map(toJson)),
});

/**
 * The loss with its options. What someone typed that is no number goes as it is: the service says what is
 * wrong with it.
 * @param {State} state
 */
export function lossSpec(state) {
  const loss = lossOf(state.loss);
  /** @type {Record<string, any>} */
  const options = {};
  for (const { key, kind } of loss.options) {
    const text = state.options[key]?.trim();
    if (!text) continue;
    if (kind === 'switch') {
      options[key] = true;
    } else if (kind === 'numbers') {
      const numbers = toNumbers(text);
      options[key] = numbers ? { dataType: 'DATA_TYPE_FLOAT64', values: numbers.map(toJson) } : text;
    } else {
      const number = toNumber(text);
      options[key] = number === undefined ? text : toJson(number);
    }
  }
  return { [loss.key]: options };
}

/**
 * @param {State} state
 * @param {Sample[]} samples
 * @param {{dataType: string, reduction: string, outputs: string[]}} how
 */
export function requestFor(state, samples, how) {
  const labels = hasTargets(state)
    ? tensor(how.dataType, samples.map((sample) => sample.targets))
    : { dataType: 'DATA_TYPE_INT64', values: samples.map((sample) => sample.label) };
  return {
    loss: lossSpec(state),
    reduction: `REDUCTION_${how.reduction}`,
    outputs: how.outputs.map((output) => `OUTPUT_${output}`),
    labels,
    logits: tensor(how.dataType, samples.map((sample) => sample.logits)),
  };
}

/** The whole batch, as the page shows it. @param {State} state */
export function batchRequest(state) {
  const outputs = ['LOSS', 'GRADIENT', 'ROW_LOSSES', 'PREDICTIONS'];
  if (lossOf(state.loss).softmax) outputs.push('LOG_SUM_EXP', 'PROBABILITIES');
  return requestFor(state, state.samples, {
    dataType: state.dataType, reduction: state.reduction, outputs,
  });
}
