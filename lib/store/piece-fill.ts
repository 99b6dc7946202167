/**
 * The bytes of a piece of a blob while they come together from the disk and from
 * requests. What is there from its start on is told while the rest arrives, and
 * is not written again: whoever is told may use it at once.
 */
import { ArrivedBytes } from '../source/arrived-bytes.js';
import type { ReadOptions } from '../source/range-source.js';
import { BLOCK_BYTES, type BlockRun } from './block-journal.js';

export class PieceFill {
  readonly bytes: Uint8Array;
  readonly #piece: BlockRun;
  readonly #onBytes: ReadOptions['onBytes'];
  readonly #arrived = new ArrivedBytes();
  #told = 0;

  constructor(piece: BlockRun, bytes: Uint8Array, onBytes: ReadOptions['onBytes']) {
    this.#piece = piece;
    this.bytes = bytes;
    this.#onBytes = onBytes;
  }

  /** Where blocks of it go. */
  part(run: BlockRun): Uint8Array {
    return this.bytes.subarray(this.#at(run.first), this.#at(run.end));
  }

  /** Of `run` only `missing`, ascending, will be written from now on. */
  rest(missing: readonly BlockRun[], run: BlockRun = this.#piece): void {
    let { first } = run;
    for (const each of missing) {
      this.#add(this.#at(first), this.#at(each.first));
      first = each.end;
    }
    this.#add(this.#at(first), this.#at(run.end));
  }

  /** The first bytes of `run`, which are copied as far as they are new. */
  put(run: BlockRun, bytes: Uint8Array): void {
    const start = this.#at(run.first);
    const from = this.#arrived.endFrom(start) - start;
    if (from >= bytes.length) return;
    this.bytes.set(bytes.subarray(from), start + from);
    this.#add(start, start + bytes.length);
  }

  #at(block: number): number {
    return Math.min((block - this.#piece.first) * BLOCK_BYTES, this.bytes.length);
  }

  #add(start: number, end: number): void {
    if (this.#onBytes === undefined) return;
    this.#arrived.add(start, end);
    const prefix = this.#arrived.endFrom(0);
    if (prefix === this.#told) return;
    this.#told = prefix;
    this.#onBytes(this.bytes.subarray(0, prefix));
  }
}
