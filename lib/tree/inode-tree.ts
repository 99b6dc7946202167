/**
 * Directories, names and inodes of a whole image, in typed arrays: an image of
 * 300,000 files as objects and Maps would cost a few hundred megabytes, this a
 * few dozen. Names are byte strings (tar/byte-string.ts). The tree knows
 * nothing of layers' rules; overlay.ts applies those.
 */
import { randomBytes } from 'node:crypto';
import { SociError } from '../errors.js';

/** The root's node. Node and inode numbers stay valid until their node is removed. */
export const ROOT = 0;
/** Where there is no node. */
export const NONE = 0xffffffff;

/** Kinds of inodes. `missing` is a hard link whose target is in no layer. */
export const KIND = {
  dir: 0,
  reg: 1,
  symlink: 2,
  char: 3,
  block: 4,
  fifo: 5,
  missing: 6,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** What an inode is made of: an entry of a layer, or (entry NONE) a directory that no layer declares. */
export interface InodeOrigin {
  readonly kind: Kind;
  readonly layer: number;
  readonly entry: number;
}

const DEAD = NONE;

/** A column that grows by half when it is full. */
class Column<T extends Uint8Array | Uint16Array | Uint32Array> {
  array: T;
  readonly #make: (length: number) => T;

  constructor(make: (length: number) => T) {
    this.#make = make;
    this.array = make(1024);
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

const u8 = () => new Column(length => new Uint8Array(length));
const u16 = () => new Column(length => new Uint16Array(length));
const u32 = () => new Column(length => new Uint32Array(length));

export class InodeTree {
  readonly #maxNodes: number;
  #nodes = 0;
  readonly #parent = u32();
  readonly #firstChild = u32();
  readonly #nextSibling = u32();
  readonly #inodeOf = u32();
  readonly #nameStart = u32();
  readonly #nameLength = u32();
  /** Of parent and name, so that a growing table need not look at names. */
  readonly #hash = u32();
  /** The last layer that declared the node. */
  readonly #declared = u16();

  #names = new Uint8Array(16 * 1024);
  #namesUsed = 0;

  #inodes = 0;
  readonly #kind = u8();
  readonly #layer = u16();
  readonly #entry = u32();
  readonly #links = u32();

  /** Open addressing over (parent, name); a slot holds node + 1. */
  #slots = new Uint32Array(4096);
  #slotsUsed = 0;

  /** @param maxNodes Names in all; more end in ERR_SOCI_LIMIT. */
  constructor(maxNodes: number) {
    this.#maxNodes = maxNodes;
    this.#newNode(NONE, '', this.#newInode({ kind: KIND.dir, layer: 0, entry: NONE }), 0);
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
      this.#hash,
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
  child(parent: number, name: string): number {
    const node = (this.#slots[this.#slotOf(parent, name)] as number) - 1;
    return node < 0 || this.#inodeOf.get(node) === DEAD ? NONE : node;
  }

  *children(parent: number): Generator<number, void, undefined> {
    for (let node = this.#firstChild.get(parent); node !== NONE; node = this.#nextSibling.get(node)) {
      if (this.#inodeOf.get(node) !== DEAD) yield node;
    }
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

  kind(inode: number): Kind {
    return this.#kind.get(inode) as Kind;
  }

  /** Names of a file; of a directory 2 and one for each directory in it, as on most Unix file systems. */
  links(node: number): number {
    const inode = this.inode(node);
    if (this.kind(inode) !== KIND.dir) return this.#links.get(inode);
    let links = 2;
    for (const child of this.children(node)) if (this.kind(this.inode(child)) === KIND.dir) links += 1;
    return links;
  }

  /** Adds a name for a new inode. There must be none of that name. */
  add(parent: number, name: string, origin: InodeOrigin, layer: number): number {
    return this.#newNode(parent, name, this.#newInode(origin), layer);
  }

  /** Adds another name for an inode. */
  link(parent: number, name: string, inode: number, layer: number): number {
    return this.#newNode(parent, name, inode, layer);
  }

  /** Gives a directory other attributes and keeps what is in it. */
  redeclare(node: number, origin: InodeOrigin, layer: number): void {
    const inode = this.inode(node);
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

  #newNode(parent: number, name: string, inode: number, layer: number): number {
    const dead = parent === NONE ? 0 : (this.#slots[this.#slotOf(parent, name)] as number);
    if (dead !== 0) {
      // A name that comes back takes its old place, so that a file written a million times is one name.
      this.#inodeOf.set(dead - 1, inode);
      this.#declared.set(dead - 1, layer);
      this.#links.set(inode, this.#links.get(inode) + 1);
      return dead - 1;
    }
    if (this.#nodes >= this.#maxNodes) {
      throw new SociError('ERR_SOCI_LIMIT', `the image has more than ${this.#maxNodes} names`, {
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
      this.#hash.set(node, hash(parent, name));
      this.#enter(parent, name, node);
    }
    return node;
  }

  #storeName(node: number, name: string): void {
    const end = this.#namesUsed + name.length;
    if (end > this.#names.length) {
      const grown = new Uint8Array(Math.max(end, Math.ceil(this.#names.length * 1.5)));
      grown.set(this.#names);
      this.#names = grown;
    }
    for (let i = 0; i < name.length; i += 1) this.#names[this.#namesUsed + i] = name.charCodeAt(i);
    this.#nameStart.set(node, this.#namesUsed);
    this.#nameLength.set(node, name.length);
    this.#namesUsed = end;
  }

  #enter(parent: number, name: string, node: number): void {
    const slot = this.#slotOf(parent, name);
    if (this.#slots[slot] === 0) this.#slotsUsed += 1;
    this.#slots[slot] = node + 1;
    if (this.#slotsUsed * 2 > this.#slots.length) this.#rehash();
  }

  #rehash(): void {
    const old = this.#slots;
    const slots = new Uint32Array(old.length * 2);
    const mask = slots.length - 1;
    this.#slots = slots;
    this.#slotsUsed = 0;
    for (const stored of old) {
      if (stored === 0 || this.#inodeOf.get(stored - 1) === DEAD) continue;
      let slot = this.#hash.get(stored - 1) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = stored;
      this.#slotsUsed += 1;
    }
  }

  /** The slot of (parent, name), or the free one where it would go. */
  #slotOf(parent: number, name: string): number {
    const mask = this.#slots.length - 1;
    const wanted = hash(parent, name);
    for (let slot = wanted & mask; ; slot = (slot + 1) & mask) {
      const stored = this.#slots[slot] as number;
      if (stored === 0) return slot;
      if (this.#hash.get(stored - 1) === wanted && this.#isNamed(stored - 1, parent, name)) return slot;
    }
  }

  #isNamed(node: number, parent: number, name: string): boolean {
    if (this.#parent.get(node) !== parent || this.#nameLength.get(node) !== name.length) return false;
    const start = this.#nameStart.get(node);
    for (let i = 0; i < name.length; i += 1) {
      if (this.#names[start + i] !== name.charCodeAt(i)) return false;
    }
    return true;
  }
}

/** Unknown to whoever makes up names: a table of colliding ones would take the square of its size. */
const SEED = randomBytes(4).readUInt32LE();

/** FNV-1a from a secret start, with a final mix. */
function hash(parent: number, name: string): number {
  let state = (SEED ^ parent) >>> 0;
  for (let i = 0; i < name.length; i += 1) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193);
  state ^= state >>> 15;
  return Math.imul(state, 0x2c1b3c6d) >>> 0;
}
