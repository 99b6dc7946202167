/**
 * One path looked up without the merged tree: by the tables of contents of the upper
 * layers, as far down as the answer depends on them. The overlay's own rules are
 * applied to the few entries that can matter (layer-picks.ts), on top of a stand-in
 * for the layers that are not there: whatever the way meets of that is for the next
 * layer to say, and what it does not meet would change nothing. Where layers can be
 * read in more than one way, the merged tree has the word.
 *
 * What it gives is a tree with the nodes on the way: their kinds, names, contents and
 * targets are right; numbers, attributes and whatever else is in directories are not.
 */
import type { LayerEntries } from '../layer/layer-entries.js';
import { FileTree } from './file-tree.js';
import { Freezer } from './freeze.js';
import { InodeTree } from './inode-tree.js';
import { LayerPicks } from './layer-picks.js';
import { KIND } from './node-kind.js';
import { type LayerToc, Overlay } from './overlay.js';
import { type ImagePath, pathText } from './path-lookup.js';
import { NONE, type Walkable, walkPath } from './path-walk.js';
import { WatchedPaths } from './watched-paths.js';

/** Entries looked at between two turns of the event loop: a few milliseconds. */
const SLICE = 16_384;
/** Paths that an answer may hang on; honest ones hang on a dozen. */
const MAX_WATCHED = 1024;
/** How often more may have to be watched, and all entries looked at again: each link on the way leads to other paths. */
const MAX_ROUNDS = 32;
/** Of what is on its way beyond the tree; nodes are below. */
const BEYOND = 2 ** 31;

/** 'more': it takes the next layer below. 'merge': only the merged tree can tell. */
export type PathAnswer = FileTree | 'more' | 'merge';

export interface PathQuestionOptions {
  /** Follow a symbolic link in the last place too. */
  readonly followLast: boolean;
  /** Of the image. */
  readonly layerCount: number;
  /** As of the merged tree. */
  readonly maxNames: number;
}

