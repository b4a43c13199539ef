/** What failed, and why: index.d.ts describes the members. */
export class LossError extends Error {
  constructor(message, { code, reason = '', field = '', metadata = {}, retryDelayMs, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LossError';
    this.code = code;
    this.reason = reason;
    this.field = field;
    this.metadata = metadata;
    this.retryDelayMs = retryDelayMs;
  }
}

/** The caller's mistake, found before anything was sent. */
export function invalid(field, message) {
  return new LossError(message, { code: 'INVALID_ARGUMENT', field });
}

/** An answer that is not what was asked for. */
export function internal(message) {
  return new LossError(message, { code: 'INTERNAL' });
}

export function cancelled(signal) {
  return new LossError('the call was cancelled by its signal', { code: 'CANCELLED', cause: signal.reason });
}
