/**
 * A tree whose every change is made on disk as well. The overlay's rules decide
 * what a layer changes, in the one place where they are (tree/overlay.ts), on the
 * tables in memory; here each change becomes an operation. So links are resolved by
 * what is known of the tree and never by the disk, and what is unpacked is what
 * an image's tree shows.
 *
 * Directories get their attributes at the end: until then files come and go in
 * them, and whoever unpacks has to be allowed to.
 */

import { SociError } from '../errors.js';
import type { SparseMap } from '../layer/sparse-map.js';
import { TREE_FLAG, TREE_OPERATION } from '../native-tree.js';
import { decodeByteString, quoteByteString } from '../tar/byte-string.js';
import type { EntryFields } from '../tar/entry.js';
import { type InodeOrigin, InodeTree, type Name } from '../tree/inode-tree.js';
import { KIND, type Kind, modeOf } from '../tree/node-kind.js';
import { WHITEOUT as MARK } from '../tree/overlay.js';
import { NONE, ROOT } from '../tree/path-walk.js';
import { cleanPath } from '../ztoc/entry-path.js';
import { attributesOf, type Owners } from './inode-attributes.js';
import type { Operation, OperationAttributes } from './operations.js';
import type { TarContents } from './tar-contents.js';
import type { TreeWriting } from './tree-writing.js';
import { checkPath, type UnpackLimits } from './unpack-limits.js';

/** A layer that is in the tree. */
export interface UnpackedLayer {
  readonly contents: TarContents;
  fields(entry: number): EntryFields;
  sparse(entry: number): SparseMap | undefined;
}

/** Paths of directories that are remembered. */
const MAX_PATHS = 4096;
const ALL = TREE_FLAG.OWNER | TREE_FLAG.MODE | TREE_FLAG.TIMES;

export class UnpackedTree extends InodeTree {
  readonly #writing: TreeWriting;
  readonly #owners: Owners;
  readonly #limits: UnpackLimits;
  readonly #layers: UnpackedLayer[] = [];
  readonly #paths = new Map<number, string>();
  /** Hard links to nothing, which may be bound later. */
  readonly #missing = new Set<number>();
  #lastLink = NONE;
  /** What was removed last: something that takes its place at once can do both. */
  #removed: string | undefined;

  constructor(writing: TreeWriting, owners: Owners, limits: UnpackLimits) {
    super(limits.maxEntries);
    this.#writing = writing;
    this.#owners = owners;
    this.#limits = limits;
  }

  /** The next layer, whose entries are applied from now on. */
  begin(layer: UnpackedLayer): void {
    this.#layers.push(layer);
  }

  override add(parent: number, name: Name, origin: InodeOrigin, layer: number): number {
    const node = super.add(parent, name, origin, layer);
    if (origin.kind === KIND.missing) this.#missing.add(node);
    else this.#make(node, origin);
    return node;
  }

  override link(parent: number, name: Name, target: number, layer: number): number {
    const node = super.link(parent, name, target, layer);
    this.#lastLink = node;
    this.#linkOnDisk(node, target);
    return node;
  }

  override relink(node: number, target: number): void {
    super.relink(node, target);
    this.#missing.delete(node);
    this.#linkOnDisk(node, target);
  }

