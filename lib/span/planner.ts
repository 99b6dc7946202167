/**
 * What a read of one layer would do now: plan.ts, told what is in memory, what
 * is on its way and what the settings allow. `explain` prints what it says, and
 * reads do it.
 */
import type { Fetcher } from './fetcher.js';
import { BLOCK_BYTES, type HugeSpans, hugeRequests } from './huge-span.js';
import type { LayerSpans } from './layer-spans.js';
import {
  type Interval,
  nextStep,
  runRange,
  type SpanState,
  type Step,
  takeStep,
  type WantedStep,
} from './plan.js';
import { requestLimits } from './request-reach.js';
import type { SpanLoader } from './span-loader.js';

/** What reading some spans would cost. */
export interface ReadCost {
  readonly requests: number;
  /** Compressed bytes to fetch. */
  readonly bytes: number;
  /** How many of the spans are decoded already or on their way. */
  readonly cachedSpans: number;
}

export class Planner {
  readonly #layer: LayerSpans;
  readonly #loader: SpanLoader;
  readonly #huge: HugeSpans;
  readonly #fetcher: Fetcher;

  constructor(layer: LayerSpans, loader: SpanLoader, huge: HugeSpans, fetcher: Fetcher) {
    this.#layer = layer;
    this.#loader = loader;
    this.#huge = huge;
    this.#fetcher = fetcher;
  }

  /** What a pass does next about the spans from `from` on, not going beyond `to`. */
  next(from: number, to: number): Step {
    const limits = requestLimits(this.#layer.context, this.#fetcher);
    return nextStep(this.#layer.table, from, to, this.#stateOf, limits);
  }

  /** What to do first about the spans in `wanted`, from which it is taken out. */
  take(wanted: Interval[]): WantedStep {
    const limits = requestLimits(this.#layer.context, this.#fetcher);
    return takeStep(this.#layer.table, wanted, this.#stateOf, limits);
  }

  /** What reading these spans would cost by itself. */
  cost(intervals: readonly Interval[]): ReadCost {
    const { table } = this.#layer;
    const wanted = [...intervals];
    let requests = 0;
    let bytes = 0;
    let cachedSpans = 0;
    while (wanted.length > 0) {
      const { state, spans } = this.take(wanted);
      const [first] = spans;
      const huge = state === 'huge' && this.#huge.isPresent(first);
      if (state === 'cached' || state === 'in-flight' || huge) cachedSpans++;
      else {
        const { start, end } = runRange(table, first, (spans.at(-1) as number) + 1);
        requests += state === 'huge' ? hugeRequests(start, end) : this.#fetcher.requests(start, end);
        bytes += end - start;
      }
    }
    return { requests, bytes, cachedSpans };
  }

  /** Where a piece of the tar stream from `start` of about `bytes` bytes ends, so that no span is divided. */
  pieceEnd(start: number, end: number, bytes: number): number {
    const { table } = this.#layer;
    let index = table.spanOf(start);
    if (this.#layer.isHuge(table.span(index))) {
      const from = table.span(index).uncompressedStart;
      const block = Math.floor((start + bytes - from) / BLOCK_BYTES) * BLOCK_BYTES;
      return Math.min(end, table.span(index).uncompressedEnd, Math.max(from + block, start + 1));
    }
    let at = table.span(index).uncompressedEnd;
    while (at < end && ++index < table.spanCount) {
      const span = table.span(index);
      if (span.uncompressedEnd - start > bytes || this.#layer.isHuge(span)) break;
      at = Math.max(at, span.uncompressedEnd);
    }
    return Math.min(at, end);
  }

  readonly #stateOf = (index: number): SpanState => {
    if (this.#layer.isHuge(this.#layer.table.span(index))) return 'huge';
    if (this.#loader.has(index)) return 'in-flight';
    return this.#layer.context.cache.has(this.#layer.key(index)) ? 'cached' : 'missing';
  };
}
