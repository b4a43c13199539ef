// MathML, built from parts: every function returns an element or takes any number of them.
// A text among the parts becomes an identifier, a number or an operator by what it looks like.

const NAMESPACE = 'http://www.w3.org/1998/Math/MathML';

/**
 * @typedef {Element | string | number} Part
 */

/**
 * @param {string} name
 * @param {Part[]} parts
 * @returns {Element}
 */
function element(name, parts) {
  const made = document.createElementNS(NAMESPACE, name);
  made.append(...parts.map(toNode));
  return made;
}

/**
 * @param {string} name
 * @param {string} text
 */
function leaf(name, text) {
  const made = document.createElementNS(NAMESPACE, name);
  made.textContent = text;
  return made;
}

/**
 * @param {Part} part
 * @returns {Element}
 */
function toNode(part) {
  if (part instanceof Element) return part;
  const text = String(part);
  if (/^[−]?[\d.]/.test(text) || text === '∞') return leaf('mn', text);
  if (/^\p{L}+$/u.test(text)) return leaf('mi', text);
  const operator = leaf('mo', text);
  if ('()[]|'.includes(text)) operator.setAttribute('stretchy', 'false');
  return operator;
}

/** A thin space, as after a function's name. */
function thinSpace() {
  const space = leaf('mspace', '');
  space.setAttribute('width', '0.17em');
  return space;
}

/** @param {Part[]} parts */
export const row = (...parts) => element('mrow', parts);

/** @param {Part} base @param {Part} below */
export const sub = (base, below) => element('msub', [base, below]);

/** @param {Part} base @param {Part} above */
export const sup = (base, above) => element('msup', [base, above]);

/** @param {Part} above @param {Part} below */
export const frac = (above, below) => element('mfrac', [above, below]);

/** @param {Part} below */
export const sum = (below) => element('munder', [leaf('mo', '∑'), below]);

/** exp(x). @param {Part[]} parts */
export const exp = (...parts) => sup('e', row(...parts));

/** A function's name before its argument. @param {string} name @param {Part[]} parts */
export const call = (name, ...parts) =>
  row(leaf('mi', name), leaf('mo', '\u2061'), '(', ...parts, ')');

/** ln of one part. @param {Part} part */
export const ln = (part) => row(leaf('mi', 'ln'), leaf('mo', '\u2061'), thinSpace(), part);

/** [i = y], 1 where it holds and 0 elsewhere. */
export const isLabel = () => row('[', 'i', '=', 'y', ']');

/** d loss / d z_i. */
export const derivative = () => frac(row('∂', 'ℓ'), row('∂', sub('z', 'i')));

/**
 * A line of mathematics.
 * @param {Part[]} parts
 * @returns {Element}
 */
export function math(...parts) {
  const made = element('math', [row(...parts)]);
  made.setAttribute('displaystyle', 'true');
  const line = document.createElement('div');
  line.className = 'equation';
  line.append(made);
  return line;
}
