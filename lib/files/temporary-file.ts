/**
 * Temporary files that only this process can reach: created exclusively,
 * readable by their owner alone, and unlinked at once, so that they vanish with
 * their handles however the process ends. All of one space together are bounded.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SociError } from '../errors.js';

/** What a space may take up, asked for anew each time something is taken of it. */
export interface TemporaryBounds {
  readonly tempDirectory: string;
  readonly tempBytes: number;
}

/** Room for temporary files, counted. */
export class TemporarySpace {
  readonly #bounds: () => TemporaryBounds;
  #reserved = 0;

  constructor(bounds: () => TemporaryBounds) {
    this.#bounds = bounds;
  }

  /** Bytes that temporary files take up, or may come to take up. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Whether something may be kept that nobody needs: at most half of the space, so that what is needed finds room. */
  hasSpare(bytes: number): boolean {
    return this.#reserved + bytes <= this.#bounds().tempBytes / 2;
  }

  /**
   * @param size bytes that are known to be needed; a file that is written beyond them takes more
   * @throws SociError ERR_SOCI_LIMIT when `size` more bytes would exceed the bound; ERR_SOCI_SOURCE_IO, as for
   *   reading and writing later, when the disk fails
   */
  async create(size = 0): Promise<TemporaryFile> {
    this.take(size);
    let handle: FileHandle | undefined;
    try {
      const path = join(this.#bounds().tempDirectory, `seekable-oci-${randomUUID()}`);
      handle = await open(path, 'wx+', 0o600);
      await unlink(path);
      return new TemporaryFile(this, handle, size);
    } catch (error) {
      this.giveBack(size);
      await handle?.close();
      throw diskError('create', error as NodeJS.ErrnoException);
    }
  }

  /** @internal @throws SociError ERR_SOCI_LIMIT */
  take(bytes: number): void {
    const { tempBytes } = this.#bounds();
    const reserved = this.#reserved;
    if (reserved + bytes > tempBytes) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `a temporary file of ${bytes} bytes beside ${reserved} in use exceeds tempBytes (${tempBytes})`,
        { data: { limit: 'tempBytes', size: bytes, reserved, tempBytes } },
      );
    }
    this.#reserved += bytes;
  }

  /** @internal */
  giveBack(bytes: number): void {
    this.#reserved -= bytes;
  }
}

export class TemporaryFile {
  readonly #space: TemporarySpace;
  readonly #handle: FileHandle;
  #size: number;
  #closed = false;

  /** @internal Use `TemporarySpace.create`. */
  constructor(space: TemporarySpace, handle: FileHandle, size: number) {
    this.#space = space;
    this.#handle = handle;
    this.#size = size;
  }

  /** Bytes that the file was made for, or that it has been written to. */
  get size(): number {
    return this.#size;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const more = Math.max(0, position + bytes.length - this.#size);
    this.#space.take(more);
    this.#size += more;
    for (let at = 0; at < bytes.length; ) {
      const writing = this.#handle.write(bytes, at, bytes.length - at, position + at);
      at += (await writing.catch(cause => Promise.reject(diskError('write', cause)))).bytesWritten;
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    await this.readInto(bytes, position);
    return bytes;
  }

  /** @throws SociError ERR_SOCI_SOURCE_SHORT when so much was not written */
  async readInto(target: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < target.length; ) {
      const reading = this.#handle.read(target, at, target.length - at, position + at);
      const { bytesRead } = await reading.catch(cause => Promise.reject(diskError('read', cause)));
      if (bytesRead === 0) {
        throw new SociError('ERR_SOCI_SOURCE_SHORT', `a temporary file ends at ${position + at}`, {
          data: { offset: position + at },
        });
      }
      at += bytesRead;
    }
  }

  /** Twice is no error. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#space.giveBack(this.#size);
    await this.#handle.close();
  }
}

/** Never as it comes: an ENOENT of the temporary directory would pass for one of the file that is being read. */
function diskError(syscall: string, cause: NodeJS.ErrnoException): SociError {
  const message = `cannot ${syscall} a temporary file: ${cause.message}`;
  return new SociError('ERR_SOCI_SOURCE_IO', message, { data: { syscall, reason: cause.code }, cause });
}
