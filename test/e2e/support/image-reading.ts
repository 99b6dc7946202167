/** Reads every entry of an opened image and tells what differs from how another tool has unpacked it. */
import type { Image } from '../../../lib/image/image.js';
import type { TreeEntry } from './sample-tree.js';

const READERS = 8;

/** One line for every difference. */
export async function imageDifferences(
  image: Image,
  expected: ReadonlyMap<string, TreeEntry>,
): Promise<string[]> {
  const found: string[] = [];
  const names = await image.readdir('/', { recursive: true });
  const known = new Set(names);
  for (const name of expected.keys()) if (!known.has(name)) found.push(`${name}: not in the image`);
  const pending = [...names];
  const reader = async (): Promise<void> => {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const entry = expected.get(name);
      if (entry === undefined) found.push(`${name}: not unpacked`);
      else
        for (const difference of await compare(image, `/${name}`, entry))
          found.push(`${name}: ${difference}`);
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return found.sort();
}

async function compare(image: Image, path: string, expected: TreeEntry): Promise<string[]> {
  const found: string[] = [];
  const check = (what: string, value: unknown, wanted: unknown): void => {
    if (value !== wanted) found.push(`${what} ${value} in place of ${wanted}`);
  };
  const stat = await image.lstat(path);
  const type = stat.isDirectory() ? 'dir' : stat.isSymbolicLink() ? 'symlink' : 'file';
  check('type', type, expected.type);
  if (found.length > 0) return found;
  if (expected.type === 'symlink') {
    check('target', await image.readlink(path), expected.target);
    return found;
  }
  check('mode', (stat.mode & 0o7777).toString(8), expected.mode?.toString(8));
  if (expected.type === 'dir') return found;
  check('links', stat.nlink, expected.links);
  check('modified', Math.floor(stat.mtimeMs / 1000), expected.modified);
  check('size', stat.size, expected.content.length);
  if (!(await image.readFile(path)).equals(expected.content)) found.push('other content');
  return found;
}
