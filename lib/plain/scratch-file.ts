/**
 * A temporary file of unknown size that is written once and then read: created
 * exclusively, readable by its owner alone, and unlinked at once, so that it
 * vanishes with its handle however the process ends.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SociError } from '../errors.js';
import { allocateExactly, checkByteRange, closedError } from '../source/byte-range.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import { settings } from '../span/settings.js';

const STREAM_CHUNK = 2 ** 20;

export class ScratchFile implements RangeSource {
  readonly size: number;
  readonly name: string;
  readonly #handle: FileHandle;
  #closing: Promise<void> | undefined;

  /** Writes `chunks` to a file in the directory of the setting `tempDirectory`. */
  static async write(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ScratchFile> {
    const path = join(settings().tempDirectory, `seekable-oci-${randomUUID()}`);
    const handle = await open(path, 'wx+', 0o600);
    try {
      await unlink(path);
      let size = 0;
      for await (const chunk of chunks) {
        for (let at = 0; at < chunk.length; ) {
          at += (await handle.write(chunk, at, chunk.length - at, size + at)).bytesWritten;
        }
        size += chunk.length;
      }
      return new ScratchFile(name, handle, size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  private constructor(name: string, handle: FileHandle, size: number) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
  }

  async read(offset: number, length: number, options: AbortableOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    if (this.#closing !== undefined) throw closedError(this.name);
    checkByteRange(this.name, this.size, offset, length);
    const target = allocateExactly(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await this.#handle.read(target, at, length - at, offset + at);
      options.signal?.throwIfAborted();
      if (bytesRead === 0) {
        throw new SociError(
          'ERR_SOCI_SOURCE_SHORT',
          `${this.name}: a temporary file ends at ${offset + at}`,
          {
            data: { offset: offset + at },
          },
        );
      }
      at += bytesRead;
    }
    return target;
  }

  async *stream(options: AbortableOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for (let offset = 0; offset < this.size; offset += STREAM_CHUNK) {
      yield await this.read(offset, Math.min(STREAM_CHUNK, this.size - offset), options);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#handle.close();
    return this.#closing;
  }
}
