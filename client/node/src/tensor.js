// Tensors between typed arrays and the wire: bytes are viewed, never converted.

import { internal, invalid } from './errors.js';
import { MessageWriter, fieldsOf, varintsOf } from './wire.js';

if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
  throw new Error('lossd needs a little-endian machine: tensors are sent as they lie in memory');
}

/** The contract's data types in the order of their numbers, from 1. */
export const DATA_TYPES = ['float32', 'float64', 'float16', 'bfloat16', 'int32', 'int64'];

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  int64: BigInt64Array,
};

export const dataTypeNumber = (name) => DATA_TYPES.indexOf(name) + 1;
export const isIntegral = (dataType) => dataType === 'int32' || dataType === 'int64';
export const elementBytes = (dataType) => ARRAYS[dataType].BYTES_PER_ELEMENT;
export const elementCount = (shape) => shape.reduce((product, length) => product * length, 1);

/** A new array for `count` elements of `dataType`. */
export const newArray = (dataType, count) => new ARRAYS[dataType](count);

/** The bytes of a typed array, viewed. */
export const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

function dataTypeOf(name, data, named) {
  if (named !== undefined) {
    if (!Object.hasOwn(ARRAYS, named)) {
      throw invalid(name, `${name}.dataType = ${named}, want one of ${DATA_TYPES.join(', ')}`);
    }
    if (data instanceof ARRAYS[named]) return named;
    throw invalid(name, `${name}.data is ${describe(data)}, want ${ARRAYS[named].name}, which holds ${named}`);
  }
  const found = DATA_TYPES.find((type) => type !== 'float16' && type !== 'bfloat16' && data instanceof ARRAYS[type]);
  if (found !== undefined) return found;
  const hint = data instanceof Uint16Array ? ', or {data, dataType: "float16" or "bfloat16"}' : '';
  throw invalid(name, `${name} is ${describe(data)}, want Float32Array, Float64Array, Int32Array or BigInt64Array${hint}`);
}

function describe(value) {
  return value === null || value === undefined ? String(value) : (value.constructor?.name ?? typeof value);
}

/** Throws unless `shape` is an array of lengths. */
export function checkShape(name, shape) {
  if (!Array.isArray(shape)) throw invalid(name, `${name}'s shape is ${describe(shape)}, want an array`);
  shape.forEach((length, axis) => {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw invalid(name, `${name}'s shape[${axis}] = ${length}, want an integer >= 0`);
    }
  });
}

/** Checks that a tensor has as many elements as its shape says; returns it. */
export function withShape(name, tensor, shape) {
  checkShape(name, shape);
  const want = elementCount(shape);
  if (tensor.data.length !== want) {
    throw invalid(name, `${name} has ${tensor.data.length} elements, want ${want} for the shape [${shape}]`);
  }
  return { ...tensor, shape };
}

/** {data, dataType} of a typed array, or of {data, dataType}; views either. */
export function tensorOf(name, value) {
  const given = ArrayBuffer.isView(value) || value === null || typeof value !== 'object' ? { data: value } : value;
  return { data: given.data, dataType: dataTypeOf(name, given.data, given.dataType) };
}

/** As `tensorOf`, of floats only; a plain array of numbers becomes float64. */
export function weightsOf(name, value) {
  if (Array.isArray(value)) {
    const odd = value.findIndex((number) => typeof number !== 'number');
    if (odd >= 0) throw invalid(name, `${name}[${odd}] is ${describe(value[odd])}, want a number`);
    return { data: Float64Array.from(value), dataType: 'float64' };
  }
  const tensor = tensorOf(name, value);
  if (isIntegral(tensor.dataType)) throw invalid(name, `${name} is ${tensor.dataType}, want floats`);
  return tensor;
}

/** The Tensor message of `shape`, with its elements unless `data` is missing. */
export function tensorMessage({ data, dataType, shape }) {
  const message = new MessageWriter().varint(1, dataTypeNumber(dataType));
  if (shape.length > 0) message.packedVarints(2, shape);
  return data === undefined ? message : message.bytes(3, bytesOf(data));
}

/**
 * The elements of a received Tensor, which must be `count` of `dataType`: a view
 * of `bytes`, which are changed where viewOf says.
 */
export function readTensor(name, bytes, dataType, count) {
  let number = 0;
  let raw = Buffer.alloc(0);
  const shape = [];
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 1) number = value;
    if (field === 2) shape.push(...varintsOf(value));
    if (field === 3) raw = value;
  }
  if (number !== dataTypeNumber(dataType)) {
    throw internal(`the server answered ${name} of data type ${DATA_TYPES[number - 1] ?? number}, want ${dataType}`);
  }
  const want = count * elementBytes(dataType);
  if (elementCount(shape) !== count || raw.length !== want) {
    throw internal(`the server answered ${raw.length} bytes of ${name} of the shape [${shape}], want ${want}`);
  }
  return viewOf(raw, dataType);
}

/**
 * The elements of raw bytes of `dataType`. A typed array begins at a multiple of
 * its element's size: bytes that do not are moved down to the next that is, over
 * the end of their own header, which was read already. `raw` is invalid then.
 */
export function viewOf(raw, dataType) {
  const ArrayType = ARRAYS[dataType];
  const size = ArrayType.BYTES_PER_ELEMENT;
  const shift = raw.byteOffset % size;
  const start = raw.byteOffset - shift;
  if (shift > 0) new Uint8Array(raw.buffer).copyWithin(start, raw.byteOffset, raw.byteOffset + raw.length);
  return new ArrayType(raw.buffer, start, raw.length / size);
}
