/**
 * What a read of one layer would do now: plan.ts, told what is in memory, what
 * is on its way and what the settings allow. `explain` prints what it says, and
 * reads do it.
 */
import { BLOCK_BYTES, type HugeSpans, hugeRequests } from './huge-span.js';
import type { LayerSpans } from './layer-spans.js';
import {
  type Interval,
  nextStep,
  planSteps,
  type RunLimits,
  runRange,
  type SpanState,
  type Step,
} from './plan.js';
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

  constructor(layer: LayerSpans, loader: SpanLoader, huge: HugeSpans) {
    this.#layer = layer;
    this.#loader = loader;
    this.#huge = huge;
  }

  /** What to do next about the spans from `from` on, not going beyond `to`. */
  next(from: number, to: number): Step {
    return nextStep(this.#layer.table, from, to, this.#stateOf, this.#limits());
  }

  cost(intervals: readonly Interval[]): ReadCost {
    const { table } = this.#layer;
    const limits = this.#limits();
    let requests = 0;
    let bytes = 0;
    let cachedSpans = 0;
    for (const { first, end } of intervals) {
      for (const step of planSteps(table, first, end, this.#stateOf, limits)) {
        const huge = step.state === 'huge' && this.#huge.isPresent(step.first);
        if (step.state === 'cached' || step.state === 'in-flight' || huge) cachedSpans++;
        else {
          const range = runRange(table, step.first, step.end);
          requests += step.state === 'huge' ? hugeRequests(range.end - range.start) : 1;
          bytes += range.end - range.start;
        }
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

  #limits(): RunLimits {
    const { maxRequestBytes, memoryBytes } = this.#layer.context.settings;
    // A quarter, so that the requests of one read can be under way together.
    return { requestBytes: maxRequestBytes, decodedBytes: Math.floor(memoryBytes / 4) };
  }
}
