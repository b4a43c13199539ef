// The loss and its derivative along one logit, all other logits as they are.
import { computeLoss } from './api.js';
import { fromJson } from './format.js';
import { requestFor } from './request.js';
import { selectedSample } from './state.js';

/** @typedef {import('./state.js').State} State */

/**
 * @typedef {object} Curve
 * @property {number[]} logits where it was computed
 * @property {number[]} losses of the sample alone
 * @property {number[]} derivatives with respect to that logit
 */

const POINTS = 201;
const REACH = 8;

/** @param {State} state @returns {Promise<Curve>} */
export async function curveAlong(state) {
  const sample = selectedSample(state);
  const here = sample.logits[state.axis];
  const middle = Number.isFinite(here) ? here : 0;
  const from = Math.min(-REACH, middle - 2);
  const to = Math.max(REACH, middle + 2);
  const logits = Array.from({ length: POINTS }, (_, k) => from + ((to - from) * k) / (POINTS - 1));
  const answer = await computeLoss(requestFor(state, logits.map((value) => ({
    ...sample, logits: sample.logits.map((z, i) => (i === state.axis ? value : z)),
  })), { dataType: 'FLOAT64', reduction: 'NONE', outputs: ['ROW_LOSSES', 'GRADIENT'] }));
  return {
    logits,
    losses: answer.rowLosses.values.map(fromJson),
    derivatives: answer.gradient.values.map((/** @type {(number | string)[]} */ row) => fromJson(row[state.axis])),
  };
}
