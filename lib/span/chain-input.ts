/**
 * The compressed bytes of a layer from its first to its last, for a decoder that
 * runs through all of it: verified span by span, fetched in runs ahead of the
 * decoder. A span may leave bytes that gave no output; they come first.
 */

import type { Work } from '../source/lanes.js';
import type { Fetcher, FetchOptions } from './fetcher.js';
import { fileFeed, type HugeSpans, hugeRequests } from './huge-span.js';
import type { LayerSpans } from './layer-spans.js';
import { nextStep, planSteps, type RunLimits, runRange, type SpanState } from './plan.js';
import { type InputFeed, memoryFeed } from './sliced-decoder.js';
import type { Span } from './span-table.js';
import { checkSpanDigest, verifiedFetch } from './verified-fetch.js';

/** Compressed bytes fetched ahead of the decoder in one request. */
export const RUN_LIMITS: RunLimits = {
  requestBytes: 8 * 1024 * 1024,
  decodedBytes: Number.POSITIVE_INFINITY,
};

/** Spans fetched together: the bytes [start, start + bytes.length) of the layer, those of spans up to `end`. */
interface Run {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
}

export class ChainInput {
  readonly #layer: LayerSpans;
  readonly #fetcher: Fetcher;
  readonly #huge: HugeSpans;
  readonly #feeds: InputFeed[] = [];
  /** Spans in front of this one have been handed to the decoder. */
  #next = 0;
  /** Where their bytes end, in the layer. */
  #fedTo = 0;
  #run: Run | undefined;

  constructor(layer: LayerSpans, fetcher: Fetcher, huge: HugeSpans) {
    this.#layer = layer;
    this.#fetcher = fetcher;
    this.#huge = huge;
  }

  /** Whether a span's bytes are with the decoder. */
  has(span: Span): boolean {
    return span.index < this.#next;
  }

  /** Hands the next span, a huge one, to the decoder. */
  async addHuge(span: Span, work: Work): Promise<void> {
    const from = this.#layer.table.fetchStart(span.index);
    const file = await this.#huge.get(span.index).compressed(work);
    if (this.#fedTo >= from) this.#feeds.push(fileFeed(file, this.#fedTo - from));
    else {
      const header = await this.#fetch(this.#fedTo, from, work);
      this.#feeds.push(memoryFeed(header), fileFeed(file));
    }
    this.#added(span);
  }

  /** Hands the next span to the decoder, fetched together with those after it up to `target` of the tar stream. */
  async add(span: Span, target: number, work: Work): Promise<void> {
    const { name, record } = this.#layer;
    const run = await this.#runOf(span, target, work);
    const bytes = await verifiedFetch(record, async which => {
      const from = Math.min(this.#fedTo, span.compressedStart);
      const fetched =
        which === 'first'
          ? run.bytes.subarray(from - run.start, span.compressedEnd - run.start)
          : await this.#fetch(from, span.compressedEnd, { ...work, fresh: true });
      await checkSpanDigest(name, span, fetched.subarray(span.compressedStart - from));
      return fetched.subarray(this.#fedTo - from);
    });
    this.#feeds.push(memoryFeed(bytes));
    this.#added(span);
  }

  /** The decoder's next bytes; undefined when it has had all that were added. */
  async read(signal: AbortSignal): Promise<Uint8Array | undefined> {
    for (;;) {
      const input = await this.#feeds[0]?.(signal);
      if (input !== undefined || this.#feeds.length === 0) return input;
      this.#feeds.shift();
    }
  }

  /** What fetching all spans in front of `endSpan` would cost that have not been fetched. */
  cost(endSpan: number): { requests: number; bytes: number } {
    const { table } = this.#layer;
    const from = Math.max(this.#next, this.#run?.end ?? 0);
    let requests = 0;
    let bytes = 0;
    for (const { state, first, end } of planSteps(table, from, endSpan, this.#stateOf, RUN_LIMITS)) {
      const range = runRange(table, first, end);
      const header = first === 0 ? range.start : 0;
      bytes += range.end - range.start + header;
      if (state === 'missing') requests += this.#fetcher.requests(range.start - header, range.end);
      else requests += hugeRequests(range.start, range.end) + (header > 0 ? 1 : 0);
    }
    return { requests, bytes };
  }

  async #runOf(span: Span, target: number, work: Work): Promise<Run> {
    const { table } = this.#layer;
    if (this.#run !== undefined && span.index < this.#run.end) return this.#run;
    const last = table.spanOf(Math.max(target - 1, span.uncompressedStart)) + 1;
    const to = Math.max(span.index + 1, last);
    const { end } = nextStep(table, span.index, to, this.#stateOf, RUN_LIMITS);
    const range = runRange(table, span.index, end);
    // The header in front of span 0 belongs to no span, but a decoder without a checkpoint begins there.
    const start = span.index === 0 ? 0 : range.start;
    this.#run = { start, end, bytes: await this.#fetch(start, range.end, work) };
    this.#layer.record.use.fetched({ first: span.index, end }, work.urgency.lane);
    return this.#run;
  }

  #fetch(
    start: number,
    end: number,
    { signal, urgency, fresh }: Work & Pick<FetchOptions, 'fresh'>,
  ): Promise<Uint8Array> {
    return this.#fetcher.fetch(start, end, { signal, urgency, fresh });
  }

  #added(span: Span): void {
    this.#next = span.index + 1;
    this.#fedTo = span.compressedEnd;
  }

  /** Every span that is not huge is missing here: what was decoded from a checkpoint does not count. */
  readonly #stateOf = (index: number): SpanState =>
    this.#layer.isHuge(this.#layer.table.span(index)) ? 'huge' : 'missing';
}
