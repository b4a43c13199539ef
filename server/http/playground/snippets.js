// The call that the page makes, for people to make themselves.
import { lossOf } from './losses.js';
import { toNumber, toNumbers } from './format.js';
import { lossSpec, requestFor } from './request.js';
import { hasTargets } from './state.js';

/** @typedef {import('./state.js').State} State */

const GRPC_ADDRESS = '127.0.0.1:50051';

/** @param {State} state */
export const snippetsOf = (state) => [
  { name: 'curl', text: curl(state) },
  { name: 'Python', text: python(state) },
  { name: 'C++', text: cpp(state) },
];

/** @param {State} state */
function curl(state) {
  const request = requestFor(state, state.samples, {
    dataType: state.dataType, reduction: state.reduction, outputs: ['LOSS', 'GRADIENT'],
  });
  const fields = Object.entries({ ...request, loss: lossSpec(state) })
    .map(([key, value]) => `  "${key}": ${JSON.stringify(value)}`);
  return `curl ${location.origin}/v1/loss:compute -H 'Content-Type: application/json' -d ${
    shellWord(`{\n${fields.join(',\n')}\n}`)}`;
}

/** In quotes that nothing in it ends: it may come from a link that someone else made. @param {string} text */
const shellWord = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The options that are set. @param {State} state */
function options(state) {
  return lossOf(state.loss).options.flatMap(({ key, name, kind }) => {
    const text = state.options[key]?.trim();
    return text ? [{ name, kind, text }] : [];
  });
}

/**
 * An option's value in a program. What is no number is a string there, whatever it says, for the client or the
 * compiler to refuse: it may come from a link that someone else made.
 * @param {{kind: string, text: string}} option
 * @param {(value: number) => string} number
 * @param {(values: string[]) => string} list
 */
function literal({ kind, text }, number, list) {
  const value = kind === 'numbers' ? toNumbers(text) : toNumber(text);
  if (value === undefined) return JSON.stringify(text);
  return Array.isArray(value) ? list(value.map(number)) : number(value);
}

/** @param {number} value */
const pythonNumber = (value) => (Number.isFinite(value) ? String(value)
  : `float("${Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf'}")`);

/** @param {number[][]} rows */
const pythonRows = (rows) => `[${rows.map((row) => `[${row.map(pythonNumber).join(', ')}]`).join(', ')}]`;

/** @param {State} state */
function python(state) {
  const loss = lossOf(state.loss);
  const type = state.dataType.toLowerCase();
  const set = options(state).map((option) => `${option.name}=${option.kind === 'switch' ? 'True'
    : literal(option, pythonNumber, (values) => `[${values.join(', ')}]`)}`);
  const labels = hasTargets(state)
    ? `np.${type}(${pythonRows(state.samples.map((sample) => sample.targets))})`
    : `[${state.samples.map((sample) => sample.label).join(', ')}]`;
  return `import lossd
import numpy as np

logits = np.${type}(${pythonRows(state.samples.map((sample) => sample.logits))})
labels = ${labels}
with lossd.Client("${GRPC_ADDRESS}") as client:
    result = client.compute_loss(lossd.${loss.python}(${set.join(', ')}), logits, labels,
                                 reduction="${state.reduction.toLowerCase()}")
print(result.loss)
print(result.gradient)`;
}

/** @param {number} value */
const cppNumber = (value) => (Number.isFinite(value) ? String(value)
  : Number.isNaN(value) ? 'NAN' : value > 0 ? 'INFINITY' : '-INFINITY');

/** @param {State} state */
function cpp(state) {
  const loss = lossOf(state.loss);
  const type = state.dataType === 'FLOAT32' ? 'float' : 'double';
  const numbers = (/** @type {number[][]} */ rows) => rows.flat().map(cppNumber).join(', ');
  const lines = [
    '#include <lossd/client.h>',
    '#include <cmath>',
    '#include <cstdio>',
    '#include <vector>',
    '',
    'int main() {',
    `  const std::vector<${type}> logits = {${numbers(state.samples.map((sample) => sample.logits))}};`,
  ];
  const targets = hasTargets(state);
  lines.push(targets
    ? `  const std::vector<${type}> targets = {${numbers(state.samples.map((sample) => sample.targets))}};`
    : `  const std::vector<int64_t> labels = {${state.samples.map((sample) => sample.label).join(', ')}};`);
  const set = options(state).map((option) => {
    const { name, kind } = option;
    if (kind === 'switch') return `.${name} = true`;
    const value = literal(option, cppNumber, (values) => `{${values.join(', ')}}`);
    if (kind !== 'numbers') return `.${name} = ${value}`;
    lines.push(`  const std::vector<double> ${name} = ${value};`);
    return `.${name} = ${name}`;
  });
  const reduction = `lossd::Reduction::k${state.reduction[0]}${state.reduction.slice(1).toLowerCase()}`;
  return [...lines,
    `  std::vector<${type}> gradient(logits.size());`,
    `  const auto client = lossd::Client::Connect({.target = "${GRPC_ADDRESS}"});`,
    '  if (!client.ok()) return 2;',
    `  const auto summary = client->ComputeLoss<${type}>(`,
    `      {.rows = ${state.samples.length}, .classes = ${state.samples[0].logits.length}, .logits = logits, ${
      targets ? '.targets = targets' : '.labels = labels'}},`,
    `      {.loss = lossd::${loss.python}{${set.join(', ')}}, .reduction = ${reduction}},`,
    '      lossd::CallOptions(absl::Seconds(10)),',
    '      {.gradient = absl::MakeSpan(gradient)});',
    '  if (!summary.ok()) return 1;',
    '  std::printf("loss %.17g\\n", summary->loss.value_or(NAN));',
    `  for (const ${type} value : gradient) std::printf("%.9g ", value);`,
    '  std::printf("\\n");',
    '}'].join('\n');
}
