// Sends requests in protobuf's JSON by client/node; prints each answer's bits.

import { readFileSync } from 'node:fs';

import { LossClient } from '../../client/node/index.js';

const ARRAYS = {
  DATA_TYPE_FLOAT32: Float32Array,
  DATA_TYPE_FLOAT64: Float64Array,
  DATA_TYPE_INT32: Int32Array,
  DATA_TYPE_INT64: BigInt64Array,
};

function tensorOf({ dataType, shape, raw }) {
  const bytes = Uint8Array.from(Buffer.from(raw, 'base64'));
  return { data: new ARRAYS[dataType](bytes.buffer), shape: shape.map(Number) };
}

const PREFIXES = { reduction: 'REDUCTION_', gradientDataType: 'DATA_TYPE_' };

function valueOf([name, value]) {
  if (name in PREFIXES) return [name, value.slice(PREFIXES[name].length).toLowerCase()];
  if (name === 'ignoreIndex') return [name, BigInt(value)];
  return [name, value?.raw === undefined ? value : tensorOf(value).data];
}

const snakeCase = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const optionsOf = (fields) => Object.fromEntries(Object.entries(fields).map(valueOf));

async function send(client, { loss, logits, labels, ...fields }) {
  const [[name, options]] = Object.entries(loss);
  return client.computeLoss(snakeCase(name), tensorOf(logits), tensorOf(labels).data,
    { ...optionsOf(options), ...optionsOf(fields) });
}

function bitsOf({ loss, gradient }) {
  const bytes = Buffer.alloc(8);
  if (loss !== undefined) bytes.writeDoubleBE(loss);
  const raw = Buffer.from(gradient.buffer, gradient.byteOffset, gradient.byteLength);
  return `${loss === undefined ? '-' : bytes.toString('hex')} ${raw.toString('hex')}`;
}

const [target, ...paths] = process.argv.slice(2);
const client = new LossClient(target);
for (const path of paths) {
  console.log(bitsOf(await send(client, JSON.parse(readFileSync(path, 'utf8')))));
}
client.close();
