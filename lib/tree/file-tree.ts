/**
 * A tree by inode: everything that a front end needs which works with inodes, as
 * a file system of the kernel or of a virtual machine does.
 *
 * The model is that of Unix (inode(7)). A node is a directory, a file, a link, a
 * device: it has attributes and a number, its inode. Names are not part of it;
 * they stand in directories, each with the number of its node. A directory has
 * one name, other nodes may have several (hard links), all with one number.
 *
 * - The tree never changes. A number means the same node for as long as the tree
 *   lives, and in every other process that opens the same image with the same
 *   rules: numbers depend on the image's manifest and on those rules alone. There
 *   is nothing to forget and nothing to expire; all answers may be cached for ever.
 * - The root is 1 (`root`), the others follow without gaps up to `nodeCount`.
 *   What is no such number is refused with ERR_SOCI_INVALID_ARGUMENT.
 * - Names, targets and xattrs are bytes. A string that is given is taken as UTF-8.
 * - '.' and '..' are in no listing; `parent` answers for the latter.
 * - Nothing is looked up by path, and no link is followed: the front end's kernel
 *   does both.
 * - A node of kind 'missing' is a hard link to what is in no layer: it can be
 *   listed, and nothing else; opening such a name fails with ENOENT.
 * - Everything but `readInto` answers at once, from memory. Bytes of files come
 *   through the spans of their layers: fetched, checked, decoded, shared.
 */

import { checkInteger } from '../arguments.js';
import { fileError, invalidArgument, SociError } from '../errors.js';
import type { LayerEntries } from '../layer/layer-entries.js';
import type { ReadOptions } from '../source/range-source.js';
import { toByteString } from '../tar/byte-string.js';
import type { LayerNote } from './layer-note.js';
import { KIND, KIND_NAMES, KIND_TEXT, type NodeKind } from './node-kind.js';
import { NONE } from './path-walk.js';
import { ReadLog } from './read-log.js';
import { ROOT_INODE, type TreeTable } from './tree-table.js';

export interface NodeAttributes {
  readonly ino: number;
  readonly kind: NodeKind;
  /** As st_mode: type and permissions, with 04000, 02000 and 01000. */
  readonly mode: number;
  /** Names; of a directory 2 and one for each directory in it. */
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a device, as makedev(3) on Linux. */
  readonly rdev: number;
  /** Bytes of a file, holes included, or of a link's target. */
  readonly size: number;
  /** Seconds since 1970, which may be negative, and the nanoseconds after them. A tar has no other time. */
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
}

/** A name in a directory. */
export interface NodeName {
  readonly name: Buffer;
  readonly ino: number;
  readonly kind: NodeKind;
  /** Where a listing goes on behind this name. */
  readonly cookie: number;
}

/** Where a file's bytes are. */
export interface NodeFile {
  readonly layer: LayerEntries;
  readonly entry: number;
}

export class FileTree {
  readonly root = ROOT_INODE;
  /** @internal */
  readonly table: TreeTable;
  /** Where the layers can be read in more than one way, at most 1000 places. */
  readonly notes: readonly LayerNote[];
  /** @internal What is read of files, here and by path. */
  readonly readLog = new ReadLog();
  readonly #layers: readonly LayerEntries[];

  /** @internal Use `Image.tree` or `Layer.tree`. */
  constructor(table: TreeTable, layers: readonly LayerEntries[], notes: readonly LayerNote[] = []) {
    this.table = table;
    this.notes = notes;
    this.#layers = layers;
  }

  /** Nodes, and so the highest number. */
  get nodeCount(): number {
    return this.table.inodeCount;
  }

  /** The node of a name in a directory; undefined when there is none. @throws SociError ENOTDIR */
  lookup(directory: number, name: string | Uint8Array): number | undefined {
    this.#checkDirectory(directory, 'lookup');
    const text = toByteString(typeof name === 'string' ? Buffer.from(name) : name);
    const found = this.table.child(this.table.nameOf(directory), text);
    return found === NONE ? undefined : this.table.inode(found);
  }

  /** The directory that a directory is in; the root's is the root. @throws SociError ENOTDIR */
  parent(directory: number): number {
    this.#checkDirectory(directory, 'lookup');
    return this.table.inode(this.table.parent(this.table.nameOf(directory)));
  }

  attributes(ino: number): NodeAttributes {
    this.#check(ino);
    const { table } = this;
    const { seconds, nanoseconds } = table.mtime(ino);
    return {
      ino,
      kind: this.#kind(ino),
      mode: table.mode(ino),
      nlink: table.nlink(ino),
      uid: table.uid(ino),
      gid: table.gid(ino),
      rdev: table.rdev(ino),
      size: table.size(ino),
      mtimeSeconds: seconds,
      mtimeNanoseconds: nanoseconds,
    };
  }

  /** Whether a directory is only there because something is in it: no layer says a mode, an owner or a time of it. */
  isImplied(ino: number): boolean {
    this.#check(ino);
    return this.table.kindOf(ino) === KIND.dir && this.table.entry(ino) === NONE;
  }

