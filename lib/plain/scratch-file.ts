/** What a layer was unpacked to, in a temporary file: written once, then read as any other source. */
import type { TemporaryFile, TemporarySpace } from '../files/temporary-file.js';
import { allocateExactly, checkByteRange, closedError } from '../source/byte-range.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';

const STREAM_CHUNK = 2 ** 20;

export class ScratchFile implements RangeSource {
  readonly name: string;
  readonly #file: TemporaryFile;
  #closing: Promise<void> | undefined;

  /** @throws SociError ERR_SOCI_LIMIT, ERR_SOCI_SOURCE_IO; what the chunks throw */
  static async write(
    space: TemporarySpace,
    name: string,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<ScratchFile> {
    const file = await space.create();
    try {
      for await (const chunk of chunks) await file.write(chunk, file.size);
      return new ScratchFile(name, file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  private constructor(name: string, file: TemporaryFile) {
    this.name = name;
    this.#file = file;
  }

  get size(): number {
    return this.#file.size;
  }

  async read(offset: number, length: number, options: AbortableOptions = {}): Promise<Uint8Array> {
    checkByteRange(this.name, this.size, offset, length);
    const target = allocateExactly(length);
    await this.readInto(target, offset, options);
    return target;
  }

  async readInto(target: Uint8Array, offset: number, options: AbortableOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.#closing !== undefined) throw closedError(this.name);
    checkByteRange(this.name, this.size, offset, target.length);
    await this.#file.readInto(target, offset);
    options.signal?.throwIfAborted();
  }

  async *stream(options: AbortableOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for (let offset = 0; offset < this.size; offset += STREAM_CHUNK) {
      yield await this.read(offset, Math.min(STREAM_CHUNK, this.size - offset), options);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#file.close();
    return this.#closing;
  }
}
