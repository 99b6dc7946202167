/**
 * Bytes whose digest is wrong are fetched once more: what arrived may have been
 * damaged on its way, and only a second time is it the layer or the ztoc. One
 * rule for spans of every kind and for the chain.
 */
import { SociError } from '../errors.js';
import type { ReadRecord } from './read-record.js';
import { digestBytes, digestMismatch, sameDigest, sha256 } from './span-digest.js';
import type { Span } from './span-table.js';

/**
 * What `attempt` gives; a second attempt, which must fetch anew, if the first one finds a wrong digest.
 *
 * @throws SociError ERR_SOCI_SPAN_DIGEST when the second attempt does too; whatever else an attempt throws
 */
export async function verifiedFetch<T>(
  record: ReadRecord,
  attempt: (which: 'first' | 'second') => Promise<T>,
): Promise<T> {
  try {
    return await attempt('first');
  } catch (error) {
    if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_SPAN_DIGEST') throw error;
    record.retried();
    return await attempt('second');
  }
}

/** @param bytes the span's, from `compressedStart` on. @throws SociError ERR_SOCI_SPAN_DIGEST */
export async function checkSpanDigest(name: string, span: Span, bytes: Uint8Array): Promise<void> {
  requireDigest(name, span, await sha256(bytes));
}

/** @param found the SHA-256 of a span's bytes. @throws SociError ERR_SOCI_SPAN_DIGEST */
export function requireDigest(name: string, span: Span, found: Uint8Array): void {
  if (!sameDigest(found, digestBytes(span.digest))) throw digestMismatch(name, span, found);
}
