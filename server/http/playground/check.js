// The gradient against central differences, both from the service, in one call of float64.
import { computeLoss } from './api.js';
import { fromJson } from './format.js';
import { requestFor } from './request.js';
import { selectedSample } from './state.js';

/** @typedef {import('./state.js').State} State */

/**
 * @typedef {object} Check
 * @property {number} step
 * @property {number[]} gradient of the sample's own loss
 * @property {number[]} differences (l(z + h e_i) - l(z - h e_i)) / 2h
 */

// A power of two, so that logits of usual size move by exactly this: the error of a central difference is some
// h^2, that of its rounding some 2^-53 / h.
const STEP = 2 ** -17;

/** @param {State} state @returns {Promise<Check>} */
export async function checkGradient(state) {
  const sample = selectedSample(state);
  const moved = (/** @type {number} */ i, /** @type {number} */ by) => ({
    ...sample, logits: sample.logits.map((z, j) => (i === j ? z + by : z)),
  });
  const classes = sample.logits.map((_, i) => i);
  const answer = await computeLoss(requestFor(state, [
    sample, ...classes.map((i) => moved(i, STEP)), ...classes.map((i) => moved(i, -STEP)),
  ], { dataType: 'FLOAT64', reduction: 'NONE', outputs: ['ROW_LOSSES', 'GRADIENT'] }));
  const losses = answer.rowLosses.values.map(fromJson);
  return {
    step: STEP,
    gradient: answer.gradient.values[0].map(fromJson),
    differences: classes.map((i) => (losses[1 + i] - losses[1 + classes.length + i]) / (2 * STEP)),
  };
}
