/**
 * Does what the planner says, step by step, a few of them at the same time, and
 * copies what comes to where it is wanted. Each step is planned when its turn
 * has come: what another reader has begun by then is shared with him.
 */
import type { SharedWork } from '../async/shared-work.js';
import { SociError } from '../errors.js';
import { BLOCK_BYTES, type HugeSpans } from './huge-span.js';
import type { LayerSpans } from './layer-spans.js';
import { spanIntervals, type TarRange, type WantedStep } from './plan.js';
import type { Planner } from './planner.js';
import { blocksOf, copyInto, type ReadPart } from './read-part.js';
import type { SpanLoader } from './span-loader.js';
import type { Wish } from './urgent-work.js';

export interface PlannedReadOptions {
  readonly layer: LayerSpans;
  readonly planner: Planner;
  readonly loader: SpanLoader;
  readonly huge: HugeSpans;
}

/** One read of one or several parts. */
export class PlannedRead {
  readonly #options: PlannedReadOptions;
  readonly #parts: readonly ReadPart[];
  readonly #wish: Wish;
  readonly #ranges: readonly TarRange[];
  #missing: number;

  /**
   * @param parts What is copied to; none: spans are only decoded and kept
   * @param ranges of the tar stream, ascending. Default: those of the parts
   */
  constructor(
    options: PlannedReadOptions,
    parts: readonly ReadPart[],
    wish: Wish,
    ranges: readonly TarRange[] = parts.map(({ start, target }) => ({ start, end: start + target.length })),
  ) {
    this.#options = options;
    this.#parts = parts;
    this.#wish = wish;
    this.#ranges = ranges;
    this.#missing = parts.reduce((sum, part) => sum + part.target.length, 0);
  }

  /** Fills the parts. */
  async run(): Promise<void> {
    const { layer, planner } = this.#options;
    const queue = spanIntervals(layer.table, this.#ranges);
    const worker = async (): Promise<void> => {
      while (queue.length > 0) {
        this.#wish.signal.throwIfAborted();
        await this.#perform(planner.take(queue));
      }
    };
    const spans = queue.reduce((sum, { first, end }) => sum + end - first, 0);
    const { readConcurrency } = layer.context.settings;
    await Promise.all(Array.from({ length: Math.min(readConcurrency, spans) }, worker));
    if (this.#missing !== 0) {
      throw new SociError('ERR_SOCI_SPAN_LENGTH', `${this.#missing} bytes of the tar stream are in no span`, {
        data: { missing: this.#missing },
      });
    }
  }

  /** What is at hand is taken before anything else can happen: it may be gone a moment later. */
  async #perform({ state, spans }: WantedStep): Promise<void> {
    const { layer, loader, huge } = this.#options;
    const [first] = spans;
    const { signal, lane } = this.#wish;
    switch (state) {
      case 'cached': {
        if (this.#parts.length === 0) return;
        const bytes = layer.context.cache.get(layer.key(first));
        if (bytes === undefined) return;
        layer.record.hit(first, bytes.length, lane);
        this.#copy(first, bytes);
        return;
      }
      case 'in-flight': {
        layer.record.shared();
        this.#copy(first, await loader.join(first, lane)?.wait(signal));
        return;
      }
      case 'missing': {
        const one = async (work: SharedWork<Uint8Array>, i: number): Promise<void> =>
          this.#copy(spans[i] as number, await work.wait(signal));
        await Promise.all(loader.want(spans, lane).map(one));
        return;
      }
      case 'huge': {
        const span = huge.get(first);
        for (const block of blocksOf(layer.table.span(first), this.#parts)) {
          this.#copy(first, await span.block(block, this.#wish), block * BLOCK_BYTES);
        }
        return;
      }
    }
  }

  /** Copies the bytes of a span from `offset` on; nothing once the reader has left. */
  #copy(index: number, bytes: Uint8Array | undefined, offset = 0): void {
    if (bytes === undefined || this.#wish.signal.aborted) return;
    const from = this.#options.layer.table.span(index).uncompressedStart + offset;
    this.#missing -= copyInto(this.#parts, from, bytes);
  }
}
