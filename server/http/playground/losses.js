// The losses of the contract: what each takes, and its formulas.
import { call, derivative, exp, frac, isLabel, ln, row, sub, sum, sup } from './math.js';

/**
 * @typedef {object} Option
 * @property {string} key as the JSON has it
 * @property {string} name as the contract has it
 * @property {'number' | 'integer' | 'numbers' | 'switch'} kind `numbers` is one for each class
 * @property {string} range
 * @property {string} initial what is taken where nothing is said
 *
 * @typedef {object} Loss
 * @property {string} key as the JSON has it
 * @property {string} name as the contract and the Python client have it
 * @property {string} python the Python client's class, and the C++ client's
 * @property {string} title
 * @property {'indices' | 'targets' | 'either'} labels
 * @property {string} [targets] what the targets are
 * @property {boolean} [softmax] whether the service tells probabilities
 * @property {Option[]} options in the order of the C++ client's fields, as C++ wants them in a call
 * @property {(soft: boolean) => Element} formula of a row's loss
 * @property {(soft: boolean) => Element | undefined} gradient of it, where that fits a line
 */

/** @type {Option} */
const classWeights = {
  key: 'classWeights', name: 'class_weights', kind: 'numbers', range: 'one for each class', initial: 'all 1',
};
/** @type {Option} */
const ignoreIndex = {
  key: 'ignoreIndex', name: 'ignore_index', kind: 'integer', range: 'rows with this label do not count', initial: 'none',
};
/** @type {Option} */
const labelSmoothing = {
  key: 'labelSmoothing', name: 'label_smoothing', kind: 'number', range: '0 … 1', initial: '0',
};

const z = () => sub('z', 'i');
const t = () => sub('t', 'i');
const py = () => sub('p', 'y');
const mean = () => row(frac('1', 'C'), sum('i'));
const smooth = () => row('(', '1', '−', py(), ')');

