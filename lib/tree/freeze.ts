/**
 * Makes the table of a tree (tree-table.ts) out of what the overlay has built:
 * names in their order, inodes with their numbers, and what the tables of
 * contents of the layers say of each.
 */
import { SociError } from '../errors.js';
import { ByteView } from '../tar/byte-view.js';
import type { PaxPair } from '../tar/entry.js';
import { GO_ZERO_TIME, parseTime } from '../tar/time.js';
import { UtcSeconds } from '../tar/utc-seconds.js';
import type { InodeTree } from './inode-tree.js';
import { deviceNumber, KIND, type Kind, modeOf } from './node-kind.js';
import type { LayerToc } from './overlay.js';
import { NONE, ROOT } from './path-walk.js';
import {
  BYTE_ORDER,
  HEADER,
  HEADER_BYTES,
  INODE,
  INODE_BYTES,
  MAGIC,
  NAME,
  NAME_BYTES,
  ROOT_INODE,
  TreeTable,
  VERSION,
} from './tree-table.js';
import {
  IMPLIED_MODE,
  isUnpackedTime,
  LINK_MODE,
  OPAQUE_XATTRS,
  unpackedId,
  type Xattr,
  xattrsOf,
} from './unpacked-attributes.js';

/** What the table says of a layer's files. */
export interface FrozenLayer {
  readonly ztoc: LayerToc & { viewTime(index: number, view: ByteView): void };
  /** Bytes of a file. */
  size(entry: number): number;
}

/** 'unpacked': attributes as runtimes leave them on disk (unpacked-attributes.ts). 'written': as the headers say. */
export type Attributes = 'unpacked' | 'written';

const XATTR_HEAD = 8;
/** Of strings, so that a uint32 finds every byte. */
const MAX_STRINGS = 2 ** 32 - 1;

/** Bytes of a link's target to begin with; more are found room for. */
const USUAL_TARGET = 24;

export class Freezer {
  readonly #tree: InodeTree;
  readonly #layers: readonly FrozenLayer[];
  readonly #attributes: Attributes;
  /** By number of the name: the node, whose name it is. */
  readonly #nodes: Uint32Array;
  /** By the tree's own inodes: the inode's number, 0 while it has none. */
  readonly #numbers: Uint32Array;
  #names = 1;
  #inodes = 0;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  /** Where names and strings begin, and where the next string goes. */
  #namesAt = 0;
  #stringsAt = 0;
  #end = 0;
  readonly #time = new ByteView();
  readonly #utc = new UtcSeconds();

  constructor(tree: InodeTree, layers: readonly FrozenLayer[], attributes: Attributes = 'written') {
    this.#tree = tree;
    this.#layers = layers;
    this.#attributes = attributes;
    const numbers = tree.end();
    this.#nodes = numbers.subarray(0, tree.nodeCount);
    this.#numbers = numbers.subarray(tree.nodeCount);
  }

