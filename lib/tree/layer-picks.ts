/**
 * What of one layer can matter to watched paths, in the order of its tar: entries at
 * such a path, marks that hide one, and of all that lies below a watched directory
 * one, which says that the layer has that directory. The overlay's rules make the
 * same of these as of all entries, as far as watched paths go, unless an entry's path
 * leads through a link of its own layer: then it may end anywhere.
 */
import { ByteView } from '../tar/byte-view.js';
import type { EntryType } from '../tar/entry.js';
import { cleanPath } from '../ztoc/entry-path.js';
import { cleanView, lastComponent } from './clean-view.js';
import { type LayerToc, OPAQUE, WHITEOUT } from './overlay.js';
import type { WatchedPath, WatchedPaths } from './watched-paths.js';

export class LayerPicks {
  readonly #toc: LayerToc;
  /** Entries that are picked for the directory that they are in, whatever they are themselves. */
  readonly #asFiles = new Set<number>();
  #picked: number[] = [];
  /** How many paths were watched when they were picked. */
  #watched = 0;
  readonly #name = new ByteView();

  constructor(toc: LayerToc) {
    this.#toc = toc;
  }

  /** What the overlay applies of the layer. */
  get toc(): LayerToc {
    const toc = this.#toc;
    return {
      entryCount: toc.entryCount,
      picked: this.#picked,
      typeOf: index => (this.#asFiles.has(index) ? 'reg' : toc.typeOf(index)),
      viewName: (index, view) => toc.viewName(index, view),
      fields: index => toc.fields(index),
    };
  }

  get isEmpty(): boolean {
    return this.#picked.length === 0;
  }

  /**
   * Picks anew if more is watched than before; what hard links at watched paths lead to is watched from then on. Yields
   * after every `slice` entries. False when an entry leads through a link.
   */
  *pick(watched: WatchedPaths, slice: number): Generator<void, boolean, undefined> {
    if (this.#watched === watched.size) return true;
    const links = this.#watched === 0 ? new LinksPassed() : undefined;
    this.#watched = watched.size;
    this.#picked = [];
    this.#asFiles.clear();
    const targets: string[] = [];
    const toc = this.#toc;
    const name = this.#name;
    /** Directories that the layer is known to have since the last entry that may have changed that. */
    const implied = new Set<WatchedPath>();
    for (let index = 0; index < toc.entryCount; index += 1) {
      if (index % slice === slice - 1) yield;
      toc.viewName(index, name);
      cleanView(name);
      if (links?.leadsThrough(name, toc.typeOf(index))) return false;
      const place = watched.deepest(name);
      const isWatched = name.start === name.end;
      if (isWatched || hides(name, place)) {
        implied.clear();
        this.#picked.push(index);
        if (isWatched && toc.typeOf(index) === 'hardlink') targets.push(toc.fields(index).linkname);
      } else if (place !== watched.root && !implied.has(place)) {
        for (let at: WatchedPath | undefined = place; at !== undefined; at = at.parent) implied.add(at);
        this.#picked.push(index);
        if (toc.typeOf(index) !== 'dir') this.#asFiles.add(index);
      }
    }
    for (const target of targets) {
      const path = cleanPath(target);
      if (path !== '/') watched.add(path);
    }
    return true;
  }
}

/** The links of a layer so far: an entry behind one, and below its name, is somewhere else. */
class LinksPassed {
  readonly #links = new Set<string>();
  /** Directories that are below none of them. */
  readonly #clear = new Set(['']);
  readonly #directory = new ByteView();
  /** The last of these: a tar lists neighbours one after the other. */
  readonly #last = new ByteView();

  /** Whether the next entry, of a clean name, is such a one. */
  leadsThrough(name: ByteView, type: EntryType): boolean {
    const directory = this.#directory;
    directory.set(name.bytes, name.start, Math.max(name.start, lastComponent(name) - 1));
    if (this.#links.size > 0 && !directory.equals(this.#last)) {
      if (!this.#isClear(directory.text())) return true;
      this.#last.set(directory.bytes, directory.start, directory.end);
    }
    if (type === 'symlink' || type === 'hardlink') this.#add(name.text());
    return false;
  }

  #isClear(directory: string): boolean {
    for (let path = directory; !this.#clear.has(path); path = parentOf(path)) {
      if (this.#links.has(path)) return false;
      this.#clear.add(path);
    }
    return true;
  }

  #add(path: string): void {
    this.#links.add(path);
    if (!this.#clear.has(path) || path === '') return;
    // It has taken the place of a directory.
    this.#clear.clear();
    this.#clear.add('');
    this.#last.set(this.#last.bytes, 0, 0);
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Whether what is left of an entry's name is a mark in a watched directory that hides something watched there. */
function hides(rest: ByteView, directory: WatchedPath): boolean {
  if (rest.bytes[rest.start] !== 0x2e || lastComponent(rest) !== rest.start) return false;
  const name = rest.text();
  if (name === OPAQUE) return true;
  if (!name.startsWith(WHITEOUT)) return false;
  const hidden = Buffer.from(name.slice(WHITEOUT.length), 'latin1');
  return directory.children.some(child => hidden.equals(child.name));
}
