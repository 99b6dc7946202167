/**
 * Ranges of a file as callers give them, checked the same way wherever a file
 * is read: out of one layer or out of a whole image.
 */
import { invalidValues } from '../errors.js';

/** Bytes of a file; the end defaults to the file's. */
export interface GivenRange {
  readonly start?: number | undefined;
  readonly endExclusive?: number | undefined;
}

/** A range of a file as it is used: inside of it. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The range that was asked for, without what lies beyond the end.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT
 */
export function clampRange(size: number, range: GivenRange): FileRange {
  const { start = 0, endExclusive: end = Math.max(start, size) } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw invalidValues('a range of bytes', '0 <= start <= endExclusive', { start, endExclusive: end });
  }
  return { start: Math.min(start, size), end: Math.min(end, size) };
}

/**
 * Checks the destination of a read in the shape of FileHandle.read.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT
 */
export function checkDestination(buffer: Uint8Array, offset: number, length: number, position: number): void {
  const inside = [offset, length, position].every(value => Number.isSafeInteger(value) && value >= 0);
  if (inside && offset + length <= buffer.length) return;
  const expected = 'a range inside the buffer and a position of at least 0';
  throw invalidValues('a read', expected, { offset, length, position, bufferLength: buffer.length });
}
