/**
 * Puts a layer's entries on top of the layers below it, by the rules of the OCI
 * image specification (layer.md, "Applying Changesets"): whiteouts and opaque
 * directories hide what lower layers have and nothing of their own layer,
 * wherever in the tar they stand. Where the specification is silent the result
 * is what containerd's unpacking leaves on disk.
 */
import type { EntryType, TocEntry } from '../tar/entry.js';
import { cleanPath } from '../ztoc/entry-path.js';
import { type InodeTree, KIND, type Kind, NONE, ROOT } from './inode-tree.js';
import { walkPath } from './path-walk.js';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** aufs keeps other marks of its own under this prefix; they are no files. */
const WHITEOUT_META = '.wh..wh.';

const KINDS: Readonly<Record<Exclude<EntryType, 'hardlink'>, Kind>> = {
  dir: KIND.dir,
  reg: KIND.reg,
  symlink: KIND.symlink,
  char: KIND.char,
  block: KIND.block,
  fifo: KIND.fifo,
};

/** The table of contents of a layer. A `Ztoc` is one. */
export interface LayerToc {
  readonly entryCount: number;
  /** Entry `index` in the order of the tar. */
  entry(index: number): TocEntry;
}

/** Applies layers, the lowest first. */
export class Overlay {
  readonly tree: InodeTree;
  readonly #layers: LayerToc[] = [];
  /**
   * Directories below which the layer under way has already removed what lower
   * layers had. Without this, a layer of nothing but whiteouts of one large
   * directory would cost the square of its size.
   */
  readonly #cleared = new Set<number>();
  /** Entries mostly follow others of their directory. Forgotten when a removal may have changed the way there. */
  #lastDirectory: { readonly path: string; readonly node: number } | undefined;

  constructor(tree: InodeTree) {
    this.tree = tree;
  }

  /** Applies the next layer. Its index is the number of those before. */
  apply(toc: LayerToc): void {
    for (const _ of this.applyInSlices(toc, Number.POSITIVE_INFINITY));
  }

  /** `apply` that yields after every `entries` entries, for callers that share their thread. */
  *applyInSlices(toc: LayerToc, entries: number): Generator<void, void, undefined> {
    const layer = this.#layers.push(toc) - 1;
    this.#cleared.clear();
    this.#lastDirectory = undefined;
    for (let index = 0; index < toc.entryCount; index += 1) {
      if (index % entries === entries - 1) yield;
      const { fields } = toc.entry(index);
      const path = cleanPath(fields.name);
      const slash = path.lastIndexOf('/');
      const name = path.slice(slash + 1);
      const entry = { index, layer, type: fields.type };
      if (name === '') {
        if (fields.type === 'dir') this.tree.redeclare(ROOT, { kind: KIND.dir, layer, entry: index }, layer);
        continue;
      }
      const parent = this.#directory(path.slice(0, slash), layer, name.startsWith(WHITEOUT));
      if (parent === NONE || this.#whiteOut(parent, name, layer)) continue;
      if (fields.type === 'hardlink') this.#addLink(parent, name, entry, fields.linkname);
      else this.#addEntry(parent, name, { ...entry, type: fields.type });
    }
  }

  readonly #readLink = (inode: number): string => {
    const { layer, entry } = this.tree.origin(inode);
    return (this.#layers[layer] as LayerToc).entry(entry).fields.linkname;
  };

  #addEntry(
    parent: number,
    name: string,
    entry: { index: number; layer: number; type: Exclude<EntryType, 'hardlink'> },
  ): void {
    const { tree } = this;
    const origin = { kind: KINDS[entry.type], layer: entry.layer, entry: entry.index };
    const present = tree.child(parent, name);
    if (present !== NONE && origin.kind === KIND.dir && tree.kind(tree.inode(present)) === KIND.dir) {
      tree.redeclare(present, origin, entry.layer);
      return;
    }
    if (present !== NONE) this.#remove(present);
    tree.add(parent, name, origin, entry.layer);
  }

  #addLink(parent: number, name: string, entry: { index: number; layer: number }, linkname: string): void {
    const { tree } = this;
    const target = this.#target(linkname);
    const present = tree.child(parent, name);
    if (present !== NONE && present === target) return;
    const linkable = target !== NONE && tree.kind(tree.inode(target)) !== KIND.dir;
    const inode = linkable ? tree.inode(target) : NONE;
    if (present !== NONE) this.#remove(present);
    if (inode !== NONE) tree.link(parent, name, inode, entry.layer);
    else tree.add(parent, name, { kind: KIND.missing, layer: entry.layer, entry: entry.index }, entry.layer);
  }

  /** Carries a whiteout out; false when the name is none. */
  #whiteOut(parent: number, name: string, layer: number): boolean {
    if (!name.startsWith(WHITEOUT)) return false;
    if (name === OPAQUE) {
      if (this.#cleared.has(parent)) return true;
      this.#cleared.add(parent);
      for (const child of [...this.tree.children(parent)]) this.#removeLower(child, layer);
    } else if (!name.startsWith(WHITEOUT_META)) {
      const hidden = this.tree.child(parent, name.slice(WHITEOUT.length));
      if (hidden !== NONE) this.#removeLower(hidden, layer);
    }
    return true;
  }

  /** Removes what lower layers have at and below a node; what this layer brought stays, in directories that it implies. */
  #removeLower(node: number, layer: number): void {
    const { tree } = this;
    const pending = [node];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (tree.declaredIn(next) !== layer) {
        this.#remove(next);
        continue;
      }
      if (tree.kind(tree.inode(next)) !== KIND.dir) continue;
      const lower = tree.origin(tree.inode(next)).layer !== layer;
      if (lower) tree.redeclare(next, { kind: KIND.dir, layer, entry: NONE }, layer);
      if (this.#cleared.has(next)) continue;
      this.#cleared.add(next);
      for (const child of tree.children(next)) pending.push(child);
    }
  }

  #remove(node: number): void {
    const kind = this.tree.kind(this.tree.inode(node));
    if (kind === KIND.dir || kind === KIND.symlink) this.#lastDirectory = undefined;
    this.tree.remove(node);
  }

  /**
   * The directory at a path, made where it is missing, as containerd makes it
   * (0755, root). NONE when symbolic links on the way loop: then nothing could
   * be there on a real file system either. NONE too for a whiteout below what is
   * no directory in its own layer: umoci writes those where a file takes a directory's place.
   */
  #directory(path: string, layer: number, whiteout: boolean): number {
    const { tree } = this;
    if (this.#lastDirectory?.path === path) return this.#lastDirectory.node;
    const step = (at: number, name: string): number => {
      const present = tree.child(at, name);
      const kind = present === NONE ? undefined : tree.kind(tree.inode(present));
      if (kind === KIND.symlink) return present;
      if (kind === KIND.dir) {
        tree.touch(present, layer);
        return present;
      }
      if (kind !== undefined && whiteout && tree.declaredIn(present) === layer) return NONE;
      if (kind !== undefined) this.#remove(present);
      return tree.add(at, name, { kind: KIND.dir, layer, entry: NONE }, layer);
    };
    const found = walkPath(tree, path, { followLast: true, readLink: this.#readLink, step });
    if (typeof found !== 'number') return NONE;
    this.#lastDirectory = { path, node: found };
    return found;
  }

  /** The node that a hard link names, or NONE. */
  #target(linkname: string): number {
    const found = walkPath(this.tree, cleanPath(linkname), { followLast: false, readLink: this.#readLink });
    return typeof found === 'number' ? found : NONE;
  }
}
