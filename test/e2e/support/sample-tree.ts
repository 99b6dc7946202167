/**
 * A folder like those that layers are made of, and the tars that GNU tar makes
 * of it: real sources, files of awkward sizes, long and foreign names, links.
 */
import { createHash } from 'node:crypto';
import {
  cp,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { fixturePath, sampleBytes } from '../../registry/fixture.js';
import { run } from './process.js';

export type TarFormat = 'gnu' | 'pax' | 'ustar';

const CODE = 'node_modules/undici/lib';
const MTIME = 1_700_000_000.5;

/** About 2.5 MB; with `small` a tenth of it. */
export async function writeSampleTree(root: string, format: TarFormat, small = false): Promise<void> {
  const put = async (path: string, content: string | Uint8Array): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  };
  await mkdir(root, { recursive: true });
  const code = join(fixturePath('..', '..'), small ? `${CODE}/util` : CODE);
  await cp(code, join(root, 'usr/lib/code'), { recursive: true });
  for (const size of [0, 1, 511, 512, 513, 10_240]) await put(`sizes/${size}`, sampleBytes(size, size + 1));
  await put('big/noise', sampleBytes(small ? 40_000 : 700_000));
  await put('big/zeros', Buffer.alloc(small ? 40_000 : 1_000_000));
  await put('empty-folder/.keep', '');
  await put('names/ünï çödé – 名前 🦀', 'unicode\n');
  await put('names/with\nnewline and "quotes" \\', 'odd\n');
  await put(`names/${'n'.repeat(100)}`, 'one hundred bytes\n');
  await put(`names/${'p'.repeat(80)}/${'q'.repeat(90)}`, 'in a ustar prefix\n');
  // Beyond ustar's 155 + 100 bytes; the other formats have headers of their own for it.
  if (format !== 'ustar') {
    await put(`names/${'d'.repeat(200)}/${'é'.repeat(100)}/${'f'.repeat(250)}`, 'long\n');
    await symlink(`../${'t'.repeat(180)}/target`, join(root, 'names/long-link'));
  }
  await link(join(root, 'big/noise'), join(root, 'big/zz-hard-link'));
  await link(join(root, 'big/noise'), join(root, 'aa-hard-link'));
  await symlink('../sizes/513', join(root, 'big/symbolic-link'));
  await symlink('nowhere', join(root, 'big/dangling-link'));
  await utimes(join(root, 'sizes/1'), MTIME, MTIME);
}

/** An extended attribute on a file, where the file system takes it. */
export async function setExtendedAttribute(path: string, name: string, value: string): Promise<boolean> {
  const script = 'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())';
  return await run('python3', ['-c', script, path, name, value]).then(
    () => true,
    () => false,
  );
}

export async function tarOf(root: string, format: TarFormat, args: readonly string[] = []): Promise<Buffer> {
  const owner = ['--owner=someone:1234567', '--group=some:7654321'];
  const order = ['--sort=name', ...(format === 'ustar' ? ['--owner=0', '--group=0'] : owner)];
  return await run('tar', ['-c', `--format=${format}`, ...order, ...args, '-C', root, '.']);
}

export type TreeEntry =
  | { readonly type: 'dir'; readonly mode?: number }
  | { readonly type: 'symlink'; readonly target: string }
  | {
      readonly type: 'file';
      readonly content: Buffer;
      readonly mode: number;
      /** Names that the file has. */
      readonly links?: number;
      /** Modification time in seconds since 1970. */
      readonly modified?: number;
    };

/** Everything below `root`, by path without a leading slash. */
export async function readTree(root: string): Promise<Map<string, TreeEntry>> {
  const tree = new Map<string, TreeEntry>();
  const names = await readdir(root, { recursive: true });
  for (const name of names.sort()) tree.set(name, await readEntry(join(root, name)));
  return tree;
}

async function readEntry(path: string): Promise<TreeEntry> {
  const stat = await lstat(path);
  const mode = stat.mode & 0o7777;
  if (stat.isDirectory()) return { type: 'dir', mode };
  if (stat.isSymbolicLink()) return { type: 'symlink', target: await readlink(path) };
  const modified = Math.floor(stat.mtimeMs / 1000);
  return { type: 'file', content: await readFile(path), mode, links: stat.nlink, modified };
}

/** One line for every path that differs in kind, content, mode, number of names, time or target. */
export function treeDifferences(
  found: ReadonlyMap<string, TreeEntry>,
  expected: ReadonlyMap<string, TreeEntry>,
): string[] {
  const paths = new Set([...found.keys(), ...expected.keys()]);
  const described = (entry: TreeEntry | undefined): string =>
    entry?.type === 'file'
      ? JSON.stringify({ ...entry, content: createHash('sha256').update(entry.content).digest('hex') })
      : JSON.stringify(entry ?? 'missing');
  return [...paths]
    .map(path => [path, described(found.get(path)), described(expected.get(path))] as const)
    .filter(([, has, wants]) => has !== wants)
    .map(([path, has, wants]) => `${path}: ${has} in place of ${wants}`);
}
