/**
 * Proves that bytes from a disk are a tree (tree-table.ts): every place that
 * reading goes to is inside of them, every number names something, nothing is
 * its own ancestor. Once, so that no reader, in whatever language, has to ask
 * again. Nothing is believed for its own sake: sizes that do not fit together
 * are refused before anything is allocated for them.
 */
import { SociError } from '../errors.js';
import { KIND, kindOf } from './node-kind.js';
import { NONE } from './path-walk.js';
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

const XATTR_HEAD = 8;
/** Of one name, target or xattr: no header of a tar holds more. */
const MAX_STRING = 2 ** 26;
const SLASH = 0x2f;
const DOT = 0x2e;

/**
 * @param layerCount Layers that the tree may speak of.
 * @throws SociError ERR_SOCI_TREE_FORMAT
 */
export function checkTree(bytes: Uint8Array, layerCount: number): TreeTable {
  const steps = checkTreeInSlices(bytes, layerCount, Number.POSITIVE_INFINITY);
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
}

/** `checkTree` that yields after every `names` names, for callers that share their thread. */
export function checkTreeInSlices(
  bytes: Uint8Array,
  layerCount: number,
  names: number,
): Generator<void, TreeTable, undefined> {
  return new TreeCheck(bytes, layerCount).run(names);
}

class TreeCheck {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #layers: number;
  #inodes = 0;
  #names = 0;
  #stringsLength = 0;
  #namesAt = 0;
  #stringsAt = 0;
  /** Bytes of strings that were looked at: honest trees do not share any, so this is at most all of them. */
  #stringsUsed = 0;

  constructor(bytes: Uint8Array, layerCount: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#layers = layerCount;
  }

