// gRPC's errors, read.

import { status as statusCodes } from '@grpc/grpc-js';

import { LossError } from './errors.js';
import { fieldsOf } from './wire.js';

const CODE_NAMES = new Map(Object.entries(statusCodes).map(([name, code]) => [code, name]));

const text = (bytes) => bytes.toString('utf8');

function mapEntry(entry) {
  const { 1: key = '', 2: value = '' } = Object.fromEntries(
    [...fieldsOf(entry)].map(([field, bytes]) => [field, text(bytes)]));
  return [key, value];
}

// google.rpc's ErrorInfo, BadRequest (its first violation) and RetryInfo.
const DETAIL_READERS = {
  'google.rpc.ErrorInfo'(bytes, details) {
    for (const [field, value] of fieldsOf(bytes)) {
      if (field === 1) details.reason = text(value);
      if (field === 3) {
        const [key, entry] = mapEntry(value);
        details.metadata[key] = entry;
      }
    }
  },
  'google.rpc.BadRequest'(bytes, details) {
    for (const [field, violation] of fieldsOf(bytes)) {
      if (field !== 1 || details.field !== '') continue;
      details.field = mapEntry(violation)[0];
    }
  },
  'google.rpc.RetryInfo'(bytes, details) {
    for (const [field, duration] of fieldsOf(bytes)) {
      if (field !== 1) continue;
      const { 1: seconds = 0, 2: nanos = 0 } = Object.fromEntries(fieldsOf(duration));
      details.retryDelayMs = Number(seconds) * 1000 + nanos / 1e6;
    }
  },
};

function readDetail(any, details) {
  const { 1: typeUrl, 2: value } = Object.fromEntries(fieldsOf(any));
  if (typeUrl === undefined || value === undefined) return;
  const type = text(typeUrl);
  DETAIL_READERS[type.slice(type.lastIndexOf('/') + 1)]?.(value, details);
}

/** The machine-readable part of a google.rpc.Status's bytes. */
export function detailsOf(statusBytes) {
  const details = { reason: '', field: '', metadata: {}, retryDelayMs: undefined };
  for (const [field, value] of fieldsOf(statusBytes)) {
    if (field === 3) readDetail(value, details);
  }
  return details;
}

/** A LossError of what gRPC reported; anything else is returned as it is. */
export function fromGrpc(error) {
  if (error instanceof LossError || !CODE_NAMES.has(error.code)) return error;
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  return new LossError(error.details, {
    code: CODE_NAMES.get(error.code),
    ...(Buffer.isBuffer(bytes) ? detailsOf(bytes) : {}),
    cause: error,
  });
}
