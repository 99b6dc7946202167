/**
 * The spans of one layer as everything that reads them sees them: where they
 * are, what their bytes are called in the cache, and what reading has cost.
 * Facts only; nothing here fetches or decodes.
 */
import type { ReadCounters } from './fetcher.js';
import type { ProvenBlocks } from './proven-blocks.js';
import type { ReadContext } from './read-context.js';
import type { SpanKey } from './span-cache.js';
import { compressedLength, decodedLength, type Span, type SpanTable } from './span-table.js';

export interface LayerSpansOptions {
  /** What messages call the layer. */
  readonly name: string;
  readonly table: SpanTable;
  readonly context: ReadContext;
  readonly counters: ReadCounters;
  /** What bytes that come from checkpoints must agree with; undefined: nothing but digests and windows. */
  readonly proven: ProvenBlocks | undefined;
}

export class LayerSpans {
  readonly name: string;
  readonly table: SpanTable;
  readonly context: ReadContext;
  readonly counters: ReadCounters;
  readonly proven: ProvenBlocks | undefined;
  readonly #content: string;
  readonly #maxSpanBytes: number;

  constructor(options: LayerSpansOptions) {
    const { table, context, proven } = options;
    this.name = options.name;
    this.table = table;
    this.context = context;
    this.counters = options.counters;
    this.proven = proven;
    this.#maxSpanBytes = context.settings.maxSpanBytes;
    // A ztoc says the digests of all compressed bytes and holds all windows: whoever has the same one decodes the
    // same. A chain proves more than that, so it takes nothing from those who do not.
    const policy = proven === undefined ? 'neighbours' : 'chain';
    this.#content = table.digest === undefined ? context.uniqueName() : `${table.digest}:${policy}`;
  }

  /** Whether a span is too large for memory. A layer keeps to the setting that it was opened with. */
  isHuge(span: Span): boolean {
    return Math.max(compressedLength(span), decodedLength(span)) > this.#maxSpanBytes;
  }

  /** Block `block` of a huge span; an ordinary one is block 0. */
  key(span: number, block = 0): SpanKey {
    return `${this.#content}:${span}:${block}`;
  }
}