  *run(slice: number): Generator<void, TreeTable, undefined> {
    this.#header();
    const links = new Uint32Array(this.#inodes + 1);
    let seen = 0;
    let children = 1;
    for (let name = 0; name < this.#names; name += 1) {
      if (name % slice === slice - 1) yield;
      // A directory comes before what is in it, so that none is its own ancestor.
      if (name >= children) throw bad(`name ${name} is in no directory before it`);
      const inode = this.#name(name, NAME.inode);
      if (inode === 0 || inode > seen + 1) throw bad(`name ${name} is of inode ${inode}, after ${seen}`);
      links[inode] = (links[inode] as number) + 1;
      if (inode <= seen) {
        if (this.#kind(inode) === KIND.dir) throw bad(`directory ${inode} has another name, ${name}`);
        continue;
      }
      seen = inode;
      if (this.#inode(inode, INODE.name) !== name) throw bad(`inode ${inode} does not begin with ${name}`);
      this.#checkInode(inode);
      if (this.#kind(inode) === KIND.dir) children = this.#directory(inode, children);
    }
    if (children !== this.#names) throw bad(`${this.#names - children} names are in no directory`);
    if (seen !== this.#inodes) throw bad(`${this.#inodes - seen} inodes have no name`);
    for (let inode = ROOT_INODE; inode <= seen; inode += 1) {
      const found = this.#inode(inode, INODE.nlink);
      if (this.#kind(inode) !== KIND.dir && found !== links[inode]) {
        throw bad(`inode ${inode} has ${links[inode]} names and says ${found}`);
      }
    }
    return new TreeTable(this.#bytes);
  }

  #header(): void {
    const { byteLength } = this.#bytes;
    if (byteLength < HEADER_BYTES) throw bad(`${byteLength} bytes are too few`);
    const magic = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset, MAGIC.length).toString('latin1');
    if (magic !== MAGIC) throw bad(`it begins with ${JSON.stringify(magic)}`);
    const version = this.#view.getUint32(HEADER.version, true);
    if (version !== VERSION) throw bad(`its version is ${version}, known is ${VERSION}`);
    if (this.#view.getUint32(HEADER.byteOrder, true) !== BYTE_ORDER) throw bad('it is of another byte order');
    this.#inodes = this.#view.getUint32(HEADER.inodes, true);
    this.#names = this.#view.getUint32(HEADER.names, true);
    this.#stringsLength = this.#view.getUint32(HEADER.strings, true);
    this.#namesAt = HEADER_BYTES + this.#inodes * INODE_BYTES;
    this.#stringsAt = this.#namesAt + this.#names * NAME_BYTES;
    const expected = this.#stringsAt + this.#stringsLength;
    if (expected !== byteLength) throw bad(`it is ${byteLength} bytes, its parts ${expected}`);
    const layers = this.#view.getUint32(HEADER.layers, true);
    if (layers !== this.#layers) throw bad(`it is of ${layers} layers, not of ${this.#layers}`);
    const root = this.#inodes > 0 && this.#names > 0 && this.#kind(ROOT_INODE) === KIND.dir;
    if (!root || this.#name(0, NAME.parent) !== ROOT_INODE || this.#name(0, NAME.length) !== 0) {
      throw bad('it has no root');
    }
    this.#strings(this.#name(0, NAME.start), 0, 'name', 0);
  }

  #checkInode(inode: number): void {
    const kind = this.#kind(inode);
    const at = inode * INODE_BYTES;
    const layer = this.#view.getUint16(at + INODE.layer, true);
    const entry = this.#inode(inode, INODE.entry);
    if (kind === -1) throw bad(`inode ${inode} is of no known kind`);
    // The root of an image without layers is in none.
    if (layer >= this.#layers && entry !== NONE) throw bad(`inode ${inode} is of layer ${layer}`);
    if (entry === NONE && kind !== KIND.dir) throw bad(`inode ${inode} is of no entry`);
    const size = this.#view.getUint32(at + INODE.size + 4, true) * 2 ** 32;
    if (!Number.isSafeInteger(size + this.#view.getUint32(at + INODE.size, true))) {
      throw bad(`inode ${inode} is too large`);
    }
    if (this.#inode(inode, INODE.mtimeNanoseconds) >= 1e9) throw bad(`inode ${inode} has no time`);
    if (kind === KIND.symlink) {
      this.#strings(this.#inode(inode, INODE.first), this.#inode(inode, INODE.count), 'link', inode);
    }
    if (this.#inode(inode, INODE.xattrCount) > 0) this.#xattrs(inode);
  }

  /** Its children follow those of the directory before, and are sorted. */
  #directory(inode: number, first: number): number {
    const end = first + this.#inode(inode, INODE.count);
    if (this.#inode(inode, INODE.first) !== first || end > this.#names) {
      throw bad(`the children of directory ${inode} are not at ${first}`);
    }
    let before = 0;
    let lengthBefore = 0;
    let directories = 0;
    for (let name = first; name < end; name += 1) {
      if (this.#name(name, NAME.parent) !== inode) throw bad(`name ${name} is in another directory`);
      const start = this.#name(name, NAME.start);
      const length = this.#name(name, NAME.length);
      this.#strings(start, length, 'name', name);
      if (!this.#isBehind(start, length, before, lengthBefore)) throw bad(`name ${name} is not sorted`);
      if (!this.#isName(start, length)) throw bad(`name ${name} is none`);
      before = start;
      lengthBefore = length;
      const child = this.#name(name, NAME.inode);
      if (child > this.#inodes) throw bad(`name ${name} is of inode ${child}`);
      if (this.#kind(child) === KIND.dir) directories += 1;
    }
    if (this.#inode(inode, INODE.nlink) !== 2 + directories) throw bad(`directory ${inode} miscounts`);
    return end;
  }

  #xattrs(inode: number): void {
    let at = this.#inode(inode, INODE.xattrs);
    let before = 0;
    let lengthBefore = 0;
    for (let left = this.#inode(inode, INODE.xattrCount); left > 0; left -= 1) {
      this.#strings(at, XATTR_HEAD, 'xattrs of', inode);
      const nameLength = this.#view.getUint32(this.#stringsAt + at, true);
      const valueLength = this.#view.getUint32(this.#stringsAt + at + 4, true);
      at += XATTR_HEAD;
      this.#strings(at, nameLength + valueLength, 'xattrs of', inode);
      if (!this.#isBehind(at, nameLength, before, lengthBefore)) {
        throw bad(`the xattrs of inode ${inode} are not sorted`);
      }
      before = at;
      lengthBefore = nameLength;
      at += nameLength + valueLength;
    }
  }

  /** @param what they are, and `which` of these: no text is made of it unless it is needed */
  #strings(start: number, length: number, what: string, which: number): void {
    this.#stringsUsed += length;
    const inside = start + length <= this.#stringsLength && this.#stringsUsed <= this.#stringsLength;
    if (inside && length <= MAX_STRING) return;
    throw bad(`${what} ${which}: ${length} bytes at ${start} of ${this.#stringsLength} bytes of strings`);
  }

  /** Whether a string comes behind another one, bytewise; nothing comes behind nothing. */
  #isBehind(start: number, length: number, other: number, otherLength: number): boolean {
    const bytes = this.#bytes;
    const from = this.#stringsAt + start;
    const before = this.#stringsAt + other;
    const shorter = Math.min(length, otherLength);
    for (let i = 0; i < shorter; i += 1) {
      const difference = (bytes[from + i] as number) - (bytes[before + i] as number);
      if (difference !== 0) return difference > 0;
    }
    return length > otherLength;
  }

  /** Whether a string can be a name in a directory. */
  #isName(start: number, length: number): boolean {
    const bytes = this.#bytes;
    const from = this.#stringsAt + start;
    let dots = 0;
    for (let i = from; i < from + length; i += 1) {
      const byte = bytes[i];
      if (byte === SLASH || byte === 0) return false;
      if (byte === DOT) dots += 1;
    }
    return dots < length || length > 2;
  }

  #kind(inode: number): number {
    return kindOf(this.#view.getUint16(inode * INODE_BYTES + INODE.mode, true));
  }

  #inode(inode: number, field: number): number {
    return this.#view.getUint32(inode * INODE_BYTES + field, true);
  }

  #name(name: number, field: number): number {
    return this.#view.getUint32(this.#namesAt + name * NAME_BYTES + field, true);
  }
}

function bad(reason: string): SociError {
  return new SociError('ERR_SOCI_TREE_FORMAT', `not a tree: ${reason}`);
}
