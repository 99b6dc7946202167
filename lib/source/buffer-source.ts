/**
 * An object that is already in memory. Reads are views of the given bytes, not
 * copies: the caller must leave them alone while the source is in use.
 */
import { checkByteRange, closedError } from './byte-range.js';
import { FilledSource, type ReadOptions } from './range-source.js';

export class BufferSource extends FilledSource {
  readonly size: number;
  readonly name: string;
  readonly ownMemory = true;
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array, name = 'buffer') {
    super();
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.size = bytes.byteLength;
    this.name = name;
  }

  override async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    if (this.#bytes === undefined) throw closedError(this.name);
    checkByteRange(this.name, this.size, offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  async readInto(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
    target.set(await this.read(offset, target.length, options));
  }

  async close(): Promise<void> {
    this.#bytes = undefined;
  }
}
