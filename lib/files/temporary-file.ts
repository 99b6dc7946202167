/**
 * A temporary file that only this process can reach: created exclusively,
 * readable by its owner alone, and unlinked at once, so that it vanishes with
 * its handle however the process ends. All of them together are bounded.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SociError } from '../errors.js';
import { settings } from '../span/settings.js';

let reserved = 0;

/** Bytes that temporary files take up, or may come to take up. */
export function tempBytesReserved(): number {
  return reserved;
}

export class TempFile {
  readonly #handle: FileHandle;
  readonly size: number;
  #closed = false;

  private constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  /**
   * @throws SociError ERR_SOCI_LIMIT when `size` more bytes would exceed the setting `tempBytes`;
   *   ERR_SOCI_SOURCE_IO, as for reading and writing later, when the disk fails
   */
  static async create(size: number): Promise<TempFile> {
    const { tempBytes, tempDirectory } = settings();
    if (reserved + size > tempBytes) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `a temporary file of ${size} bytes beside ${reserved} in use exceeds tempBytes (${tempBytes})`,
        { data: { limit: 'tempBytes', size, reserved, tempBytes } },
      );
    }
    reserved += size;
    let handle: FileHandle | undefined;
    try {
      const path = join(tempDirectory, `seekable-oci-${randomUUID()}`);
      handle = await open(path, 'wx+', 0o600);
      await unlink(path);
      return new TempFile(handle, size);
    } catch (error) {
      reserved -= size;
      await handle?.close();
      throw diskError('create', error as NodeJS.ErrnoException);
    }
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const writing = this.#handle.write(bytes, at, bytes.length - at, position + at);
      at += (await writing.catch(cause => Promise.reject(diskError('write', cause)))).bytesWritten;
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const reading = this.#handle.read(bytes, at, length - at, position + at);
      const { bytesRead } = await reading.catch(cause => Promise.reject(diskError('read', cause)));
      if (bytesRead === 0) {
        throw new SociError('ERR_SOCI_SOURCE_SHORT', `a temporary file ends at ${position + at}`, {
          data: { offset: position + at },
        });
      }
      at += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    reserved -= this.size;
    await this.#handle.close();
  }
}

/** Never as it comes: an ENOENT of the temporary directory would pass for one of the file that is being read. */
function diskError(syscall: string, cause: NodeJS.ErrnoException): SociError {
  const message = `cannot ${syscall} a temporary file: ${cause.message}`;
  return new SociError('ERR_SOCI_SOURCE_IO', message, { data: { syscall, reason: cause.code }, cause });
}
