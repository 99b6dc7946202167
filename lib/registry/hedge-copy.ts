/**
 * Memory that a second request writes to, since the first may still write to the reader's. Once the first has ended,
 * what is here is handed over: only then is it final, and told to whoever uses bytes while they arrive.
 */
import { allocateExactly } from '../source/byte-range.js';
import type { WantedRange } from '../source/continued-read.js';

export class HedgeCopy {
  readonly memory: Uint8Array;
  readonly #target: Uint8Array;
  readonly #onBytes: ((arrived: Uint8Array) => void) | undefined;
  #arrived = 0;
  #handedOver = 0;
  #isFree = false;

  /** @throws SociError ERR_SOCI_NO_MEMORY */
  constructor({ target, options }: WantedRange) {
    this.memory = allocateExactly(target.length);
    this.#target = target;
    this.#onBytes = options.onBytes;
  }

  /** So many of the first bytes are in `memory`. */
  arrived(bytes: number): void {
    this.#arrived = bytes;
    if (this.#isFree) this.#handOver();
  }

  /** Nobody else writes to the reader's memory any more. */
  free(): void {
    this.#isFree = true;
    this.#handOver();
  }

  #handOver(): void {
    const [start, end] = [this.#handedOver, this.#arrived];
    if (end === start) return;
    this.#target.set(this.memory.subarray(start, end), start);
    this.#handedOver = end;
    this.#onBytes?.(this.#target.subarray(0, end));
  }
}
