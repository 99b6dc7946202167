/**
 * A regular file, read with positioned reads on one handle. The handle pins the
 * inode, so a file that is replaced by rename stays readable; one that is
 * written in place is noticed by its size and modification time after every
 * read, before the bytes are handed on. Whoever reads by the descriptor itself
 * is held to the same.
 */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { checkOptions } from '../arguments.js';
import { SociError } from '../errors.js';
import { checkByteRange, closedError } from './byte-range.js';
import { type FileIdentity, type FileLender, type FilePart, LEND_FILE } from './lent-file.js';
import { ABORTABLE_NAMES, type AbortableOptions, FilledSource, type ReadOptions } from './range-source.js';

/** One pread at most: bounds how long an aborted read goes on. */
const READ_SLICE = 4 * 1024 * 1024;

export class FileSource extends FilledSource {
  readonly size: number;
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #identity: FileIdentity;
  /** Those who read by the descriptor. */
  readonly #borrowers = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor(path: string, handle: FileHandle, identity: FileIdentity) {
    super();
    this.name = path;
    this.size = Number(identity.size);
    this.#handle = handle;
    this.#identity = identity;
  }

  /** @throws SociError ERR_SOCI_SOURCE_IO when `path` cannot be opened or is not a regular file. */
  static async open(path: string, options: AbortableOptions = {}): Promise<FileSource> {
    checkOptions('FileSource.open', options, ABORTABLE_NAMES);
    return await FileSource.#open(path, options, 'as-it-was');
  }

  /**
   * A file of a cache, which whoever uses it may touch: its time of modification is no sign of a change.
   *
   * @internal
   */
  static async openTouchable(path: string, options: AbortableOptions = {}): Promise<FileSource> {
    return await FileSource.#open(path, options, 'touched');
  }

  static async #open(
    path: string,
    options: AbortableOptions,
    times: 'as-it-was' | 'touched',
  ): Promise<FileSource> {
    options.signal?.throwIfAborted();
    let handle: FileHandle | undefined;
    try {
      // O_NONBLOCK: opening a fifo would otherwise wait for a writer, out of reach of any abort.
      handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const stat = await handle.stat({ bigint: true });
      if (!stat.isFile()) {
        throw new SociError('ERR_SOCI_SOURCE_IO', `${path}: not a regular file`, { data: { path } });
      }
      options.signal?.throwIfAborted();
      const mtimeNs = times === 'touched' ? undefined : stat.mtimeNs;
      return new FileSource(path, handle, { size: stat.size, mtimeNs, ino: stat.ino });
    } catch (error) {
      await handle?.close();
      throw options.signal?.aborted ? options.signal.reason : ioError(path, 'open', error);
    }
  }

  async readInto(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
    this.#check(options.signal);
    const { length } = target;
    checkByteRange(this.name, this.size, offset, length);
    let filled = 0;
    while (filled < length) {
      const bytesRead = await this.#pread(
        target,
        filled,
        Math.min(READ_SLICE, length - filled),
        offset + filled,
      );
      this.#check(options.signal);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    await this.#checkUnchanged();
    this.#check(options.signal);
    if (filled < length) throw this.#shortError(offset, length, filled);
  }

  /** @internal */
  readonly [LEND_FILE]: FileLender = async (offset, length, read, { signal } = {}) => {
    this.#check(signal);
    checkByteRange(this.name, this.size, offset, length);
    const part = { fd: this.#handle.fd, offset, length, identity: this.#identity };
    const reading = read(part);
    this.#borrowers.add(reading);
    try {
      const result = await reading;
      this.#check(signal);
      return result;
    } catch (error) {
      this.#check(signal);
      throw await this.#borrowersError(error, part);
    } finally {
      this.#borrowers.delete(reading);
    }
  };

  /** Resolves when reads under way, which reject with ERR_SOCI_CLOSED, have let go of the handle. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#borrowers);
    await this.#handle.close();
  }

  /** What is to be said of a failure of one who read by the descriptor. */
  async #borrowersError(error: unknown, { offset, length }: FilePart): Promise<unknown> {
    if (!(error instanceof SociError)) return error;
    switch (error.code) {
      case 'ERR_SOCI_SOURCE_CHANGED':
        await this.#checkUnchanged();
        return this.#changedError('it was written to while it was read', this.size);
      case 'ERR_SOCI_SOURCE_SHORT':
        return this.#shortError(offset, length, Number(error.data['offset']));
      case 'ERR_SOCI_SOURCE_IO':
        return ioError(this.name, 'read', systemError(String(error.data['reason']), 'read'));
      default:
        return error;
    }
  }

  #check(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#closing) throw closedError(this.name);
  }

  async #pread(target: Uint8Array, at: number, length: number, position: number): Promise<number> {
    try {
      return (await this.#handle.read(target, at, length, position)).bytesRead;
    } catch (error) {
      if (this.#closing) throw closedError(this.name);
      throw ioError(this.name, 'read', error);
    }
  }

  async #checkUnchanged(): Promise<void> {
    if (this.#closing) throw closedError(this.name);
    let now: BigIntStats;
    try {
      now = await this.#handle.stat({ bigint: true });
    } catch (error) {
      if (this.#closing) throw closedError(this.name);
      throw ioError(this.name, 'stat', error);
    }
    const was = this.#identity;
    const sameTime = was.mtimeNs === undefined || now.mtimeNs === was.mtimeNs;
    if (now.size === was.size && sameTime && now.ino === was.ino) return;
    const what =
      now.size === was.size ? 'its modification time differs' : `it had ${was.size} bytes, now ${now.size}`;
    throw this.#changedError(what, Number(now.size));
  }

  #changedError(what: string, size: number): SociError {
    return new SociError(
      'ERR_SOCI_SOURCE_CHANGED',
      `${this.name}: the file changed since it was opened: ${what}`,
      { data: { name: this.name, expectedSize: this.size, size } },
    );
  }

  #shortError(offset: number, length: number, received: number): SociError {
    return new SociError(
      'ERR_SOCI_SOURCE_SHORT',
      `${this.name}: expected ${length} bytes at offset ${offset}, the file gave ${received}`,
      { data: { name: this.name, offset, length, received } },
    );
  }
}

/** What Node would throw for a system call that failed with the error of this name. */
function systemError(code: string, syscall: string): NodeJS.ErrnoException {
  const [, text = ''] = [...getSystemErrorMap().values()].find(([name]) => name === code) ?? [];
  return Object.assign(new Error(`${code}: ${text}, ${syscall}`), { code, syscall });
}

function ioError(path: string, syscall: string, cause: unknown): SociError {
  if (cause instanceof SociError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const reason = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new SociError('ERR_SOCI_SOURCE_IO', `${path}: cannot ${syscall}: ${text}`, {
    data: { path, syscall, reason },
    cause,
  });
}
