/**
 * One read that several places are asked for, one after the other, until one of
 * them has given the rest. What was said to be there stays as it is, since it may
 * be in use already: the next place is asked for what comes after it.
 */
import type { RangeSource, ReadOptions } from './range-source.js';

/** What `RangeSource.readInto` takes. */
export interface WantedRange {
  readonly target: Uint8Array;
  readonly offset: number;
  readonly options: ReadOptions;
}

export class ContinuedRead {
  readonly #target: Uint8Array;
  readonly #offset: number;
  readonly #options: ReadOptions;
  #arrived = 0;

  constructor(target: Uint8Array, offset: number, options: ReadOptions = {}) {
    this.#target = target;
    this.#offset = offset;
    this.#options = options;
  }

  /** What is missing. Whoever is asked for it is the only one until it has settled. */
  get rest(): WantedRange {
    const { onBytes } = this.#options;
    const before = this.#arrived;
    const told = (arrived: Uint8Array): void => {
      this.#arrived = before + arrived.length;
      onBytes?.(this.#target.subarray(0, this.#arrived));
    };
    const options = onBytes === undefined ? this.#options : { ...this.#options, onBytes: told };
    return { target: this.#target.subarray(before), offset: this.#offset + before, options };
  }

  /** Fills what is missing from `source`. */
  async from(source: RangeSource): Promise<void> {
    const { target, offset, options } = this.rest;
    await source.readInto(target, offset, options);
  }
}
