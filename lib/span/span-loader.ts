/**
 * Fetches and decodes spans, each once however many readers want it: those
 * under way are found here, and a reader that leaves cancels only what nobody
 * else waits for. One who joins makes what is under way as urgent as he is.
 */
import { SharedWork } from '../async/shared-work.js';
import { Urgency } from '../source/lanes.js';
import type { Lane } from '../source/range-source.js';
import type { Fetcher } from './fetcher.js';
import type { LayerSpans } from './layer-spans.js';
import type { Lease } from './memory-budget.js';
import type { ReusedMemory, SpanBlock } from './reused-memory.js';
import { decodeWholeSpan, type SpanDecodingOptions } from './span-decoding.js';
import { decodedLength, type Span } from './span-table.js';
import { type StoredRun, storedRun } from './stored-run.js';
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
    const spans: [Span, ...Span[]] = [table.span(first)];
    while (spans.length < end - first) spans.push(table.span(first + spans.length));
    const decoded = spans.reduce((sum, span) => sum + decodedLength(span), 0);
    const lent = typeof use === 'object' ? use : undefined;
    const run = storedRun(this.#layer, this.#fetcher, spans, lent?.requests);
    const urgency = new Urgency(lane);
    let lease: Lease | undefined;
    const begun = new SharedWork(async signal => {
      lease = await context.memory.acquire(run.length + decoded, { signal, urgency });
      await run.begin({ signal, urgency });
    });
    const works = spans.map(span =>
      this.#inFlight.start(span.index, urgency, async work => {
        try {
          await begun.wait(work.signal);
          const memory = lent && (() => lent.block.part(span.index - first));
          // A pass over the layer, or what nobody waits for yet.
          const bulk = use !== 'keep' || urgency.lane !== 'demand';
          const output = await this.#decode(span, run, { ...work, memory, bulk });
          if (use === 'keep') context.cache.set(this.#layer.key(span.index), output);
          return output;
        } finally {
          lease?.release(decodedLength(span));
        }
      }),
    );
    this.#inFlight.track(
      Promise.all([begun, ...works].map(work => work.finished())).then(() => {
        lease?.release();
        run.end();
      }),
    );
    return works;
  }

  async #decode(span: Span, run: StoredRun, options: SpanDecodingOptions): Promise<Uint8Array> {
    const { name, table, record, proven } = this.#layer;
    const began = performance.now();
    const output = await verifiedFetch(record, async which => {
      const { signal, urgency } = options;
      if (which === 'first') return run.decode(span, options);
      const from = table.fetchStart(span.index);
      const again = { signal, urgency, fresh: true };
      const bytes = await this.#fetcher.fetch(from, span.compressedEnd, again);
      return decodeWholeSpan(this.#layer, span, bytes, options);
    });
    record.decoded(span.index, output.length, began);
    checkNextWindow(table, name, span.index, table.window(span.index), output);
    await proven?.check(name, span.index, 0, output);
    return output;
  }
}
