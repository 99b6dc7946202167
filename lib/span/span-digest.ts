/**
 * SHA-256 over compressed spans where the addon does not do it beside the
 * decoding: spans of uncompressed layers, and spans too big for one job.
 */
import { createHash, subtle, timingSafeEqual } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { SociError } from '../errors.js';
import type { Span } from './span-table.js';

/** Up to this size the hash runs on the pool; beyond, its copy of the input would be the larger evil. */
const OFF_THREAD_BYTES = 8 * 1024 * 1024;
const SLICE_BYTES = 1024 * 1024;

/** The 32 bytes of `sha256:<hex>`. */
export function digestBytes(digest: string): Uint8Array {
  return Buffer.from(digest.slice('sha256:'.length), 'hex');
}

export function digestText(bytes: Uint8Array): string {
  return `sha256:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;
}

/** SHA-256 without holding up the event loop for more than about a millisecond. */
export async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes.length <= OFF_THREAD_BYTES) return new Uint8Array(await subtle.digest('SHA-256', bytes));
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    hash.update(bytes.subarray(at, at + SLICE_BYTES));
    await setImmediate();
  }
  return hash.digest();
}

export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function digestMismatch(name: string, span: Span, found: Uint8Array, cause?: unknown): SociError {
  return new SociError(
    'ERR_SOCI_SPAN_DIGEST',
    `span ${span.index} of ${name}, bytes ${span.compressedStart} to ${span.compressedEnd}: ` +
      `expected ${span.digest}, found ${digestText(found)}`,
    {
      data: {
        span: span.index,
        compressedStart: span.compressedStart,
        compressedEnd: span.compressedEnd,
        expected: span.digest,
        found: digestText(found),
      },
      cause,
    },
  );
}
