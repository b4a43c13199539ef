// The loss of one sample, line by line with its numbers, as MathML. Every result is the service's.
import { h, table } from './dom.js';
import { toText } from './format.js';
import { formulasOf, lossOf } from './losses.js';
import { derivative, exp, frac, isLabel, ln, math, row, sub, sum, sup } from './math.js';
import { hasTargets, selectedSample } from './state.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./app.js').Answer} Answer */

const DIGITS = 6;
/** @param {number} value */
const show = (value) => toText(value, DIGITS);
/** In brackets where it has a sign. @param {number} value */
const factor = (value) => (value < 0 ? row('(', show(value), ')') : show(value));

/**
 * @param {State} state
 * @param {Answer} answer
 * @returns {Element[]}
 */
export function derivationOf(state, answer) {
  const isPlain = lossOf(state.loss).softmax && !hasTargets(state) && Object.keys(state.options).length === 0;
  return isPlain && answer.isCounted ? softmaxDerivation(state, answer) : formulas(state, answer);
}

/** @param {string} text @param {Element[]} lines */
const step = (text, ...lines) => h('li', {}, h('p', {}, text), ...lines);

/** @param {State} state @param {Answer} answer */
function softmaxDerivation(state, answer) {
  const { logits, label } = selectedSample(state);
  const { probabilities: p, logSumExp, rowLoss, rowGradient } = answer;
  const few = logits.length <= 6;
  const dots = (/** @type {(Element | string)[]} */ ...parts) =>
    few ? parts : [...parts.slice(0, 5), '+', '…'];
  const terms = logits.flatMap((z, i) => (i === 0 ? [exp(show(z))] : ['+', exp(show(z))]));
  return [h('ol', { class: 'steps' },
    step('The loss is how surprising the true class is; its probability is the softmax of the logits.',
      math('ℓ', '=', '−', ln(sub('p', 'y')), ',', sub('p', 'i'), '=',
        frac(exp(sub('z', 'i')), row(sum('j'), exp(sub('z', 'j')))))),
    step('The ln of a quotient is a difference, and ln undoes exp.',
      math('ℓ', '=', ln(row(sum('j'), exp(sub('z', 'j')))), '−', sub('z', 'y')),
      math('=', ln(row('(', ...dots(...terms), ')')), '−', factor(logits[label])),
      math('=', show(logSumExp), '−', factor(logits[label]), '=', show(rowLoss))),
    step('By the chain rule; the sum holds exp of each logit once.',
      math(frac('∂', row('∂', sub('z', 'i'))), ln(row(sum('j'), exp(sub('z', 'j')))), '=',
        frac(exp(sub('z', 'i')), row(sum('j'), exp(sub('z', 'j')))), '=', sub('p', 'i')),
      math(frac(row('∂', sub('z', 'y')), row('∂', sub('z', 'i'))), '=', isLabel())),
    step('The same by the product rule, without that shortcut: the true class’s probability is a product.',
      math(sub('p', 'y'), '=', exp(sub('z', 'y')), '·', sup('S', row('−', '1')), ',', 'S', '=', sum('j'),
        exp(sub('z', 'j'))),
      math(frac(row('∂', sub('p', 'y')), row('∂', sub('z', 'i'))), '=', isLabel(), sub('p', 'y'), '−', sub('p', 'y'),
        sub('p', 'i')),
      math(derivative(), '=', frac(row('−', '1'), sub('p', 'y')), '(', isLabel(), sub('p', 'y'), '−', sub('p', 'y'),
        sub('p', 'i'), ')', '=', sub('p', 'i'), '−', isLabel())),
    step('With the numbers:',
      ...shortened(logits.map((_, i) => math(frac(row('∂', 'ℓ'), row('∂', sub('z', i))), '=', show(p[i]), '−',
        i === label ? '1' : '0', '=', show(rowGradient[i])))))),
  h('p', { class: 'note' }, 'The gradient sums to 0: adding one number to all logits changes nothing.')];
}

/** @param {Element[]} lines */
const shortened = (lines) => (lines.length <= 12 ? lines : [...lines.slice(0, 12), math('…')]);

/** What there is to say of any loss. @param {State} state @param {Answer} answer */
function formulas(state, answer) {
  const loss = lossOf(state.loss);
  const targets = hasTargets(state);
  const sample = selectedSample(state);
  const isTeacher = loss.key === 'klDivergence';
  const label = (/** @type {number} */ i) => (targets ? show(sample.targets[i]) : i === sample.label ? '1' : '0');
  const head = ['class', 'logit', targets ? (isTeacher ? 'teacher' : 'target') : '[i = y]', '∂ℓ/∂z'];
  return [
    ...formulasOf(loss, targets).map((formula) => math(formula)),
    h('p', { class: 'note' }, Object.keys(state.options).length > 0
      ? 'The formula is that of the loss without its options; the numbers are with them. '
      : '', 'docs/losses.md has every option.'),
    math('ℓ', '=', show(answer.rowLoss)),
    table(head, sample.logits.map((z, i) => [String(i), show(z), label(i), show(answer.rowGradient[i])])),
  ];
}
