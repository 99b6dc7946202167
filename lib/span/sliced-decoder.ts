/**
 * Decodes a stream of any length in jobs of bounded size: each takes at most
 * 1 MiB of input and gives at most 1 MiB of output, and other spans get their
 * turn in the pool between two of them.
 */
import type { NativeSpanDecoder } from '../binding.js';
import { SociError } from '../errors.js';
import type { Work } from '../source/lanes.js';
import type { DecodePool } from './decode-pool.js';

/** Bounds a job to a few milliseconds. */
export const SLICE_BYTES = 1024 * 1024;

/** The next compressed bytes, or undefined at the end of what may be used. */
export type InputFeed = (signal: AbortSignal) => Promise<Uint8Array | undefined>;

/** A feed of what is in memory already. */
export function memoryFeed(bytes: Uint8Array): InputFeed {
  let at = 0;
  return async () => {
    if (at >= bytes.length) return undefined;
    at += SLICE_BYTES;
    return bytes.subarray(at - SLICE_BYTES, at);
  };
}

export interface FillOptions extends Work {
  /** Bytes of the output that are there already. */
  readonly filled?: number;
}

export class SlicedDecoder {
  readonly #native: NativeSpanDecoder;
  readonly #pool: DecodePool;
  readonly #feed: InputFeed;
  #input: Uint8Array = new Uint8Array(0);
  #position = 0;

  constructor(pool: DecodePool, native: NativeSpanDecoder, feed: InputFeed) {
    this.#native = native;
    this.#pool = pool;
    this.#feed = feed;
  }

  /** Bytes decoded so far. */
  get position(): number {
    return this.#position;
  }

  /**
   * Decodes the next bytes into `output` until it is full or the signal is
   * aborted, and returns how many there are; after a failed feed or an abort
   * the next call goes on where this one stopped.
   *
   * @throws SociError ERR_SOCI_SPAN_LENGTH when the input ends first
   */
  async fill(output: Uint8Array, { filled = 0, signal, urgency }: FillOptions): Promise<number> {
    let at = filled;
    let exhausted = false;
    while (at < output.length) {
      if (signal.aborted) return at;
      if (this.#input.length === 0 && !exhausted) {
        const next = await this.#feed(signal);
        // The decoder may still hold output back, so it is asked once more without input.
        if (next === undefined) exhausted = true;
        else this.#input = next;
      }
      const slice = output.subarray(at, at + SLICE_BYTES);
      const job = () => this.#native.run(this.#input, slice, 0);
      const { consumed, produced } = await this.#pool.run(job, { urgency });
      this.#input = this.#input.subarray(consumed);
      this.#position += produced;
      at += produced;
      if (produced === 0 && (exhausted || consumed === 0)) {
        throw new SociError(
          'ERR_SOCI_SPAN_LENGTH',
          `the compressed bytes end after ${this.#position} bytes of output, ${output.length - at} short`,
          { data: { produced: this.#position, missing: output.length - at } },
        );
      }
    }
    return at;
  }
}
