/**
 * Fetches and decodes spans, each once however many readers want it: those
 * under way are found here, and a reader that leaves cancels only what nobody
 * else waits for. One who joins makes what is under way as urgent as he is.
 */
import { SharedWork } from '../async/shared-work.js';
import type { Lane } from '../source/range-source.js';
import type { Fetcher } from './fetcher.js';
import { Urgency } from './lanes.js';
import type { LayerSpans } from './layer-spans.js';
import type { Lease } from './memory-budget.js';
import { runRange } from './plan.js';
import type { ReusedMemory, SpanBlock } from './reused-memory.js';
import { decodeWholeSpan, isOneJob, type SpanDecodingOptions } from './span-decoding.js';
import { decodedLength, type Span } from './span-table.js';
import { UrgentWork } from './urgent-work.js';
import { verifiedFetch } from './verified-fetch.js';
import { checkNextWindow } from './windows.js';

/** 'keep': in the cache. 'hand on': to the one who asked. */
export type DecodedSpanUse = 'keep' | 'hand on' | LentUse;

/** To the one who asked, in memory that he gives back. */
export interface LentUse {
  readonly block: SpanBlock;
  readonly requests: ReusedMemory;
}

export interface LoadOptions {
  readonly use: DecodedSpanUse;
  readonly lane: Lane;
}

export class SpanLoader {
  readonly #layer: LayerSpans;
  readonly #fetcher: Fetcher;
  readonly #inFlight = new UrgentWork<number, Uint8Array>();

  constructor(layer: LayerSpans, fetcher: Fetcher) {
    this.#layer = layer;
    this.#fetcher = fetcher;
  }

  /** Whether a span is on its way. */
  has(index: number): boolean {
    return this.#inFlight.has(index);
  }

  /** The load of a span that is under way, from now on as urgent as `lane` at least. */
  join(index: number, lane: Lane): SharedWork<Uint8Array> | undefined {
    return this.#inFlight.raise(index, lane);
  }

  /** Settles when nothing is under way. */
  async finished(): Promise<void> {
    await this.#inFlight.finished();
  }

  /** Fetches neighbouring spans, none of which is under way, in one request and decodes each. */
  load(first: number, end: number, { use, lane }: LoadOptions): SharedWork<Uint8Array>[] {
    const { table, context } = this.#layer;
    const range = runRange(table, first, end);
    const spans = Array.from({ length: end - first }, (_, i) => table.span(first + i));
    const decoded = spans.reduce((sum, span) => sum + decodedLength(span), 0);
    const lent = typeof use === 'object' ? use : undefined;
    // A longer span is read again after its digest was checked, when a source that writes late could change it.
    const memory = spans.every(isOneJob) ? lent?.requests : undefined;
    const urgency = new Urgency(lane);
    let lease: Lease | undefined;
    const fetched = new SharedWork(async signal => {
      lease = await context.memory.acquire(range.end - range.start + decoded, { signal, urgency });
      return this.#fetcher.fetch(range.start, range.end, { signal, lane: urgency.lane, memory });
    });
    const works = spans.map(span =>
      this.#inFlight.start(span.index, urgency, async work => {
        try {
          const run = await fetched.wait(work.signal);
          const input = run.subarray(
            table.fetchStart(span.index) - range.start,
            span.compressedEnd - range.start,
          );
          const room = lent?.block.part(span.index - first);
          const output = await this.#decode(span, input, { ...work, memory: room });
          if (use === 'keep') context.cache.set(this.#layer.key(span.index), output);
          return output;
        } finally {
          lease?.release(decodedLength(span));
        }
      }),
    );
    this.#inFlight.track(
      Promise.all([fetched, ...works].map(work => work.finished())).then(([run]) => {
        lease?.release();
        if (run !== undefined) memory?.giveBack(run);
      }),
    );
    return works;
  }

  async #decode(span: Span, input: Uint8Array, options: SpanDecodingOptions): Promise<Uint8Array> {
    const { name, table, record, proven } = this.#layer;
    const began = performance.now();
    const output = await verifiedFetch(record, async which => {
      const { signal, urgency } = options;
      if (which === 'first') return decodeWholeSpan(this.#layer, span, input, options);
      const from = table.fetchStart(span.index);
      const again = { signal, lane: urgency.lane, fresh: true };
      const bytes = await this.#fetcher.fetch(from, span.compressedEnd, again);
      return decodeWholeSpan(this.#layer, span, bytes, options);
    });
    record.decoded(span.index, output.length, began);
    checkNextWindow(table, name, span.index, table.window(span.index), output);
    await proven?.check(name, span.index, 0, output);
    return output;
  }
}
