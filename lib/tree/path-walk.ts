/**
 * Walks a path as a kernel does (path_resolution(7)) with the tree's root as
 * '/': symbolic links are followed where they stand, absolute targets begin at
 * the root again, '..' climbs from where a link has led and never above the
 * root. The one walk of the library, while a tree is made and afterwards.
 */
import { KIND, type Kind } from './node-kind.js';

/** The root's node. */
export const ROOT = 0;
/** Where there is no node. */
export const NONE = 0xffffffff;

/** As Linux: symbolic links followed for one path. */
export const MAX_LINKS = 40;
/** Bytes of all link targets of one walk; Linux holds no single one beyond 4095. */
const MAX_TARGET_BYTES = 16384;

/** Names in a tree, which may be made during the walk. Names and targets are byte strings. */
export interface Walkable {
  /** The node called `name` in a directory, or NONE. */
  child(directory: number, name: string): number;
  parent(node: number): number;
  kind(node: number): Kind;
  /** Where a symbolic link points. */
  target(node: number): string;
}

export interface WalkOptions {
  /** Follow a symbolic link in the last place too. */
  readonly followLast: boolean;
  /** Told of every symbolic link that is followed. */
  readonly onLink?: ((node: number) => void) | undefined;
}

/** Why a path leads nowhere. */
export interface WalkFailure {
  readonly code: 'ENOENT' | 'ENOTDIR' | 'ELOOP';
  readonly detail?: string;
}

/** Components of a path, '..' kept: it climbs from where the walk is, not from the text before it. */
export function splitPath(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.');
}

/** The node at a path, or why there is none. A trailing '/' says that it must be a directory. */
export function walkPath(tree: Walkable, path: string, options: WalkOptions): number | WalkFailure {
  const { followLast, onLink } = options;
  const mustBeDirectory = /\/\.{0,2}$/.test(path);
  const rest = splitPath(path).reverse();
  let at = ROOT;
  let links = 0;
  let targetBytes = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === '..') {
      at = tree.parent(at);
      continue;
    }
    const next = tree.child(at, name);
    if (next === NONE) return { code: 'ENOENT' };
    const kind = tree.kind(next);
    const last = rest.length === 0;
    if (kind === KIND.symlink && (!last || followLast || mustBeDirectory)) {
      const target = tree.target(next);
      links += 1;
      targetBytes += target.length;
      if (links > MAX_LINKS) return { code: 'ELOOP' };
      if (targetBytes > MAX_TARGET_BYTES) {
        return { code: 'ELOOP', detail: `more than ${MAX_TARGET_BYTES} bytes of symbolic links on its way` };
      }
      if (target === '') return { code: 'ENOENT', detail: 'a symbolic link without a target' };
      onLink?.(next);
      if (target.startsWith('/')) at = ROOT;
      rest.push(...splitPath(target).reverse());
      continue;
    }
    if (kind !== KIND.dir && (!last || mustBeDirectory)) return { code: 'ENOTDIR' };
    at = next;
  }
  return at;
}
