/**
 * How HTTP failures are worded: what was asked (redacted), what came instead.
 * `data`: the url, the code of the layer below (`reason`), and whether the
 * failure is temporary. Nothing that the server wrote freely (reason phrase,
 * body) gets into a message.
 */
import { STATUS_CODES } from 'node:http';
import { invalidText, SociError, type SociErrorCode } from '../../errors.js';
import { redactUrl } from './redact.js';
import { temporary } from './temporary.js';

/** What an error says was asked: a reply, or where a request was to go. */
export interface RequestLine {
  readonly method: string;
  readonly url: URL;
}

export type HttpPhase = 'connect' | 'headers' | 'body' | 'request';

export function httpError(
  code: SociErrorCode,
  { method, url }: RequestLine,
  what: string,
  data: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): SociError {
  const shown = redactUrl(url);
  return new SociError(code, `${method} ${shown}: ${what}`, {
    data: { url: shown, temporary: temporary(code, data), ...data },
    cause,
  });
}

export function timeoutError(at: RequestLine, phase: HttpPhase, ms: number): SociError {
  const missing: Readonly<Record<HttpPhase, string>> = {
    connect: 'no connection',
    headers: 'no reply',
    body: 'no further byte of the body',
    request: 'the reply was not complete',
  };
  return httpError('ERR_SOCI_HTTP_TIMEOUT', at, `${missing[phase]} within ${ms} ms`, { phase, timeout: ms });
}

/** `404 Not Found`: the status in the words of the standard, whatever phrase the server sent. */
export function statusText(status: number): string {
  const phrase = STATUS_CODES[status];
  return phrase === undefined ? `status ${status}` : `${status} ${phrase}`;
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
  at: RequestLine,
  cause: Error,
  received: number | undefined,
  connectTimeout: number,
): SociError {
  // What reading the request's own body failed with.
  if (cause instanceof SociError) return cause;
  const reason = reasonOf(cause);
  if (received !== undefined && reason !== undefined && ENDED_EARLY.has(reason)) {
    const what = `the body ended too early, after ${received} bytes`;
    return httpError('ERR_SOCI_SOURCE_SHORT', at, what, { reason, received });
  }
  switch (reason) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return timeoutError(at, 'connect', connectTimeout);
    case 'UND_ERR_INVALID_ARG':
      return invalidText('a request', 'headers that HTTP allows', cause.message);
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return httpError('ERR_SOCI_CLOSED', at, 'the HTTP transport is closed', { reason });
    default:
      return httpError(
        'ERR_SOCI_HTTP_NETWORK',
        at,
        cause.message === '' ? (reason ?? 'the connection failed') : cause.message,
        { reason },
        // A parser error carries bytes of the reply, so only its wording is kept.
        isParserError(cause) ? undefined : cause,
      );
  }
}

/** By its name, which needs no undici to be loaded. */
function isParserError(error: Error): boolean {
  return error.name === 'HTTPParserError';
}

/** Of several addresses that were tried, the first one's failure stands for all. */
function reasonOf(error: Error): string | undefined {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== undefined) return code;
  // undici leaves `code` unset here; the parser's own words are in parentheses.
  if (isParserError(error)) return /\((.+)\)$/.exec(error.message)?.[1];
  return error instanceof AggregateError && error.errors[0] instanceof Error
    ? reasonOf(error.errors[0])
    : undefined;
}
