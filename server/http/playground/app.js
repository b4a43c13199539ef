// The page: one state, shown in its parts, and the service's answers to it.
import { computeLoss, serverInfo } from './api.js';
import { checkGradient } from './check.js';
import { fromCsv, toCsv } from './csv.js';
import { curveAlong } from './curve.js';
import { byId, h } from './dom.js';
import { ClassEditor } from './editor.js';
import { fromJson, toNumbers, toText } from './format.js';
import * as panels from './panels.js';
import { batchRequest } from './request.js';
import * as settings from './settings.js';
import { fromHash, hasTargets, MAX_CLASSES, selectedSample, toHash } from './state.js';

/** @typedef {import('./state.js').State} State */

/**
 * What the service says of the batch, and of the selected sample in it.
 * @typedef {object} Answer
 * @property {number | undefined} loss nothing without a reduction
 * @property {number} rowCount
 * @property {number} correctCount
 * @property {number[]} rowLosses
 * @property {number[]} predictions
 * @property {number} rowLoss the selected sample's
 * @property {number[]} gradient of the reduced loss, the selected sample's
 * @property {number[]} rowGradient of the sample's own loss; empty until the details are there
 * @property {number[]} probabilities empty for losses that have none
 * @property {number} logSumExp
 * @property {boolean} isCounted whether the sample counts
 *
 * @typedef {object} Details
 * @property {import('./check.js').Check} check
 * @property {import('./curve.js').Curve} [curve]
 */

let state = fromHash(location.hash);
/** @type {Answer | undefined} */
let answer;
/** @type {Details | undefined} */
let details;

const editor = new ClassEditor({
  onLogit: (i, value) => change((next) => { selectedSample(next).logits[i] = value; next.axis = i; }),
  onLabel: (i) => change((next) => { selectedSample(next).label = i; }),
  onTarget: (i, value) => change((next) => { selectedSample(next).targets[i] = value; }),
  onFocus: (i) => { if (state.view !== 'curve') state.axis = i; },
});

/** Changes the state and what depends on it. @param {(state: State) => void} edit */
function change(edit) {
  edit(state);
  showState();
  history.replaceState(null, '', toHash(state));
  refresh();
}

function showState() {
  settings.show(state, change);
  editor.showSample(state);
  const count = state.samples.length;
  byId('sample-title').textContent = count === 1 ? 'One sample' : `Sample ${state.selected + 1} of ${count}`;
  byId('remove-class').disabled = selectedSample(state).logits.length <= 1;
  byId('add-class').disabled = selectedSample(state).logits.length >= MAX_CLASSES;
  const targets = hasTargets(state);
  byId('csv-hint').textContent = targets ? 'its logits, then as many targets' : 'its logits, then its label';
  if (document.activeElement !== byId('csv')) {
    byId('csv').value = toCsv(state.samples, targets);
    byId('csv-error').hidden = true;
  }
}

let isRunning = false;
let isDirty = false;

/** Asks the service until the answer is that of the latest state; one question at a time. */
async function refresh() {
  isDirty = true;
  if (isRunning) return;
  isRunning = true;
  byId('main').setAttribute('aria-busy', 'true');
  while (isDirty) {
    isDirty = false;
    const asked = structuredClone(state);
    try {
      const next = answerOf(asked, await computeLoss(batchRequest(asked)));
      // While a logit is dragged, the answer to where it was is better than none.
      if (!isShownAs(asked)) continue;
      answer = next;
      showAnswer();
      if (isDirty) continue;
      const nextDetails = { check: await checkGradient(asked), curve: asked.view === 'curve' ? await curveAlong(asked) : undefined };
      if (isDirty) continue;
      details = nextDetails;
      answer.rowGradient = details.check.gradient;
    } catch (error) {
      answer = details = undefined;
      if (!isDirty) showError(/** @type {import('./api.js').ServiceError} */ (error));
    }
    panels.show(state, answer, details, (axis) => change((next) => { next.axis = axis; }));
  }
  isRunning = false;
  byId('main').setAttribute('aria-busy', 'false');
}

/** Whether the page shows the same loss of the same sample, but for its numbers. @param {State} asked */
const isShownAs = (asked) => asked.loss === state.loss && asked.selected === state.selected &&
  asked.samples.length === state.samples.length && hasTargets(asked) === hasTargets(state) &&
  selectedSample(asked).logits.length === selectedSample(state).logits.length;

/** @param {State} asked @param {any} response @returns {Answer} */
function answerOf(asked, response) {
  const numbers = (/** @type {any} */ tensor) => (tensor?.values ?? []).map(fromJson);
  const row = (/** @type {any} */ tensor) => (tensor?.values?.[asked.selected] ?? []).map(fromJson);
  const sample = selectedSample(asked);
  const rowLosses = numbers(response.rowLosses);
  return {
    loss: response.loss === undefined ? undefined : fromJson(response.loss),
    rowCount: Number(response.rowCount),
    correctCount: Number(response.correctCount),
    rowLosses,
    predictions: numbers(response.predictions),
    rowLoss: rowLosses[asked.selected],
    gradient: row(response.gradient),
    rowGradient: [],
    probabilities: row(response.probabilities),
    logSumExp: numbers(response.logSumExp)[asked.selected],
    isCounted: hasTargets(asked) || (sample.label >= 0 && sample.label < sample.logits.length),
  };
}

