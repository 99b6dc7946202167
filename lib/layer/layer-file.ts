/**
 * An open file of a layer, in the shape of node:fs's FileHandle. It holds no
 * bytes and no descriptor: closing it only ends its use.
 */

import { fileError } from '../errors.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { TocEntry } from '../tar/entry.js';
import { checkDestination } from './file-range.js';

/** Fills `target` from `start` of the file. */
export type ReadFrom = (target: Uint8Array, start: number, signal: AbortSignal | undefined) => Promise<void>;

export interface ReadResult<T extends Uint8Array = Uint8Array> {
  /** 0 at the end of the file. */
  readonly bytesRead: number;
  readonly buffer: T;
}

export class LayerFile {
  /** What the table of contents says of the file; held against its tar header when it was opened. */
  readonly entry: TocEntry;
  readonly #path: string;
  readonly #readFrom: ReadFrom;
  #position = 0;
  #closed = false;

  /** @internal Use `Layer.open`. */
  constructor(entry: TocEntry, path: string, readFrom: ReadFrom) {
    this.entry = entry;
    this.#path = path;
    this.#readFrom = readFrom;
  }

  /** Bytes of the file. */
  get size(): number {
    return this.entry.size;
  }

  /**
   * Reads up to `length` bytes from `position` of the file into `buffer` at
   * `offset`; fewer only where the file ends.
   *
   * @param position null: where the last such read ended
   * @throws SociError EBADF after `close`; ERR_SOCI_INVALID_ARGUMENT for a range outside of `buffer`; what
   *   reading spans throws (see SpanReader)
   */
  async read<T extends Uint8Array>(
    buffer: T,
    offset = 0,
    length: number = buffer.length - offset,
    position: number | null = null,
    options: AbortableOptions = {},
  ): Promise<ReadResult<T>> {
    if (this.#closed) throw fileError('EBADF', 'read', this.#path);
    options.signal?.throwIfAborted();
    const start = position ?? this.#position;
    checkDestination(buffer, offset, length, start);
    const bytesRead = Math.max(0, Math.min(length, this.size - start));
    if (position === null) this.#position += bytesRead;
    if (bytesRead > 0)
      await this.#readFrom(buffer.subarray(offset, offset + bytesRead), start, options.signal);
    return { bytesRead, buffer };
  }

  /** Later reads fail with EBADF; those under way finish. Twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
