/**
 * Questions to the merged tree that need no byte of any layer: what a path leads
 * to, what is there, what is in it. Paths are the caller's, with `/` the image's
 * root whether they begin with one or not; names may be any bytes.
 */
import { setImmediate } from 'node:timers/promises';
import { type FileErrorCode, fileError, invalidArgument, type SociError } from '../errors.js';
import { deviceNumber, ImageDirent, ImageStats } from '../image/file-stats.js';
import type { LayerEntries } from '../layer/layer-entries.js';
import { toByteString } from '../tar/byte-string.js';
import type { TocEntry } from '../tar/entry.js';
import { type InodeOrigin, InodeTree, KIND, type Kind, NONE, ROOT } from './inode-tree.js';
import { Overlay } from './overlay.js';
import { walkPath } from './path-walk.js';

/** A string is taken as UTF-8. */
export type ImagePath = string | Uint8Array;

/** How names come back: as text, or as they are in the image. */
export type NameEncoding = BufferEncoding | 'buffer';

/** A regular file of the tree. */
export interface FilePlace {
  /** Position of the layer in the image. */
  readonly layer: number;
  readonly entry: number;
  readonly size: number;
}

/** Entries applied between two turns of the event loop: a few milliseconds. */
const SLICE = 4096;
const XATTR = 'SCHILY.xattr.';
const READ_ONLY_WRITE = 2;
const EXECUTE = 1;

export class MergedTree {
  readonly #tree: InodeTree;
  readonly #layers: readonly LayerEntries[];

  /** @throws SociError ERR_SOCI_LIMIT for more than `maxNames` names */
  static async of(
    layers: readonly LayerEntries[],
    maxNames: number,
    signal: AbortSignal,
  ): Promise<MergedTree> {
    const tree = new InodeTree(maxNames);
    const overlay = new Overlay(tree);
    for (const { ztoc } of layers) {
      for (const _ of overlay.applyInSlices(ztoc, SLICE)) {
        await setImmediate();
        signal.throwIfAborted();
      }
    }
    return new MergedTree(tree, layers);
  }

  private constructor(tree: InodeTree, layers: readonly LayerEntries[]) {
    this.#tree = tree;
    this.#layers = layers;
  }

  /** Bytes of memory that the tree takes, tables of contents not counted. */
  get bytes(): number {
    return this.#tree.bytes;
  }

