/** A part of another source as a source of its own: a blob inside an archive. */
import { checkByteRange, closedError } from '../source/byte-range.js';
import { type FileLender, LEND_FILE } from '../source/lent-file.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import { FilledSource, type RangeSource, type ReadOptions } from '../source/range-source.js';

export class SliceSource extends FilledSource {
  readonly size: number;
  readonly name: string;
  readonly ownMemory: boolean;
  /** @internal */
  readonly [LEND_FILE]: FileLender | undefined;
  readonly #source: RangeSource;
  readonly #start: number;
  #closed = false;

  /** @param source Stays open when the slice is closed. */
  constructor(source: RangeSource, name: string, start: number, size: number) {
    super();
    this.#source = source;
    this.ownMemory = source.ownMemory === true;
    this.#start = start;
    this.name = name;
    this.size = size;
    const lend = source[LEND_FILE];
    this[LEND_FILE] =
      lend &&
      (async (offset, length, read, options) => {
        this.#check(offset, length);
        return await lend(start + offset, length, read, options);
      });
  }

  get link(): LinkEstimate | undefined {
    return this.#source.link;
  }

  override async read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array> {
    this.#check(offset, length);
    return await this.#source.read(this.#start + offset, length, options);
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    this.#check(offset, target.length);
    await this.#source.readInto(target, this.#start + offset, options);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(offset: number, length: number): void {
    if (this.#closed) throw closedError(this.name);
    checkByteRange(this.name, this.size, offset, length);
  }
}
