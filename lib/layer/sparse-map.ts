/**
 * Where the data of a sparse file lie, as GNU tar writes it (GNU tar manual,
 * "Storing Sparse Files"): runs of bytes that are in the tar, one after the
 * other, and holes between them that read as zeros.
 */
import type { ReadPart } from '../span/read-part.js';
import type { EntryFields } from '../tar/entry.js';
import { badSparseMap, type SparseLayout, type SparseRun } from '../tar/sparse.js';

export class SparseMap {
  /** Bytes of the file, holes included. */
  readonly size: number;
  /** Where all of its runs lie in the tar stream. */
  readonly extent: { readonly offset: number; readonly size: number };
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
    return new SparseMap(size, { offset: dataOffset, size: dataSize }, rows);
  }

  private constructor(size: number, extent: SparseMap['extent'], rows: Float64Array) {
    this.size = size;
    this.extent = extent;
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

  /** What of the file is in [start, end) of the tar stream, ascending. */
  *inTar(
    start: number,
    end: number,
  ): Generator<
    { readonly tarOffset: number; readonly position: number; readonly length: number },
    void,
    undefined
  > {
    const rows = this.#rows;
    for (let row = this.#firstInTarAfter(start); row < rows.length; row += 3) {
      const [offset, length, at] = [rows[row] as number, rows[row + 1] as number, rows[row + 2] as number];
      if (at >= end) return;
      const from = Math.max(start, at);
      const to = Math.min(end, at + length);
      if (from < to) yield { tarOffset: from, position: offset + from - at, length: to - from };
    }
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

  /** The first row whose data end behind `offset` of the file. */
  #firstEndingAfter(offset: number): number {
    return this.#first(row => (this.#rows[row] as number) + (this.#rows[row + 1] as number) > offset);
  }

  /** The first row whose data end behind `offset` of the tar stream. */
  #firstInTarAfter(offset: number): number {
    return this.#first(row => (this.#rows[row + 2] as number) + (this.#rows[row + 1] as number) > offset);
  }

  /** Binary search: a file may have hundreds of thousands of runs. */
  #first(isBehind: (row: number) => boolean): number {
    let low = 0;
    let high = this.#rows.length / 3;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBehind(3 * middle)) high = middle;
      else low = middle + 1;
    }
    return 3 * low;
  }
}

/** What the headers of an entry say. @throws SociError ERR_SOCI_TAR_HEADER */
export function sparseMapOf(
  fields: EntryFields,
  { runs, size, dataOffset, dataSize }: SparseLayout,
): SparseMap {
  const map = Number.isSafeInteger(size)
    ? SparseMap.of(runs, size, dataOffset, dataSize)
    : `its size is ${size}`;
  if (typeof map === 'string') throw badSparseMap(fields, map);
  return map;
}
