// Compiled, never run: what index.d.ts must allow and refuse.

import { LossClient, LossError, type LossResult } from 'lossd';

export async function uses(client: LossClient): Promise<number> {
  const logits = new Float32Array(6);
  const labels = BigInt64Array.of(0n, 1n);
  const options = { classes: 3, timeoutMs: 100, signal: AbortSignal.timeout(1) };
  const result: LossResult = await client.crossEntropy(logits, labels, { ...options, labelSmoothing: 0.1, classWeights: [1, 2, 3] });
  await client.computeLoss('huber', logits, new Float32Array(6), { shape: [2, 3], delta: 0.5, progress: (done, rows) => done / rows });
  await client.crossEntropy({ data: new Uint16Array(6), dataType: 'bfloat16', shape: [2, 3] }, labels, { outputs: ['loss', 'logSumExp'] });
  await client.multiclassHinge(logits, labels, { classes: 3, power: 2 });
  await client.hessianVectorProduct('softmax_cross_entropy', logits, labels, logits, { classes: 3, zLoss: 1e-4 });
  const stream = client.streamLoss('softmax_cross_entropy', { chunks: [logits], shape: [2, 3] }, labels);
  for await (const { firstRow, gradient } of stream) console.log(firstRow, gradient.length);

  // @ts-expect-error logits are no plain array
  await client.crossEntropy([2, 1, 0.1], labels, options);
  // @ts-expect-error another loss's option
  await client.crossEntropy(logits, labels, { classes: 3, gamma: 2 });
  // @ts-expect-error no such loss
  await client.computeLoss('cubic', logits, labels);
  // @ts-expect-error no such output
  await client.huber(logits, logits, { classes: 3, outputs: ['hessian'] });
  // @ts-expect-error the loss may be missing
  const loss: number = result.loss;
  // @ts-expect-error streams have no transfer to choose
  client.streamLoss('huber', logits, logits, { classes: 3, transfer: 'unary' });
  return loss;
}

export function describes(error: unknown): string {
  if (!(error instanceof LossError)) throw error;
  // @ts-expect-error no such code
  if (error.code === 'BAD') return '';
  return error.code === 'INVALID_ARGUMENT' ? error.field + error.metadata.row : error.reason;
}

export const connected = new LossClient('unix:/run/lossd', { retry: { maxAttempts: 1 }, tls: { caFile: 'ca.pem' } });
