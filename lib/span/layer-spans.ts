/**
 * The spans of one layer as everything that reads them sees them: where they
 * are, what their bytes are called in the cache, and what reading has cost.
 * Facts only; nothing here fetches or decodes.
 */
import type { ProvenBlocks } from './proven-blocks.js';
import type { ReadContext } from './read-context.js';
import type { ReadRecord } from './read-record.js';
import type { SpanKey } from './span-cache.js';
import { compressedLength, decodedLength, type Span, type SpanTable } from './span-table.js';

export interface LayerSpansOptions {
  /** What messages call the layer. */
  readonly name: string;
  readonly table: SpanTable;
  readonly context: ReadContext;
  readonly record: ReadRecord;
  /** What bytes that come from checkpoints must agree with; undefined: nothing but digests and windows. */
  readonly proven: ProvenBlocks | undefined;
}

export class LayerSpans {
  readonly name: string;
  readonly table: SpanTable;
  readonly context: ReadContext;
  readonly record: ReadRecord;
  readonly proven: ProvenBlocks | undefined;
  #content: string | undefined;
  readonly #own: string;
  readonly #maxSpanBytes: number;

  constructor(options: LayerSpansOptions) {
    const { table, context } = options;
    this.name = options.name;
    this.table = table;
    this.context = context;
    this.record = options.record;
    this.proven = options.proven;
    this.#maxSpanBytes = context.settings.maxSpanBytes;
    this.#own = context.uniqueName();
  }

  /** Whether a span is too large for memory. A layer keeps to the setting that it was opened with. */
  isHuge(span: Span): boolean {
    return Math.max(compressedLength(span), decodedLength(span)) > this.#maxSpanBytes;
  }

  /** What span `index` is called as a whole, or block `block` of it where it is huge: others may hold it otherwise. */
  key(index: number, block?: number): SpanKey {
    const content = this.#isCovered(index) ? this.#sharedContent() : this.#own;
    return block === undefined ? `${content}:${index}` : `${content}:${index}/${block}`;
  }

  /** Whether a span's digest covers all that it is decoded from: a header in front of it may be anybody's. */
  #isCovered(index: number): boolean {
    return index > 0 || this.table.fetchStart(index) === this.table.span(index).compressedStart;
  }

  /**
   * A ztoc says the digests of all compressed bytes and holds all windows: whoever has the same one decodes the
   * same. A chain proves more than that, so it takes nothing from those who do not. Not asked for before something
   * is read: a ztoc that was built or given has not been hashed yet.
   */
  #sharedContent(): string {
    const { digest } = this.table;
    const policy = this.proven === undefined ? 'neighbours' : 'chain';
    this.#content ??= digest === undefined ? this.#own : `${digest}:${policy}`;
    return this.#content;
  }
}