  /** That of a further name, in the layer of its file: the file gets what it says. */
  override addHeader(inode: number, entry: number): void {
    super.addHeader(inode, entry);
    if (this.kind(inode) === KIND.dir) return;
    const path = this.path(this.#lastLink);
    this.#perform({
      kind: TREE_OPERATION.SET_ATTRIBUTES,
      flags: ALL,
      path,
      ...this.#attributes(inode, path),
    });
  }

  override remove(node: number): void {
    const kind = this.kind(this.inode(node));
    super.remove(node);
    if (kind === KIND.missing) return;
    this.#flushRemoval();
    const path = this.path(node);
    if (kind === KIND.dir)
      this.#writing.perform({ kind: TREE_OPERATION.REMOVE, path, recursive: true }, this.#contents);
    else this.#removed = path;
  }

  /**
   * All of a layer has been applied.
   *
   * @throws SociError ERR_SOCI_LINK_TARGET for a hard link to what there is not
   */
  endLayer(): void {
    this.#flushRemoval();
    for (const node of this.#missing) {
      if (!this.isThere(node) || this.kind(this.inode(node)) !== KIND.missing) continue;
      const { layer, entry } = this.origin(this.inode(node));
      const { linkname } = (this.#layers[layer] as UnpackedLayer).fields(entry);
      const [path, target] = [this.path(node), linkname].map(quoteByteString);
      throw new SociError(
        'ERR_SOCI_LINK_TARGET',
        `${path} is a hard link to ${target}, which is not there before it (in a layer by itself: which the layer does not have)`,
        { data: { entry: decodeByteString(this.path(node)), target: decodeByteString(linkname) } },
      );
    }
    this.#missing.clear();
  }

  /** From the root, without a slash at either end: a byte string. */
  path(node: number): string {
    if (node === ROOT) return '';
    const parent = this.parent(node);
    let above = this.#paths.get(parent);
    if (above === undefined) {
      above = this.path(parent);
      if (this.#paths.size >= MAX_PATHS) this.#paths.clear();
      this.#paths.set(parent, above);
    }
    return above === '' ? this.name(node) : `${above}/${this.name(node)}`;
  }

  /** Every directory behind those that are in it. */
  *directories(): Generator<number, void, undefined> {
    const open: { readonly node: number; readonly children: Generator<number> }[] = [];
    open.push({ node: ROOT, children: this.children(ROOT) });
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const next = last.children.next();
      if (next.done === true) {
        yield last.node;
        open.pop();
      } else if (this.kind(this.inode(next.value)) === KIND.dir) {
        open.push({ node: next.value, children: this.children(next.value) });
      }
    }
  }

  /** What a directory gets; undefined where no layer that is in the tree says it. */
  declared(node: number): readonly EntryFields[] | undefined {
    const headers = this.#headersOf(this.inode(node));
    return headers.length === 0 ? undefined : headers;
  }

  get #contents(): TarContents {
    return (this.#layers.at(-1) as UnpackedLayer).contents;
  }

  #make(node: number, { kind, layer, entry }: InodeOrigin): void {
    const path = this.path(node);
    checkPath(path, this.#limits);
    if (kind === KIND.dir) {
      // Its removal comes first: what is there may be anything.
      this.#flushRemoval();
      this.#perform({ kind: TREE_OPERATION.DIRECTORY, path });
      return;
    }
    const from = this.#layers[layer] as UnpackedLayer;
    const own = from.fields(entry);
    if (kind === KIND.reg) {
      const file = from.sparse(entry);
      const attributes = attributesOf(kind, [own], this.#owners, path);
      const operation = {
        kind: TREE_OPERATION.FILE,
        flags: ALL | this.#replacing(path),
        path,
        ...attributes,
      };
      const { offset, size } = own;
      const contents =
        file === undefined ? { offset, size, sparse: undefined } : { ...file.extent, sparse: file };
      this.#writing.writeFile(operation, contents, this.#contents);
      return;
    }
    this.#perform({ path, ...this.#special(kind, own, path) });
  }

  /** A symbolic link, a device or a fifo. */
  #special(kind: Kind, own: EntryFields, path: string): Omit<Operation, 'path'> {
    // What the entry of a mark says of itself is nothing that a whiteout has.
    if (kind === KIND.char && isMark(own)) return { ...WHITEOUT, ...this.#root(path) };
    const attributes = attributesOf(kind, [own], this.#owners, path);
    if (kind === KIND.symlink) {
      return {
        kind: TREE_OPERATION.SYMBOLIC_LINK,
        flags: TREE_FLAG.OWNER | TREE_FLAG.TIMES,
        link: own.linkname,
        ...attributes,
      };
    }
    const node = {
      kind: TREE_OPERATION.NODE,
      flags: ALL,
      ...attributes,
      mode: modeOf(kind, attributes.mode),
    };
    return kind === KIND.fifo ? node : { ...node, device: [own.devmajor, own.devminor] };
  }

  #root(path: string): { uid: number; gid: number } {
    return { uid: this.#owners.uids.toHost(0, path), gid: this.#owners.gids.toHost(0, path) };
  }

  #linkOnDisk(node: number, target: number): void {
    const [path, link] = [this.path(node), this.path(target)];
    checkPath(path, this.#limits);
    if (this.kind(this.inode(target)) === KIND.missing) this.#missing.add(node);
    else this.#perform({ kind: TREE_OPERATION.HARD_LINK, path, link });
  }

  /** An operation that may take the place of what was removed last. */
  #perform(operation: Operation): void {
    const flags = (operation.flags ?? 0) | this.#replacing(operation.path);
    this.#writing.perform({ ...operation, flags }, this.#contents);
  }

  #replacing(path: string): number {
    const replaces = this.#removed === path;
    if (replaces) this.#removed = undefined;
    else this.#flushRemoval();
    return replaces ? TREE_FLAG.REPLACE : 0;
  }

  #flushRemoval(): void {
    const path = this.#removed;
    this.#removed = undefined;
    if (path !== undefined) this.#writing.perform({ kind: TREE_OPERATION.REMOVE, path }, this.#contents);
  }

  #attributes(inode: number, path: string): OperationAttributes {
    return attributesOf(this.kind(inode), this.#headersOf(inode), this.#owners, path);
  }

  #headersOf(inode: number): EntryFields[] {
    const { layer, entry } = this.origin(inode);
    if (entry === NONE) return [];
    const from = this.#layers[layer] as UnpackedLayer;
    return [entry, ...this.headers(inode)].map(index => from.fields(index));
  }
}

const WHITEOUT = {
  kind: TREE_OPERATION.NODE,
  flags: TREE_FLAG.OWNER | TREE_FLAG.MODE,
  mode: modeOf(KIND.char, 0),
  device: [0, 0],
  required: true,
} as const;

function isMark({ name }: EntryFields): boolean {
  const path = cleanPath(name);
  return path.startsWith(MARK, path.lastIndexOf('/') + 1);
}
