/**
 * An object that is already in memory. Reads are views of the given bytes, not
 * copies: the caller must leave them alone while the source is in use.
 */
import { checkByteRange, closedError } from './byte-range.js';
import type { AbortableOptions, RangeSource } from './range-source.js';

const STREAM_CHUNK = 1024 * 1024;

export class BufferSource implements RangeSource {
  readonly size: number;
  readonly name: string;
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array, name = 'buffer') {
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.size = bytes.byteLength;
    this.name = name;
  }

  async read(offset: number, length: number, options: AbortableOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const bytes = this.#open();
    checkByteRange(this.name, this.size, offset, length);
    return bytes.subarray(offset, offset + length);
  }

  async *stream(options: AbortableOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for (let offset = 0; offset < this.size; offset += STREAM_CHUNK) {
      yield await this.read(offset, Math.min(STREAM_CHUNK, this.size - offset), options);
    }
  }

  async close(): Promise<void> {
    this.#bytes = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): Uint8Array {
    if (this.#bytes === undefined) throw closedError(this.name);
    return this.#bytes;
  }
}
