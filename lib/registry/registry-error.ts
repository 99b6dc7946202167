/**
 * How failures of a registry are worded: method, redacted URL, status, and the
 * codes and messages of the distribution specification. A registry's own words
 * are cut, stripped of control characters and of the secrets in URLs.
 */
import { STATUS_CODES } from 'node:http';

import { SociError, type SociErrorCode } from '../errors.js';
import { parseRetryAfter } from '../source/http-retry.js';
import { redactUrl } from '../source/redact.js';
import type { ExchangeAnswer } from './exchange.js';
import { sentSecrets } from './sent-secrets.js';

export interface RegistryErrorEntry {
  readonly code: string;
  readonly message: string;
}

/** What Go's and nginx's servers answer to plain HTTP on a TLS port. */
const WANTS_TLS = /HTTP request (?:was sent )?to (?:an )?HTTPS (?:server|port)/i;
const MAX_ENTRIES = 5;
const MAX_MESSAGE = 300;

function plain(value: unknown, limit: number, secrets: readonly string[]): string {
  const text = typeof value === 'string' ? value : '';
  return secrets
    .reduce((shown, secret) => shown.replaceAll(secret, 'REDACTED'), text)
    .slice(0, limit * 4)
    .replace(/https?:\/\/[^\s"'<>]+/g, url => redactUrl(url))
    .replace(/[^\x20-\x7e\u00a0-\ud7ff]+/g, ' ')
    .trim()
    .slice(0, limit);
}

/**
 * The entries of an error body; none when it is not in the specified form.
 *
 * @param secrets What must not be shown of what the server may have quoted.
 */
export function parseErrorBody(body: Uint8Array, secrets: readonly string[]): RegistryErrorEntry[] {
  const text = new TextDecoder().decode(body);
  if (WANTS_TLS.test(text)) {
    return [{ code: '', message: 'the server expects HTTPS' }];
  }
  try {
    const document = JSON.parse(text) as Record<string, unknown> | null;
    const list = document?.['errors'];
    // Token servers and some proxies answer with a single object.
    const entries: unknown[] = Array.isArray(list) ? list : document === null ? [] : [document];
    return entries.slice(0, MAX_ENTRIES).flatMap(entry => {
      const { code, message, details } = (entry ?? {}) as Record<string, unknown>;
      const found = {
        code: plain(code, 64, secrets),
        message: plain(message ?? details, MAX_MESSAGE, secrets),
      };
      return found.code === '' && found.message === '' ? [] : [found];
    });
  } catch {
    return [];
  }
}

function codeOf(status: number): SociErrorCode {
  switch (status) {
    case 401:
    case 403:
      return 'ERR_SOCI_REGISTRY_DENIED';
    case 404:
    case 410:
      return 'ERR_SOCI_REGISTRY_NOT_FOUND';
    default:
      return 'ERR_SOCI_HTTP_STATUS';
  }
}

/**
 * The error for an answer that is not what was hoped for. `data`: url, status, errors, retryAfter (ms).
 *
 * @param body As much of the answer's as is worth reading for it.
 */
export function statusError(answer: ExchangeAnswer, body: Uint8Array): SociError {
  const { request, status } = answer;
  const { method } = request;
  const errors = parseErrorBody(body, sentSecrets(request));
  const shown = redactUrl(answer.url);
  const phrase = STATUS_CODES[status] ?? '';
  const details = errors.map(({ code, message }) => [code, message].filter(part => part !== '').join(': '));
  const wait = parseRetryAfter(answer.header('retry-after'));
  return new SociError(
    codeOf(status),
    `${method} ${shown}: ${`${status} ${phrase}`.trim()}${details.length === 0 ? '' : ` (${details.join('; ')})`}`,
    { data: { url: shown, status, errors, ...(wait === undefined ? {} : { retryAfter: wait }) } },
  );
}

/** An answer that breaks the protocol: a missing header, a wrong type, a body of the wrong size. */
export function protocolError(method: string, url: URL, detail: string): SociError {
  const shown = redactUrl(url);
  return new SociError('ERR_SOCI_REGISTRY_PROTOCOL', `${method} ${shown}: ${detail}`, {
    data: { url: shown },
  });
}
