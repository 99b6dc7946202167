/**
 * Of one file, what each run read of it and when: the file is cut where any read
 * begins or ends, and each piece has the time of the first read of it in every
 * run that read it at all.
 */

export interface FileRead {
  readonly start: number;
  readonly end: number;
  readonly ms: number;
}

/** Bytes [start, end) of a file that no read divides. */
export interface ReadPiece {
  readonly start: number;
  readonly end: number;
  /** One for each run that read the piece. */
  readonly times: number[];
}

/**
 * Pieces that somebody read, ascending.
 *
 * @param runs What each run read, the first read first.
 */
export function earliestReads(runs: readonly (readonly FileRead[])[]): ReadPiece[] {
  const cuts = Float64Array.from(
    new Set(runs.flatMap(reads => reads.flatMap(({ start, end }) => [start, end]))),
  );
  cuts.sort();
  const places = new Map(Array.from(cuts, (cut, place) => [cut, place]));
  const pieces = Array.from({ length: Math.max(0, cuts.length - 1) }, (_, at) => ({
    start: cuts[at] as number,
    end: cuts[at + 1] as number,
    times: [] as number[],
  }));
  for (const reads of runs) {
    const next = new NextUnread(pieces.length);
    for (const { start, end, ms } of reads) {
      const last = places.get(end) as number;
      for (let at = next.from(places.get(start) as number); at < last; at = next.from(at + 1)) {
        pieces[at]?.times.push(ms);
        next.read(at);
      }
    }
  }
  return pieces.filter(({ times }) => times.length > 0);
}

/** Skips what a run has read before, in a step for any length: disjoint sets with halved paths. */
class NextUnread {
  readonly #next: Uint32Array;

  constructor(count: number) {
    this.#next = Uint32Array.from({ length: count + 1 }, (_, at) => at);
  }

  /** The first unread piece from `at` on. */
  from(at: number): number {
    const next = this.#next;
    let found = at;
    while (next[found] !== found) {
      next[found] = next[next[found] as number] as number;
      found = next[found] as number;
    }
    return found;
  }

  read(at: number): void {
    this.#next[at] = at + 1;
  }
}
