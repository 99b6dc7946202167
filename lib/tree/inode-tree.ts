/**
 * Directories, names and inodes of a tree while it is made, in typed arrays: an
 * image of 300,000 files as objects and Maps would cost a few hundred megabytes,
 * this a few dozen. Names are byte strings (tar/byte-string.ts). It knows nothing
 * of layers' rules, which overlay.ts applies; freeze.ts makes the table of it
 * that stays.
 */
import { randomBytes } from 'node:crypto';
import { SociError } from '../errors.js';
import { ByteView } from '../tar/byte-view.js';
import { KIND, type Kind } from './node-kind.js';
import { NONE, ROOT } from './path-walk.js';

/** A byte string, or its bytes, which must not change while the tree is made. */
export type Name = string | ByteView;

/** What an inode is made of: an entry of a layer, or (entry NONE) a directory that no layer declares. */
export interface InodeOrigin {
  readonly kind: Kind;
  readonly layer: number;
  readonly entry: number;
}

const DEAD = NONE;
const NO_HEADERS: readonly number[] = [];

/** A column that grows by half when it is full. */
class Column<T extends Uint8Array | Uint16Array | Uint32Array> {
  array: T;
  readonly #make: (length: number) => T;

  constructor(make: (length: number) => T, length: number) {
    this.#make = make;
    this.array = make(length);
  }

  set(index: number, value: number): void {
    if (index >= this.array.length) {
      const grown = this.#make(Math.ceil(index * 1.5));
      grown.set(this.array);
      this.array = grown;
    }
    this.array[index] = value;
  }

  get(index: number): number {
    return this.array[index] as number;
  }
}

const u8 = (rows: number) => new Column(length => new Uint8Array(length), rows);
const u16 = (rows: number) => new Column(length => new Uint16Array(length), rows);
const u32 = (rows: number) => new Column(length => new Uint32Array(length), rows);
/** Rows of a column to begin with. */
const MIN_ROWS = 1024;

export class InodeTree {
  readonly #maxNodes: number;
  #nodes = 0;
  readonly #parent: Column<Uint32Array>;
  readonly #firstChild: Column<Uint32Array>;
  readonly #nextSibling: Column<Uint32Array>;
  readonly #inodeOf: Column<Uint32Array>;
  readonly #nameStart: Column<Uint32Array>;
  readonly #nameLength: Column<Uint32Array>;
  /** The last layer that declared the node. */
  readonly #declared: Column<Uint16Array>;

  #names = new Uint8Array(16 * 1024);
  #namesUsed = 0;

  #inodes = 0;
  readonly #kind: Column<Uint8Array>;
  readonly #layer: Column<Uint16Array>;
  readonly #entry: Column<Uint32Array>;
  readonly #links: Column<Uint32Array>;
  readonly #opaque = new Set<number>();
  /** Of the few inodes that have several headers: the entries of the further ones. */
  readonly #headers = new Map<number, number[]>();

  /** Open addressing over (parent, name); a slot holds node + 1. */
  #slots: Uint32Array;
  #slotsUsed = 0;

  /** For names that come as byte strings. */
  readonly #given = new ByteView();

  /** The last look-up: who looks for a name mostly adds it next. */
  readonly #probed = new ByteView();
  #probedParent = NONE;
  #probedSlot = 0;

