/**
 * How much the files below a directory hold, as du(1) adds it up: each directory
 * with all that is below it, a file with several names once, where it is met first.
 */
import type { AbortableOptions } from '../source/range-source.js';
import type { FileTree, NodeName } from '../tree/file-tree.js';

export interface DirectoryUsage {
  /** From the directory that was asked for, without a slash at its start; empty for that itself. */
  readonly path: Buffer;
  /** Bytes of the regular files, holes included. */
  readonly bytes: number;
  /** Regular files. */
  readonly files: number;
}

interface Level {
  readonly path: Buffer;
  /** Those still to come, the next one last. */
  readonly names: NodeName[];
  bytes: number;
  files: number;
}

/** Directories between two turns of the event loop. */
const SLICE = 1024;

/**
 * Directories in the order of du(1): what is in one before itself, names bytewise; `directory` is the last.
 *
 * @param directory its inode
 */
export async function* directoryUsage(
  tree: FileTree,
  directory: number,
  { signal }: AbortableOptions = {},
): AsyncGenerator<DirectoryUsage, void, undefined> {
  const seen = new Set<number>();
  const root: Level = { path: Buffer.alloc(0), names: tree.readdir(directory).reverse(), bytes: 0, files: 0 };
  const pending = [root];
  let turn = 0;
  for (let level = pending.at(-1); level !== undefined; level = pending.at(-1)) {
    const next = level.names.pop();
    if (next === undefined) {
      pending.pop();
      const above = pending.at(-1);
      if (above !== undefined) {
        above.bytes += level.bytes;
        above.files += level.files;
      }
      yield { path: level.path, bytes: level.bytes, files: level.files };
      if (++turn % SLICE === 0) await new Promise(resolve => setImmediate(resolve));
      signal?.throwIfAborted();
    } else if (next.kind === 'dir') {
      const path =
        level.path.length === 0 ? next.name : Buffer.concat([level.path, Buffer.from('/'), next.name]);
      pending.push({ path, names: tree.readdir(next.ino).reverse(), bytes: 0, files: 0 });
    } else if (next.kind === 'reg' && !seen.has(next.ino)) {
      seen.add(next.ino);
      level.bytes += tree.attributes(next.ino).size;
      level.files += 1;
    }
  }
}
