// Every loss and every option against the formulas of docs/losses.md in doubles.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { LossClient } from '../../../client/node/index.js';
import { LOSSES } from '../../../client/node/src/losses.js';
import { startServer } from './server.js';

const ROWS = 3;
const CLASSES = 4;
const LOGITS = Float64Array.of(2, 1, 0.1, -1, 0, 3, 0.75, 0.5, -2, 0.25, 1.5, 1);
const LABELS = BigInt64Array.of(0n, 2n, 1n);
const TARGETS = Float64Array.of(1, 0, 0.5, 0.25, 0, 1, 1, 0, 0.125, 0.5, 0.25, 0.125);
const INDEXED = ['softmax_cross_entropy', 'negative_log_likelihood', 'softmax_focal', 'multiclass_hinge'];
const labelsOf = (loss) => (INDEXED.includes(loss) ? LABELS : TARGETS);

let server;
let client;
before(async () => {
  server = await startServer();
  client = new LossClient(server.target);
});
after(async () => {
  client.close();
  await server.stop();
});

const sum = (values) => values.reduce((total, value) => total + value, 0);
const mean = (values) => sum(values) / values.length;
const logSumExp = (z) => Math.log(sum(z.map(Math.exp)));
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.log1p(Math.exp(x));
const row = (array, r) => [...array.subarray(r * CLASSES, (r + 1) * CLASSES)];

// By loss: the row loss of logits z, of a class index y or targets t.
const ROW_LOSSES = {
  softmax_cross_entropy(z, y, { labelSmoothing = 0, classWeights = [1, 1, 1, 1], zLoss = 0, logitScale = 1, logitSoftcap }) {
    const a = z.map((x) => logitScale * (logitSoftcap ? logitSoftcap * Math.tanh(x / logitSoftcap) : x));
    const lse = logSumExp(a);
    const q = a.map((_, i) => classWeights[i] * ((1 - labelSmoothing) * (i === y) + labelSmoothing / CLASSES));
    return sum(q.map((share, i) => share * (lse - a[i]))) + zLoss * lse ** 2;
  },
  sigmoid_cross_entropy(z, t, { positiveWeights = [1, 1, 1, 1], labelSmoothing: e = 0 }) {
    return mean(z.map((x, i) => positiveWeights[i] * ((1 - e) * t[i] + e / 2) * softplus(-x)
      + ((1 - e) * (1 - t[i]) + e / 2) * softplus(x)));
  },
  negative_log_likelihood: (z, y, { classWeights = [1, 1, 1, 1] }) => -classWeights[y] * z[y],
  kl_divergence(z, t, { temperature: T = 1, targetsAreLogits = false }) {
    const logP = z.map((x) => x / T - logSumExp(z.map((other) => other / T)));
    const logQ = targetsAreLogits ? t.map((x) => x / T - logSumExp(t.map((other) => other / T))) : t.map(Math.log);
    return T ** 2 * sum(logQ.map((lq, i) => (lq === -Infinity ? 0 : Math.exp(lq) * (lq - logP[i]))));
  },
  softmax_focal(z, y, { gamma = 2, classWeights = [1, 1, 1, 1] }) {
    const logP = z[y] - logSumExp(z);
    return -classWeights[y] * (1 - Math.exp(logP)) ** gamma * logP;
  },
  sigmoid_focal(z, t, { gamma = 2, alpha }) {
    return mean(z.map((x, i) => {
      const p = sigmoid(x);
      const weight = alpha === undefined ? 1 : alpha * t[i] + (1 - alpha) * (1 - t[i]);
      return weight * (1 - p * t[i] - (1 - p) * (1 - t[i])) ** gamma * (t[i] * softplus(-x) + (1 - t[i]) * softplus(x));
    }));
  },
  multiclass_hinge: (z, y, { margin = 1, power = 1 }) =>
    mean(z.filter((_, i) => i !== y).map((x) => Math.max(0, margin - z[y] + x) ** power)),
  squared_error: (z, t) => mean(z.map((x, i) => (x - t[i]) ** 2)),
  huber: (z, t, { delta = 1 }) => mean(z.map((x, i) => {
    const error = Math.abs(x - t[i]);
    return error <= delta ? error ** 2 / 2 : delta * (error - delta / 2);
  })),
};