  /** The node at a path. @throws SociError ENOENT, ENOTDIR, ELOOP */
  lookup(path: ImagePath, followLast: boolean, syscall: string): number {
    const text = pathText(path);
    const found =
      text === '' ? 'ENOENT' : walkPath(this.#tree, text, { followLast, readLink: this.#readLink });
    if (typeof found !== 'number') throw this.#error(found, syscall, path);
    const kind = this.kind(found);
    if (kind === KIND.missing) throw this.#brokenLink(found, syscall, path);
    return found;
  }

  /** A file that can be read. @throws SociError also EISDIR; EINVAL for what is no regular file */
  file(path: ImagePath, syscall: string): FilePlace {
    const node = this.lookup(path, true, syscall);
    const kind = this.kind(node);
    if (kind === KIND.dir) throw this.#error('EISDIR', syscall, path);
    if (kind !== KIND.reg) {
      throw this.#error('EINVAL', syscall, path, `not a regular file but a ${SPECIAL[kind]}`);
    }
    const { layer, entry } = this.#origin(node);
    return { layer, entry, size: this.#layer(layer).size(entry) };
  }

  /** A directory. @throws SociError also ENOTDIR */
  directory(path: ImagePath, syscall: string): number {
    const node = this.lookup(path, true, syscall);
    if (this.kind(node) !== KIND.dir) throw this.#error('ENOTDIR', syscall, path);
    return node;
  }

  kind(node: number): Kind {
    return this.#tree.kind(this.#tree.inode(node));
  }

  stats(node: number): ImageStats {
    const { kind, layer } = this.#origin(node);
    const entry = this.#entry(node);
    const nlink = this.#tree.links(node);
    const ino = this.#tree.inode(node) + 1;
    if (entry === undefined) {
      // As containerd makes the directories that a layer leaves out.
      return new ImageStats({
        ...{ kind, ino, nlink },
        ...{ permissions: 0o755, uid: 0, gid: 0, rdev: 0, size: 0, mtimeMs: 0 },
      });
    }
    const { fields } = entry;
    const device = kind === KIND.char || kind === KIND.block;
    return new ImageStats({
      kind,
      permissions: fields.mode & 0o7777,
      ino,
      nlink,
      uid: fields.uid,
      gid: fields.gid,
      rdev: device ? deviceNumber(fields.devmajor, fields.devminor) : 0,
      size:
        kind === KIND.reg
          ? this.#layer(layer).size(this.#origin(node).entry)
          : kind === KIND.symlink
            ? fields.linkname.length
            : 0,
      mtimeMs: entry.mtimeMs,
    });
  }

  /** @throws SociError EACCES for a file without any execute bit, EROFS for writing */
  access(path: ImagePath, mode: number): void {
    const node = this.lookup(path, true, 'access');
    if ((mode & READ_ONLY_WRITE) !== 0) throw this.#error('EROFS', 'access', path);
    // As root sees it, who may read everything, and search every directory.
    const executable = this.kind(node) === KIND.dir || (this.stats(node).mode & 0o111) !== 0;
    if ((mode & EXECUTE) !== 0 && !executable) throw this.#error('EACCES', 'access', path);
  }

  /** The target of a symbolic link as it is written, a byte string. @throws SociError EINVAL for anything else */
  linkTarget(path: ImagePath): string {
    const node = this.lookup(path, false, 'readlink');
    if (this.kind(node) !== KIND.symlink) throw this.#error('EINVAL', 'readlink', path);
    return this.#readLink(this.#tree.inode(node));
  }

  /** Absolute, without links, a byte string. */
  realPath(node: number): string {
    const names: string[] = [];
    for (let at = node; at !== ROOT; at = this.#tree.parent(at)) names.push(this.#tree.name(at));
    return `/${names.reverse().join('/')}`;
  }

  /** What is in a directory, sorted bytewise by name. Names are byte strings. */
  children(directory: number): { readonly name: string; readonly node: number }[] {
    const children = [...this.#tree.children(directory)].map(node => ({ name: this.#tree.name(node), node }));
    return children.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** A child of a directory by its name, a byte string; symbolic links are not followed. */
  child(directory: number, name: string): number | undefined {
    const node = this.#tree.child(directory, name);
    return node === NONE ? undefined : node;
  }

  /** What a symbolic link leads to, undefined when that is nothing. */
  followed(link: number): number | undefined {
    const path = this.realPath(link);
    const found = walkPath(this.#tree, path, { followLast: true, readLink: this.#readLink });
    return typeof found === 'number' && this.kind(found) !== KIND.missing ? found : undefined;
  }

  dirent<Name extends string | Buffer>(node: number, name: Name, parentPath: string): ImageDirent<Name> {
    return new ImageDirent(name, parentPath, this.kind(node));
  }

  /** Extended attributes by name, as tars in PAX form hold them (SCHILY.xattr.*). */
  xattrs(node: number): Map<string, Buffer> {
    const all = new Map<string, Buffer>();
    for (const [key, value] of this.#entry(node)?.fields.pax ?? []) {
      if (!key.startsWith(XATTR)) continue;
      all.set(encodeName(key.slice(XATTR.length), 'utf8'), Buffer.from(value, 'latin1'));
    }
    return all;
  }

  readonly #readLink = (inode: number): string => {
    const { layer, entry } = this.#tree.origin(inode);
    return this.#layer(layer).ztoc.entry(entry).fields.linkname;
  };

  #origin(node: number): InodeOrigin {
    return this.#tree.origin(this.#tree.inode(node));
  }

  #layer(position: number): LayerEntries {
    return this.#layers[position] as LayerEntries;
  }

  /** Undefined for a directory that no layer declares. */
  #entry(node: number): TocEntry | undefined {
    const { layer, entry } = this.#origin(node);
    return entry === NONE ? undefined : this.#layer(layer).ztoc.entry(entry);
  }

  #brokenLink(node: number, syscall: string, path: ImagePath): SociError {
    const target = JSON.stringify(this.#entry(node)?.linkname ?? '');
    return this.#error('ENOENT', syscall, path, `hard link to ${target}, which is in no layer`);
  }

  #error(code: FileErrorCode, syscall: string, path: ImagePath, detail?: string): SociError {
    return fileError(code, syscall, shownPath(path), detail);
  }
}

const SPECIAL: Readonly<Record<Kind, string>> = {
  [KIND.dir]: 'directory',
  [KIND.reg]: 'regular file',
  [KIND.symlink]: 'symbolic link',
  [KIND.char]: 'character device',
  [KIND.block]: 'block device',
  [KIND.fifo]: 'fifo',
  [KIND.missing]: 'broken hard link',
};

export function shownPath(path: ImagePath): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for what no file system call takes */
function pathText(path: ImagePath): string {
  const valid = typeof path === 'string' || path instanceof Uint8Array;
  const text = valid ? toByteString(typeof path === 'string' ? Buffer.from(path) : path) : '\0';
  if (!text.includes('\0')) return text;
  throw invalidArgument('a path', 'a string or bytes, without a NUL among them', path);
}

/** A byte string as the caller wants to see it. */
export function encodeName(name: string, encoding: 'buffer'): Buffer;
export function encodeName(name: string, encoding: BufferEncoding): string;
export function encodeName(name: string, encoding: NameEncoding): string | Buffer;
export function encodeName(name: string, encoding: NameEncoding): string | Buffer {
  const bytes = Buffer.from(name, 'latin1');
  return encoding === 'buffer' ? bytes : bytes.toString(encoding);
}