  /** Yields after about every `names` names, for callers that share their thread. */
  *run(names: number): Generator<void, TreeTable, undefined> {
    const strings = yield* this.#order(names);
    this.#allocate(strings);
    yield* this.#fill(names);
    this.#writeHeader();
    return new TreeTable(this.#bytes.subarray(0, this.#end));
  }

  /** Puts names in their order and numbers inodes; returns about how many bytes the strings take. */
  *#order(slice: number): Generator<void, number, undefined> {
    const tree = this.#tree;
    const children: number[] = [];
    let strings = 0;
    this.#nodes[0] = ROOT;
    for (let name = 0; name < this.#names; name += 1) {
      if (name % slice === slice - 1) yield;
      const node = this.#nodes[name] as number;
      const inode = tree.inode(node);
      strings += tree.nameLength(node);
      if (this.#numbers[inode] !== 0) continue;
      this.#numbers[inode] = ++this.#inodes;
      const kind = tree.kind(inode);
      if (kind === KIND.symlink) strings += USUAL_TARGET;
      if (kind !== KIND.dir) continue;
      tree.sortedChildren(node, children);
      for (const child of children) this.#nodes[this.#names++] = child;
    }
    return strings;
  }

  #allocate(strings: number): void {
    this.#namesAt = HEADER_BYTES + this.#inodes * INODE_BYTES;
    this.#stringsAt = this.#namesAt + this.#names * NAME_BYTES;
    this.#end = this.#stringsAt;
    this.#bytes = new Uint8Array(this.#stringsAt + strings);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Makes room for a string of `length` bytes; returns where it goes, as records say it. */
  #take(length: number): number {
    const start = this.#end - this.#stringsAt;
    const end = this.#end + length;
    if (end - this.#stringsAt > MAX_STRINGS) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `the tree's names, links and xattrs are beyond ${MAX_STRINGS} bytes`,
        {
          data: { limit: MAX_STRINGS },
        },
      );
    }
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(end + Math.ceil((end - this.#stringsAt) / 4));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#end = end;
    return start;
  }

  *#fill(slice: number): Generator<void, void, undefined> {
    const tree = this.#tree;
    let inodes = 0;
    let children = 1;
    for (let name = 0; name < this.#names; name += 1) {
      if (name % slice === slice - 1) yield;
      const node = this.#nodes[name] as number;
      const inode = tree.inode(node);
      const number = this.#numbers[inode] as number;
      const at = this.#namesAt + name * NAME_BYTES;
      const length = tree.nameLength(node);
      const start = this.#take(length);
      tree.copyName(node, this.#bytes, this.#stringsAt + start);
      this.#view.setUint32(at + NAME.inode, number, true);
      this.#view.setUint32(at + NAME.start, start, true);
      this.#view.setUint32(at + NAME.length, length, true);
      if (number <= inodes) continue;
      inodes = number;
      this.#view.setUint32(number * INODE_BYTES + INODE.name, name, true);
      this.#fillInode(number * INODE_BYTES, node);
      if (tree.kind(inode) === KIND.dir) children = this.#fillDirectory(number, node, children);
    }
    this.#view.setUint32(this.#namesAt + NAME.parent, ROOT_INODE, true);
  }

  /** Children are where the walk has put them: behind those of the directories before. */
  #fillDirectory(number: number, directory: number, first: number): number {
    const tree = this.#tree;
    const view = this.#view;
    let end = first;
    let links = 2;
    while (end < this.#names && tree.parent(this.#nodes[end] as number) === directory) {
      view.setUint32(this.#namesAt + end * NAME_BYTES + NAME.parent, number, true);
      if (tree.kind(tree.inode(this.#nodes[end] as number)) === KIND.dir) links += 1;
      end += 1;
    }
    const at = number * INODE_BYTES;
    view.setUint32(at + INODE.first, first, true);
    view.setUint32(at + INODE.count, end - first, true);
    // As on most Unix file systems: its name, its own '.', and the '..' of each directory in it.
    view.setUint32(at + INODE.nlink, links, true);
    return end;
  }

  #fillInode(at: number, node: number): void {
    const view = this.#view;
    const tree = this.#tree;
    const inode = tree.inode(node);
    const kind = tree.kind(inode);
    const layer = tree.layer(inode);
    const entry = tree.entry(inode);
    view.setUint16(at + INODE.layer, layer, true);
    view.setUint32(at + INODE.entry, entry, true);
    view.setUint32(at + INODE.nlink, tree.links(inode), true);
    const from = this.#layers[layer];
    if (entry === NONE || from === undefined) {
      view.setUint16(at + INODE.mode, modeOf(kind, IMPLIED_MODE), true);
      if (tree.isOpaque(node)) this.#fillXattrs(at, OPAQUE);
      return;
    }
    // Attributes are the last header's, what the inode is its own.
    const headers = tree.headers(inode);
    const header = headers.at(-1) ?? entry;
    const own = from.ztoc.fields(entry);
    const fields = header === entry ? own : from.ztoc.fields(header);
    const device = kind === KIND.char || kind === KIND.block;
    // A whiteout of overlayfs is a device that no tar has: its entry is the mark.
    const whiteout = device && own.type !== 'char' && own.type !== 'block';
    const permissions = kind === KIND.missing || whiteout ? 0 : this.#permissions(kind, fields.mode);
    view.setUint16(at + INODE.mode, modeOf(kind, permissions), true);
    from.ztoc.viewTime(header, this.#time);
    this.#fillTime(at);
    view.setUint32(at + INODE.uid, this.#id(fields.uid), true);
    view.setUint32(at + INODE.gid, this.#id(fields.gid), true);
    if (device && !whiteout) {
      view.setUint32(at + INODE.rdev, deviceNumber(own.devmajor, own.devminor), true);
    }
    if (kind === KIND.reg) setInt64(view, at + INODE.size, from.size(entry));
    const pax =
      headers.length === 0 ? fields.pax : [entry, ...headers].flatMap(index => from.ztoc.fields(index).pax);
    const xattrs = this.#xattrs(pax, { opaque: tree.isOpaque(node) });
    if (kind === KIND.symlink) this.#fillTarget(at, own.linkname);
    if (xattrs.length > 0) this.#fillXattrs(at, xattrs);
  }

  #fillTarget(at: number, target: string): void {
    const start = this.#putText(target);
    setInt64(this.#view, at + INODE.size, target.length);
    this.#view.setUint32(at + INODE.first, start, true);
    this.#view.setUint32(at + INODE.count, target.length, true);
  }

  #fillXattrs(at: number, xattrs: readonly Xattr[]): void {
    this.#view.setUint32(at + INODE.xattrs, this.#end - this.#stringsAt, true);
    this.#view.setUint32(at + INODE.xattrCount, xattrs.length, true);
    for (const [name, value] of xattrs) {
      const start = this.#stringsAt + this.#take(XATTR_HEAD);
      this.#view.setUint32(start, name.length, true);
      this.#view.setUint32(start + 4, value.length, true);
      this.#putText(name);
      this.#putText(value);
    }
  }

  #putText(text: string): number {
    const start = this.#take(text.length);
    const at = this.#stringsAt + start;
    for (let i = 0; i < text.length; i += 1) this.#bytes[at + i] = text.charCodeAt(i);
    return start;
  }

  #fillTime(at: number): void {
    const whole = this.#utc.of(this.#time);
    let { seconds, nanoseconds } =
      whole === undefined
        ? (parseTime(this.#time.text()) ?? GO_ZERO_TIME)
        : { seconds: whole, nanoseconds: 0 };
    if (this.#attributes === 'unpacked' && !isUnpackedTime(seconds)) {
      seconds = 0;
      nanoseconds = 0;
    }
    setInt64(this.#view, at + INODE.mtime, seconds);
    this.#view.setUint32(at + INODE.mtimeNanoseconds, nanoseconds, true);
  }

  #permissions(kind: Kind, mode: number): number {
    return kind === KIND.symlink && this.#attributes === 'unpacked' ? LINK_MODE : mode & 0o7777;
  }

  #id(id: number): number {
    return this.#attributes === 'unpacked' ? unpackedId(id) : id;
  }

  /** Sorted bytewise by name. */
  #xattrs(pax: readonly PaxPair[], { opaque }: { readonly opaque: boolean }): readonly Xattr[] {
    if (pax.length === 0) return opaque ? OPAQUE : NO_XATTRS;
    const xattrs = xattrsOf(pax, this.#attributes === 'written' ? 'all' : 'unpacked');
    for (const [name, value] of opaque ? OPAQUE : NO_XATTRS) xattrs.set(name, value);
    return [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #writeHeader(): void {
    const view = this.#view;
    for (let i = 0; i < MAGIC.length; i += 1) view.setUint8(HEADER.magic + i, MAGIC.charCodeAt(i));
    view.setUint32(HEADER.version, VERSION, true);
    view.setUint32(HEADER.byteOrder, BYTE_ORDER, true);
    view.setUint32(HEADER.inodes, this.#inodes, true);
    view.setUint32(HEADER.names, this.#names, true);
    view.setUint32(HEADER.strings, this.#end - this.#stringsAt, true);
    view.setUint32(HEADER.layers, this.#layers.length, true);
  }
}

const NO_XATTRS: readonly Xattr[] = [];
const OPAQUE: readonly Xattr[] = Object.values(OPAQUE_XATTRS);

function setInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at + 4, Math.floor(value / 2 ** 32), true);
  view.setUint32(at, value % 2 ** 32, true);
}