function rowLosses(loss, options) {
  return Array.from({ length: ROWS }, (_, r) => {
    const label = INDEXED.includes(loss) ? Number(LABELS[r]) : row(TARGETS, r);
    const ignored = INDEXED.includes(loss) && options.ignoreIndex !== undefined && label === Number(options.ignoreIndex);
    return ignored ? 0 : ROW_LOSSES[loss](row(LOGITS, r), label, options);
  });
}

function assertClose(got, want) {
  assert.equal(got.length, want.length);
  want.forEach((value, i) => {
    assert.ok(Math.abs(got[i] - value) <= 1e-13 * Math.max(1, Math.abs(value)), `[${i}] = ${got[i]}, want ${value}`);
  });
}

// An effect for each option of each loss; a new option without one fails the test.
const OPTION_VALUES = {
  labelSmoothing: 0.1,
  classWeights: [1, 2, 0.5, 1],
  ignoreIndex: 2,
  zLoss: 0.01,
  logitScale: 0.5,
  logitSoftcap: 2,
  positiveWeights: [1, 2, 3, 0.5],
  temperature: 2,
  targetsAreLogits: true,
  gamma: 0.5,
  alpha: 0.25,
  margin: 0.5,
  power: 2,
  delta: 0.25,
};

const METHODS = {
  softmax_cross_entropy: 'crossEntropy',
  sigmoid_cross_entropy: 'sigmoidCrossEntropy',
  negative_log_likelihood: 'negativeLogLikelihood',
  kl_divergence: 'klDivergence',
  softmax_focal: 'softmaxFocal',
  sigmoid_focal: 'sigmoidFocal',
  multiclass_hinge: 'multiclassHinge',
  squared_error: 'squaredError',
  huber: 'huber',
};

test('the client has every loss that the server lists', async () => {
  assert.deepEqual((await client.serverInfo()).losses, Object.keys(LOSSES));
  assert.deepEqual(Object.keys(METHODS), Object.keys(LOSSES));
});

for (const [loss, method] of Object.entries(METHODS)) {
  test(`${method} is the formula's`, async () => {
    const want = rowLosses(loss, {});
    const result = await client[method](LOGITS, labelsOf(loss), { classes: CLASSES, outputs: ['loss', 'rowLosses', 'gradient'] });
    assertClose(result.rowLosses, want);
    assertClose([result.loss], [mean(want)]);
    assert.equal(result.gradient.length, LOGITS.length);
  });

  for (const option of Object.keys(LOSSES[loss].options)) {
    test(`${method}'s ${option} is the formula's, and has an effect`, async () => {
      assert.ok(option in OPTION_VALUES, `no value to try ${option} with`);
      const options = { [option]: OPTION_VALUES[option] };
      const call = { classes: CLASSES, reduction: 'none', outputs: ['rowLosses'] };
      const { rowLosses: plain } = await client[method](LOGITS, labelsOf(loss), call);
      const { rowLosses: got } = await client[method](LOGITS, labelsOf(loss), { ...call, ...options });
      assertClose(got, rowLosses(loss, options));
      assert.notDeepEqual(got, plain);
    });
  }
}

test('row weights, an upstream gradient and a divisor multiply and divide', async () => {
  const call = { classes: CLASSES, reduction: 'sum' };
  const plain = await client.huber(LOGITS, TARGETS, { classes: CLASSES, reduction: 'none' });
  const scaled = await client.huber(LOGITS, TARGETS, {
    ...call, reduction: 'mean', divisor: 8, rowWeights: [1, 0, 2], upstreamGradient: Float32Array.of(-4),
  });
  const factors = [1, 0, 2].flatMap((weight) => Array(CLASSES).fill((weight * -4) / 8));
  assertClose(scaled.gradient, [...plain.gradient].map((value, i) => value * factors[i]));
  assert.equal(scaled.divisor, 8);
  const rows = rowLosses('huber', {});
  assertClose([scaled.loss], [(rows[0] + 2 * rows[2]) / 8]);
  assertClose([(await client.huber(LOGITS, TARGETS, call)).loss], [sum(rows)]);
});

