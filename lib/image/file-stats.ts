/**
 * What lstat(2) says of an inode of an image, in the shape of node:fs's Stats.
 * A tar has one time, the modification's, which stands for the other three.
 */
import { constants } from 'node:fs';
import { fileError } from '../errors.js';
import type { NodeAttributes } from '../tree/file-tree.js';
import type { NodeKind } from '../tree/node-kind.js';

const BLOCK_SIZE = 4096;

/** The questions that Stats and Dirent of node:fs answer alike. */
export abstract class FileKind {
  readonly #kind: NodeKind;

  constructor(kind: NodeKind) {
    this.#kind = kind;
  }

  isFile(): boolean {
    return this.#kind === 'reg';
  }

  isDirectory(): boolean {
    return this.#kind === 'dir';
  }

  isSymbolicLink(): boolean {
    return this.#kind === 'symlink';
  }

  isCharacterDevice(): boolean {
    return this.#kind === 'char';
  }

  isBlockDevice(): boolean {
    return this.#kind === 'block';
  }

  isFIFO(): boolean {
    return this.#kind === 'fifo';
  }

  isSocket(): boolean {
    return false;
  }
}

export class ImageStats extends FileKind {
  readonly dev = 0;
  /** Type and permissions, as st_mode. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly ino: number;
  readonly size: number;
  readonly blksize: number = BLOCK_SIZE;
  /** Units of 512 bytes; holes count, since what they would save is on no disk. */
  readonly blocks: number;
  readonly mtimeMs: number;

  /** @internal */
  constructor(node: NodeAttributes) {
    super(node.kind);
    this.mode = node.mode;
    this.nlink = node.nlink;
    this.uid = node.uid;
    this.gid = node.gid;
    this.rdev = node.rdev;
    this.ino = node.ino;
    this.size = node.size;
    this.blocks = Math.ceil(node.size / BLOCK_SIZE) * (BLOCK_SIZE / 512);
    this.mtimeMs = node.mtimeSeconds * 1000 + node.mtimeNanoseconds / 1e6;
  }

  get atimeMs(): number {
    return this.mtimeMs;
  }

  get ctimeMs(): number {
    return this.mtimeMs;
  }

  get birthtimeMs(): number {
    return this.mtimeMs;
  }

  get mtime(): Date {
    return new Date(this.mtimeMs);
  }

  get atime(): Date {
    return this.mtime;
  }

  get ctime(): Date {
    return this.mtime;
  }

  get birthtime(): Date {
    return this.mtime;
  }
}

/** A name in a directory, in the shape of node:fs's Dirent. */
export class ImageDirent<Name extends string | Buffer = string> extends FileKind {
  readonly name: Name;
  /** The directory, as it was asked for. */
  readonly parentPath: string;

  /** @internal */
  constructor(name: Name, parentPath: string, kind: NodeKind) {
    super(kind);
    this.name = name;
    this.parentPath = parentPath;
  }
}

/**
 * Whether root may do what node:fs's `mode` says with a file of a read-only file system: it may read everything, and
 * search every directory.
 *
 * @throws SociError EROFS, EACCES
 */
export function checkAccess(stats: ImageStats, mode: number, shown: string): void {
  if ((mode & constants.W_OK) !== 0) throw fileError('EROFS', 'access', shown);
  const executable = stats.isDirectory() || (stats.mode & 0o111) !== 0;
  if ((mode & constants.X_OK) !== 0 && !executable) throw fileError('EACCES', 'access', shown);
}
