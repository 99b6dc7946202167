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
   * Whether an entry lies below a symbolic or a hard link of the layer. Looks at all entries, and yields after every
   * `slice` of them.
   */
  *leadsThroughLinks(slice: number): Generator<void, boolean, undefined> {
    const toc = this.#toc;
    const name = this.#name;
    const links = new Set<string>();
    for (let index = 0; index < toc.entryCount; index += 1) {
      if (index % slice === slice - 1) yield;
      if (!isLink(toc.typeOf(index))) continue;
      toc.viewName(index, name);
      cleanView(name);
      links.add(name.text());
    }
    if (links.size === 0) return false;
    const directory = new ByteView();
    const passed = new Set(['']);
    for (let index = 0; index < toc.entryCount; index += 1) {
      if (index % slice === slice - 1) yield;
      toc.viewName(index, name);
      cleanView(name);
      name.set(name.bytes, name.start, Math.max(name.start, lastComponent(name) - 1));
      // A tar lists neighbours one after the other.
      if (name.equals(directory)) continue;
      directory.set(name.bytes, name.start, name.end);
      for (
        let path = name.text();
        !passed.has(path);
        path = path.slice(0, Math.max(0, path.lastIndexOf('/')))
      ) {
        if (links.has(path)) return true;
        passed.add(path);
      }
    }
    return false;
  }

  /** Picks anew if more is watched than before; what hard links at watched paths lead to is watched from then on. */
  *pick(watched: WatchedPaths, slice: number): Generator<void, void, undefined> {
    if (this.#watched === watched.size) return;
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
  }
}

function isLink(type: EntryType): boolean {
  return type === 'symlink' || type === 'hardlink';
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
