/**
 * Puts a layer's entries on top of the layers below it, as overlay runtimes do
 * (each layer unpacked by itself, then the kernel's overlayfs) or by the rules of
 * the OCI image specification (layer.md, "Applying Changesets"). In both, whiteouts
 * and opaque directories hide what lower layers have and nothing of their own
 * layer, wherever in the tar they stand; where they differ (layer-note.ts), that
 * is noted. What a runtime refuses to unpack is read as the specification says,
 * and where that is silent the result is what containerd's unpacking leaves.
 *
 * A layer by itself hides nothing. Its marks then stay as the files that they
 * are in the tar, or become what overlayfs reads (Documentation/filesystems/
 * overlayfs.rst, "whiteouts and opaque directories").
 */
import { ByteView } from '../tar/byte-view.js';
import type { EntryFields, EntryType } from '../tar/entry.js';
import { cleanPath } from '../ztoc/entry-path.js';
import { cleanView, lastComponent } from './clean-view.js';
import { DirectoryTrail } from './directory-trail.js';
import type { InodeOrigin, InodeTree, Name } from './inode-tree.js';
import { LayerNotes, type NoteKind, type Semantics } from './layer-note.js';
import { KIND, type Kind } from './node-kind.js';
import { MAX_LINKS, NONE, ROOT, type Walkable, walkPath } from './path-walk.js';

const SLASH = 0x2f;
const DOT = 0x2e;
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

/** In front of the name of what a mark hides. */
export const WHITEOUT = '.wh.';
/** The mark of a directory that hides all that lower layers have in it. */
export const OPAQUE = '.wh..wh..opq';

/**
 * What becomes of whiteouts and opaque marks: they hide what is below them; they
 * are devices 0/0 and marked directories, as overlayfs wants the upper of two
 * layers; they are files like any other. The last two are for one layer alone.
 */
export type Whiteouts = 'apply' | 'overlayfs' | 'keep';

/** The table of contents of a layer. A `Ztoc` is one; entries are in the order of the tar. */
export interface LayerToc {
  readonly entryCount: number;
  /** Those that are applied, ascending; undefined: all. */
  readonly picked?: readonly number[] | undefined;
  typeOf(index: number): EntryType;
  /** Moves a view to the name of an entry. */
  viewName(index: number, view: ByteView): void;
  fields(index: number): EntryFields;
}

interface NewEntry {
  readonly index: number;
  readonly layer: number;
}

/** How a directory is looked for. */
interface Way {
  readonly forMark: boolean;
}

/** Applies layers, the lowest first. */
export class Overlay {
  readonly tree: InodeTree;
  readonly notes = new LayerNotes();
  readonly #whiteouts: Whiteouts;
  readonly #semantics: Semantics;
  readonly #layers: LayerToc[] = [];
  /**
   * Directories below which the layer under way has already removed what lower
   * layers had. Without this, a layer of nothing but whiteouts of one large
   * directory would cost the square of its size.
   */
  readonly #cleared = new Set<number>();
  /**
   * What the layer under way hides at the end: the kernel does it when all of the layer is there, and does not where a
   * directory has come after the whiteout. By then a node may be gone, or the layer's own.
   */
  readonly #whitedOut = new Set<number>();
  /** Names that overlayfs is told to hide: a directory that the layer has there hides what it would be merged with. */
  readonly #hidden = new Set<string>();
  /** Hard links to what the layer has not had yet. */
  #unbound: { node: number; linkname: string }[] = [];
  /** The entry under way: the directory that it is in, and its name there. */
  readonly #path = new ByteView();
  readonly #name = new ByteView();
  /** The name of a directory on the way there. */
  readonly #component = new ByteView();
  readonly #trail = new DirectoryTrail();
  readonly #walkable: Walkable;

