// The service over HTTP: the one place that sends anything, and only to where the page came from.

/** An error of the service, or of the way to it. */
export class ServiceError extends Error {
  /**
   * @param {string} message
   * @param {{reason?: string, field?: string, retryAfterSeconds?: number}} [details]
   */
  constructor(message, details = {}) {
    super(message);
    this.reason = details.reason ?? '';
    this.field = details.field ?? '';
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<any>}
 */
async function ask(path, init) {
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ServiceError('no answer: is lossd still running?', { retryAfterSeconds: 2 });
  }
  const body = await response.json().catch(() => undefined);
  if (response.ok && body !== undefined) return body;
  throw errorOf(response, body);
}

/** @param {Response} response @param {any} body a google.rpc.Status */
function errorOf(response, body) {
  /** @type {any[]} */
  const details = body?.details ?? [];
  const find = (/** @type {string} */ type) => details.find((detail) => detail['@type']?.endsWith(type));
  const retryAfter = response.headers.get('Retry-After');
  return new ServiceError(body?.message ?? `HTTP ${response.status}`, {
    reason: find('ErrorInfo')?.reason,
    field: find('BadRequest')?.fieldViolations?.[0]?.field,
    retryAfterSeconds: retryAfter === null ? undefined : Number(retryAfter),
  });
}

/** @param {object} request a ComputeLossRequest as JSON */
export const computeLoss = (request) => ask('/v1/loss:compute', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(request),
});

export const serverInfo = () => ask('/v1/serverInfo');
