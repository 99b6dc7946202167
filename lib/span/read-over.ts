/**
 * Spans that a request brings though nobody has asked for them, since reading over
 * them is cheaper than another request. Their source may keep them, a store for
 * one, and what nobody looks at could spoil the layer there: they are held against
 * their digests too, and what is wrong is forgotten.
 */
import type { SourceKeeping } from '../source/range-source.js';
import type { LayerSpans } from './layer-spans.js';
import { digestBytes, sameDigest, sha256 } from './span-digest.js';
import type { Span } from './span-table.js';

export class ReadOver {
  readonly #spans: readonly Span[];
  readonly #keeping: SourceKeeping;
  readonly #release: () => void;

  /** Undefined where there are none, or nothing is kept. Call `end` whatever becomes of the request. */
  static of(
    layer: LayerSpans,
    wanted: readonly Span[],
    keeping: SourceKeeping | undefined,
  ): ReadOver | undefined {
    if (keeping?.willKeep() !== true) return undefined;
    const spans = wanted.flatMap(({ index }, at) => {
      const next = wanted[at + 1]?.index ?? index + 1;
      return Array.from({ length: next - index - 1 }, (_, i) => layer.table.span(index + 1 + i));
    });
    return spans.length === 0 ? undefined : new ReadOver(spans, keeping);
  }

  private constructor(spans: readonly Span[], keeping: SourceKeeping) {
    this.#spans = spans;
    this.#keeping = keeping;
    this.#release = keeping.hold();
  }

  /**
   * The request is over.
   *
   * @param stored the bytes of a span, which stay until this has settled; undefined when not all of them came
   */
  async end(stored: (span: Span) => Uint8Array | undefined): Promise<void> {
    try {
      for (const span of this.#spans) {
        if (await isRight(span, stored(span))) continue;
        await this.#keeping.forget(span.compressedStart, span.compressedEnd - span.compressedStart);
      }
    } finally {
      this.#release();
    }
  }
}

async function isRight(span: Span, bytes: Uint8Array | undefined): Promise<boolean> {
  return bytes !== undefined && sameDigest(await sha256(bytes), digestBytes(span.digest));
}
