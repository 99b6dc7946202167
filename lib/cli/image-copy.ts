/**
 * Copies a file or a tree out of an image. Directories first, then files, a few
 * at a time, then further names of the same file, then symbolic links: no link of
 * the image exists while anything is written that could go through it.
 */

import { runBounded } from '../async/bounded-tasks.js';
import type { Image, ImagePath, ImageStats } from '../index.js';
import { typeOf } from './file-entry.js';
import { printableName } from './printable.js';
import {
  childPath,
  finishDirectory,
  type KeptStats,
  makeDirectory,
  writeFile,
  writeHardLink,
  writeSymbolicLink,
} from './tree-writer.js';

const SETID = 0o6000;
/** Files read at the same time: enough to hide the round trips of small ones. */
const CONCURRENCY = 8;

export interface CopyCounts {
  files: number;
  directories: number;
  links: number;
  bytes: number;
  /** Files and directories that have set-user-ID or set-group-ID in the image and not here. */
  withoutSetid: number;
}

export interface CopyOptions {
  /** Keep set-user-ID and set-group-ID bits, which mean the user that owns the copy. Default false. */
  readonly preserveSetid: boolean;
  /** Give everything its owner, and so its set-id bits too. Default false: whoever copies owns it. */
  readonly sameOwner: boolean;
}

export interface SkippedFile {
  readonly path: string;
  readonly reason: string;
}

export interface CopyProgress {
  /** Bytes of files written so far, of all that there are. */
  bytes(done: number, total: number): void;
  skipped(file: SkippedFile): void;
}

interface Found {
  readonly source: Buffer;
  readonly target: Buffer;
  readonly stats: ImageStats;
}

const SKIP_REASON = {
  char: 'character device',
  block: 'block device',
  fifo: 'fifo',
  missing: 'hard link to a file that is not in the image',
} as const;

export class ImageCopy {
  readonly counts: CopyCounts = { files: 0, directories: 0, links: 0, bytes: 0, withoutSetid: 0 };
  readonly #image: Image;
  readonly #options: CopyOptions;
  readonly #progress: CopyProgress;
  readonly #signal: AbortSignal;
  readonly #directories: Found[] = [];
  readonly #files: Found[] = [];
  readonly #symbolicLinks: Found[] = [];
  /** Further names, with the place of the first one. */
  readonly #hardLinks: { readonly target: Buffer; readonly first: Buffer }[] = [];
  readonly #firstNames = new Map<number, Buffer>();
  #total = 0;

  constructor(image: Image, progress: CopyProgress, options: CopyOptions, signal: AbortSignal) {
    this.#image = image;
    this.#options = options;
    this.#progress = progress;
    this.#signal = signal;
  }

  /** Copies what `path` leads to, links at its end followed, to `target`, which is a place and not a folder around it. */
  async run(path: ImagePath, target: Buffer): Promise<void> {
    const source = await this.#image.realpath(path, { encoding: 'buffer', signal: this.#signal });
    const stats = await this.#image.lstat(source, { signal: this.#signal });
    if (stats.isDirectory()) {
      await this.#directory({ source, target, stats });
    } else {
      // Throws for what is no regular file.
      await this.#image.explain(source, { signal: this.#signal });
      this.#file({ source, target, stats });
    }
    await this.#writeAll();
  }

  async #directory(found: Found): Promise<void> {
    const { source, target } = found;
    if (await makeDirectory(target)) this.#directories.push(found);
    this.counts.directories++;
    for (const name of await this.#image.readdir(source, { encoding: 'buffer', signal: this.#signal })) {
      const inside = source.at(-1) === 0x2f ? source : Buffer.concat([source, Buffer.from('/')]);
      await this.#entry(Buffer.concat([inside, name]), childPath(target, name));
    }
  }

  async #entry(source: Buffer, target: Buffer): Promise<void> {
    let stats: ImageStats;
    try {
      stats = await this.#image.lstat(source, { signal: this.#signal });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#skip(source, 'missing');
      return;
    }
    const found = { source, target, stats };
    const type = typeOf(stats);
    if (type === 'dir') await this.#directory(found);
    else if (type === 'reg') this.#file(found);
    else if (type === 'symlink') this.#symbolicLinks.push(found);
    else this.#skip(source, type);
  }

  #file(found: Found): void {
    const { target, stats } = found;
    const first = this.#firstNames.get(stats.ino);
    if (first !== undefined) {
      this.#hardLinks.push({ target, first });
      return;
    }
    if (stats.nlink > 1) this.#firstNames.set(stats.ino, target);
    this.#files.push(found);
    this.#total += stats.size;
  }

  #skip(source: Buffer, type: keyof typeof SKIP_REASON | 'missing'): void {
    this.#progress.skipped({ path: printableName(source), reason: SKIP_REASON[type] });
  }

  async #writeAll(): Promise<void> {
    await runBounded(this.#files, CONCURRENCY, this.#signal, async ({ source, target, stats }, signal) => {
      await writeFile(target, this.#kept(stats), this.#content(source, signal));
      this.counts.files++;
    });
    for (const { target, first } of this.#hardLinks) {
      this.#signal.throwIfAborted();
      await writeHardLink(target, first);
      this.counts.files++;
    }
    for (const { source, target, stats } of this.#symbolicLinks) {
      this.#signal.throwIfAborted();
      await writeSymbolicLink(
        target,
        await this.#image.readlink(source, { encoding: 'buffer', signal: this.#signal }),
        this.#kept(stats),
      );
      this.counts.links++;
    }
    // The deepest first: what is done in a directory changes its time.
    const tree = await this.#image.tree({ signal: this.#signal });
    for (const { target, stats } of this.#directories.reverse()) {
      const kept = this.#kept(stats);
      await finishDirectory(target, tree.isImplied(stats.ino) ? { ...kept, mtimeMs: undefined } : kept);
    }
  }

  /** Set-user-ID and set-group-ID would now mean another user: dropped, as cp(1) does when owners change. */
  #kept({ mode, mtimeMs, uid, gid }: ImageStats): KeptStats {
    const { preserveSetid, sameOwner } = this.#options;
    const keep = preserveSetid || sameOwner;
    if (!keep && (mode & SETID) !== 0) this.counts.withoutSetid++;
    const owner = sameOwner ? { uid, gid } : undefined;
    return { mode: mode & 0o7777 & (keep ? 0o7777 : ~SETID), mtimeMs, owner };
  }

  async *#content(source: Buffer, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#image.createReadStream(source, { signal })) {
      this.counts.bytes += (chunk as Buffer).length;
      this.#progress.bytes(this.counts.bytes, this.#total);
      yield chunk as Buffer;
    }
  }
}
