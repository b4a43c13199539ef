// The form: which loss, of what, with which options.
import { byId, h } from './dom.js';
import { LOSSES, lossOf } from './losses.js';

/** @typedef {import('./state.js').State} State */

/** @param {(change: (state: State) => void) => void} change */
export function listen(change) {
  byId('settings').addEventListener('submit', (/** @type {Event} */ event) => event.preventDefault());
  byId('loss-kind').append(...LOSSES.map((loss) => h('option', { value: loss.key }, loss.title)));
  const onChange = (/** @type {string} */ id, /** @type {(state: State, value: string) => void} */ set) =>
    byId(id).addEventListener('change', () => change((next) => set(next, byId(id).value)));
  onChange('loss-kind', (next, value) => { next.loss = value; next.options = {}; });
  onChange('data-type', (next, value) => { next.dataType = /** @type {any} */ (value); });
  onChange('reduction', (next, value) => { next.reduction = /** @type {any} */ (value); });
  onChange('soft', (next, value) => { next.soft = value !== ''; });
}

/** Shows the settings; the options' fields are made anew for another loss. @param {State} state
 * @param {(change: (state: State) => void) => void} change */
export function show(state, change) {
  const loss = lossOf(state.loss);
  byId('loss-kind').value = loss.key;
  byId('data-type').value = state.dataType;
  byId('reduction').value = state.reduction;
  byId('soft').value = state.soft ? '1' : '';
  byId('soft-field').hidden = loss.labels !== 'either';
  const options = byId('options');
  if (options.dataset.loss !== loss.key) {
    options.dataset.loss = loss.key;
    options.replaceChildren(...loss.options.map((option) => optionField(option, change)));
  }
  for (const { key, kind } of loss.options) {
    const field = byId(`option-${key}`);
    if (kind === 'switch') field.checked = Boolean(state.options[key]);
    else if (document.activeElement !== field) field.value = state.options[key] ?? '';
  }
}

/** @param {import('./losses.js').Option} option @param {(change: (state: State) => void) => void} change */
function optionField({ key, name, kind, range, initial }, change) {
  const set = (/** @type {string} */ text) => change((next) => {
    if (text.trim() === '') delete next.options[key];
    else next.options[key] = text;
  });
  const id = `option-${key}`;
  const field = /** @type {any} */ (kind === 'switch'
    ? h('input', { id, type: 'checkbox', 'data-field': name, onchange: () => set(field.checked ? 'on' : '') })
    : h('input', {
      id, type: 'text', inputmode: kind === 'numbers' ? 'text' : 'decimal', placeholder: initial, 'data-field': name,
      autocomplete: 'off', spellcheck: 'false', oninput: () => set(field.value),
    }));
  return h('label', { class: kind === 'switch' ? 'switch' : '', title: range }, `${name} `, field);
}