export class PathQuestion {
  readonly #path: string;
  readonly #options: PathQuestionOptions;
  readonly #watched = new WatchedPaths();
  /** By position; those below are not there. */
  readonly #layers: LayerEntries[];
  readonly #picks: LayerPicks[];
  /** How many paths were watched when entries were last looked at, and how often that has been more. */
  #pickedFor = 0;
  #rounds = 0;
  /** Layers that are not there, which are the lowest. */
  #unknown: number;

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT for what is no path */
  constructor(path: ImagePath, options: PathQuestionOptions) {
    this.#path = pathText(path);
    this.#options = options;
    this.#unknown = options.layerCount;
    this.#layers = new Array(options.layerCount);
    this.#picks = new Array(options.layerCount);
    // As if there were no link: all that is known before the first layer.
    const way = new Way(new InodeTree(1), this.#watched, this.#unknown, () => '');
    walkPath(way, this.#path, options);
    for (const path of way.beyond) this.#watched.add(path);
  }

  /** Adds the uppermost of the layers that are not there, and tries to answer. Yields to who shares the thread. */
  *add(layer: LayerEntries): Generator<void, PathAnswer, undefined> {
    this.#unknown -= 1;
    const picks = new LayerPicks(layer.ztoc);
    this.#layers[this.#unknown] = layer;
    this.#picks[this.#unknown] = picks;
    for (;;) {
      if (!(yield* this.#pick())) return 'merge';
      // Nothing in it: what was not known is not known yet.
      if (picks.isEmpty && this.#watched.size > 1 && this.#unknown > 0) return 'more';
      const overlay = yield* this.#overlay();
      if (overlay.notes.all.length > 0) return 'merge';
      const way = new Way(overlay.tree, this.#watched, this.#unknown, node =>
        this.#target(overlay.tree, node),
      );
      walkPath(way, this.#path, this.#options);
      if (way.beyond.size > 0) {
        for (const path of way.beyond) this.#watched.add(path);
      } else if (way.meetsUnknown) {
        return 'more';
      } else {
        return yield* this.#freeze(overlay.tree);
      }
    }
  }

  /** Until nothing more is watched. False when that takes too long, or a layer has links in its own way. */
  *#pick(): Generator<void, boolean, undefined> {
    do {
      if (this.#watched.size > this.#pickedFor) this.#rounds += 1;
      this.#pickedFor = this.#watched.size;
      if (this.#rounds > MAX_ROUNDS || this.#watched.size > MAX_WATCHED) return false;
      for (let at = this.#unknown; at < this.#picks.length; at += 1) {
        if (!(yield* (this.#picks[at] as LayerPicks).pick(this.#watched, SLICE))) return false;
      }
    } while (this.#watched.size > this.#pickedFor);
    return true;
  }

  *#overlay(): Generator<void, Overlay, undefined> {
    const tree = new InodeTree(this.#options.maxNames);
    const overlay = new Overlay(tree);
    for (let at = 0; at < this.#unknown; at += 1) overlay.apply(NO_ENTRIES);
    if (this.#unknown > 0) this.#standIn(tree);
    for (let at = this.#unknown; at < this.#picks.length; at += 1) {
      yield* overlay.applyInSlices((this.#picks[at] as LayerPicks).toc, SLICE);
    }
    return overlay;
  }

  /** The lower layers may have anything at a watched path. */
  #standIn(tree: InodeTree): void {
    const nodes = new Map([[this.#watched.root, 0]]);
    for (const watched of this.#watched.all()) {
      const parent = watched.parent && nodes.get(watched.parent);
      if (parent === undefined) continue;
      const kind = watched.children.length > 0 ? KIND.dir : KIND.reg;
      const name = Buffer.from(watched.name).toString('latin1');
      nodes.set(watched, tree.add(parent, name, { kind, layer: 0, entry: NONE }, 0));
    }
  }

  /** Leaves out what stands for the lower layers: the way has not met it. */
  *#freeze(tree: InodeTree): Generator<void, FileTree, undefined> {
    for (let node = 1; this.#unknown > 0 && node < tree.nodeCount; node += 1) {
      if (tree.isThere(node) && tree.declaredIn(node) < this.#unknown) tree.remove(node);
    }
    const table = yield* new Freezer(tree, this.#layers, 'unpacked').run(SLICE);
    return new FileTree(table, this.#layers);
  }

  #target(tree: InodeTree, node: number): string {
    const { layer, entry } = tree.origin(tree.inode(node));
    return (this.#layers[layer] as LayerEntries).ztoc.fields(entry).linkname;
  }
}

/** A layer that is not there. */
const NO_ENTRIES: LayerToc = {
  entryCount: 0,
  typeOf: () => 'reg',
  viewName: () => {},
  fields: () => {
    throw new RangeError('expected no entry to be asked for, as there is none');
  },
};

/** A walk that goes on where the tree does not, as if all were directories, to learn what is on the way. */
class Way implements Walkable {
  /** Paths on the way that are not watched. */
  readonly beyond = new Set<string>();
  /** Whether a layer that is not there has to say what is on the way. */
  meetsUnknown = false;
  readonly target: (node: number) => string;
  readonly #tree: InodeTree;
  readonly #watched: WatchedPaths;
  readonly #unknown: number;
  /** By number from BEYOND on. */
  readonly #places: { readonly path: string; readonly parent: number }[] = [];

  constructor(tree: InodeTree, watched: WatchedPaths, unknown: number, target: (node: number) => string) {
    this.#tree = tree;
    this.#watched = watched;
    this.#unknown = unknown;
    this.target = target;
  }

  child(directory: number, name: string): number {
    const path = `${this.#pathOf(directory)}/${name}`;
    if (!this.#watched.has(path)) {
      this.beyond.add(path);
      return this.#place(path, directory);
    }
    if (directory >= BEYOND) return this.#place(path, directory);
    const node = this.#tree.child(directory, name);
    if (node === NONE || this.#tree.declaredIn(node) >= this.#unknown) return node;
    this.meetsUnknown = true;
    return this.#place(path, directory);
  }

  parent(node: number): number {
    return this.#places[node - BEYOND]?.parent ?? this.#tree.parent(node);
  }

  kind(node: number) {
    return node >= BEYOND ? KIND.dir : this.#tree.kind(this.#tree.inode(node));
  }

  #place(path: string, parent: number): number {
    return BEYOND + this.#places.push({ path, parent }) - 1;
  }

  #pathOf(node: number): string {
    const place = this.#places[node - BEYOND];
    if (place !== undefined) return place.path;
    const names: string[] = [];
    for (let at = node; at !== 0; at = this.#tree.parent(at)) names.push(`/${this.#tree.name(at)}`);
    return names.reverse().join('');
  }
}
