// The tabs and what is in them.
import { lineChart } from './charts.js';
import { derivationOf } from './derivation.js';
import { byId, h, table } from './dom.js';
import { toText } from './format.js';
import { snippetsOf } from './snippets.js';
import { selectedSample } from './state.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./app.js').Answer} Answer */
/** @typedef {import('./app.js').Details} Details */

export const VIEWS = [
  { key: 'derivation', title: 'Derivation' },
  { key: 'check', title: 'Finite differences' },
  { key: 'curve', title: 'Along one logit' },
  { key: 'call', title: 'Call it yourself' },
];

/** @param {(view: string) => void} onView */
export function listen(onView) {
  const tabs = VIEWS.map(({ key, title }, i) => h('button', {
    type: 'button', role: 'tab', id: `tab-${key}`, 'aria-controls': 'panel',
    onclick: () => onView(key),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      const next = VIEWS[(i + step + VIEWS.length) % VIEWS.length].key;
      onView(next);
      byId(`tab-${next}`).focus();
    },
  }, title));
  byId('tabs').replaceChildren(...tabs);
}

/**
 * @param {State} state
 * @param {Answer | undefined} answer nothing where there is none, for an error
 * @param {Details | undefined} details
 * @param {(axis: number) => void} onAxis
 */
export function show(state, answer, details, onAxis) {
  const view = VIEWS.some(({ key }) => key === state.view) ? state.view : VIEWS[0].key;
  for (const { key } of VIEWS) {
    const tab = byId(`tab-${key}`);
    tab.setAttribute('aria-selected', String(key === view));
    tab.tabIndex = key === view ? 0 : -1;
  }
  const panel = byId('panel');
  panel.setAttribute('aria-labelledby', `tab-${view}`);
  if (view === 'call') return panel.replaceChildren(...calls(state));
  if (!answer || !details) return panel.replaceChildren(h('p', { class: 'note' }, 'There is nothing to show yet.'));
  if (view === 'derivation') return panel.replaceChildren(...derivationOf(state, answer));
  if (view === 'check') return panel.replaceChildren(...check(details));
  // The axis is chosen in the panel itself: the field that has the focus stays.
  const field = document.getElementById('axis');
  if (field && panel.contains(field)) panel.lastElementChild?.replaceWith(charts(state, details));
  else panel.replaceChildren(axisField(state, onAxis), charts(state, details));
  const axis = byId('axis');
  axis.replaceChildren(...selectedSample(state).logits.map((_, i) => h('option', { value: i }, `class ${i}`)));
  axis.value = state.axis;
}

/** @param {Details} details */
function check({ check: { step, gradient, differences } }) {
  const distances = gradient.map((value, i) => Math.abs(value - differences[i]));
  const worst = Math.max(...distances);
  const isNear = worst <= 1e-6 * Math.max(1, ...gradient.map(Math.abs));
  return [
    h('p', {}, `Both sides come from the service in float64: the gradient of this sample’s loss ℓ, and (ℓ(z + h eᵢ) − ℓ(z − h eᵢ)) / 2h with h = 2⁻¹⁷ = ${
      toText(step, 3)}.`),
    h('p', { class: isNear ? 'verdict good' : 'verdict bad', id: 'verdict' }, Number.isNaN(worst)
      ? 'There is no difference to take here: a logit or the loss is not finite.'
      : `They differ by at most ${toText(worst, 2)}. ${
        isNear ? 'The gradient is the derivative.' : 'There is a kink near here, or the loss is steep: look along the logit.'}`),
    table(['class', 'gradient', 'central difference', 'apart'], gradient.map((value, i) => [
      String(i), toText(value, 12), toText(differences[i], 12), toText(distances[i], 2)])),
  ];
}

/** @param {State} state @param {(axis: number) => void} onAxis */
const axisField = (state, onAxis) => h('label', { class: 'axis-field' }, 'Along the logit of ', h('select', {
  id: 'axis', onchange: (/** @type {any} */ event) => onAxis(Number(event.target.value)),
}));

/** @param {State} state @param {Details} details */
function charts(state, { curve, check }) {
  if (!curve) return h('p', { class: 'note' }, 'Computing …');
  const x = selectedSample(state).logits[state.axis];
  const xTitle = `logit of class ${state.axis}`;
  return h('div', { class: 'charts' },
    h('figure', {}, h('figcaption', {}, 'Loss ℓ of this sample'), lineChart({
      title: `The loss along the ${xTitle}`, kind: 'loss', xs: curve.logits, ys: curve.losses, xTitle,
      mark: { x, y: heightAt(curve.logits, curve.losses, x) },
    })),
    h('figure', {}, h('figcaption', {}, `Its derivative ∂ℓ/∂z`, h('sub', {}, String(state.axis))), lineChart({
      title: `The derivative along the ${xTitle}`, kind: 'gradient', xs: curve.logits, ys: curve.derivatives, xTitle,
      mark: { x, y: check.gradient[state.axis] },
    })));
}

/** The curve's height at x, on the line between its points. @param {number[]} xs @param {number[]} ys @param {number} x */
function heightAt(xs, ys, x) {
  const k = xs.findIndex((value) => value >= x);
  if (k <= 0) return k === 0 ? ys[0] : NaN;
  const share = (x - xs[k - 1]) / (xs[k] - xs[k - 1]);
  return ys[k - 1] + share * (ys[k] - ys[k - 1]);
}

/** @param {State} state */
const calls = (state) => snippetsOf(state).map(({ name, text }) => {
  const code = h('code', {}, text);
  const button = h('button', {
    type: 'button', onclick: async () => {
      try {
        // Over plain HTTP from another machine there is no clipboard at all.
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch {
        getSelection()?.selectAllChildren(code);
        button.textContent = 'Selected: copy it by hand, the browser does not let this page';
      }
    },
  }, 'Copy');
  return h('section', { class: 'snippet', 'aria-label': name },
    h('div', { class: 'buttons' }, h('h3', {}, name), button), h('pre', { tabindex: 0 }, code));
});
