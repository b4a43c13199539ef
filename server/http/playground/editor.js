// The classes of the selected sample: their logits to drag and to type, their labels, and the results beside them.
import { bar } from './charts.js';
import { byId, h } from './dom.js';
import { toNumber, toText } from './format.js';
import { lossOf } from './losses.js';
import { hasTargets, selectedSample } from './state.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./app.js').Answer} Answer */

const REACH = 10;
const DIGITS = 6;

/**
 * @typedef {object} Row
 * @property {HTMLElement} element
 * @property {any} slider
 * @property {any} logit
 * @property {any} label a radio button or a target's field
 * @property {HTMLElement} probability
 * @property {HTMLElement} gradient
 */

export class ClassEditor {
  /**
   * @param {{onLogit: (i: number, value: number) => void, onLabel: (i: number) => void,
   *          onTarget: (i: number, value: number) => void, onFocus: (i: number) => void}} listeners
   */
  constructor(listeners) {
    this.listeners = listeners;
    /** @type {Row[]} */
    this.rows = [];
    this.shape = '';
  }

  /** Shows the sample; a field that someone types in is left alone. @param {State} state */
  showSample(state) {
    const sample = selectedSample(state);
    const targets = hasTargets(state);
    const hasProbabilities = Boolean(lossOf(state.loss).softmax);
    const shape = `${sample.logits.length} ${targets} ${hasProbabilities}`;
    if (shape !== this.shape) {
      this.shape = shape;
      this.rows = sample.logits.map((_, i) => this.newRow(i, targets));
      byId('classes').classList.toggle('no-probabilities', !hasProbabilities);
      byId('classes').replaceChildren(heading(targets), ...this.rows.map((row) => row.element));
    }
    this.rows.forEach((row, i) => {
      setValue(row.logit, sample.logits[i]);
      if (document.activeElement !== row.slider) {
        row.slider.value = Number.isFinite(sample.logits[i]) ? sample.logits[i] : REACH * Math.sign(sample.logits[i] || 0);
      }
      row.slider.setAttribute('aria-valuetext', toText(sample.logits[i]));
      if (targets) setValue(row.label, sample.targets[i]);
      else row.label.checked = i === sample.label;
      row.element.classList.toggle('is-label', !targets && i === sample.label);
    });
  }

  /** @param {Answer} answer */
  showAnswer(answer) {
    const reach = Math.max(1e-300, ...answer.gradient.map(Math.abs).filter(Number.isFinite));
    this.rows.forEach((row, i) => {
      if (answer.probabilities.length > 0) {
        fill(row.probability, answer.probabilities[i], { from: 0, to: 1, kind: 'probability' });
      }
      fill(row.gradient, answer.gradient[i], { from: -reach, to: reach, kind: 'gradient' });
    });
  }

  /** @param {number} i @param {boolean} targets @returns {Row} */
  newRow(i, targets) {
    const { onLogit, onLabel, onTarget, onFocus } = this.listeners;
    const slider = h('input', {
      type: 'range', min: -REACH, max: REACH, step: 0.01, 'aria-label': `logit of class ${i}`,
      oninput: () => onLogit(i, Number(/** @type {any} */ (slider).value)),
    });
    const logit = numberField(`logit of class ${i}, typed`, (value) => onLogit(i, value));
    const label = targets ? numberField(`target of class ${i}`, (value) => onTarget(i, value))
      : h('input', { type: 'radio', name: 'label', 'aria-label': `class ${i} is the label`, onchange: () => onLabel(i) });
    const probability = h('div', { class: 'cell probability' });
    const gradient = h('div', { class: 'cell gradient' });
    const element = h('div', {
      class: 'class-row', role: 'group', 'aria-label': `class ${i}`, onfocusin: () => onFocus(i),
    },
    h('span', { class: 'label' }, h('span', { class: 'name' }, String(i)), label),
    h('span', { class: 'logit' }, slider, logit), probability, gradient);
    return { element, slider, logit, label, probability, gradient };
  }
}

/** @param {boolean} targets */
const heading = (targets) => h('div', { class: 'class-row head', 'aria-hidden': 'true' },
  h('span', { class: 'label' }, targets ? 'class, target' : 'class, label'),
  h('span', { class: 'logit' }, 'logit z'), h('span', { class: 'cell probability' }, 'probability p'),
  h('span', { class: 'cell gradient' }, 'gradient ∂loss/∂z'));

/** @param {string} name @param {(value: number) => void} onNumber */
function numberField(name, onNumber) {
  const field = /** @type {any} */ (h('input', {
    type: 'text', inputmode: 'decimal', class: 'number', 'aria-label': name, autocomplete: 'off', spellcheck: 'false',
    oninput: () => {
      const value = toNumber(field.value);
      field.setAttribute('aria-invalid', String(value === undefined));
      if (value !== undefined) onNumber(value);
    },
  }));
  return field;
}

/** @param {any} field @param {number} value */
function setValue(field, value) {
  if (document.activeElement === field) return;
  field.value = String(value).replace('Infinity', 'inf');
  field.setAttribute('aria-invalid', 'false');
}

/** @param {HTMLElement} cell @param {number} value @param {{from: number, to: number, kind: string}} scale */
function fill(cell, value, scale) {
  cell.replaceChildren(bar(value, scale), h('data', {
    value, title: toText(value), 'data-exact': value,
  }, toText(value, DIGITS)));
}