function showAnswer() {
  if (!answer) return;
  byId('error').hidden = true;
  byId('classes').classList.remove('stale');
  for (const field of document.querySelectorAll('[data-refused]')) {
    field.removeAttribute('data-refused');
    field.setAttribute('aria-invalid', 'false');
  }
  const { loss, rowLoss, rowCount, correctCount } = answer;
  const shown = loss ?? rowLoss;
  byId('loss-name').textContent = loss === undefined ? 'loss of this sample' : 'loss';
  const output = byId('loss');
  output.textContent = toText(shown);
  output.dataset.exact = String(shown);
  byId('loss-note').textContent = notes(rowCount, correctCount);
  editor.showAnswer(answer);
  byId('rows').replaceChildren(...(state.samples.length > 1 ? [rowTable(answer)] : []));
}

/** @param {number} rowCount @param {number} correctCount */
function notes(rowCount, correctCount) {
  const names = { MEAN: 'the mean of', SUM: 'the sum over', NONE: 'no reduction;' };
  const counted = state.samples.length === 1 ? 'one sample' : `${rowCount} of ${state.samples.length} samples`;
  const correct = hasTargets(state) ? '' : `, ${correctCount} predicted right`;
  return `${names[state.reduction]} ${counted}${correct}`;
}

/** @param {Answer} shown */
function rowTable({ rowLosses, predictions }) {
  const head = ['sample', hasTargets(state) ? '' : 'label', 'prediction', 'loss'];
  return h('div', { class: 'scroll' }, h('table', {},
    h('thead', {}, h('tr', {}, ...head.map((text) => h('th', { scope: 'col' }, text)))),
    h('tbody', {}, ...state.samples.map((sample, i) => h('tr', { 'aria-current': i === state.selected },
      h('td', {}, h('button', {
        type: 'button', onclick: () => change((next) => { next.selected = i; }), 'aria-label': `show sample ${i + 1}`,
      }, String(i + 1))),
      h('td', {}, hasTargets(state) ? '' : String(sample.label)),
      h('td', {}, String(predictions[i] ?? '')), h('td', {}, toText(rowLosses[i], 8)))))));
}

/** @param {import('./api.js').ServiceError} error */
function showError(error) {
  const line = byId('error');
  line.hidden = false;
  line.textContent = error.message;
  byId('classes').classList.add('stale');
  byId('loss').textContent = '—';
  delete byId('loss').dataset.exact;
  byId('loss-note').textContent = '';
  const field = [...document.querySelectorAll('[data-field]')].find(
    (input) => error.field?.endsWith(/** @type {HTMLElement} */ (input).dataset.field ?? '-') ||
      error.field?.endsWith(input.id.replace('option-', '') || '-'));
  if (field) {
    field.setAttribute('aria-invalid', 'true');
    field.setAttribute('data-refused', '');
  }
  if (error.retryAfterSeconds) setTimeout(refresh, error.retryAfterSeconds * 1000);
}

function listen() {
  settings.listen(change);
  panels.listen((view) => change((next) => { next.view = view; }));
  byId('add-class').addEventListener('click', () => change((next) => next.samples.forEach((sample) => {
    sample.logits.push(0);
    sample.targets.push(0);
  })));
  byId('remove-class').addEventListener('click', () => change((next) => next.samples.forEach((sample) => {
    sample.logits.pop();
    sample.targets.pop();
    sample.label = Math.min(sample.label, sample.logits.length - 1);
    next.axis = Math.min(next.axis, sample.logits.length - 1);
  })));
  byId('paste').addEventListener('change', paste);
  byId('csv').addEventListener('input', takeCsv);
  window.addEventListener('hashchange', () => { state = fromHash(location.hash); change(() => {}); });
}

/** The pasted logits are one sample's, whatever the batch was. */
function paste() {
  const field = byId('paste');
  const logits = toNumbers(field.value);
  const isGood = logits !== undefined && logits.length >= 1 && logits.length <= MAX_CLASSES;
  field.setAttribute('aria-invalid', String(!isGood && field.value.trim() !== ''));
  if (!isGood) return;
  change((next) => {
    const { label } = selectedSample(next);
    const kept = label < logits.length ? label : 0;
    next.samples = [{ logits, label: kept, targets: logits.map((_, i) => (i === kept ? 1 : 0)) }];
    next.selected = next.axis = 0;
  });
  field.value = '';
}

function takeCsv() {
  try {
    const samples = fromCsv(byId('csv').value, hasTargets(state));
    byId('csv-error').hidden = true;
    change((next) => {
      next.samples = samples;
      next.selected = Math.min(next.selected, samples.length - 1);
      next.axis = Math.min(next.axis, samples[0].logits.length - 1);
    });
  } catch (error) {
    byId('csv-error').textContent = /** @type {Error} */ (error).message;
    byId('csv-error').hidden = false;
  }
}

async function showServer() {
  const info = await serverInfo();
  byId('server').textContent =
    `lossd ${info.version} · ${info.kernel} kernel · ${info.computeThreads} compute threads · losses and gradients by hand, exactly`;
}

listen();
showState();
refresh();
showServer().catch((error) => { byId('server').textContent = error.message; });
