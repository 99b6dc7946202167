/**
 * Where requests are divided: object stores keep what was uploaded in parts of 8
 * or 16 MiB, and answer ranges that stay inside of one faster than others.
 */
import type { ByteSpan } from './byte-range.js';

/** No request reaches over a multiple of this. */
export const BOUNDARY_BYTES = 8 * 1024 * 1024;

/** The bytes [start, end) of an object, divided at the multiples of `step`, a divisor of BOUNDARY_BYTES. */
export function requestPieces(start: number, end: number, step: number = BOUNDARY_BYTES): ByteSpan[] {
  const pieces: ByteSpan[] = [];
  for (let at = start; at < end; ) {
    const next = Math.min(end, (Math.floor(at / step) + 1) * step);
    pieces.push({ start: at, end: next });
    at = next;
  }
  return pieces;
}
