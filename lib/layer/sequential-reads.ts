/**
 * Finds out that a file is read from front to back, and says how much of what
 * comes next to fetch meanwhile: twice as much each time the reader has come to
 * the middle of what was fetched for him, as kernels do. One read elsewhere, and
 * it begins anew.
 */
import type { FileRange } from './file-range.js';

/** What is fetched ahead of the first read that goes on where one ended. */
const FIRST_BYTES = 1024 * 1024;

export class SequentialReads {
  /** Where the last read ended. */
  #end: number | undefined;
  /** How much is fetched ahead. */
  #window = 0;
  /** Where what was asked for ends, ahead included. */
  #ahead = 0;

  /**
   * Notes a read.
   *
   * @param size of the file
   * @param most bytes ahead
   * @returns what to fetch ahead now; undefined: nothing
   */
  note({ start, end }: FileRange, size: number, most: number): FileRange | undefined {
    // Nothing at all is no read: what was fetched ahead of those before it still is.
    if (end <= start) return undefined;
    const goesOn = start === this.#end;
    this.#end = end;
    if (!goesOn) {
      this.#window = 0;
      this.#ahead = end;
      return undefined;
    }
    if (this.#ahead - end > this.#window / 2) return undefined;
    this.#window = Math.min(most, Math.max(2 * this.#window, 2 * (end - start), FIRST_BYTES));
    const from = Math.max(this.#ahead, end);
    const to = Math.min(size, end + this.#window);
    if (from >= to) return undefined;
    this.#ahead = to;
    return { start: from, end: to };
  }
}
