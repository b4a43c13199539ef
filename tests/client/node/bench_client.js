// Times calls of the Node.js client, one after the other; prints JSON.
//
//   node bench_client.js [--target 127.0.0.1:50051] [--rows 256] [--classes 50257]
//                        [--calls 20] [--transfer unary]

import { parseArgs } from 'node:util';

import { LossClient } from '../../../client/node/index.js';

const { values: flags } = parseArgs({
  options: {
    target: { type: 'string', default: '127.0.0.1:50051' },
    rows: { type: 'string', default: '256' },
    classes: { type: 'string', default: '50257' },
    calls: { type: 'string', default: '20' },
    transfer: { type: 'string', default: 'unary' },
  },
});
const [rows, classes, calls] = [flags.rows, flags.classes, flags.calls].map(Number);
const WARM_UP_CALLS = 3;

const logits = Float32Array.from({ length: rows * classes }, (_, i) => 4 * Math.sin(i));
const labels = Int32Array.from({ length: rows }, (_, row) => (row * 7) % classes);
const client = new LossClient(flags.target);
// One message's gradient is a view of its bytes already.
const gradientInto = flags.transfer === 'unary' ? undefined : new Float32Array(rows * classes);
const times = [];
for (let call = -WARM_UP_CALLS; call < calls; call += 1) {
  const start = performance.now();
  await client.crossEntropy(logits, labels, { shape: [rows, classes], transfer: flags.transfer, gradientInto });
  if (call >= 0) times.push(performance.now() - start);
}
client.close();
times.sort((a, b) => a - b);
const quantile = (share) => Number(times[Math.floor(share * (times.length - 1))].toFixed(3));
console.log(JSON.stringify({
  client: 'node', node: process.version, rows, classes, transfer: flags.transfer, calls,
  median_ms: quantile(0.5), p90_ms: quantile(0.9), min_ms: quantile(0),
}));