  /**
   * The names in a directory, sorted bytewise: at most `limit`, from behind the one that had `cookie`. 0 is the
   * start; fewer than `limit` are the end.
   *
   * @throws SociError ENOTDIR
   */
  readdir(directory: number, cookie = 0, limit = Number.MAX_SAFE_INTEGER): NodeName[] {
    this.#checkDirectory(directory, 'readdir');
    checkInteger('cookie', cookie, 0);
    checkInteger('limit', limit, 0);
    const { table } = this;
    const first = table.firstChild(directory);
    const count = table.childCount(directory);
    const names: NodeName[] = [];
    for (let at = cookie; at < count && names.length < limit; at += 1) {
      const ino = table.inode(first + at);
      const name = Buffer.from(table.text(first + at), 'latin1');
      names.push({ name, ino, kind: this.#kind(ino), cookie: at + 1 });
    }
    return names;
  }

  /** The target of a symbolic link as it is written. @throws SociError EINVAL */
  readlink(ino: number): Buffer {
    this.#check(ino);
    if (this.table.kindOf(ino) !== KIND.symlink) throw fileError('EINVAL', 'readlink', `inode ${ino}`);
    return Buffer.from(this.table.linkTarget(ino), 'latin1');
  }

  /** Extended attributes by name, as tars in PAX form hold them (SCHILY.xattr.*). */
  xattrs(ino: number): Map<string, Buffer> {
    this.#check(ino);
    const all = new Map<string, Buffer>();
    for (const [name, value] of this.table.xattrs(ino)) {
      all.set(Buffer.from(name, 'latin1').toString(), Buffer.from(value, 'latin1'));
    }
    return all;
  }

  /** One extended attribute; undefined when there is none. */
  xattr(ino: number, name: string | Uint8Array): Buffer | undefined {
    this.#check(ino);
    const wanted = toByteString(typeof name === 'string' ? Buffer.from(name) : name);
    for (const [found, value] of this.table.xattrs(ino)) {
      if (found === wanted) return Buffer.from(value, 'latin1');
    }
    return undefined;
  }

  /**
   * Fills `target` from `offset` of a file, and returns how many bytes that were: fewer than there is room for only
   * where the file ends. The first read of a file holds its tar header against the ztoc.
   *
   * @throws SociError EISDIR; EINVAL for what is no regular file; ENOENT for 'missing';
   *   ERR_SOCI_TAR_HEADER_MISMATCH; ERR_SOCI_TREE_FORMAT; ERR_SOCI_CLOSED; what reading spans throws (see SpanReader); the signal's reason
   */
  async readInto(
    ino: number,
    offset: number,
    target: Uint8Array,
    options: ReadOptions = {},
  ): Promise<number> {
    const { layer, entry } = this.file(ino);
    checkInteger('offset', offset, 0);
    options.signal?.throwIfAborted();
    const length = Math.max(0, Math.min(target.length, this.table.size(ino) - offset));
    this.readLog.note(ino, offset, offset + length);
    if (length > 0) await layer.readInto(entry, target.subarray(0, length), offset, options);
    return length;
  }

  /** @internal Where a regular file's bytes are. Errors as for `readInto`. */
  file(ino: number): NodeFile {
    this.#check(ino);
    const kind = this.#kind(ino);
    if (kind !== 'reg') {
      const code = kind === 'dir' ? 'EISDIR' : kind === 'missing' ? 'ENOENT' : 'EINVAL';
      const detail = code === 'EINVAL' ? `not a regular file but a ${KIND_TEXT[kind]}` : undefined;
      throw fileError(code, 'read', `inode ${ino}`, detail);
    }
    const layer = this.layer(ino);
    const entry = this.table.entry(ino);
    const size = this.table.size(ino);
    const isFile = entry < layer.ztoc.entryCount && layer.ztoc.typeOf(entry) === 'reg';
    if (isFile && layer.size(entry) === size) return { layer, entry };
    // A tree may come from a disk. The table of contents is held against the tar, and so is what the tree makes of it.
    const expected = isFile ? `a file of ${layer.size(entry)} bytes` : 'no file';
    throw new SociError(
      'ERR_SOCI_TREE_FORMAT',
      `inode ${ino}: expected ${expected}, as the table of contents says, found one of ${size} bytes`,
      { data: { ino, entry, size } },
    );
  }

  /** @internal The layer that an inode's entry is of. */
  layer(ino: number): LayerEntries {
    return this.#layers[this.table.layer(ino)] as LayerEntries;
  }

  #kind(ino: number): NodeKind {
    return KIND_NAMES[this.table.kindOf(ino)] as NodeKind;
  }

  #check(ino: number): void {
    if (Number.isSafeInteger(ino) && ino >= ROOT_INODE && ino <= this.nodeCount) return;
    throw invalidArgument('ino', `an inode of 1 to ${this.nodeCount}`, ino);
  }

  #checkDirectory(ino: number, syscall: string): void {
    this.#check(ino);
    if (this.table.kindOf(ino) !== KIND.dir) throw fileError('ENOTDIR', syscall, `inode ${ino}`);
  }
}
