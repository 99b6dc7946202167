/**
 * A directory that is there whole or not at all: what is in it is written beside it,
 * as NAME.partial-…, and renamed at the end. A locked file beside that one says that
 * somebody is at it; the lock ends with its process, so what is not locked was left
 * behind, and goes with the next one that writes there.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SociError } from '../errors.js';
import { worded } from '../files/atomic-file.js';
import { makeFolders } from '../files/folders.js';
import { tryLock } from '../posix.js';
import { removeTree } from './tree-removal.js';

const PARTIAL = /\.partial-[0-9a-f]{16}$/;
const LOCK = '.lock';
/** A lock that somebody takes for a left one is made anew so often. */
const MAX_ATTEMPTS = 8;
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

export class PartialDirectory {
  /** Where it will be. */
  readonly path: string;
  /** Where it is written. */
  readonly partial: string;
  readonly #lock: FileHandle;
  #settled = false;

  private constructor(path: string, partial: string, lock: FileHandle) {
    this.path = path;
    this.partial = partial;
    this.#lock = lock;
  }

  /**
   * @param path nothing, or an empty directory
   * @throws SociError ERR_SOCI_OUTPUT
   */
  static async create(path: string): Promise<PartialDirectory> {
    const full = resolve(path);
    return await worded(full, { code: 'ERR_SOCI_OUTPUT' }, async () => {
      await checkVacant(full);
      await makeFolders(dirname(full));
      await removeLeftOvers(full);
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const partial = `${full}.partial-${randomBytes(8).toString('hex')}`;
        const lock = await open(partial + LOCK, 'wx+', 0o600);
        if (isLocked(lock) && (await isSame(lock, partial + LOCK))) {
          await mkdir(partial, { mode: 0o700 });
          return new PartialDirectory(full, partial, lock);
        }
        await lock.close();
      }
      throw new SociError('ERR_SOCI_OUTPUT', `${full}: ${MAX_ATTEMPTS} locks were taken away by others`);
    });
  }

  /** A descriptor of a directory in it, which is made if need be; '' is itself. */
  async open(name = ''): Promise<FileHandle> {
    const path = join(this.partial, name);
    return await worded(this.path, { code: 'ERR_SOCI_OUTPUT' }, async () => {
      if (name !== '') await mkdir(path, { mode: 0o755 });
      return await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    });
  }

  /** Puts a document into it. */
  async write(name: string, text: string): Promise<void> {
    await worded(this.path, { code: 'ERR_SOCI_OUTPUT' }, async () => {
      const file = await open(join(this.partial, name), 'wx', 0o644);
      try {
        await file.writeFile(text);
        await file.datasync();
      } finally {
        await file.close();
      }
    });
  }

  /**
   * It is complete.
   *
   * @param sync what is in it is on the disk already, and its name shall be
   * @throws SociError ERR_SOCI_OUTPUT when something is there meanwhile
   */
  async commit({ sync }: { readonly sync: boolean }): Promise<void> {
    await worded(this.path, { code: 'ERR_SOCI_OUTPUT' }, async () => {
      await rename(this.partial, this.path);
      this.#settled = true;
      if (sync) await syncFolder(dirname(this.path));
    });
    await this.#unlock();
  }

  /** Removes what was written, unless it was committed; what cannot be removed is left to the next one, by its lock. */
  async discard(): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    const removed = await removeTree(this.partial).then(
      () => true,
      () => false,
    );
    if (removed) await this.#unlock();
    else await this.#lock.close().catch(() => {});
  }

  async #unlock(): Promise<void> {
    await rm(this.partial + LOCK, { force: true }).catch(() => {});
    await this.#lock.close().catch(() => {});
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, O_RDONLY | O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function checkVacant(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  const names = found.isDirectory() ? await readdir(path) : undefined;
  if (names?.length === 0) return;
  const what = names === undefined ? 'something that is no directory' : `${names.length} names in it`;
  throw new SociError('ERR_SOCI_OUTPUT', `${path}: expected nothing or an empty directory, found ${what}`, {
    data: { path, reason: names === undefined ? 'ENOTDIR' : 'ENOTEMPTY' },
  });
}

/** Where there are no locks nobody can tell what is left, so nothing is removed. */
function isLocked(lock: FileHandle): boolean {
  try {
    return tryLock(lock.fd, 'exclusive');
  } catch (error) {
    if (error instanceof SociError && error.code === 'ENOSYS') return true;
    throw error;
  }
}

async function isSame(lock: FileHandle, path: string): Promise<boolean> {
  const [held, there] = await Promise.all([lock.stat(), stat(path).catch(() => undefined)]);
  return held.ino === there?.ino && held.dev === there.dev;
}

/** Of our own only: nobody may have us remove what is somebody else's. */
async function removeLeftOvers(path: string): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)];
  const names = await readdir(folder);
  const partial = names
    .map(each => (each.endsWith(LOCK) ? each.slice(0, -LOCK.length) : each))
    .filter(each => PARTIAL.test(each) && each.replace(PARTIAL, '') === name);
  for (const each of new Set(partial)) {
    const left = join(folder, each);
    const owner = (await lstat(left + LOCK).catch(() => undefined))?.uid;
    if (owner === undefined || owner !== process.geteuid?.()) continue;
    const lock = await open(left + LOCK, constants.O_RDWR | O_NOFOLLOW).catch(() => undefined);
    try {
      if (lock === undefined || !tryLock(lock.fd, 'exclusive')) continue;
      await removeTree(left);
      await rm(left + LOCK, { force: true });
    } catch {
      // It is left for the next one.
    } finally {
      await lock?.close();
    }
  }
}
