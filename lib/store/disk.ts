/**
 * The file system as the store sees it: the few calls that it makes, so that a
 * test can give it a disk that is full, fails, tears writes or forgets what was
 * not synced. Paths are absolute; failures are the system's errors.
 */
import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, statfs, unlink, utimes } from 'node:fs/promises';
import { makeFolders } from '../files/folders.js';

export interface DiskStat {
  readonly size: number;
  /** Bytes that are taken up: less than `size` where the file has holes. */
  readonly allocated: number;
  /** Which file it is, as long as it is there. */
  readonly identity: string;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

export interface DiskFile {
  /** For locks; undefined where there are none. */
  readonly descriptor: number | undefined;
  /** Fills `target` from `position`. Returns how much of it the file had. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of it. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** What was written will be there after a power cut. */
  datasync(): Promise<void>;
  stat(): Promise<DiskStat>;
  close(): Promise<void>;
}

/** 'read': what is there. 'update': to read and write, made if need be. 'create': as that, and it must be new. */
export type DiskAccess = 'read' | 'update' | 'create';

export interface Disk {
  /** Regular files only: anything else is an error, and no link is followed. */
  open(path: string, access: DiskAccess): Promise<DiskFile>;
  /** Of a regular file, not what a link points to; undefined when there is none. */
  stat(path: string): Promise<DiskStat | undefined>;
  /** Names in a folder; none when it is not there. */
  names(path: string): Promise<string[]>;
  makeFolder(path: string): Promise<void>;
  /** Replaces what is at `to`. */
  rename(from: string, to: string): Promise<void>;
  /** That there is nothing is no error. */
  remove(path: string): Promise<void>;
  /** Sets the time of modification to now. */
  touch(path: string): Promise<void>;
  /** Names in the folder will be there after a power cut. */
  syncFolder(path: string): Promise<void>;
  /** Bytes of the file system that `path` is in. */
  capacity(path: string): Promise<number>;
}

/** 'sync': what is said to be kept is there after a power cut. */
export type Durability = 'sync' | 'no sync';

/** What is kept is read back on trust in nobody else's having written it. */
const OWNER_ONLY = 0o700;
const FILE_MODE = 0o600;

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = constants;
// O_NONBLOCK: opening a fifo would otherwise wait for a writer, out of reach of any abort. Windows has neither.
const CAREFUL = (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);

const FLAGS: Readonly<Record<DiskAccess, number>> = {
  read: O_RDONLY | CAREFUL,
  update: O_RDWR | O_CREAT | CAREFUL,
  create: O_RDWR | O_CREAT | O_EXCL | CAREFUL,
};

/** The disk that is there. */
export const SYSTEM_DISK: Disk = {
  async open(path, access) {
    const handle = await open(path, FLAGS[access], FILE_MODE);
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw Object.assign(new Error(`${path}: not a regular file`), { code: 'EINVAL' });
      return new SystemFile(handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  },
  async stat(path) {
    const found = await lstat(path, { bigint: true }).catch(absent);
    return found?.isFile() === true ? statOf(found) : undefined;
  },
  async names(path) {
    return (await readdir(path).catch(absent)) ?? [];
  },
  makeFolder: path => makeFolders(path, OWNER_ONLY),
  rename,
  remove: async path => void (await unlink(path).catch(absent)),
  async touch(path) {
    const now = new Date();
    await utimes(path, now, now);
  },
  async syncFolder(path) {
    const folder = await open(path, O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  async capacity(path) {
    const { bsize, blocks } = await statfs(path);
    return bsize * blocks;
  },
};

/** Undefined for what is not there; rejects for everything else. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}

/** st_blocks counts these, whatever the file system's own are (stat(2)). */
const STAT_BLOCK = 512;

function statOf(found: BigIntStats): DiskStat {
  return {
    size: Number(found.size),
    allocated: Number(found.blocks) * STAT_BLOCK,
    identity: `${found.dev}:${found.ino}`,
    modifiedAt: Number(found.mtimeMs),
  };
}

class SystemFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let filled = 0;
    while (filled < target.length) {
      const { bytesRead } = await this.#handle.read(
        target,
        filled,
        target.length - filled,
        position + filled,
      );
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
    }
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  async stat(): Promise<DiskStat> {
    return statOf(await this.#handle.stat({ bigint: true }));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
