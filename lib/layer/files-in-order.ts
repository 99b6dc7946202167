/**
 * Finds out that files of a layer are read one after the other as its tar has
 * them, as whoever copies, scans or unpacks an image does, and says what of the
 * tar to fetch meanwhile: twice as much each time the reader has come to the
 * middle of what was fetched for him. One file elsewhere, and it begins anew.
 */
import type { TarRange } from '../span/plan.js';

/** Files in order before anything is fetched ahead: a program may start with some neighbours, too. */
const FIRST_FILES = 8;
/** Bytes of the tar that may be left out between two of them. */
const SLACK_BYTES = 1024 * 1024;
/** What is fetched ahead at first: the span that comes next, mostly. */
const FIRST_BYTES = 4 * 1024 * 1024;

export class FilesInOrder {
  /** The last one that was read, and how many have followed each other. */
  #entry: number | undefined;
  #files = 0;
  /** Where what was read ends, how much is fetched ahead, and where that ends. */
  #end = 0;
  #window = 0;
  #ahead = 0;

  /**
   * Notes a read.
   *
   * @param range of the tar, the file's header included where that is read too
   * @param most bytes ahead
   * @returns what of the tar to fetch ahead now, which may reach beyond its end; undefined: nothing
   */
  note(entry: number, { start, end }: TarRange, most: number): TarRange | undefined {
    const isNext = this.#entry === undefined || entry !== this.#entry;
    const goesOn = isNext
      ? start >= this.#end && start - this.#end <= SLACK_BYTES
      : start <= this.#end + SLACK_BYTES;
    this.#entry = entry;
    this.#files = goesOn ? this.#files + (isNext ? 1 : 0) : 0;
    this.#end = goesOn ? Math.max(this.#end, end) : end;
    if (this.#files < FIRST_FILES) {
      this.#window = 0;
      this.#ahead = this.#end;
      return undefined;
    }
    if (this.#ahead - this.#end > this.#window / 2) return undefined;
    this.#window = Math.min(most, Math.max(2 * this.#window, FIRST_BYTES));
    const from = Math.max(this.#ahead, this.#end);
    const to = this.#end + this.#window;
    if (from >= to) return undefined;
    this.#ahead = to;
    return { start: from, end: to };
  }
}
