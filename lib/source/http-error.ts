/**
 * How HTTP failures are worded: what was asked (redacted), what came instead.
 * `data.reason` is the code of the layer below, by which http-retry.ts decides.
 * Nothing that the server wrote freely (reason phrase, body) gets into a message.
 */
import { STATUS_CODES } from 'node:http';
import { errors } from 'undici';
import { SociError, type SociErrorCode } from '../errors.js';
import { redactUrl } from './redact.js';

export type HttpPhase = 'connect' | 'headers' | 'body' | 'request';

export function httpError(
  code: SociErrorCode,
  url: URL,
  what: string,
  data: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): SociError {
  const shown = redactUrl(url);
  return new SociError(code, `GET ${shown}: ${what}`, { data: { url: shown, ...data }, cause });
}

export function timeoutError(url: URL, phase: HttpPhase, ms: number): SociError {
  const missing: Readonly<Record<HttpPhase, string>> = {
    connect: 'no connection',
    headers: 'no reply',
    body: 'no further byte of the body',
    request: 'the reply was not complete',
  };
  return httpError('ERR_SOCI_HTTP_TIMEOUT', url, `${missing[phase]} within ${ms} ms`, { phase, timeout: ms });
}

export function statusError(url: URL, status: number, retryAfter: number | undefined): SociError {
  const phrase = STATUS_CODES[status];
  return httpError('ERR_SOCI_HTTP_STATUS', url, phrase ? `${status} ${phrase}` : `status ${status}`, {
    status,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

/** An orderly close inside the body; a reset (ECONNRESET) is a network error. */
const ENDED_EARLY: ReadonlySet<string> = new Set([
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_SOCKET',
  'Invalid EOF state',
]);

/**
 * What undici reported for a request that got no reply, or not all of its body.
 *
 * @param received bytes of the body, undefined when not even its header came
 */
export function networkError(
  url: URL,
  cause: Error,
  received: number | undefined,
  connectTimeout: number,
): SociError {
  const reason = reasonOf(cause);
  if (received !== undefined && reason !== undefined && ENDED_EARLY.has(reason)) {
    const what = `the body ended too early, after ${received} bytes`;
    return httpError('ERR_SOCI_SOURCE_SHORT', url, what, { reason, received });
  }
  switch (reason) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return timeoutError(url, 'connect', connectTimeout);
    case 'UND_ERR_INVALID_ARG':
      return httpError('ERR_SOCI_INVALID_ARGUMENT', url, cause.message, { reason });
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return httpError('ERR_SOCI_CLOSED', url, 'the HTTP transport is closed', { reason });
    default:
      return httpError(
        'ERR_SOCI_HTTP_NETWORK',
        url,
        cause.message === '' ? (reason ?? 'the connection failed') : cause.message,
        { reason },
        // A parser error carries bytes of the reply, so only its wording is kept.
        cause instanceof errors.HTTPParserError ? undefined : cause,
      );
  }
}

/** Of several addresses that were tried, the first one's failure stands for all. */
function reasonOf(error: Error): string | undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined) return code;
  // undici leaves `code` unset here; the parser's own words are in parentheses.
  if (error instanceof errors.HTTPParserError) return /\((.+)\)$/.exec(error.message)?.[1];
  return error instanceof AggregateError && error.errors[0] instanceof Error
    ? reasonOf(error.errors[0])
    : undefined;
}
