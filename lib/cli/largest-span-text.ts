/** What the largest span of a ztoc is, and why it is larger than was asked for, as the commands print it. */
import type { CreatedIndex, ZtocSummary } from '../index.js';
import { byteText } from './byte-text.js';
import { shortDigest } from './image-session.js';
import type { Reporter } from './reporter.js';

type LargestSpan = ZtocSummary['largestSpan'];

export function largestSpanAsJson(span: LargestSpan): Record<string, unknown> {
  const { index, compressedSize, uncompressedSize, block } = span;
  return {
    span: index,
    compressed_size: compressedSize,
    uncompressed_size: uncompressedSize,
    ...(block === undefined ? {} : { reason: reasonText(block) }),
  };
}

/** A line for each layer with a span that is much larger than was asked for. */
export function reportLargeSpans(reporter: Reporter, indexes: readonly CreatedIndex<ZtocSummary>[]): void {
  const layers = new Map(
    indexes.flatMap(index => index.layers).map(({ layer, ztoc }) => [layer.digest, ztoc]),
  );
  for (const [digest, { largestSpan }] of layers) {
    const { uncompressedSize, compressedSize, block } = largestSpan;
    if (block === undefined) continue;
    const sizes = `${byteText(uncompressedSize)} (${byteText(compressedSize)} compressed)`;
    reporter.line(`layer ${shortDigest(digest)}: the largest span has ${sizes}: ${reasonText(block)}`);
  }
}

function reasonText(block: number): string {
  return `one DEFLATE block has ${byteText(block)} or more, and spans begin at blocks`;
}
