// Charts as plain SVG. Colours and strokes are the style sheet's.
import { toText } from './format.js';

const NAMESPACE = 'http://www.w3.org/2000/svg';

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 * @param {(Element | string)[]} children
 */
function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

/**
 * A horizontal bar in [from, to], which holds 0. Stretches to its container's width.
 * @param {number} value
 * @param {{from: number, to: number, kind: string}} scale
 */
export function bar(value, { from, to, kind }) {
  const x = (/** @type {number} */ v) => (100 * (Math.min(Math.max(v, from), to) - from)) / (to - from);
  const sign = value < 0 ? 'negative' : 'positive';
  const shown = Number.isFinite(value) ? value : 0;
  return svg('svg', {
    class: `bar ${kind}`, viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true',
  },
  svg('rect', { class: 'track', x: 0, y: 0, width: 100, height: 10 }),
  svg('rect', {
    class: `fill ${sign}`, x: Math.min(x(0), x(shown)), y: 0, width: Math.abs(x(shown) - x(0)), height: 10,
  }),
  svg('line', { class: 'zero', x1: x(0), x2: x(0), y1: 0, y2: 10 }));
}

/**
 * @typedef {object} Line
 * @property {string} title
 * @property {string} kind
 * @property {number[]} xs ascending
 * @property {number[]} ys
 * @property {{x: number, y: number}} [mark]
 * @property {string} xTitle
 */

const WIDTH = 440;
const HEIGHT = 240;
const EDGE = { left: 52, right: 14, top: 14, bottom: 44 };

/** @param {Line} line */
export function lineChart({ title, kind, xs, ys, mark, xTitle }) {
  const finite = ys.filter(Number.isFinite);
  const [low, high] = padded(Math.min(0, ...finite), Math.max(0, ...finite));
  const x = scale(xs[0], xs[xs.length - 1], EDGE.left, WIDTH - EDGE.right);
  const y = scale(low, high, HEIGHT - EDGE.bottom, EDGE.top);
  const chart = svg('svg', {
    class: `line-chart ${kind}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': title,
  });
  for (const tick of ticks(low, high, 5)) {
    chart.append(
      svg('line', { class: 'grid', x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(tick), y2: y(tick) }),
      svg('text', { class: 'tick', x: EDGE.left - 8, y: y(tick) + 4, 'text-anchor': 'end' }, toText(tick, 3)));
  }
  for (const tick of ticks(xs[0], xs[xs.length - 1], 7)) {
    chart.append(svg('text', {
      class: 'tick', x: x(tick), y: HEIGHT - EDGE.bottom + 16, 'text-anchor': 'middle',
    }, toText(tick, 3)));
  }
  chart.append(
    svg('line', { class: 'axis', x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(0), y2: y(0) }),
    svg('path', { class: 'curve', d: path(xs, ys, x, y) }),
    svg('text', { class: 'axis-title', x: WIDTH - EDGE.right, y: HEIGHT - 4, 'text-anchor': 'end' }, xTitle));
  if (mark && Number.isFinite(mark.x) && Number.isFinite(mark.y)) {
    chart.append(
      svg('line', { class: 'here', x1: x(mark.x), x2: x(mark.x), y1: EDGE.top, y2: HEIGHT - EDGE.bottom }),
      svg('circle', { class: 'here', cx: x(mark.x), cy: y(mark.y), r: 5 }));
  }
  return chart;
}

/** @param {number} low @param {number} high */
function padded(low, high) {
  const room = (high - low || 1) * 0.06;
  return [low < 0 ? low - room : low, high > 0 || low === 0 ? high + room : high];
}

/** @param {number} from @param {number} to @param {number} start @param {number} end */
const scale = (from, to, start, end) => (/** @type {number} */ value) =>
  start + ((value - from) / (to - from)) * (end - start);

/**
 * Round numbers in [low, high], about `count` of them.
 * @param {number} low @param {number} high @param {number} count
 */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const made = [];
  for (let k = Math.ceil(low / step); k * step <= high; ++k) made.push(Number((k * step).toPrecision(12)));
  return made;
}

/**
 * @param {number[]} xs @param {number[]} ys
 * @param {(value: number) => number} x @param {(value: number) => number} y
 */
function path(xs, ys, x, y) {
  let d = '';
  let isOpen = false;
  ys.forEach((value, k) => {
    if (Number.isFinite(value)) d += `${isOpen ? 'L' : 'M'}${x(xs[k]).toFixed(2)} ${y(value).toFixed(2)}`;
    isOpen = Number.isFinite(value);
  });
  return d;
}
