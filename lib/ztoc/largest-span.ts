/**
 * The largest span of a ztoc: what reading one byte may cost. A gzip layer can be
 * cut at the start of a DEFLATE block only (RFC 1951 §3.2), and some compressors
 * write blocks of many megabytes, up to a whole layer, whatever the span size is.
 */
import type { Ztoc } from './ztoc.js';

export interface LargestSpan {
  readonly index: number;
  /** Bytes of the layer. */
  readonly compressedSize: number;
  /** Bytes of the tar. */
  readonly uncompressedSize: number;
  /**
   * Bytes of the tar that its last DEFLATE block has at least; undefined unless that is more than the span size, which
   * is why the span is so large.
   */
  readonly block: number | undefined;
}

export function largestSpan(ztoc: Ztoc): LargestSpan {
  let index = 0;
  let size = 0;
  for (let at = 0; at < ztoc.spanCount; at += 1) {
    const { uncompressedStart, uncompressedEnd } = ztoc.span(at);
    if (uncompressedEnd - uncompressedStart <= size) continue;
    size = uncompressedEnd - uncompressedStart;
    index = at;
  }
  const { compressedStart, compressedEnd } = ztoc.span(index);
  const compressedSize = compressedEnd - compressedStart;
  // A span ends at the first block that begins more than the span size behind its start.
  const over = size - ztoc.spanSize;
  const block = ztoc.compression === 'gzip' && over > ztoc.spanSize ? over : undefined;
  return { index, compressedSize, uncompressedSize: size, block };
}
