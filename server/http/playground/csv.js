// A batch as lines of numbers: the logits, then the label; or the logits, then as many targets.
import { toNumber } from './format.js';
import { MAX_CLASSES, oneHot } from './state.js';

/** @typedef {import('./state.js').Sample} Sample */

/**
 * @param {Sample[]} samples
 * @param {boolean} targets
 */
export const toCsv = (samples, targets) => samples
  .map((sample) => [...sample.logits, ...(targets ? sample.targets : [sample.label])].join(', '))
  .join('\n');

/**
 * @param {string} text
 * @param {boolean} targets whether the lines end with targets
 * @returns {Sample[]}
 * @throws {Error} naming the line and what is wrong with it
 */
export function fromCsv(text, targets) {
  const lines = text.split('\n').map((line, i) => ({ line: line.trim(), number: i + 1 }))
    .filter(({ line }) => line !== '');
  if (lines.length === 0) throw new Error('no lines, want at least one');
  const samples = lines.map(({ line, number }) => sampleOf(line, number, targets));
  const classes = samples[0].logits.length;
  const odd = samples.findIndex((sample) => sample.logits.length !== classes);
  if (odd >= 0) {
    throw new Error(`line ${lines[odd].number} has ${samples[odd].logits.length} logits, want ${classes} as the first one`);
  }
  return samples;
}

/** @param {string} line @param {number} number @param {boolean} targets @returns {Sample} */
function sampleOf(line, number, targets) {
  const texts = line.split(/[\s,;]+/).filter((word) => word !== '');
  const values = texts.map((word) => {
    const value = toNumber(word);
    if (value === undefined) throw new Error(`line ${number}: “${word}” is no number`);
    return value;
  });
  if (targets ? values.length % 2 !== 0 || values.length < 2 : values.length < 2) {
    throw new Error(`line ${number} has ${values.length} numbers, want ${
      targets ? 'logits and as many targets' : 'logits and a label'}`);
  }
  const classes = targets ? values.length / 2 : values.length - 1;
  if (classes > MAX_CLASSES) {
    throw new Error(`line ${number} has ${classes} logits, want at most ${MAX_CLASSES} on this page`);
  }
  const logits = values.slice(0, classes);
  if (targets) {
    const given = values.slice(classes);
    return { logits, label: given.indexOf(Math.max(...given)), targets: given };
  }
  const label = values[classes];
  if (!Number.isInteger(label)) throw new Error(`line ${number}: the label ${texts[classes]} is no integer`);
  return { logits, label, targets: oneHot(classes, label) };
}
