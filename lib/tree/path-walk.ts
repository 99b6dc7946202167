/**
 * Walks a path through an image as a kernel does (path_resolution(7)) with the
 * image's root as '/': symbolic links are followed where they stand, absolute
 * targets begin at the root again, '..' climbs from where a link has led and
 * never above the root.
 */
import { type InodeTree, KIND, NONE, ROOT } from './inode-tree.js';

/** As Linux: symbolic links followed for one path. */
const MAX_LINKS = 40;
/** As Linux' PATH_MAX: no file system holds a symbolic link with a longer target. */
const MAX_TARGET = 4095;

export type WalkFailure = 'ENOENT' | 'ENOTDIR' | 'ELOOP';

export interface WalkOptions {
  /** Follow a symbolic link in the last place too. */
  readonly followLast: boolean;
  /** The target of a symbolic link's inode, a byte string. */
  readonly readLink: (inode: number) => string;
  /** What stands at `name` in the directory `at`, or NONE. Default: what the tree has there. */
  readonly step?: (at: number, name: string) => number;
}

/** Components of a path, '..' kept: it climbs from where the walk is, not from the text before it. */
export function splitPath(path: string): string[] {
  return path.split('/').filter(part => part !== '' && part !== '.');
}

/** The node at a path, or why there is none. A trailing '/' says that it must be a directory. */
export function walkPath(tree: InodeTree, path: string, options: WalkOptions): number | WalkFailure {
  const { followLast, readLink, step = (at, name) => tree.child(at, name) } = options;
  const mustBeDirectory = /\/\.{0,2}$/.test(path);
  const rest = splitPath(path).reverse();
  let at = ROOT;
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === '..') {
      at = tree.parent(at);
      continue;
    }
    const next = step(at, name);
    if (next === NONE) return 'ENOENT';
    const kind = tree.kind(tree.inode(next));
    const last = rest.length === 0;
    if (kind === KIND.symlink && (!last || followLast || mustBeDirectory)) {
      const target = readLink(tree.inode(next));
      links += 1;
      if (links > MAX_LINKS || target.length > MAX_TARGET) return 'ELOOP';
      if (target === '') return 'ENOENT';
      if (target.startsWith('/')) at = ROOT;
      rest.push(...splitPath(target).reverse());
      continue;
    }
    if (kind !== KIND.dir && (!last || mustBeDirectory)) return 'ENOTDIR';
    at = next;
  }
  return at;
}
