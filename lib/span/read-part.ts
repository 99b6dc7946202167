/**
 * Where the bytes of a read go: one read may fill several places of its
 * caller's, and each span that arrives gives every place its share.
 */
import { BLOCK_BYTES } from './huge-span.js';
import type { Span } from './span-table.js';

/** One destination of a read: `target.length` bytes from `start` of the tar stream. */
export interface ReadPart {
  readonly start: number;
  readonly target: Uint8Array;
}

/** Copies to the parts what `bytes`, which begin at `from` of the tar stream, hold of them; returns how much. */
export function copyInto(parts: readonly ReadPart[], from: number, bytes: Uint8Array): number {
  let copied = 0;
  for (const { start, target } of parts) {
    const first = Math.max(start, from);
    const end = Math.min(start + target.length, from + bytes.length);
    if (first >= end) continue;
    target.set(bytes.subarray(first - from, end - from), first - start);
    copied += end - first;
  }
  return copied;
}

/** The blocks of a huge span that hold bytes of the parts, ascending. */
export function blocksOf(span: Span, parts: readonly ReadPart[]): number[] {
  const blocks = new Set<number>();
  for (const { start, target } of parts) {
    const first = Math.max(start, span.uncompressedStart) - span.uncompressedStart;
    const end = Math.min(start + target.length, span.uncompressedEnd) - span.uncompressedStart;
    if (first >= end) continue;
    for (let block = Math.floor(first / BLOCK_BYTES); block * BLOCK_BYTES < end; block++) blocks.add(block);
  }
  return [...blocks];
}
