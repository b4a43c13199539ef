// Numbers as people read and write them.

/**
 * As few digits as tell the number apart, or `digits` significant ones.
 * @param {number} value
 * @param {number} [digits]
 * @returns {string}
 */
export function toText(value, digits) {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const text = digits === undefined ? String(value) : shortened(value, digits);
  return text.replace('-', '−').replace('e-', 'e−').replace('e+', 'e');
}

/** @param {number} value @param {number} digits */
function shortened(value, digits) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e7) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

/**
 * Reads what someone typed: decimal numbers, and inf, -inf and nan.
 * @param {string} text
 * @returns {number | undefined} nothing where it is no number
 */
export function toNumber(text) {
  const plain = text.trim().toLowerCase().replace('−', '-');
  if (/^\+?(inf|infinity|∞)$/.test(plain)) return Infinity;
  if (/^-(inf|infinity|∞)$/.test(plain)) return -Infinity;
  if (plain === 'nan') return NaN;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(plain)) return undefined;
  return Number(plain);
}

/**
 * @param {string} text numbers between commas, semicolons or blanks
 * @returns {number[] | undefined} nothing where one is no number
 */
export function toNumbers(text) {
  const numbers = text.split(/[\s,;]+/).filter((part) => part !== '').map(toNumber);
  return numbers.every((number) => number !== undefined)
    ? /** @type {number[]} */ (numbers) : undefined;
}

/**
 * A number as protobuf's JSON has it, which knows NaN and infinities as texts.
 * @param {number} value
 * @returns {number | string}
 */
export function toJson(value) {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
}

/**
 * The opposite of toJson.
 * @param {number | string} value
 * @returns {number}
 */
export const fromJson = (value) => Number(value);
