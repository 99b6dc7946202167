/**
 * `verifyWindows: 'chain'`, for those who trust nothing a ztoc says about
 * decoding: one decoder runs from the gzip header on and never uses a
 * checkpoint, so what it gives is what the layer holds, whatever windows, bit
 * offsets and positions the ztoc claims. Of every span (of huge ones: every
 * block) it leaves the SHA-256 of its bytes, which whatever is decoded from a
 * checkpoint later must have too. No byte leaves before the chain has passed it.
 */
import { Turns } from '../async/turns.js';
import type { NativeSpanDecoder } from '../binding.js';
import type { Work } from '../source/lanes.js';
import { type ChainInput, RUN_LIMITS } from './chain-input.js';
import { BLOCK_BYTES } from './huge-span.js';
import type { LayerSpans } from './layer-spans.js';
import type { Lease } from './memory-budget.js';
import type { ProvenBlocks } from './proven-blocks.js';
import { SlicedDecoder } from './sliced-decoder.js';
import { inSpan } from './span-decoding.js';
import { decodedLength } from './span-table.js';
import { UrgentWork, type Wish } from './urgent-work.js';
import { checkNextWindow, WINDOW_BYTES, windowAfter } from './windows.js';

const NOTHING = new Uint8Array(0);

/** Where the chain stands. */
interface Place {
  /** This block of this span comes next. */
  readonly span: number;
  readonly block: number;
  /** Bytes of the tar stream that are proven. */
  readonly position: number;
  /** The last 32 KiB of them. */
  readonly window: Uint8Array;
}

export class Chain {
  readonly #layer: LayerSpans;
  readonly #input: ChainInput;
  readonly #proven: ProvenBlocks;
  readonly #decoder: SlicedDecoder;
  /** The step under way, which its readers share. */
  readonly #steps = new UrgentWork<'step', void>();
  /** There is one decoder: a step that its readers left is over before the next one begins. */
  readonly #turns = new Turns();
  #place: Place = { span: 0, block: 0, position: 0, window: new Uint8Array(WINDOW_BYTES) };
  /** What is decoded of the next block; an abort leaves it half filled. */
  #piece: { readonly bytes: Uint8Array; filled: number } | undefined;
  /** How far readers want to get: what is fetched ahead ends there. */
  #target = 0;

  /** @param decoder at the layer's start */
  constructor(layer: LayerSpans, input: ChainInput, proven: ProvenBlocks, decoder: NativeSpanDecoder) {
    this.#layer = layer;
    this.#input = input;
    this.#proven = proven;
    this.#decoder = new SlicedDecoder(layer.context.decoding, decoder, signal => input.read(signal));
  }

  /** Proves the tar stream up to `end`; what is proven already costs nothing. */
  async advanceTo(end: number, wish: Wish): Promise<void> {
    this.#target = Math.max(this.#target, end);
    while (this.#place.position < end) {
      await this.#steps.join('step', wish, work =>
        this.#turns.run(async () => {
          // The step before may have come to its end although nobody waited for it any more.
          if (this.#place.position < end) await this.#advance(work);
        }),
      );
    }
  }

  /** What passing all spans in front of `endSpan` would fetch; undefined when the chain has passed them. */
  cost(endSpan: number): { requests: number; bytes: number } | undefined {
    return endSpan <= this.#place.span ? undefined : this.#input.cost(endSpan);
  }

  /** Settles when no step is under way. */
  async finished(): Promise<void> {
    await this.#steps.finished();
  }

  /** Decodes and proves one span, or one block of a huge one. */
  async #advance(work: Work): Promise<void> {
    const { table, name, context, record } = this.#layer;
    const { signal } = work;
    const { block, position, window } = this.#place;
    const span = table.span(this.#place.span);
    const huge = this.#layer.isHuge(span);
    const start = block * BLOCK_BYTES;
    const length = huge ? Math.min(BLOCK_BYTES, decodedLength(span) - start) : decodedLength(span);
    let lease: Lease | undefined;
    try {
      // A huge span's download has a lease of its own: nobody waits for one while holding another.
      if (huge && !this.#input.has(span)) await this.#input.addHuge(span, work);
      lease = await context.memory.acquire(length + RUN_LIMITS.requestBytes, work);
      if (!this.#input.has(span)) await this.#input.add(span, this.#target, work);
      const began = performance.now();
      this.#piece ??= { bytes: new Uint8Array(length), filled: 0 };
      const { bytes, filled } = this.#piece;
      this.#piece.filled = await this.#decoder.fill(bytes, { ...work, filled });
      signal.throwIfAborted();
      await this.#proven.add(span.index, bytes);
      context.cache.set(this.#layer.key(span.index, huge ? block : undefined), bytes);
      record.decoded(span.index, length, began, work.urgency.lane);
      this.#piece = undefined;
      const last = start + length >= decodedLength(span);
      const proven = {
        position: position + length,
        window: new Uint8Array(windowAfter(window, bytes)),
      };
      this.#place = last
        ? { ...proven, span: span.index + 1, block: 0 }
        : { ...proven, span: span.index, block: block + 1 };
      if (last) checkNextWindow(table, name, span.index, proven.window, NOTHING);
    } catch (error) {
      throw signal.aborted ? signal.reason : inSpan(name, span, error);
    } finally {
      lease?.release();
    }
  }
}
