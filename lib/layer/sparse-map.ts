/**
 * Where the data of a sparse file lie, as GNU tar writes it (GNU tar manual,
 * "Storing Sparse Files"): runs of bytes that are in the tar, one after the
 * other, and holes between them that read as zeros.
 */
import type { ReadPart } from '../span/read-part.js';
import type { SparseRun } from '../tar/sparse.js';

export class SparseMap {
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** Rows of (offset in the file, length, offset in the tar stream). */
  readonly #rows: Float64Array;

  /**
   * @param dataOffset of the first run in the tar stream
   * @param dataSize bytes of all runs in the tar
   * @returns why it is no map of such a file
   */
  static of(
    runs: readonly SparseRun[],
    size: number,
    dataOffset: number,
    dataSize: number,
  ): SparseMap | string {
    const rows = new Float64Array(3 * runs.length);
    let end = 0;
    let at = dataOffset;
    for (const [index, { offset, length }] of runs.entries()) {
      if (![offset, length].every(value => Number.isSafeInteger(value) && value >= 0)) {
        return `run ${index} is of ${length} bytes at ${offset}`;
      }
      if (offset < end || offset + length > size) {
        return `run ${index} of ${length} bytes at ${offset} overlaps the one before or the file's end`;
      }
      rows.set([offset, length, at], 3 * index);
      end = offset + length;
      at += length;
    }
    if (at - dataOffset !== dataSize) {
      return `its runs are ${at - dataOffset} bytes, the tar has ${dataSize}`;
    }
    return new SparseMap(size, rows);
  }

  private constructor(size: number, rows: Float64Array) {
    this.size = size;
    this.#rows = rows;
  }

  /** Zeroes `target`, which begins at `start` of the file, and says what of it is to be read from the tar. */
  parts(target: Uint8Array, start: number): ReadPart[] {
    target.fill(0);
    const parts: ReadPart[] = [];
    for (const { from, to, at } of this.#runsIn(start, start + target.length)) {
      parts.push({ start: at, target: target.subarray(from - start, to - start) });
    }
    return parts;
  }

  /** Ranges of the tar stream that hold data of [start, end) of the file. */
  ranges(start: number, end: number): { readonly start: number; readonly end: number }[] {
    return [...this.#runsIn(start, end)].map(({ from, to, at }) => ({ start: at, end: at + to - from }));
  }

  *#runsIn(start: number, end: number): Generator<{ from: number; to: number; at: number }, void, undefined> {
    const rows = this.#rows;
    for (let row = this.#firstEndingAfter(start); row < rows.length; row += 3) {
      const offset = rows[row] as number;
      if (offset >= end) return;
      const from = Math.max(start, offset);
      const to = Math.min(end, offset + (rows[row + 1] as number));
      if (from < to) yield { from, to, at: (rows[row + 2] as number) + from - offset };
    }
  }

  /** Binary search: a file may have hundreds of thousands of runs. */
  #firstEndingAfter(offset: number): number {
    const rows = this.#rows;
    let low = 0;
    let high = rows.length / 3;
    while (low < high) {
      const middle = (low + high) >> 1;
      const end = (rows[3 * middle] as number) + (rows[3 * middle + 1] as number);
      if (end <= offset) low = middle + 1;
      else high = middle;
    }
    return 3 * low;
  }
}
