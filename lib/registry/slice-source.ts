/** A part of another source as a source of its own: a blob inside an archive. */
import { SociError } from '../errors.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';

const STREAM_CHUNK = 1024 * 1024;

export class SliceSource implements RangeSource {
  readonly size: number;
  readonly name: string;
  readonly #source: RangeSource;
  readonly #start: number;

  /** @param source Stays open when the slice is closed. */
  constructor(source: RangeSource, name: string, start: number, size: number) {
    this.#source = source;
    this.#start = start;
    this.name = name;
    this.size = size;
  }

  async read(offset: number, length: number, options?: AbortableOptions): Promise<Uint8Array> {
    const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
    if (!valid || offset + length > this.size) {
      throw new SociError(
        'ERR_SOCI_SOURCE_RANGE',
        `${this.name}: [${offset}, +${length}) is outside of ${this.size} bytes`,
        {
          data: { offset, length, size: this.size },
        },
      );
    }
    return await this.#source.read(this.#start + offset, length, options);
  }

  async *stream(options?: AbortableOptions): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < this.size; at += STREAM_CHUNK) {
      yield await this.read(at, Math.min(STREAM_CHUNK, this.size - at), options);
    }
  }

  async close(): Promise<void> {}
}
