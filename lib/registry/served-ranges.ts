/** Who has served which range of a blob of late, so that bytes that prove to be wrong can be traced to them. */

interface Served<T> {
  readonly start: number;
  readonly end: number;
  readonly by: T | undefined;
}

/** A wrong span is asked for again at once: what was served long before need not be known. */
const MOST = 64;

export class ServedRanges<T> {
  readonly #newest: Served<T>[] = [];

  /** @param by undefined: several of them have */
  note(start: number, end: number, by: T | undefined): void {
    this.#newest.unshift({ start, end, by });
    if (this.#newest.length > MOST) this.#newest.pop();
  }

  /** Who was the last to serve a byte of the range. */
  lastOf(start: number, end: number): T | undefined {
    return this.#newest.find(served => served.start < end && start < served.end)?.by;
  }
}
