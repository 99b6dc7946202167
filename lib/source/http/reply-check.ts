/**
 * Whether a reply is what was asked for, before a byte of its body is read. The
 * body of a refused reply is never downloaded.
 */
import type { SociError } from '../../errors.js';
import { parseContentRange } from './content-range.js';
import { httpError, type RequestLine, statusText } from './http-error.js';
import { checkTotal } from './http-identity.js';
import type { HttpReply } from './message.js';
import { shownValue } from './redact.js';
import { parseRetryAfter } from './retry-policy.js';

/**
 * The half-open range that a 206 carries: it begins at `start` and may end
 * before `end`, since a server may send less than it was asked for (RFC 9110 §15.3.7).
 */
export function checkPartial(
  reply: HttpReply,
  start: number,
  end: number,
): { end: number; total: number | undefined } {
  if (reply.status !== 206) throw unexpectedStatus(reply);
  checkEncoding(reply);
  const value = reply.header('content-range');
  const parsed = parseContentRange(value);
  if (!parsed?.range || parsed.range.start !== start || parsed.range.end > end) {
    const found =
      value === undefined ? 'a reply without Content-Range' : `Content-Range '${shownValue(value)}'`;
    throw httpError('ERR_SOCI_HTTP_RANGE', reply, `asked for bytes ${start}-${end - 1}, got ${found}`, {
      start,
      end,
    });
  }
  const length = contentLength(reply);
  if (length !== undefined && length !== parsed.range.end - start) {
    throw httpError(
      'ERR_SOCI_HTTP_RANGE',
      reply,
      `Content-Range '${value}' contradicts Content-Length ${length}`,
      { start, end, contentLength: length },
    );
  }
  return { end: parsed.range.end, total: parsed.total };
}

/** A reply to a request without Range: the whole object of `size` bytes. */
export function checkWhole(reply: HttpReply, size: number): void {
  if (reply.status !== 200) throw unexpectedStatus(reply);
  checkEncoding(reply);
  checkTotal(reply, size, contentLength(reply));
}

/**
 * Bytes of the object by a 416 (RFC 9110 §15.5.17). Undefined when the reply does not say.
 */
export function unsatisfiedTotal(reply: HttpReply): number | undefined {
  const parsed = parseContentRange(reply.header('content-range'));
  return parsed && !parsed.range ? parsed.total : undefined;
}

/** Undefined when absent, repeated with different values or malformed. */
export function contentLength(reply: HttpReply): number | undefined {
  const value = reply.header('content-length');
  if (value === undefined || !/^\d{1,16}$/.test(value)) return undefined;
  const length = Number(value);
  return Number.isSafeInteger(length) ? length : undefined;
}

/** `data.retryAfter` of an error, in ms, when the reply names a time. */
export function askedWait(reply: HttpReply): { readonly retryAfter?: number } {
  const retryAfter = parseRetryAfter(reply.header('retry-after'));
  return retryAfter === undefined ? {} : { retryAfter };
}

/** We ask for identity; anything else means that offsets are those of another byte sequence. */
export function checkEncoding(reply: HttpReply): void {
  const encoding = reply.header('content-encoding')?.trim().toLowerCase();
  if (encoding === undefined || encoding === '' || encoding === 'identity') return;
  throw httpError(
    'ERR_SOCI_HTTP_ENCODING',
    reply,
    `asked for the stored bytes, got Content-Encoding '${shownValue(encoding)}'`,
  );
}

export function unexpectedStatus(reply: HttpReply): SociError {
  const { status } = reply;
  return httpError('ERR_SOCI_HTTP_STATUS', reply, statusText(status), { status, ...askedWait(reply) });
}

export function noRangesError(at: RequestLine): SociError {
  return httpError(
    'ERR_SOCI_HTTP_NO_RANGES',
    at,
    'the server ignores Range requests, so parts of the object cannot be read; ' +
      "download it and open the file, or open the URL with { ranges: 'optional' } to stream it whole",
  );
}
