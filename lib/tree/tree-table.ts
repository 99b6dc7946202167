/**
 * A tree as one buffer, made once and never changed: what JavaScript and native
 * threads read in place, and what can be written to disk and mapped again.
 * Little-endian everywhere. No pointers: names are told by their place.
 *
 *     header   64 bytes: HEADER below
 *     inodes   64 bytes each: INODE below; inode n at byte 64 * n, the root being 1
 *     names    16 bytes each: NAME below; number 0 is the root's, which is empty
 *     strings  names of files, link targets, xattrs
 *
 * Names stand in the order of a walk by breadth: the children of a directory are
 * neighbours, sorted bytewise, directories follow each other as their own names
 * do. Inodes are numbered in the order in which that walk meets them first. So
 * numbers depend on nothing but what the tree shows: on the manifest (its digest)
 * and on the rules by which layers were put together.
 *
 * An xattr in the strings is two uint32, the lengths of its name and its value,
 * and then both; those of an inode are neighbours, sorted bytewise by name.
 */
import { KIND, type Kind, kindOf } from './node-kind.js';
import { NONE, type Walkable } from './path-walk.js';

export const MAGIC = 'SOCITREE';
export const VERSION = 1;
/** As uint32: what a reader of the other byte order sees backwards. */
export const BYTE_ORDER = 0x0a0b0c0d;

export const HEADER_BYTES = 64;
export const HEADER = {
  /** Eight characters. */
  magic: 0,
  version: 8,
  byteOrder: 12,
  inodes: 16,
  names: 20,
  strings: 24,
  /** Layers that `layer` of an inode counts. */
  layers: 28,
} as const;

export const INODE_BYTES = 64;
export const INODE = {
  /** uint16, st_mode; no type bits: a name without a file. */
  mode: 0,
  /** uint16, position of the layer. */
  layer: 2,
  /** Of the layer; NONE for a directory that no layer declares. */
  entry: 4,
  /** uint64; bytes of a file, holes included, or of a link's target. */
  size: 8,
  /** int64, seconds since 1970, and the nanoseconds after them. */
  mtime: 16,
  mtimeNanoseconds: 24,
  uid: 28,
  gid: 32,
  rdev: 36,
  nlink: 40,
  /** The first of its names. */
  name: 44,
  /** Of a directory its first child among the names, of a symbolic link its target in the strings. */
  first: 48,
  /** Children; bytes of the target. */
  count: 52,
  xattrs: 56,
  xattrCount: 60,
} as const;

export const NAME_BYTES = 16;
export const NAME = {
  inode: 0,
  /** The directory's inode; of the root its own. */
  parent: 4,
  start: 8,
  length: 12,
} as const;

/** The root's inode. */
export const ROOT_INODE = 1;
const XATTR_HEAD = 8;

/** Times of an inode. */
export interface Mtime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Questions to a tree. Nothing is checked here: the bytes were, and numbers come out of them. */
export class TreeTable implements Walkable {
  readonly bytes: Uint8Array;
  readonly inodeCount: number;
  readonly nameCount: number;
  readonly #view: DataView;
  readonly #names: number;
  readonly #strings: number;

