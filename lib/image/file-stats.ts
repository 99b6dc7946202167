/**
 * What lstat(2) says of an inode of an image, in the shape of node:fs's Stats.
 * A tar has one time, the modification's, which stands for the other three.
 */
import { constants } from 'node:fs';
import { KIND, type Kind } from '../tree/inode-tree.js';

/** Of an inode; `size` in bytes, times in milliseconds. */
export interface InodeFacts {
  readonly kind: Kind;
  /** Permission bits with 04000, 02000 and 01000. */
  readonly permissions: number;
  readonly ino: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly mtimeMs: number;
}

const TYPE_BITS: Readonly<Record<Kind, number>> = {
  [KIND.dir]: constants.S_IFDIR,
  [KIND.reg]: constants.S_IFREG,
  [KIND.symlink]: constants.S_IFLNK,
  [KIND.char]: constants.S_IFCHR,
  [KIND.block]: constants.S_IFBLK,
  [KIND.fifo]: constants.S_IFIFO,
  [KIND.missing]: 0,
};
const BLOCK_SIZE = 4096;

/** The questions that Stats and Dirent of node:fs answer alike. */
export abstract class FileKind {
  readonly #kind: Kind;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  isFile(): boolean {
    return this.#kind === KIND.reg;
  }

  isDirectory(): boolean {
    return this.#kind === KIND.dir;
  }

  isSymbolicLink(): boolean {
    return this.#kind === KIND.symlink;
  }

  isCharacterDevice(): boolean {
    return this.#kind === KIND.char;
  }

  isBlockDevice(): boolean {
    return this.#kind === KIND.block;
  }

  isFIFO(): boolean {
    return this.#kind === KIND.fifo;
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
  constructor(facts: InodeFacts) {
    super(facts.kind);
    this.mode = TYPE_BITS[facts.kind] | facts.permissions;
    this.nlink = facts.nlink;
    this.uid = facts.uid;
    this.gid = facts.gid;
    this.rdev = facts.rdev;
    this.ino = facts.ino;
    this.size = facts.size;
    this.blocks = Math.ceil(facts.size / BLOCK_SIZE) * (BLOCK_SIZE / 512);
    this.mtimeMs = facts.mtimeMs;
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
  constructor(name: Name, parentPath: string, kind: Kind) {
    super(kind);
    this.name = name;
    this.parentPath = parentPath;
  }
}

/** As Linux' makedev(3). Beyond what Linux has (12 and 20 bits) the number says nothing. */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + ((minor >>> 8) & 0xfff) * 2 ** 20;
}