test('the class axis may be any: (N, C, d) has the rows of (N d, C)', async () => {
  const [n, d] = [1, ROWS];
  const turned = Float64Array.from({ length: LOGITS.length }, (_, i) => LOGITS[(i % d) * CLASSES + Math.floor(i / d)]);
  const flat = await client.crossEntropy(LOGITS, LABELS, { shape: [ROWS, CLASSES] });
  const result = await client.crossEntropy({ data: turned, shape: [n, CLASSES, d] }, LABELS, { classAxis: 1 });
  assert.equal(result.loss, flat.loss);
  assert.deepEqual([...result.gradient], [...turned.keys()].map((i) => flat.gradient[(i % d) * CLASSES + Math.floor(i / d)]));
});

test('every output comes, and only what was asked for', async () => {
  const result = await client.crossEntropy(LOGITS, LABELS, {
    classes: CLASSES, outputs: ['loss', 'rowLosses', 'logSumExp', 'probabilities', 'logProbabilities', 'predictions'],
  });
  const z = [0, 1, 2].map((r) => row(LOGITS, r));
  assertClose(result.logSumExp, z.map(logSumExp));
  assertClose(result.logProbabilities, z.flatMap((logits) => logits.map((x) => x - logSumExp(logits))));
  assertClose(result.probabilities, [...result.logProbabilities].map(Math.exp));
  assert.deepEqual(result.predictions, BigInt64Array.of(0n, 1n, 2n));
  assert.equal(result.gradient, undefined);
  assert.equal(result.correctCount, 1);
  const alone = await client.crossEntropy(LOGITS, LABELS, { classes: CLASSES, outputs: ['gradient'] });
  assert.equal(alone.loss, undefined);
});

test('types go in and out as they are: float32, float16, bfloat16, and any for the gradient', async () => {
  const options = { classes: 2, gradientDataType: 'float64' };
  const labels = Int32Array.of(0);
  const single = await client.crossEntropy(Float32Array.of(1, -2), labels, options);
  assert.ok(single.gradient instanceof Float64Array);
  const half = await client.crossEntropy({ data: Uint16Array.of(0x3c00, 0xc000), dataType: 'float16' }, labels, options);
  const brain = await client.crossEntropy({ data: Uint16Array.of(0x3f80, 0xc000), dataType: 'bfloat16' }, labels, options);
  assert.deepEqual(half.gradient, single.gradient);
  assert.deepEqual(brain.gradient, single.gradient);
  const narrow = await client.crossEntropy(Float32Array.of(1, -2), labels, { classes: 2, gradientDataType: 'bfloat16' });
  assert.ok(narrow.gradient instanceof Uint16Array);
});

test('a view into a larger buffer goes as its own elements alone', async () => {
  const whole = new Float64Array(LOGITS.length + 1);
  whole.set(LOGITS, 1);
  const direct = await client.crossEntropy(LOGITS, LABELS, { classes: CLASSES });
  assert.deepEqual(await client.crossEntropy(whole.subarray(1), LABELS, { classes: CLASSES }), direct);
});

test('non-finite logits propagate where told', async () => {
  const logits = Float32Array.of(NaN, 1, 1, 1);
  const result = await client.crossEntropy(logits, Int32Array.of(0, 0), { classes: 2, nonFinitePolicy: 'propagate', reduction: 'none' });
  assert.ok(Number.isNaN(result.gradient[0]));
  assert.deepEqual([...result.gradient.subarray(2)], [-0.5, 0.5]);
});

test("the Hessian-vector product is the gradient's difference", async () => {
  const vector = Float64Array.from(LOGITS, (_, i) => Math.cos(i));
  const product = await client.hessianVectorProduct('softmax_cross_entropy', LOGITS, LABELS, vector, { classes: CLASSES, labelSmoothing: 0.1 });
  const h = 1e-5;
  const [ahead, behind] = await Promise.all([h, -h].map((step) =>
    client.crossEntropy(LOGITS.map((z, i) => z + step * vector[i]), LABELS, { classes: CLASSES, labelSmoothing: 0.1 })));
  product.forEach((value, i) => {
    assert.ok(Math.abs(value - (ahead.gradient[i] - behind.gradient[i]) / (2 * h)) < 1e-9);
  });
});
