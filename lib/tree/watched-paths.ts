/**
 * The paths that the answer to a question hangs on: a path, the directories on its
 * way, and the same of where links lead. Entries of a layer are held against them by
 * their bytes, so that those that are none of them, nearly all, cost no string.
 */
import type { ByteView } from '../tar/byte-view.js';

const SLASH = 0x2f;

/** A place of the tree of paths. */
export interface WatchedPath {
  /** Absolute, a byte string; the root's is empty. */
  readonly path: string;
  readonly name: Uint8Array;
  readonly parent: WatchedPath | undefined;
  readonly children: WatchedPath[];
}

export class WatchedPaths {
  readonly root: WatchedPath = { path: '', name: new Uint8Array(0), parent: undefined, children: [] };
  readonly #byPath = new Map<string, WatchedPath>([['', this.root]]);

  /** With the root. */
  get size(): number {
    return this.#byPath.size;
  }

  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  /** All of them, directories before what is in them. */
  all(): Iterable<WatchedPath> {
    return this.#byPath.values();
  }

  /** Adds a clean absolute path with all on the way there. */
  add(path: string): void {
    let parent = this.root;
    for (let end = path.indexOf('/', 1); parent.path !== path; end = path.indexOf('/', end + 1)) {
      const here = end < 0 ? path : path.slice(0, end);
      parent = this.#byPath.get(here) ?? this.#addBelow(parent, here);
      if (end < 0) return;
    }
  }

  /**
   * The deepest of them that a clean name, without the first '/', is or is below; the view is moved behind it, so that
   * it is empty for one that is watched itself.
   */
  deepest(name: ByteView): WatchedPath {
    const { bytes, end } = name;
    let at = this.root;
    for (let start = name.start; start < end; ) {
      let to = start;
      while (to < end && bytes[to] !== SLASH) to += 1;
      const child = childAt(at, bytes, start, to);
      if (child === undefined) break;
      at = child;
      start = Math.min(to + 1, end);
      name.set(bytes, start, end);
    }
    return at;
  }

  #addBelow(parent: WatchedPath, path: string): WatchedPath {
    const name = Buffer.from(path.slice(parent.path.length + 1), 'latin1');
    const added = { path, name, parent, children: [] };
    parent.children.push(added);
    this.#byPath.set(path, added);
    return added;
  }
}

function childAt(
  { children }: WatchedPath,
  bytes: Uint8Array,
  start: number,
  end: number,
): WatchedPath | undefined {
  for (const child of children) if (isAt(child.name, bytes, start, end)) return child;
  return undefined;
}

function isAt(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i += 1) if (bytes[start + i] !== name[i]) return false;
  return true;
}