  /** @param bytes as `freeze` makes them, or `checkTree` has found them good */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.inodeCount = this.#view.getUint32(HEADER.inodes, true);
    this.nameCount = this.#view.getUint32(HEADER.names, true);
    this.#names = HEADER_BYTES + this.inodeCount * INODE_BYTES;
    this.#strings = this.#names + this.nameCount * NAME_BYTES;
  }

  // By inode

  mode(inode: number): number {
    return this.#view.getUint16(inode * INODE_BYTES + INODE.mode, true);
  }

  kindOf(inode: number): Kind {
    return kindOf(this.mode(inode)) as Kind;
  }

  layer(inode: number): number {
    return this.#view.getUint16(inode * INODE_BYTES + INODE.layer, true);
  }

  size(inode: number): number {
    const at = inode * INODE_BYTES + INODE.size;
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }

  mtime(inode: number): Mtime {
    const at = inode * INODE_BYTES + INODE.mtime;
    const seconds = this.#view.getInt32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
    return { seconds, nanoseconds: this.#inode(inode, INODE.mtimeNanoseconds) };
  }

  entry(inode: number): number {
    return this.#inode(inode, INODE.entry);
  }

  uid(inode: number): number {
    return this.#inode(inode, INODE.uid);
  }

  gid(inode: number): number {
    return this.#inode(inode, INODE.gid);
  }

  rdev(inode: number): number {
    return this.#inode(inode, INODE.rdev);
  }

  nlink(inode: number): number {
    return this.#inode(inode, INODE.nlink);
  }

  /** The first of its names. */
  nameOf(inode: number): number {
    return this.#inode(inode, INODE.name);
  }

  /** Of a directory: the first of its children among the names. */
  firstChild(inode: number): number {
    return this.#inode(inode, INODE.first);
  }

  childCount(inode: number): number {
    return this.#inode(inode, INODE.count);
  }

  /** Of a symbolic link, a byte string. */
  linkTarget(inode: number): string {
    return this.#text(this.#inode(inode, INODE.first), this.#inode(inode, INODE.count));
  }

  /** Extended attributes, name and value as byte strings, sorted by name. */
  *xattrs(inode: number): Generator<readonly [name: string, value: string], void, undefined> {
    let at = this.#inode(inode, INODE.xattrs);
    for (let left = this.#inode(inode, INODE.xattrCount); left > 0; left -= 1) {
      const nameLength = this.#view.getUint32(this.#strings + at, true);
      const valueLength = this.#view.getUint32(this.#strings + at + 4, true);
      at += XATTR_HEAD;
      yield [this.#text(at, nameLength), this.#text(at + nameLength, valueLength)];
      at += nameLength + valueLength;
    }
  }

  // By name

  inode(name: number): number {
    return this.#view.getUint32(this.#names + name * NAME_BYTES + NAME.inode, true);
  }

  /** A byte string. */
  text(name: number): string {
    const at = this.#names + name * NAME_BYTES;
    return this.#text(
      this.#view.getUint32(at + NAME.start, true),
      this.#view.getUint32(at + NAME.length, true),
    );
  }

  kind(name: number): Kind {
    return this.kindOf(this.inode(name));
  }

  parent(name: number): number {
    return this.nameOf(this.#view.getUint32(this.#names + name * NAME_BYTES + NAME.parent, true));
  }

  target(name: number): string {
    return this.linkTarget(this.inode(name));
  }

  /** By binary search. */
  child(directory: number, text: string): number {
    const inode = this.inode(directory);
    if (this.kindOf(inode) !== KIND.dir) return NONE;
    let low = this.firstChild(inode);
    let high = low + this.childCount(inode);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#compare(middle, text);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return NONE;
  }

  /** The absolute path of a name, without links, a byte string. */
  path(name: number): string {
    const parts: string[] = [];
    for (let at = name; at !== 0; at = this.parent(at)) parts.push(this.text(at));
    return `/${parts.reverse().join('/')}`;
  }

  #inode(inode: number, field: number): number {
    return this.#view.getUint32(inode * INODE_BYTES + field, true);
  }

  #text(start: number, length: number): string {
    const { buffer, byteOffset } = this.bytes;
    return Buffer.from(buffer, byteOffset + this.#strings + start, length).toString('latin1');
  }

  /** Bytewise: of a name and a byte string. */
  #compare(name: number, text: string): number {
    const at = this.#names + name * NAME_BYTES;
    const start = this.#strings + this.#view.getUint32(at + NAME.start, true);
    const length = this.#view.getUint32(at + NAME.length, true);
    const shorter = Math.min(length, text.length);
    for (let i = 0; i < shorter; i += 1) {
      const difference = (this.bytes[start + i] as number) - text.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return length - text.length;
  }
}