/** @type {Loss[]} */
export const LOSSES = [
  {
    key: 'softmaxCrossEntropy', name: 'softmax_cross_entropy', python: 'SoftmaxCrossEntropy',
    title: 'Softmax cross-entropy', labels: 'either', targets: 'probabilities', softmax: true,
    options: [
      labelSmoothing, classWeights, ignoreIndex,
      { key: 'zLoss', name: 'z_loss', kind: 'number', range: '≥ 0', initial: '0' },
      { key: 'logitScale', name: 'logit_scale', kind: 'number', range: '1e-6 … 1e6', initial: '1' },
      { key: 'logitSoftcap', name: 'logit_softcap', kind: 'number', range: '1e-6 … 1e6', initial: 'none' },
    ],
    formula: (soft) => soft
      ? row(sum('i'), t(), '(', ln(row(sum('j'), exp(sub('z', 'j')))), '−', z(), ')')
      : row(ln(row(sum('j'), exp(sub('z', 'j')))), '−', sub('z', 'y')),
    gradient: (soft) => soft ? row(sub('p', 'i'), sum('j'), sub('t', 'j'), '−', t())
      : row(sub('p', 'i'), '−', isLabel()),
  },
  {
    key: 'sigmoidCrossEntropy', name: 'sigmoid_cross_entropy', python: 'SigmoidCrossEntropy',
    title: 'Sigmoid cross-entropy', labels: 'targets', targets: 'values in 0 … 1',
    options: [
      { key: 'positiveWeights', name: 'positive_weights', kind: 'numbers', range: 'one for each class', initial: 'all 1' },
      labelSmoothing,
    ],
    formula: () => row(mean(), '(', call('max', z(), ',', '0'), '−', z(), t(), '+',
      ln(row('(', '1', '+', exp('−', '|', z(), '|'), ')')), ')'),
    gradient: () => row(frac('1', 'C'), '(', call('σ', z()), '−', t(), ')'),
  },
  {
    key: 'negativeLogLikelihood', name: 'negative_log_likelihood', python: 'NegativeLogLikelihood',
    title: 'Negative log-likelihood', labels: 'indices', options: [classWeights, ignoreIndex],
    formula: () => row('−', sub('z', 'y')),
    gradient: () => row('−', isLabel()),
  },
  {
    key: 'klDivergence', name: 'kl_divergence', python: 'KlDivergence',
    title: 'Kullback–Leibler divergence', labels: 'targets', targets: 'the teacher',
    options: [
      { key: 'temperature', name: 'temperature', kind: 'number', range: '1e-6 … 1e6', initial: '1' },
      { key: 'targetsAreLogits', name: 'targets_are_logits', kind: 'switch', range: 'the teacher’s logits', initial: 'off' },
    ],
    formula: () => row(sup('T', '2'), sum('i'), sub('q', 'i'), '(', ln(sub('q', 'i')), '−', ln(sub('p', 'i')), ')'),
    gradient: () => row('T', '(', sub('p', 'i'), sum('j'), sub('q', 'j'), '−', sub('q', 'i'), ')'),
  },
  {
    key: 'softmaxFocal', name: 'softmax_focal', python: 'SoftmaxFocal',
    title: 'Softmax focal loss', labels: 'indices',
    options: [{ key: 'gamma', name: 'gamma', kind: 'number', range: '≥ 0', initial: '2' }, classWeights, ignoreIndex],
    formula: () => row('−', sup(smooth(), 'γ'), ln(py())),
    gradient: () => row('(', 'γ', py(), sup(smooth(), row('γ', '−', '1')), ln(py()), '−', sup(smooth(), 'γ'), ')',
      '(', isLabel(), '−', sub('p', 'i'), ')'),
  },
  {
    key: 'sigmoidFocal', name: 'sigmoid_focal', python: 'SigmoidFocal',
    title: 'Sigmoid focal loss', labels: 'targets', targets: 'values in 0 … 1',
    options: [
      { key: 'gamma', name: 'gamma', kind: 'number', range: '≥ 0', initial: '2' },
      { key: 'alpha', name: 'alpha', kind: 'number', range: '0 … 1', initial: 'no weights' },
    ],
    formula: () => row(mean(), sup(row('(', '1', '−', sub('p', 't'), ')'), 'γ'), call('BCE', z(), ',', t()), ',',
      sub('p', 't'), '=', 'σ', t(), '+', '(', '1', '−', 'σ', ')', '(', '1', '−', t(), ')'),
    gradient: () => undefined,
  },
  {
    key: 'multiclassHinge', name: 'multiclass_hinge', python: 'MulticlassHinge',
    title: 'Multi-class hinge', labels: 'indices',
    options: [
      { key: 'margin', name: 'margin', kind: 'number', range: 'any', initial: '1' },
      { key: 'power', name: 'power', kind: 'integer', range: '1 or 2', initial: '1' },
    ],
    formula: () => row(frac('1', row('C', '−', '1')), sum(row('i', '≠', 'y')),
      sup(call('max', '0', ',', 'm', '−', sub('z', 'y'), '+', z()), 'k')),
    gradient: () => undefined,
  },
  {
    key: 'squaredError', name: 'squared_error', python: 'SquaredError',
    title: 'Squared error', labels: 'targets', targets: 'any values', options: [],
    formula: () => row(mean(), sup(row('(', z(), '−', t(), ')'), '2')),
    gradient: () => row(frac('2', 'C'), '(', z(), '−', t(), ')'),
  },
  {
    key: 'huber', name: 'huber', python: 'Huber',
    title: 'Huber loss', labels: 'targets', targets: 'any values',
    options: [{ key: 'delta', name: 'delta', kind: 'number', range: '> 0', initial: '1' }],
    formula: () => row(mean(), sub('h', 'δ'), '(', z(), '−', t(), ')', ',', sub('h', 'δ'), '(', 'r', ')', '=',
      frac('1', '2'), sup('r', '2'), 'if', '|', 'r', '|', '≤', 'δ', ',', 'δ', '(', '|', 'r', '|', '−', frac('δ', '2'), ')',
      'otherwise'),
    gradient: () => row(frac('1', 'C'), call('max', '−', 'δ', ',', call('min', 'δ', ',', z(), '−', t()))),
  },
];

/** @param {string} key @returns {Loss} */
export const lossOf = (key) => LOSSES.find((loss) => loss.key === key) ?? LOSSES[0];

/** A row's loss and its gradient. @param {Loss} loss @param {boolean} soft */
export function formulasOf(loss, soft) {
  const gradient = loss.gradient(soft);
  const lines = [row('ℓ', '=', loss.formula(soft))];
  if (gradient) lines.push(row(derivative(), '=', gradient));
  return lines;
}
