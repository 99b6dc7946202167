/**
 * An open file of an image or a layer, in the shape of node:fs's FileHandle. It
 * holds no bytes and no descriptor: closing it only ends its use, and what is
 * fetched ahead of one who reads it from front to back.
 */

import type { Readable } from 'node:stream';
import { checkOptions } from '../arguments.js';
import { fileError } from '../errors.js';
import { checkDestination } from '../layer/file-range.js';
import { SequentialReads } from '../layer/sequential-reads.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { TocEntry } from '../tar/entry.js';
import { encodingOptions, textEncoding } from './encoding-options.js';
import {
  type BytesOptions,
  contentStream,
  type FileContent,
  type ReadFileOptions,
  type TextOptions,
} from './file-content.js';
import { ImageStats } from './file-stats.js';
import { ABORTABLE, READ } from './option-names.js';

export interface ReadResult<T extends Uint8Array = Uint8Array> {
  /** 0 at the end of the file. */
  readonly bytesRead: number;
  readonly buffer: T;
}

const DEFAULT_READ_BYTES = 16 * 1024;

export class FileHandle {
  readonly #path: string;
  readonly #content: FileContent;
  readonly #reads = new SequentialReads();
  /** Ends what is fetched ahead. */
  readonly #ahead = new AbortController();
  readonly #merge: () => Promise<void>;
  #position = 0;
  #closed = false;

  /**
   * @internal Use `Image.open` or `Layer.open`.
   * @param merge Sees to it that the file is in a tree that knows all of its attributes.
   */
  constructor(path: string, content: FileContent, merge: () => Promise<void> = async () => {}) {
    this.#path = path;
    this.#content = content;
    this.#merge = merge;
  }

  /** What the table of contents says of the file; held against its tar header when it was opened. */
  get entry(): TocEntry {
    return this.#content.entry;
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#content.size;
  }

  async stat(): Promise<ImageStats> {
    this.#checkOpen('fstat');
    await this.#merge();
    const { tree, ino } = this.#content.node;
    return new ImageStats(tree.attributes(ino));
  }

  /**
   * Reads up to `length` bytes from `position` of the file into `buffer` at `offset`; fewer only where the file ends.
   *
   * @param buffer Default: a new one of 16 KiB, as in node:fs.
   * @param position null: where the last such read ended
   * @throws SociError EBADF after `close`; ERR_SOCI_INVALID_ARGUMENT for a range outside of `buffer`; what reading
   *   spans throws (see SpanReader)
   */
  read(): Promise<ReadResult<Buffer>>;
  read<T extends Uint8Array>(
    buffer: T,
    offset?: number,
    length?: number,
    position?: number | null,
    options?: AbortableOptions,
  ): Promise<ReadResult<T>>;
  async read(
    buffer: Uint8Array = Buffer.alloc(DEFAULT_READ_BYTES),
    offset = 0,
    length: number = buffer.length - offset,
    position: number | null = null,
    options: AbortableOptions = {},
  ): Promise<ReadResult> {
    this.#checkOpen('read');
    checkOptions('read', options, ABORTABLE);
    options.signal?.throwIfAborted();
    const start = position ?? this.#position;
    checkDestination(buffer, offset, length, start);
    const bytesRead = Math.max(0, Math.min(length, this.size - start));
    if (position === null) this.#position += bytesRead;
    if (bytesRead > 0) {
      const reading = this.#content.readInto(buffer.subarray(offset, offset + bytesRead), start, options);
      const range = { start, end: start + bytesRead };
      this.#content.readAhead(range, this.#reads, this.#ahead.signal);
      await reading;
    }
    return { bytesRead, buffer };
  }

  /** The whole file or a range of it, wherever `read` is. Errors as for `Image.readFile`. */
  readFile(options?: BytesOptions): Promise<Buffer>;
  readFile(options: TextOptions): Promise<string>;
  async readFile(options?: ReadFileOptions): Promise<Buffer | string> {
    this.#checkOpen('read');
    const given = encodingOptions('readFile', options, READ);
    const encoding = textEncoding(given);
    const bytes = await this.#content.readRange(given);
    return encoding === undefined ? bytes : bytes.toString(encoding);
  }

  createReadStream(options?: ReadFileOptions): Readable {
    this.#checkOpen('read');
    return contentStream(() => this.#content, encodingOptions('createReadStream', options, READ));
  }

  /** Later reads fail with EBADF; those under way finish, and nothing is fetched ahead any more. Twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ahead.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(syscall: string): void {
    if (this.#closed) throw fileError('EBADF', syscall, this.#path);
  }
}
