/**
 * The parts of a file, or of all of a tar, in their order: whole spans at a
 * time, the next ones being fetched and decoded on all threads that decode
 * while these are used, in a few pieces of bounded size however long it is.
 */
const MIB = 1024 * 1024;

/** Decoded bytes of a piece after the first, of which a single span may have more, and the pieces for each thread. */
interface Pieces {
  readonly bytes: number;
  readonly perThread: number;
}

/** A span of the usual 4 MiB and a bit: two for a thread to decode side by side, and two that it begins at once after. */
const SMALL: Pieces = { bytes: 5 * MIB, perThread: 4 };

/** Two such spans, which one request asks for. */
const JOINED: Pieces = { bytes: 10 * MIB, perThread: 1 };

/** What is read ahead. Offsets are its own. */
export interface PiecewiseFile<T> {
  readonly start: number;
  readonly end: number;
  /** Threads that decode: for each of them, some spans are under way beside what is used. */
  readonly threads: number;
  /** Whether a piece costs a request, so that fewer are better. */
  readonly requested: boolean;
  /** All of a piece, or parts of it that follow each other: each is used as soon as it and those before it are there. */
  read(start: number, end: number, signal: AbortSignal): Promise<T> | readonly Promise<T>[];
  /** Where a piece from `start` of about `bytes` bytes ends, so that no span is divided. */
  pieceEnd(start: number, bytes: number): number;
}

export class ReadAhead<T> {
  readonly #file: PiecewiseFile<T>;
  readonly #signal: AbortSignal;
  /** Pieces under way, each as the parts of it that were not taken yet. */
  readonly #pieces: Promise<T>[][] = [];
  #next: number;

  /** @param signal ends the reads that are under way */
  constructor(file: PiecewiseFile<T>, signal: AbortSignal) {
    this.#file = file;
    this.#signal = signal;
    this.#next = file.start;
  }

  /** The next part, undefined at the end. */
  async next(): Promise<T | undefined> {
    for (;;) {
      this.#fetchAhead();
      const piece = this.#pieces[0];
      if (piece === undefined) return undefined;
      const part = piece.shift();
      if (part !== undefined) return await part;
      this.#pieces.shift();
    }
  }

  #fetchAhead(): void {
    const { start, end, threads, requested } = this.#file;
    const { bytes, perThread } = requested ? JOINED : SMALL;
    const most = 1 + perThread * threads;
    while (this.#next < end && this.#pieces.length < most) {
      // The first piece is one span, so that the first byte does not wait for more than it needs.
      const pieceEnd = this.#file.pieceEnd(this.#next, this.#next === start ? 0 : bytes);
      const parts = [this.#file.read(this.#next, pieceEnd, this.#signal)].flat();
      // Whoever comes to a part gets its error; when reading ends before, nobody does.
      for (const part of parts) part.catch(() => {});
      this.#pieces.push(parts);
      this.#next = pieceEnd;
    }
  }
}