  constructor(tree: InodeTree, whiteouts: Whiteouts = 'apply', semantics: Semantics = 'overlay') {
    this.tree = tree;
    this.#whiteouts = whiteouts;
    this.#semantics = semantics;
    this.#walkable = {
      child: (directory, name) => tree.child(directory, name),
      parent: node => tree.parent(node),
      kind: node => tree.kind(tree.inode(node)),
      target: node => this.#target(node),
    };
  }

  /** Applies the next layer. Its index is the number of those before. */
  apply(toc: LayerToc): void {
    for (const _ of this.applyInSlices(toc, Number.POSITIVE_INFINITY));
  }

  /** `apply` that yields after every `entries` entries, for callers that share their thread. */
  *applyInSlices(toc: LayerToc, entries: number): Generator<void, void, undefined> {
    this.begin(toc);
    const { picked } = toc;
    const count = picked?.length ?? toc.entryCount;
    for (let place = 0; place < count; place += 1) {
      if (place % entries === entries - 1) yield;
      this.applyEntry(picked === undefined ? place : (picked[place] as number));
    }
    this.end();
  }

  /** Begins the next layer, whose table of contents need not be complete yet. */
  begin(toc: LayerToc): void {
    this.#layers.push(toc);
    this.#cleared.clear();
    this.#whitedOut.clear();
    this.#trail.clear();
  }

  /**
   * Applies an entry of the layer under way. They come in the order of the tar.
   *
   * @returns false if its path leads nowhere, since links on it loop: the tree is what it was
   */
  applyEntry(index: number): boolean {
    const layer = this.#layers.length - 1;
    const toc = this.#layers[layer] as LayerToc;
    const type = toc.typeOf(index);
    toc.viewName(index, this.#name);
    this.#splitName();
    if (this.#name.start === this.#name.end) {
      if (type === 'dir') this.#redeclare(ROOT, { kind: KIND.dir, layer, entry: index });
      return true;
    }
    const mark = this.#isMark() ? this.#name.text() : undefined;
    const parent = this.#directory(layer, { forMark: mark !== undefined });
    // A whiteout below a file has nothing to hide.
    if (parent === NONE) return mark !== undefined;
    if (mark !== undefined && this.#whiteouts !== 'keep') this.#mark(parent, mark, { index, layer });
    else if (type === 'hardlink') this.#addLink(parent, { index, layer }, toc.fields(index).linkname);
    else this.#addEntry(parent, { index, layer }, KINDS[type]);
    return true;
  }

  /** All entries of the layer have been applied. */
  end(): void {
    const layer = this.#layers.length - 1;
    for (const node of this.#whitedOut) {
      if (this.tree.isThere(node) && this.tree.declaredIn(node) !== layer) this.#remove(node);
    }
    if (this.#whiteouts !== 'apply') this.#bindLinks();
  }

  /** Cuts what the view of a name shows into directory and name. */
  #splitName(): void {
    cleanView(this.#name);
    const { bytes, start, end } = this.#name;
    const component = lastComponent(this.#name);
    this.#path.set(bytes, start, Math.max(start, component - 1));
    this.#name.set(bytes, component, end);
  }

  /** Whether the name is a whiteout's, or the like. */
  #isMark(): boolean {
    const { bytes, start } = this.#name;
    return bytes[start] === DOT && this.#name.text().startsWith(WHITEOUT);
  }

  #addEntry(parent: number, { index, layer }: NewEntry, kind: Kind): void {
    const { tree } = this;
    const origin = { kind, layer, entry: index };
    const present = tree.child(parent, this.#name);
    if (kind === KIND.char && this.#isWhiteoutDevice(index, layer)) {
      this.#note('whiteout device', layer);
      if (this.#semantics === 'overlay') {
        this.#hide(present, layer);
        return;
      }
    }
    if (present !== NONE && kind === KIND.dir && tree.kind(tree.inode(present)) === KIND.dir) {
      if (this.#isWhitedOut(present, layer)) this.#note('directory after its whiteout', layer);
      this.#redeclare(present, origin);
      return;
    }
    if (present !== NONE) this.#remove(present);
    const node = tree.add(parent, this.#name, origin, layer);
    // Unpacked, the directory takes the place of the whiteout, and nothing says of it that it hides anything.
    if (kind === KIND.dir && this.#semantics === 'spec') this.#hideLower(node, parent, this.#name);
  }

  #addLink(parent: number, { index, layer }: NewEntry, linkname: string): void {
    const { tree } = this;
    const target = this.#linked(linkname);
    const present = tree.child(parent, this.#name);
    if (present !== NONE && present === target) {
      this.#note('link to itself', layer);
      return;
    }
    const own = target !== NONE && tree.declaredIn(target) === layer;
    if (target !== NONE && this.#isWhitedOut(target, layer)) {
      this.#note('link to a hidden file', layer);
      this.#hide(present, layer);
      return;
    }
    if (present !== NONE) this.#remove(present);
    // The target may have been below what the link replaces.
    const found = target === NONE ? NONE : tree.inode(target);
    const inode = found !== NONE && tree.kind(found) !== KIND.dir ? found : NONE;
    if (inode !== NONE) {
      tree.link(parent, this.#name, target, layer);
      if (own) this.#addHeader(inode, index);
      else this.#note('link to a lower file', layer);
    } else {
      this.#note('link to nothing', layer);
      const node = tree.add(parent, this.#name, { kind: KIND.missing, layer, entry: index }, layer);
      if (this.#whiteouts !== 'apply') this.#unbound.push({ node, linkname });
    }
  }

  /**
   * A tar is unpacked in order, so a hard link is to what its target was before it. Only where a layer is read by
   * itself, and there was none, it is to one after it; such links may lead to each other.
   */
  #bindLinks(): void {
    const { tree } = this;
    for (let round = 0, before = -1; round < MAX_LINKS && this.#unbound.length !== before; round += 1) {
      before = this.#unbound.length;
      this.#unbound = this.#unbound.filter(({ node, linkname }) => {
        const inode = tree.inode(node);
        if (inode === NONE || tree.kind(inode) !== KIND.missing) return false;
        const target = this.#linked(linkname);
        const kind = target === NONE ? KIND.missing : tree.kind(tree.inode(target));
        if (kind === KIND.missing || kind === KIND.dir) return true;
        tree.relink(node, target);
        return false;
      });
    }
  }

  /** Carries a whiteout out, in the way that is wanted. */
  #mark(parent: number, name: string, { index, layer }: NewEntry): void {
    const { tree } = this;
    if (name === OPAQUE) {
      if (this.#whiteouts === 'overlayfs') tree.markOpaque(parent);
      if (this.#whiteouts === 'overlayfs' || this.#cleared.has(parent)) return;
      this.#cleared.add(parent);
      for (const child of [...tree.children(parent)]) this.#removeLower(child, layer);
      return;
    }
    if (name.startsWith(WHITEOUT_META)) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === '' || hidden === '.') this.#note('whiteout of no name', layer);
    const present = tree.child(parent, hidden);
    if (this.#whiteouts === 'apply') {
      if (present === NONE) return;
      if (tree.declaredIn(present) === layer) this.#note('whiteout after its entry', layer);
      else if (this.#semantics === 'overlay') this.#whitedOut.add(present);
      if (this.#semantics === 'spec' || tree.declaredIn(present) === layer) this.#removeLower(present, layer);
    } else if (present !== NONE) {
      if (tree.kind(tree.inode(present)) === KIND.dir) tree.markOpaque(present);
    } else if (hidden !== '' && hidden !== '.' && hidden !== '..') {
      this.#hidden.add(`${parent}/${hidden}`);
      tree.add(parent, hidden, { kind: KIND.char, layer, entry: index }, layer);
    }
  }

  /** Hides a name as a whiteout device does that is unpacked there: it takes the place of what the layer has. */
  #hide(present: number, layer: number): void {
    if (present === NONE) return;
    if (this.tree.declaredIn(present) === layer) this.#remove(present);
    else this.#whitedOut.add(present);
  }

  #isWhitedOut(node: number, layer: number): boolean {
    return this.#whitedOut.has(node) && this.tree.declaredIn(node) !== layer;
  }

  /** What overlayfs takes for a whiteout (Documentation/filesystems/overlayfs.rst). */
  #isWhiteoutDevice(index: number, layer: number): boolean {
    if (this.#whiteouts !== 'apply') return false;
    const { devmajor, devminor } = (this.#layers[layer] as LayerToc).fields(index);
    return devmajor === 0 && devminor === 0;
  }

  /** A directory's header: it counts alone, but for xattrs of headers that the same layer had before. */
  #redeclare(node: number, origin: InodeOrigin): void {
    const { tree } = this;
    const inode = tree.inode(node);
    const before = tree.origin(inode);
    tree.redeclare(node, origin, origin.layer);
    if (before.layer !== origin.layer || before.entry === NONE) return;
    if (tree.headers(inode).length === 0) tree.addHeader(inode, before.entry);
    tree.addHeader(inode, origin.entry);
  }

  /**
   * A further name's header in the layer of its file: a runtime puts it on the inode, so that the last one counts.
   * Nearly all say the same again.
   */
  #addHeader(inode: number, index: number): void {
    const { layer, entry } = this.tree.origin(inode);
    const toc = this.#layers[layer] as LayerToc;
    const before = toc.fields(this.tree.headers(inode).at(-1) ?? entry);
    if (!sameAttributes(before, toc.fields(index))) this.tree.addHeader(inode, index);
  }

  /** Notes something of the entry under way. A layer by itself stands on nothing that it could be read differently on. */
  #note(kind: NoteKind, layer: number): void {
    if (this.#whiteouts !== 'apply') return;
    this.notes.add(kind, layer, () => {
      const directory = this.#path.text();
      return `/${directory}${directory === '' ? '' : '/'}${this.#name.text()}`;
    });
  }

  /** A directory that a layer hides and has: what lower layers have in it must not show through. */
  #hideLower(node: number, parent: number, name: Name): void {
    if (this.#isHidden(parent, name)) this.tree.markOpaque(node);
  }

  /** Whether overlayfs was told to hide a name. */
  #isHidden(parent: number, name: Name): boolean {
    if (this.#hidden.size === 0) return false;
    return this.#hidden.has(`${parent}/${typeof name === 'string' ? name : name.text()}`);
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
    if (kind === KIND.dir || kind === KIND.symlink) this.#trail.clear();
    this.tree.remove(node);
  }

  /**
   * The directory of the entry under way, made where it is missing, as containerd makes it (0755, root). NONE when
   * symbolic links on the way loop: then nothing could be there on a real file system either. NONE too for a whiteout
   * below what is no directory in its own layer: umoci writes those where a file takes a directory's place.
   */
  #directory(layer: number, way: Way): number {
    const { bytes, start, end } = this.#path;
    const trail = this.#trail;
    trail.follow(this.#path);
    for (let from = start + trail.end; from < end; ) {
      if (trail.end > 0) from += 1;
      let to = from;
      while (to < end && bytes[to] !== SLASH) to += 1;
      this.#component.set(bytes, from, to);
      let node = this.#childDirectory(trail.node, this.#component, layer, way);
      if (node !== NONE && this.tree.kind(this.tree.inode(node)) === KIND.symlink) {
        node = this.#linkedDirectory(to - start, layer, way);
      }
      if (node === NONE) return NONE;
      trail.push(this.#path, to - start, node);
      from = to;
    }
    return trail.node;
  }

  /** Where the first `length` bytes of the entry's path lead, the last of whose names is a symbolic link. */
  #linkedDirectory(length: number, layer: number, way: Way): number {
    const child = (at: number, name: string): number => this.#childDirectory(at, name, layer, way);
    const path = this.#path.text().slice(0, length);
    const found = walkPath({ ...this.#walkable, child }, path, { followLast: true });
    return typeof found === 'number' ? found : NONE;
  }

  /** The directory or the symbolic link of that name; where there is neither, a directory is made, or is it NONE. */
  #childDirectory(at: number, name: Name, layer: number, { forMark }: { readonly forMark: boolean }): number {
    const { tree } = this;
    const present = tree.child(at, name);
    const kind = present === NONE ? undefined : tree.kind(tree.inode(present));
    const hidden = kind !== undefined && this.#isWhitedOut(present, layer);
    const lower = kind !== undefined && tree.declaredIn(present) !== layer;
    const leadsOn = kind === KIND.symlink && (!lower || this.#whiteouts !== 'apply');
    if (hidden) this.#note('path through a whiteout', layer);
    else if (kind === KIND.symlink && !leadsOn) this.#note('path through a lower link', layer);
    if (!hidden && kind === KIND.symlink && (leadsOn || this.#semantics === 'spec')) return present;
    if (!hidden && kind === KIND.dir) {
      tree.touch(present, layer);
      return present;
    }
    if (kind !== undefined && !lower)
      this.#note(forMark ? 'whiteout below a file' : 'path through a file', layer);
    // A whiteout of this layer is no file of it: what is below it is as new as in a tree that it is applied to.
    if (kind !== undefined && !lower && forMark && !this.#isHidden(at, name)) return NONE;
    if (kind !== undefined) this.#remove(present);
    const node = tree.add(at, name, { kind: KIND.dir, layer, entry: NONE }, layer);
    this.#hideLower(node, at, name);
    return node;
  }

  /** The node that a hard link names, or NONE. */
  #linked(linkname: string): number {
    const found = walkPath(this.#walkable, cleanPath(linkname), { followLast: false });
    return typeof found === 'number' ? found : NONE;
  }

  /** Where a symbolic link points. */
  #target(node: number): string {
    const { layer, entry } = this.tree.origin(this.tree.inode(node));
    return (this.#layers[layer] as LayerToc).fields(entry).linkname;
  }
}

/** Whether two headers put the same on an inode. */
function sameAttributes(a: EntryFields, b: EntryFields): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.modTime === b.modTime &&
    a.pax.length === b.pax.length &&
    a.pax.every(([key, value], i) => key === b.pax[i]?.[0] && value === b.pax[i]?.[1])
  );
}
