/**
 * The part of a ztoc that reading spans needs: where each span begins and
 * ends, its digest, and the window its decoder starts with. A `Ztoc` is one,
 * and has seen to it that spans follow each other without gaps, that none
 * claims more output than deflate can hold, and that window 0 is zeros.
 */
import type { Span, Ztoc } from '../ztoc/ztoc.js';

export type { Span };

export type SpanTable = {
  /** Of the ztoc; a table without one shares its spans with nobody. */
  readonly digest?: string | undefined;
} & Pick<
  Ztoc,
  | 'codec'
  | 'compressedSize'
  | 'uncompressedSize'
  | 'spanCount'
  | 'fetchStart'
  | 'spanStart'
  | 'span'
  | 'spanOf'
  | 'window'
>;

/** Bytes of the tar stream that a span decodes to; 0 for an empty last span that begins beyond the end. */
export function decodedLength(span: Span): number {
  return Math.max(0, span.uncompressedEnd - span.uncompressedStart);
}

/** Bytes of the layer that a span is decoded from. */
export function compressedLength(span: Span): number {
  return span.compressedEnd - span.compressedStart;
}
