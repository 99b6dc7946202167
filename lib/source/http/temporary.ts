/**
 * Which failures may pass by themselves: decided here for all of HTTP, when an
 * error is made, and kept in its `data.temporary`. Retries, and whoever else
 * has another way to go, ask for nothing else.
 */
import { SociError, type SociErrorCode } from '../../errors.js';

const TEMPORARY_NETWORK_REASONS: ReadonlySet<unknown> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_INFO',
  'UND_ERR_SOCKET',
]);

/** Not implemented (501) and version not supported (505) will not change by asking again. */
export function isTemporaryStatus(status: unknown): boolean {
  if (typeof status !== 'number') return false;
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** What `data.temporary` of an HTTP error says. */
export function temporary(code: SociErrorCode, data: Readonly<Record<string, unknown>>): boolean {
  switch (code) {
    case 'ERR_SOCI_HTTP_TIMEOUT':
    case 'ERR_SOCI_SOURCE_SHORT':
      return true;
    case 'ERR_SOCI_HTTP_STATUS':
      return isTemporaryStatus(data['status']);
    case 'ERR_SOCI_HTTP_NETWORK':
      return TEMPORARY_NETWORK_REASONS.has(data['reason']);
    default:
      return false;
  }
}

/** Asking again may help. */
export function isTemporary(error: unknown): error is SociError {
  return error instanceof SociError && error.data['temporary'] === true;
}

/** Nobody answered, temporarily or not: asking the same host for something else will hardly help. */
export function isUnreachable(error: unknown): boolean {
  return (
    error instanceof SociError &&
    (error.code === 'ERR_SOCI_HTTP_NETWORK' || error.code === 'ERR_SOCI_HTTP_TIMEOUT')
  );
}
