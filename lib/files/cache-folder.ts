/**
 * The folder in which things are kept for the next time, shared by any number of
 * processes: what is in it, and what has to go when it grows too large, the least
 * recently used first. A file's time of modification says when it was last used,
 * as its content never changes. Files appear and go whole, and whoever has one
 * open keeps it, so nobody has to wait for anybody. What is not named as ours is
 * neither listed nor removed, whatever folder we are given.
 */
import { lstat, readdir, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** What is kept: built ztocs, unpacked layers, and documents and ztocs that were fetched. */
export type CacheKind = 'ztoc' | 'tar' | 'blob';

export interface CachedFile {
  readonly kind: CacheKind;
  readonly path: string;
  /** What it is of: the digest of the layer, of the plain tar, or its own. */
  readonly digest: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

export interface PrunedCache {
  readonly removed: readonly CachedFile[];
  /** Bytes of what is left. */
  readonly left: number;
}

export const DEFAULT_MAX_CACHE_BYTES: number = 10 * 2 ** 30;

const HEX = /^[0-9a-f]{64}$/;
const BUILT = /^[0-9a-f]{32}\.ztoc$/;
const TAR = /^([0-9a-f]{64})\.tar$/;
/** Half a file, of a process that is writing it, or did not come to its end. */
const UNFINISHED = /^\.[0-9a-f]{32,64}(?:\.ztoc|\.tar)?\.[0-9a-f]{12}\.tmp$/;
/** Nobody writes to one file for so long. */
const ABANDONED_MS = 24 * 3600 * 1000;

/** Where built ztocs are. */
export function builtZtocsIn(root: string): string {
  return join(root, 'ztocs');
}

/** Where unpacked layers are. */
export function unpackedTarsIn(root: string): string {
  return join(root, 'tars');
}

/** Where what was fetched is. */
export function fetchedBlobsIn(root: string): string {
  return join(root, 'blobs', 'sha256');
}

/** Remembers that a file was used now. A cache that cannot be written to forgets, and that is all. */
export async function markUsed(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined);
}

/** All that is kept below `root`, the least recently used first; nothing when there is no such folder. */
export async function listCache(root: string): Promise<CachedFile[]> {
  const files: CachedFile[] = [];
  for await (const { path, name, parent } of namesIn(root)) {
    const [, tar] = TAR.exec(name) ?? [];
    const kind = tar !== undefined ? 'tar' : BUILT.test(name) ? 'ztoc' : HEX.test(name) ? 'blob' : undefined;
    if (kind === undefined) continue;
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile() !== true) continue;
    const digest = `sha256:${kind === 'ztoc' ? parent : (tar ?? name)}`;
    files.push({ kind, path, digest, size: found.size, usedAt: found.mtimeMs });
  }
  return files.sort((a, b) => a.usedAt - b.usedAt || (a.path < b.path ? -1 : 1));
}

/**
 * Removes the least recently used until no more than `maxBytes` are left, and what processes that ended early have
 * left behind.
 */
export async function pruneCache(root: string, maxBytes: number): Promise<PrunedCache> {
  const files = await listCache(root);
  let left = files.reduce((sum, { size }) => sum + size, 0);
  const removed: CachedFile[] = [];
  for (const file of files) {
    if (left <= maxBytes) break;
    left -= file.size;
    // Somebody else may have been faster.
    if (await unlinked(file.path)) removed.push(file);
  }
  for await (const { path, name } of namesIn(root)) {
    if (!UNFINISHED.test(name)) continue;
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile() === true && Date.now() - found.mtimeMs > ABANDONED_MS) await unlinked(path);
  }
  return { removed, left };
}

async function unlinked(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch {
    return false;
  }
}

/** Names of files in the folders that are ours; no link is followed. */
async function* namesIn(root: string): AsyncGenerator<{ path: string; name: string; parent: string }> {
  const built = join(builtZtocsIn(root), 'sha256');
  const layers = (await entriesOf(built)).filter(entry => entry.isDirectory() && HEX.test(entry.name));
  const folders = [
    unpackedTarsIn(root),
    fetchedBlobsIn(root),
    ...layers.map(({ name }) => join(built, name)),
  ];
  for (const folder of folders) {
    const parent = folder.slice(-64);
    for (const { name } of await entriesOf(folder)) yield { path: join(folder, name), name, parent };
  }
}

async function entriesOf(folder: string) {
  const found = await lstat(folder).catch(() => undefined);
  return found?.isDirectory() === true ? await readdir(folder, { withFileTypes: true }).catch(() => []) : [];
}
