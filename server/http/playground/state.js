// What the page shows, and the same as the part of its address after the #.
import { LOSSES, lossOf } from './losses.js';
import { toNumber, toNumbers } from './format.js';

/**
 * @typedef {object} Sample
 * @property {number[]} logits
 * @property {number} label a class index
 * @property {number[]} targets one for each logit
 *
 * @typedef {object} State
 * @property {Sample[]} samples at least one, all of as many classes
 * @property {number} selected the sample that is shown
 * @property {number} axis the class whose logit the curve runs along
 * @property {string} loss a Loss's key
 * @property {boolean} soft whether a loss that takes either has targets
 * @property {Record<string, string>} options as typed, by the option's key; none that are empty
 * @property {'FLOAT32' | 'FLOAT64'} dataType
 * @property {'MEAN' | 'SUM' | 'NONE'} reduction
 * @property {string} view the open tab
 */

export const MAX_CLASSES = 64;

/** @param {number} classes @param {number} label @returns {number[]} */
export const oneHot = (classes, label) =>
  Array.from({ length: classes }, (_, i) => (i === label ? 1 : 0));

/** @returns {State} */
export function initialState() {
  return {
    samples: [{ logits: [2, 1, 0.1], label: 0, targets: [1, 0, 0] }],
    selected: 0, axis: 0, loss: LOSSES[0].key, soft: false, options: {},
    dataType: 'FLOAT32', reduction: 'MEAN', view: 'derivation',
  };
}

/** Whether the loss is to be computed from targets. @param {State} state */
export function hasTargets(state) {
  const labels = lossOf(state.loss).labels;
  return labels === 'targets' || (labels === 'either' && state.soft);
}

/** @param {State} state @returns {Sample} */
export const selectedSample = (state) => state.samples[state.selected];

/** @param {State} state */
export function toHash(state) {
  const words = new URLSearchParams({ loss: lossOf(state.loss).name });
  for (const sample of state.samples) {
    words.append('z', sample.logits.join(','));
    if (hasTargets(state)) words.append('t', sample.targets.join(','));
    else words.append('y', String(sample.label));
  }
  for (const option of lossOf(state.loss).options) {
    const text = state.options[option.key];
    if (text) words.set(option.name, text);
  }
  if (state.dataType !== 'FLOAT32') words.set('type', state.dataType.toLowerCase());
  if (state.reduction !== 'MEAN') words.set('reduction', state.reduction.toLowerCase());
  if (state.selected > 0) words.set('row', String(state.selected));
  if (state.axis > 0) words.set('axis', String(state.axis));
  if (state.view !== 'derivation') words.set('view', state.view);
  return `#${words.toString().replaceAll('%2C', ',')}`;
}

/**
 * Reads what toHash wrote. What makes no sense is left as it is at first.
 * @param {string} hash
 * @returns {State}
 */
export function fromHash(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ''));
  const state = initialState();
  const loss = LOSSES.find((known) => known.name === words.get('loss'));
  if (loss) state.loss = loss.key;
  state.soft = words.has('t');
  const samples = samplesOf(words);
  if (samples) state.samples = samples;
  for (const option of lossOf(state.loss).options) {
    const text = words.get(option.name);
    if (text) state.options[option.key] = text;
  }
  if (words.get('type') === 'float64') state.dataType = 'FLOAT64';
  const reduction = words.get('reduction')?.toUpperCase();
  if (reduction === 'SUM' || reduction === 'NONE') state.reduction = reduction;
  state.selected = indexOf(words.get('row'), state.samples.length);
  state.axis = indexOf(words.get('axis'), selectedSample(state).logits.length);
  state.view = words.get('view') ?? state.view;
  return state;
}

/** @param {string | null} text @param {number} size */
function indexOf(text, size) {
  const index = toNumber(text ?? '') ?? 0;
  return Number.isInteger(index) && index >= 0 && index < size ? index : 0;
}

/** @param {URLSearchParams} words @returns {Sample[] | undefined} */
function samplesOf(words) {
  const rows = words.getAll('z').map(toNumbers);
  const classes = rows[0]?.length ?? 0;
  if (classes < 1 || classes > MAX_CLASSES || rows.some((row) => row?.length !== classes)) return undefined;
  return rows.map((logits, i) => {
    const label = toNumber(words.getAll('y')[i] ?? '') ?? 0;
    const targets = toNumbers(words.getAll('t')[i] ?? '');
    return {
      logits: /** @type {number[]} */ (logits),
      label,
      targets: targets?.length === classes ? targets : oneHot(classes, label),
    };
  });
}
