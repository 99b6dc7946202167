/**
 * Who is at a blob: an empty file beside it, in which everybody locks the byte of
 * what he does (open file description locks, which end with their process) and
 * whose time of modification is when the blob was last used. Locks only save
 * work: without them, where there are none, blocks are fetched twice, and what is
 * in use is evicted like all else.
 */
import { dirname } from 'node:path';
import { SociError } from '../errors.js';
import { type LockMode, type LockRange, lockInTheWay, tryLock, unlock } from '../posix.js';
import type { BlockRun } from './block-journal.js';
import type { Disk, DiskFile } from './disk.js';

/** Bytes of the file that are locked; from CLAIMS on there is one for each block. */
const BYTE = { use: 0, pin: 1, proof: 2, writing: 3 } as const;
const CLAIMS = 4096;

export type BlobActivity = keyof typeof BYTE;

/** Between two writings of the time of use. */
const TOUCH_INTERVAL_MS = 60_000;
/** A file that is removed while it is locked is made anew so often. */
const MAX_ATTEMPTS = 8;

export class BlobUse {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: DiskFile;
  /** Blocks that are claimed through this file, whose own locks are never in its way. */
  readonly #claimed = new Set<BlockRun>();
  /** How often an activity was begun and not ended. */
  readonly #counts = new Map<BlobActivity, number>();
  #touchedAt = Number.NEGATIVE_INFINITY;

  private constructor(disk: Disk, path: string, file: DiskFile) {
    this.#disk = disk;
    this.#path = path;
    this.#file = file;
  }

  /** Undefined where the file can neither be made nor opened. */
  static async open(disk: Disk, path: string): Promise<BlobUse | undefined> {
    // A store that can only be read can be read all the same, and shared locks need no more.
    const file =
      (await disk.open(path, 'update').catch(() => undefined)) ??
      (await disk.open(path, 'read').catch(() => undefined));
    return file && new BlobUse(disk, path, file);
  }

  /** Opens the file and begins `activity`; undefined where that cannot be. */
  static async begin(disk: Disk, path: string, activity: BlobActivity): Promise<BlobUse | undefined> {
    await disk.makeFolder(dirname(path)).catch(() => undefined);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const use = await BlobUse.open(disk, path);
      if (use?.start(activity) && (await use.#isCurrent())) return use;
      await use?.close();
      if (use === undefined) return undefined;
    }
    return undefined;
  }

  /** Begins what others may do at the same time. @returns false if somebody wants to be alone with it */
  start(activity: BlobActivity): boolean {
    if (!this.#lock('shared', rangeOf(activity))) return false;
    this.#counts.set(activity, (this.#counts.get(activity) ?? 0) + 1);
    return true;
  }

  end(activity: BlobActivity): void {
    const left = (this.#counts.get(activity) ?? 0) - 1;
    this.#counts.set(activity, left);
    if (left === 0) this.#unlock(rangeOf(activity));
  }

  /**
   * Does `work` while nobody else is at `activity`.
   *
   * @returns false if somebody is, and nothing was done
   */
  async alone(activity: BlobActivity, work: () => Promise<void>): Promise<boolean> {
    if (!this.#lock('exclusive', rangeOf(activity))) return false;
    try {
      await work();
    } finally {
      if ((this.#counts.get(activity) ?? 0) > 0) this.#lock('shared', rangeOf(activity));
      else this.#unlock(rangeOf(activity));
    }
    return true;
  }

  /** Those of the blocks that nobody else is fetching, which are claimed now, and the others. */
  claim(run: BlockRun): { claimed: BlockRun[]; others: BlockRun[] } {
    const claimed: BlockRun[] = [];
    const others: BlockRun[] = [];
    for (let { first } = run; first < run.end; ) {
      const { free, taken } = this.#nextFree(first, run.end);
      if (taken !== undefined) others.push(taken);
      else if (this.#lock('exclusive', lockOf(free))) {
        this.#claimed.add(free);
        claimed.push(free);
      }
      // Between asking and locking another came.
      else others.push(free);
      first = (taken ?? free).end;
    }
    return { claimed, others };
  }

  release(claimed: readonly BlockRun[]): void {
    for (const run of claimed) {
      this.#claimed.delete(run);
      this.#unlock(lockOf(run));
    }
  }

  /** Remembers that the blob was used now. A store that cannot be written to forgets, and that is all. */
  async touch(): Promise<void> {
    const now = performance.now();
    if (now - this.#touchedAt < TOUCH_INTERVAL_MS) return;
    this.#touchedAt = now;
    await this.#disk.touch(this.#path).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }

  async #isCurrent(): Promise<boolean> {
    const [own, there] = await Promise.all([this.#file.stat(), this.#disk.stat(this.#path)]);
    return own.identity === there?.identity;
  }

  /** The blocks from `first` on that are claimed by nobody, or those that are. */
  #nextFree(first: number, end: number): { free: BlockRun; taken?: BlockRun } {
    // The system names any lock that is in the way, not the first one.
    for (let free = { first, end }; ; ) {
      const found = this.#claimInTheWay(free);
      if (found === undefined) return { free };
      if (found.first <= first) return { free, taken: { first, end: Math.min(found.end, end) } };
      free = { first, end: found.first };
    }
  }

  #claimInTheWay(run: BlockRun): BlockRun | undefined {
    for (const own of this.#claimed) if (own.first < run.end && own.end > run.first) return own;
    const found = this.#find(lockOf(run));
    if (found === undefined) return undefined;
    const first = found.start - CLAIMS;
    return { first, end: found.length === 0 ? Number.POSITIVE_INFINITY : first + found.length };
  }

  #lock(mode: LockMode, range: LockRange): boolean {
    const { descriptor } = this.#file;
    if (descriptor === undefined) return true;
    return withoutLocks(true, () => tryLock(descriptor, mode, range));
  }

  #find(range: LockRange): LockRange | undefined {
    const { descriptor } = this.#file;
    if (descriptor === undefined) return undefined;
    return withoutLocks(undefined, () => lockInTheWay(descriptor, 'exclusive', range));
  }

  #unlock(range: LockRange): void {
    const { descriptor } = this.#file;
    if (descriptor === undefined) return;
    withoutLocks(undefined, () => unlock(descriptor, range));
  }
}

function lockOf({ first, end }: BlockRun): LockRange {
  return { start: CLAIMS + first, length: end - first };
}

function rangeOf(activity: BlobActivity): LockRange {
  return { start: BYTE[activity], length: 1 };
}

/** What `work` gives; `otherwise` where the system or the file system has no such locks, or the file is only read. */
function withoutLocks<T>(otherwise: T, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const unsupported = ['ENOSYS', 'EINVAL', 'ENOTSUP', 'EBADF', 'EIO'];
    if (error instanceof SociError && unsupported.includes(error.code)) return otherwise;
    throw error;
  }
}