  /**
   * @param maxNodes Names in all; more end in ERR_SOCI_LIMIT.
   * @param expectedNodes About how many there will be, so that no column grows by copying.
   */
  constructor(maxNodes: number, expectedNodes = 0) {
    this.#maxNodes = maxNodes;
    const rows = Math.max(MIN_ROWS, Math.min(maxNodes, expectedNodes) + 1);
    this.#parent = u32(rows);
    this.#firstChild = u32(rows);
    this.#nextSibling = u32(rows);
    this.#inodeOf = u32(rows);
    this.#nameStart = u32(rows);
    this.#nameLength = u32(rows);
    this.#declared = u16(rows);
    this.#kind = u8(rows);
    this.#layer = u16(rows);
    this.#entry = u32(rows);
    this.#links = u32(rows);
    // At most half of them are used, and there is a power of two of them.
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * rows + 1)));
    this.#newNode(NONE, new ByteView(), this.#newInode({ kind: KIND.dir, layer: 0, entry: NONE }), 0);
  }

  /** Names that there are or were: every node is below it. */
  get nodeCount(): number {
    return this.#nodes;
  }

  /** Inodes that there are or were: every inode is below it. */
  get inodeCount(): number {
    return this.#inodes;
  }

  /** Bytes of memory that the tables take. */
  get bytes(): number {
    const columns = [
      this.#parent,
      this.#firstChild,
      this.#nextSibling,
      this.#inodeOf,
      this.#nameStart,
      this.#nameLength,
      this.#declared,
      this.#kind,
      this.#layer,
      this.#entry,
      this.#links,
    ];
    const tables = columns.reduce((sum, column) => sum + column.array.byteLength, 0);
    return tables + this.#names.byteLength + this.#slots.byteLength;
  }

  /** The node called `name` in a directory, or NONE. */
  child(parent: number, name: Name): number {
    const node = (this.#slots[this.#slotOf(parent, this.#viewOf(name))] as number) - 1;
    return node < 0 || this.#inodeOf.get(node) === DEAD ? NONE : node;
  }

  *children(parent: number): Generator<number, void, undefined> {
    for (let node = this.#firstChild.get(parent); node !== NONE; node = this.#nextSibling.get(node)) {
      if (this.#inodeOf.get(node) !== DEAD) yield node;
    }
  }

  /** The children of a directory, sorted bytewise by name, put into `sorted` in place of what it holds. */
  sortedChildren(parent: number, sorted: number[]): void {
    sorted.length = 0;
    for (let node = this.#firstChild.get(parent); node !== NONE; node = this.#nextSibling.get(node)) {
      if (this.#inodeOf.get(node) !== DEAD) sorted.push(node);
    }
    // The newest is the first, and most tars are sorted.
    sorted.reverse();
    for (let i = 1; i < sorted.length; i += 1) {
      if (this.#compareNames(sorted[i - 1] as number, sorted[i] as number) < 0) continue;
      sorted.sort((a, b) => this.#compareNames(a, b));
      return;
    }
  }

  /**
   * Ends the making of the tree: no name can be looked up any more, and none added. Returns the memory of what they
   * were looked up in, room for a number for each node and each inode.
   */
  end(): Uint32Array {
    const slots = this.#slots;
    this.#slots = new Uint32Array(1);
    this.#probedParent = NONE;
    return slots.fill(0);
  }

  nameLength(node: number): number {
    return this.#nameLength.get(node);
  }

  /** Copies the bytes of a name to `offset` of `target`. */
  copyName(node: number, target: Uint8Array, offset: number): void {
    const start = this.#nameStart.get(node);
    const length = this.#nameLength.get(node);
    for (let i = 0; i < length; i += 1) target[offset + i] = this.#names[start + i] as number;
  }

  parent(node: number): number {
    return node === ROOT ? ROOT : this.#parent.get(node);
  }

  name(node: number): string {
    const start = this.#nameStart.get(node);
    return Buffer.from(this.#names.buffer, start, this.#nameLength.get(node)).toString('latin1');
  }

  inode(node: number): number {
    return this.#inodeOf.get(node);
  }

  /** Whether a name has not been removed. */
  isThere(node: number): boolean {
    return this.#inodeOf.get(node) !== DEAD;
  }

  declaredIn(node: number): number {
    return this.#declared.get(node);
  }

  origin(inode: number): InodeOrigin {
    return {
      kind: this.#kind.get(inode) as Kind,
      layer: this.#layer.get(inode),
      entry: this.#entry.get(inode),
    };
  }

  layer(inode: number): number {
    return this.#layer.get(inode);
  }

  entry(inode: number): number {
    return this.#entry.get(inode);
  }

  kind(inode: number): Kind {
    return this.#kind.get(inode) as Kind;
  }

  /** Names of an inode. */
  links(inode: number): number {
    return this.#links.get(inode);
  }

  /** Whether a directory was marked so. */
  isOpaque(node: number): boolean {
    return this.#opaque.has(this.inode(node));
  }

  /** Marks that a directory hides what lower layers have in it. */
  markOpaque(node: number): void {
    this.#opaque.add(this.inode(node));
  }

  /** Entries of further headers for an inode, in their order, all of the inode's own layer. */
  headers(inode: number): readonly number[] {
    return this.#headers.get(inode) ?? NO_HEADERS;
  }

  /** The attributes of an inode are those of this entry's header, and its xattrs are these too. */
  addHeader(inode: number, entry: number): void {
    const headers = this.#headers.get(inode);
    if (headers === undefined) this.#headers.set(inode, [entry]);
    else headers.push(entry);
  }

  /** Adds a name for a new inode. There must be none of that name. */
  add(parent: number, name: Name, origin: InodeOrigin, layer: number): number {
    return this.#newNode(parent, this.#viewOf(name), this.#newInode(origin), layer);
  }

  /** Adds another name for the inode of `target`. */
  link(parent: number, name: Name, target: number, layer: number): number {
    return this.#newNode(parent, this.#viewOf(name), this.inode(target), layer);
  }

  /** Makes a name one of the inode of `target`. */
  relink(node: number, target: number): void {
    const former = this.inode(node);
    const inode = this.inode(target);
    this.#links.set(former, this.#links.get(former) - 1);
    this.#links.set(inode, this.#links.get(inode) + 1);
    this.#inodeOf.set(node, inode);
  }

  /** Gives a directory other attributes and keeps what is in it. */
  redeclare(node: number, origin: InodeOrigin, layer: number): void {
    const inode = this.inode(node);
    if (origin.layer !== this.#layer.get(inode)) this.#headers.delete(inode);
    this.#kind.set(inode, origin.kind);
    this.#layer.set(inode, origin.layer);
    this.#entry.set(inode, origin.entry);
    this.#declared.set(node, layer);
  }

  /** Marks that a layer has something below this directory. */
  touch(node: number, layer: number): void {
    this.#declared.set(node, layer);
  }

  /** Removes a node and all below it. */
  remove(node: number): void {
    const pending = [node];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const child of this.children(next)) pending.push(child);
      const inode = this.inode(next);
      this.#links.set(inode, this.#links.get(inode) - 1);
      this.#inodeOf.set(next, DEAD);
    }
  }

  #newInode(origin: InodeOrigin): number {
    const inode = this.#inodes++;
    this.#kind.set(inode, origin.kind);
    this.#layer.set(inode, origin.layer);
    this.#entry.set(inode, origin.entry);
    this.#links.set(inode, 0);
    return inode;
  }

  #newNode(parent: number, name: ByteView, inode: number, layer: number): number {
    const dead = parent === NONE ? 0 : (this.#slots[this.#slotOf(parent, name)] as number);
    if (dead !== 0) {
      // A name that comes back takes its old place, so that a file written a million times is one name.
      this.#inodeOf.set(dead - 1, inode);
      this.#declared.set(dead - 1, layer);
      this.#links.set(inode, this.#links.get(inode) + 1);
      return dead - 1;
    }
    if (this.#nodes >= this.#maxNodes) {
      throw new SociError('ERR_SOCI_LIMIT', `the tree has more than ${this.#maxNodes} names`, {
        data: { limit: this.#maxNodes },
      });
    }
    const node = this.#nodes++;
    this.#parent.set(node, parent);
    this.#firstChild.set(node, NONE);
    this.#nextSibling.set(node, NONE);
    this.#inodeOf.set(node, inode);
    this.#declared.set(node, layer);
    this.#storeName(node, name);
    this.#links.set(inode, this.#links.get(inode) + 1);
    if (parent !== NONE) {
      this.#nextSibling.set(node, this.#firstChild.get(parent));
      this.#firstChild.set(parent, node);
      this.#enter(parent, name, node);
    }
    return node;
  }

  #viewOf(name: Name): ByteView {
    if (typeof name !== 'string') return name;
    this.#given.setText(name);
    return this.#given;
  }

  #storeName(node: number, { bytes, start, end: nameEnd }: ByteView): void {
    const length = nameEnd - start;
    const end = this.#namesUsed + length;
    if (end > this.#names.length) {
      const grown = new Uint8Array(Math.max(end, Math.ceil(this.#names.length * 1.5)));
      grown.set(this.#names);
      this.#names = grown;
    }
    for (let i = 0; i < length; i += 1) this.#names[this.#namesUsed + i] = bytes[start + i] as number;
    this.#nameStart.set(node, this.#namesUsed);
    this.#nameLength.set(node, length);
    this.#namesUsed = end;
  }

  #enter(parent: number, name: ByteView, node: number): void {
    const slot = this.#slotOf(parent, name);
    this.#slots[slot] = node + 1;
    this.#slotsUsed += 1;
    if (this.#slotsUsed * 2 > this.#slots.length) this.#rehash();
  }

  #rehash(): void {
    this.#probedParent = NONE;
    const old = this.#slots;
    const slots = new Uint32Array(old.length * 2);
    const mask = slots.length - 1;
    this.#slots = slots;
    this.#slotsUsed = 0;
    for (const stored of old) {
      if (stored === 0 || this.#inodeOf.get(stored - 1) === DEAD) continue;
      const start = this.#nameStart.get(stored - 1);
      const end = start + this.#nameLength.get(stored - 1);
      let slot = hash(this.#parent.get(stored - 1), this.#names, start, end) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = stored;
      this.#slotsUsed += 1;
    }
  }

  /** The slot of (parent, name), or the free one where it would go. */
  #slotOf(parent: number, name: ByteView): number {
    const { bytes, start, end } = name;
    const last = this.#probed;
    if (this.#probedParent === parent && last.bytes === bytes && last.start === start && last.end === end) {
      return this.#probedSlot;
    }
    const mask = this.#slots.length - 1;
    let slot = hash(parent, bytes, start, end) & mask;
    for (let stored = this.#slots[slot] as number; stored !== 0; stored = this.#slots[slot] as number) {
      if (this.#isNamed(stored - 1, parent, name)) break;
      slot = (slot + 1) & mask;
    }
    this.#probedParent = parent;
    last.set(bytes, start, end);
    this.#probedSlot = slot;
    return slot;
  }

  #compareNames(a: number, b: number): number {
    const startA = this.#nameStart.get(a);
    const startB = this.#nameStart.get(b);
    const lengthA = this.#nameLength.get(a);
    const lengthB = this.#nameLength.get(b);
    const shorter = Math.min(lengthA, lengthB);
    for (let i = 0; i < shorter; i += 1) {
      const difference = (this.#names[startA + i] as number) - (this.#names[startB + i] as number);
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  }

  #isNamed(node: number, parent: number, { bytes, start, end }: ByteView): boolean {
    const length = end - start;
    if (this.#parent.get(node) !== parent || this.#nameLength.get(node) !== length) return false;
    const at = this.#nameStart.get(node);
    for (let i = 0; i < length; i += 1) if (this.#names[at + i] !== bytes[start + i]) return false;
    return true;
  }
}

/** Unknown to whoever makes up names: a table of colliding ones would take the square of its size. */
const SEED = randomBytes(4).readUInt32LE();

/** FNV-1a from a secret start, with a final mix. */
function hash(parent: number, bytes: Uint8Array, start: number, end: number): number {
  let state = (SEED ^ parent) >>> 0;
  for (let i = start; i < end; i += 1) state = Math.imul(state ^ (bytes[i] as number), 0x01000193);
  state ^= state >>> 15;
  return Math.imul(state, 0x2c1b3c6d) >>> 0;
}
