/**
 * Where ztocs and unpacked layers are kept between runs. Ztocs from there are
 * taken on trust, so nobody else may be able to write into it.
 */
import { mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

const OWNER_ONLY = 0o700;
const GROUP_OR_OTHERS_WRITE = 0o022;

/** $XDG_CACHE_HOME/seekable-oci, else ~/.cache/seekable-oci (XDG Base Directory Specification). */
export function defaultCacheDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const home = env['XDG_CACHE_HOME'];
  // "All paths must be absolute"; a relative one is to be ignored.
  return join(home?.startsWith('/') ? home : join(homedir(), '.cache'), 'seekable-oci');
}

/** Makes the directory unless it is there. */
export async function makeCacheDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: OWNER_ONLY });
}

/** Why the directory should not be used although nobody asked for another one; undefined when all is well. */
export async function cacheDirectoryFault(path: string): Promise<string | undefined> {
  const { uid, mode } = await stat(path);
  if (process.getuid === undefined) return undefined;
  if (uid !== process.getuid()) return `${path} belongs to another user`;
  return (mode & GROUP_OR_OTHERS_WRITE) === 0 ? undefined : `others may write to ${path}`;
}
