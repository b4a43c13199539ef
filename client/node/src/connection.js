// A client's channel, bytes to bytes, and what it has learned of the server.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

import { Client, Metadata, credentials } from '@grpc/grpc-js';

import { cancelled, invalid } from './errors.js';
import { RequestMemory } from './memory.js';
import { checkNames } from './request.js';
import { retryOptions, withRetries } from './retry.js';
import { fromGrpc } from './status.js';
import { MAX_MESSAGE_BYTES } from './wire.js';

// How much of answers may be under way; gRPC's own 64 KiB would make large ones wait.
const RECEIVE_WINDOW_BYTES = 8 * 2 ** 20;

const identity = (bytes) => bytes;
const pathOf = (method) => `/lossd.v1.LossService/${method}`;

function readPem(name, path, check, want) {
  if (path === undefined) return null;
  let pem;
  try {
    pem = readFileSync(path);
  } catch (error) {
    throw invalid(name, `${name} = ${path}, want a file to read: ${error.message}`);
  }
  try {
    check(pem);
  } catch {
    throw invalid(name, `${name} = ${path}, want ${want}`);
  }
  return pem;
}

function sslCredentials(tls) {
  checkNames(tls, ['caFile', 'certificateFile', 'keyFile', 'serverName']);
  const { caFile, certificateFile, keyFile } = tls;
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    throw keyFile === undefined
      ? invalid('tls.keyFile', `tls.keyFile: missing, want the private key of ${certificateFile}`)
      : invalid('tls.certificateFile', `tls.certificateFile: missing, want the certificate of ${keyFile}`);
  }
  const isCertificate = (pem) => new X509Certificate(pem);
  const roots = readPem('tls.caFile', caFile, isCertificate, 'certificates in PEM');
  const cert = readPem('tls.certificateFile', certificateFile, isCertificate, 'certificates in PEM');
  const key = readPem('tls.keyFile', keyFile, (pem) => createSecureContext({ cert, key: pem }),
    'the private key of tls.certificateFile in PEM, without a password');
  return credentials.createSsl(roots, key, cert);
}

// As client/lossd/channel.cc has it, where grpc-js knows the setting.
function channelSettings(retry, tls) {
  return {
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': -1,
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.initial_reconnect_backoff_ms': Math.min(retry.initialBackoffMs, 1000),
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.service_config_disable_resolution': 1,
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    'grpc-node.flow_control_window': RECEIVE_WINDOW_BYTES,
    ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
  };
}

export class Connection {
  #client;

  constructor(target, options) {
    checkNames(options, ['retry', 'tls']);
    if (typeof target !== 'string' || target === '') throw invalid('target', `target = ${target}, want HOST:PORT or unix:PATH`);
    this.target = target;
    this.retry = retryOptions(options.retry);
    this.#client = new Client(target,
      options.tls === undefined ? credentials.createInsecure() : sslCredentials(options.tls),
      channelSettings(this.retry, options.tls));
    /** The most bytes of a message that the server takes, as far as it has said. */
    this.maxRequestBytes = MAX_MESSAGE_BYTES;
    this.memory = new RequestMemory();
  }

  close() {
    this.#client.close();
  }

  /** Calls a unary method with a message, with retries; resolves to the answer's bytes. */
  async unary(method, message, call) {
    const request = message.toBuffer(this.memory);
    try {
      return await withRetries(this, call, () => this.#attempt(method, request, call));
    } finally {
      this.memory.give(request);
    }
  }

  #attempt(method, request, { deadline, signal }) {
    const metadata = new Metadata();
    // A server with a memory budget need not guess.
    metadata.set('lossd-request-bytes', String(request.length));
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(cancelled(signal));
        return;
      }
      const abort = () => handle.cancel();
      const handle = this.#client.makeUnaryRequest(pathOf(method), identity, identity, request, metadata, { deadline },
        (error, answer) => {
          signal?.removeEventListener('abort', abort);
          if (error) reject(signal?.aborted ? cancelled(signal) : error);
          else resolve(answer);
        });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Opens StreamLoss: a duplex stream of messages' bytes, not retried. */
  openStream(deadline) {
    return this.#client.makeBidiStreamRequest(pathOf('StreamLoss'), identity, identity, new Metadata(), { deadline });
  }

  /** Whether `error` says that a message was larger than the server takes; that is known from now on. */
  learnLimit(error) {
    const { code, reason, metadata } = fromGrpc(error);
    const bytes = Number(metadata?.max_request_bytes);
    if (code !== 'RESOURCE_EXHAUSTED' || reason !== 'REQUEST_TOO_LARGE' || !(bytes >= 1)) return false;
    this.maxRequestBytes = bytes;
    return true;
  }
}
