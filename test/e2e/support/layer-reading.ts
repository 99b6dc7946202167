/** Reads every entry of a layer through its spans and tells what differs from the folder it was packed from. */
import { posix } from 'node:path';

import type { SociError } from '../../../lib/errors.js';
import type { Layer } from '../../../lib/image/layer.js';
import type { TocEntry } from '../../../lib/tar/entry.js';
import type { TreeEntry } from './sample-tree.js';

const READERS = 8;

/** One line for every difference; files are read many at once, from the last to the first. */
export async function differences(layer: Layer, tree: ReadonlyMap<string, TreeEntry>): Promise<string[]> {
  const found: string[] = [];
  const entries = [...layer.entries()].filter(({ name }) => treePath(name) !== '.');
  const names = new Set(entries.map(({ name }) => treePath(name)));
  for (const name of tree.keys()) if (!names.has(name)) found.push(`${name}: not in the layer`);
  const pending = [...entries];
  const reader = async (): Promise<void> => {
    for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
      const expected = tree.get(treePath(entry.name));
      const difference = isBelowFile(treePath(entry.name), tree)
        ? await unreachable(layer, entry)
        : expected
          ? await compare(layer, entry, expected)
          : 'not in the tree';
      if (difference !== undefined) found.push(`${entry.name}: ${difference}`);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return found.sort();
}

/** umoci writes whiteouts of what was in a folder below the file that has taken its place. */
function isBelowFile(path: string, tree: ReadonlyMap<string, TreeEntry>): boolean {
  const parent = posix.dirname(path);
  return parent !== '.' && (tree.get(parent)?.type === 'file' || isBelowFile(parent, tree));
}

async function unreachable(layer: Layer, entry: TocEntry): Promise<string | undefined> {
  const code = await layer.readFile(entry.rawName).then(
    () => undefined,
    (error: SociError) => error.code,
  );
  return code === 'ENOTDIR' ? undefined : `below a file, found with ${code ?? 'no error'}`;
}

function treePath(name: string): string {
  return posix.normalize(name).replace(/\/$/, '');
}

async function compare(layer: Layer, entry: TocEntry, expected: TreeEntry): Promise<string | undefined> {
  switch (expected.type) {
    case 'dir':
      return entry.type === 'dir' ? undefined : `a ${entry.type} in place of a folder`;
    case 'symlink':
      return entry.type === 'symlink' && entry.linkname === expected.target
        ? undefined
        : `a ${entry.type} to ${entry.linkname} in place of a link to ${expected.target}`;
    case 'file': {
      const content = await layer.readFile(entry.rawName);
      if (!content.equals(expected.content)) return `${content.length} bytes with other content`;
      const mode = entry.mode & 0o7777;
      return mode === expected.mode ? undefined : `mode ${mode.toString(8)}`;
    }
  }
}
