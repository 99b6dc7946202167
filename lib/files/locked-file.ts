/**
 * Work that one process at a time does, by the lock of a file that stays where it
 * is. The lock ends with its process, so that nobody is locked out by one that
 * died; where there are no such locks, or the file is another's, there is no turn.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, rm, stat, writeFile } from 'node:fs/promises';
import { lock } from '../posix.js';

/** Makes the file with this content unless it is there: it is never replaced, as its lock is what it is for. */
export async function makeLockFile(path: string, content: string): Promise<void> {
  if ((await stat(path).catch(() => undefined)) !== undefined) return;
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(temporary, content, { flag: 'wx', mode: 0o644 });
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

export class FileTurn {
  readonly #file: FileHandle | undefined;

  private constructor(file: FileHandle | undefined) {
    this.#file = file;
  }

  /** @throws the system's error when the file is not there; the signal's reason */
  static async take(path: string, signal: AbortSignal | undefined): Promise<FileTurn> {
    for (;;) {
      const file = await openToLock(path);
      try {
        if (file === undefined || (await isLocked(file, path, signal))) return new FileTurn(file);
      } catch (error) {
        await file?.close();
        throw error;
      }
      await file.close();
    }
  }

  async end(): Promise<void> {
    await this.#file?.close();
  }
}

/** Undefined for a file that may not be written to: whether its folder may be is for `work` to find out. */
async function openToLock(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    const refusals = ['EACCES', 'EPERM', 'EROFS'];
    if (refusals.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** @returns false if another file has taken its place meanwhile, which others lock */
async function isLocked(file: FileHandle, path: string, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await lock(file.fd, 'exclusive', signal === undefined ? {} : { signal });
  } catch (error) {
    const unsupported = ['ENOSYS', 'EINVAL', 'ENOTSUP', 'EBADF', 'EIO'];
    if (!unsupported.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return true;
  }
  const [own, there] = await Promise.all([file.stat(), stat(path).catch(() => undefined)]);
  return own.dev === there?.dev && own.ino === there.ino;
}
