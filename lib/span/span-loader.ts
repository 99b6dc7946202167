/**
 * Fetches and decodes spans, each once however many readers want it: those
 * under way are found here, and a reader that leaves cancels only what nobody
 * else waits for. One who joins makes what is under way as urgent as he is.
 */
import type { SharedWork } from '../async/shared-work.js';
import { Urgency } from '../source/lanes.js';
import type { Lane } from '../source/range-source.js';
import type { Fetcher } from './fetcher.js';
import { JoinedRequests, type RequestSpans } from './joined-requests.js';
import type { LayerSpans } from './layer-spans.js';
import { missingRuns, type SpanState } from './plan.js';
import { requestLimits } from './request-reach.js';
import type { ReusedMemory, SpanBlock } from './reused-memory.js';
import { decodeWholeSpan, type SpanDecodingOptions } from './span-decoding.js';
import { SpanRequest } from './span-request.js';
import type { Span } from './span-table.js';
import type { StoredRun } from './stored-run.js';
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

/** How one span of a request ends. */
interface Finish extends Pick<SpanDecodingOptions, 'signal' | 'memory'> {
  readonly use: DecodedSpanUse;
}

export class SpanLoader {
  readonly #layer: LayerSpans;
  readonly #fetcher: Fetcher;
  readonly #inFlight = new UrgentWork<number, Uint8Array>();
  readonly #joined: JoinedRequests<SpanRequest>;

  constructor(layer: LayerSpans, fetcher: Fetcher) {
    this.#layer = layer;
    this.#fetcher = fetcher;
    this.#joined = new JoinedRequests({
      divide: spans => this.#divide(spans),
      begin: (spans, urgency) => this.#begin(spans, urgency),
    });
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

  /**
   * Fetches spans, ascending and none of them under way, together with those that others want now, decodes each and
   * keeps it in the cache.
   */
  want(spans: RequestSpans, lane: Lane): SharedWork<Uint8Array>[] {
    // Where no request is saved, nobody has to wait for others.
    if (!this.#layer.context.planning.joins || !this.#fetcher.requested) {
      return this.#load(spans, { use: 'keep', lane });
    }
    return spans.map(index => {
      const span = this.#layer.table.span(index);
      return this.#inFlight.start(index, new Urgency(lane), work =>
        this.#joined.add(index, work, request =>
          this.#finish(request, span, { signal: work.signal, use: 'keep' }),
        ),
      );
    });
  }

  /** Fetches neighbouring spans, none of which is under way, in one request and decodes each. */
  load(first: number, end: number, options: LoadOptions): SharedWork<Uint8Array>[] {
    return this.#load([first, ...Array.from({ length: end - first - 1 }, (_, i) => first + 1 + i)], options);
  }

  #load(spans: RequestSpans, { use, lane }: LoadOptions): SharedWork<Uint8Array>[] {
    const urgency = new Urgency(lane);
    const lent = typeof use === 'object' ? use : undefined;
    const request = this.#begin(spans, urgency, lent?.requests);
    return spans.map((index, position) => {
      const memory = lent && (() => lent.block.part(position));
      const span = this.#layer.table.span(index);
      return this.#inFlight.start(index, urgency, ({ signal }) =>
        this.#finish(request, span, { signal, use, memory }),
      );
    });
  }

  #divide(spans: readonly number[]): readonly RequestSpans[] {
    const together = new Set(spans);
    const stateOf = (index: number): SpanState =>
      this.has(index) && !together.has(index) ? 'in-flight' : 'missing';
    const limits = requestLimits(this.#layer.context, this.#fetcher);
    return missingRuns(this.#layer.table, spans, stateOf, limits);
  }

  #begin(indexes: RequestSpans, urgency: Urgency, memory?: ReusedMemory): SpanRequest {
    const { table } = this.#layer;
    const [first, ...rest] = indexes;
    const spans: [Span, ...Span[]] = [table.span(first), ...rest.map(index => table.span(index))];
    const request = new SpanRequest({ layer: this.#layer, fetcher: this.#fetcher, spans, urgency, memory });
    this.#inFlight.track(request.over);
    return request;
  }

  async #finish(request: SpanRequest, span: Span, { signal, use, memory }: Finish): Promise<Uint8Array> {
    const { urgency } = request;
    try {
      await request.arrival(span, signal);
      // A pass over the layer, or what nobody waits for yet.
      const bulk = use !== 'keep' || urgency.lane !== 'demand';
      const output = await this.#decode(span, request.run, { signal, urgency, memory, bulk });
      if (use === 'keep') this.#layer.context.cache.set(this.#layer.key(span.index), output);
      return output;
    } finally {
      request.release(span);
    }
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
    record.decoded(span.index, output.length, began, options.urgency.lane);
    checkNextWindow(table, name, span.index, table.window(span.index), output);
    await proven?.check(name, span.index, 0, output);
    return output;
  }
}
