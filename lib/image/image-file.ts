/**
 * An open file of an image, in the shape of node:fs's FileHandle. It holds no
 * bytes and no descriptor: closing it only ends its use.
 */

import type { Readable } from 'node:stream';
import { fileError } from '../errors.js';
import { checkDestination } from '../layer/file-range.js';
import type { ReadResult } from '../layer/layer-file.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { ImageStats } from './file-stats.js';

export interface RangeOptions extends AbortableOptions {
  /** First byte of the file. Default 0. */
  readonly start?: number | undefined;
  /** The byte after the last one, unlike in node:fs. What lies beyond the file is left out. Default: its end. */
  readonly end?: number | undefined;
}

export interface EncodingOptions {
  /** Default: none, bytes. */
  readonly encoding?: BufferEncoding | null | undefined;
}

/** What a handle needs of its image. */
export interface FileAccess {
  readonly size: number;
  stats(): ImageStats;
  readInto(target: Uint8Array, start: number, signal: AbortSignal | undefined): Promise<void>;
  readRange(options: RangeOptions): Promise<Buffer>;
  stream(options: RangeOptions & EncodingOptions): Readable;
}

export class ImageFile {
  readonly #path: string;
  readonly #access: FileAccess;
  #position = 0;
  #closed = false;

  /** @internal Use `Image.open`. */
  constructor(path: string, access: FileAccess) {
    this.#path = path;
    this.#access = access;
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#access.size;
  }

  async stat(): Promise<ImageStats> {
    this.#checkOpen('fstat');
    return this.#access.stats();
  }

  /**
   * Reads up to `length` bytes from `position` of the file into `buffer` at `offset`; fewer only where the file ends.
   *
   * @param position null: where the last such read ended
   * @throws SociError EBADF after `close`; ERR_SOCI_INVALID_ARGUMENT for a range outside of `buffer`; what reading
   *   spans throws (see SpanReader)
   */
  async read<T extends Uint8Array>(
    buffer: T,
    offset = 0,
    length: number = buffer.length - offset,
    position: number | null = null,
    options: AbortableOptions = {},
  ): Promise<ReadResult<T>> {
    this.#checkOpen('read');
    options.signal?.throwIfAborted();
    const start = position ?? this.#position;
    checkDestination(buffer, offset, length, start);
    const bytesRead = Math.max(0, Math.min(length, this.size - start));
    if (position === null) this.#position += bytesRead;
    if (bytesRead > 0) {
      await this.#access.readInto(buffer.subarray(offset, offset + bytesRead), start, options.signal);
    }
    return { bytesRead, buffer };
  }

  /** The whole file or a range of it, wherever `read` is. Errors as for `Image.readFile`. */
  readFile(options?: RangeOptions & { readonly encoding?: null | undefined }): Promise<Buffer>;
  readFile(options: BufferEncoding | (RangeOptions & { readonly encoding: BufferEncoding })): Promise<string>;
  async readFile(options: BufferEncoding | (RangeOptions & EncodingOptions) = {}): Promise<Buffer | string> {
    this.#checkOpen('read');
    const given = typeof options === 'string' ? { encoding: options } : options;
    const bytes = await this.#access.readRange(given);
    return given.encoding ? bytes.toString(given.encoding) : bytes;
  }

  createReadStream(options: RangeOptions & EncodingOptions = {}): Readable {
    this.#checkOpen('read');
    return this.#access.stream(options);
  }

  /** Later reads fail with EBADF; those under way finish. Twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(syscall: string): void {
    if (this.#closed) throw fileError('EBADF', syscall, this.#path);
  }
}
