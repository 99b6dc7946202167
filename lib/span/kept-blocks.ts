/**
 * What was decoded of a huge span, in a temporary file, as far as the decoder has
 * come: a read behind it goes on from there, and one before it decodes nothing
 * again. A convenience: it takes no room that something else could need, and
 * where it fails the span is decoded once more.
 */
import { SociError } from '../errors.js';
import type { TemporaryFile, TemporarySpace } from '../files/temporary-file.js';

export class KeptBlocks {
  readonly #space: TemporarySpace;
  #file: TemporaryFile | undefined;
  #end = 0;
  #over = false;

  constructor(space: TemporarySpace) {
    this.#space = space;
  }

  /** Keeps what follows on what is kept; anything else is there already, or has nothing before it. */
  async keep(position: number, bytes: Uint8Array): Promise<void> {
    if (this.#over || position !== this.#end) return;
    try {
      if (!this.#space.hasSpare(bytes.length)) return;
      this.#file ??= await this.#space.create();
      await this.#file.write(bytes, position);
      this.#end += bytes.length;
    } catch (error) {
      await this.#giveUp(error);
    }
  }

  /** The bytes from `position`; undefined unless all of them are kept. */
  async read(position: number, length: number): Promise<Uint8Array | undefined> {
    if (this.#file === undefined || position + length > this.#end) return undefined;
    try {
      return await this.#file.read(position, length);
    } catch (error) {
      await this.#giveUp(error);
      return undefined;
    }
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#end = 0;
    await this.#file?.close();
    this.#file = undefined;
  }

  /** A full or broken disk is no reason for a read to fail that needs none. */
  async #giveUp(error: unknown): Promise<void> {
    await this.close();
    if (!(error instanceof SociError)) throw error;
  }
}
