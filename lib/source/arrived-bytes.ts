/**
 * Which bytes of a range are there while others are still on their way: requests
 * for its parts end in any order, and each of them brings its bytes from its
 * start on.
 */
export class ArrivedBytes {
  /** Ascending, with gaps between them. */
  readonly #ranges: { start: number; end: number }[] = [];

  /** The bytes [start, end) are there. */
  add(start: number, end: number): void {
    if (end <= start) return;
    // A request that goes on lengthens what it has brought before.
    let at = this.#ranges.findLastIndex(range => range.start <= start);
    const before = this.#ranges[at];
    if (before !== undefined && before.end >= start) before.end = Math.max(before.end, end);
    else this.#ranges.splice(++at, 0, { start, end });
    const grown = this.#ranges[at] as { start: number; end: number };
    let next = this.#ranges[at + 1];
    while (next !== undefined && next.start <= grown.end) {
      grown.end = Math.max(grown.end, next.end);
      this.#ranges.splice(at + 1, 1);
      next = this.#ranges[at + 1];
    }
  }

  /** How far one can go from `start` on without meeting a byte that is missing. */
  endFrom(start: number): number {
    const range = this.#ranges.findLast(each => each.start <= start);
    return Math.max(start, range?.end ?? start);
  }
}
