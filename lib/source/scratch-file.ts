/** Bytes that came as a stream, kept in a temporary file: written once, then read as any other source. */
import type { TemporaryFile, TemporarySpace } from '../files/temporary-file.js';
import { checkByteRange, closedError } from './byte-range.js';
import { FilledSource, type ReadOptions } from './range-source.js';

export class ScratchFile extends FilledSource {
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

  /** @param file written already; closed with this */
  constructor(name: string, file: TemporaryFile) {
    super();
    this.name = name;
    this.#file = file;
  }

  get size(): number {
    return this.#file.size;
  }

  async readInto(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    if (this.#closing !== undefined) throw closedError(this.name);
    checkByteRange(this.name, this.size, offset, target.length);
    await this.#file.readInto(target, offset);
    options.signal?.throwIfAborted();
  }

  close(): Promise<void> {
    this.#closing ??= this.#file.close();
    return this.#closing;
  }
}
