/**
 * Where things are kept between runs. Ztocs that were built are taken on trust
 * from there, so nobody else may be able to write into it.
 */
import { stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { worded } from '../files/atomic-file.js';
import { prepareFolder } from '../files/folders.js';
import { type Invocation, type OptionTable, optionText, UsageError } from './command.js';
import { homeDirectory } from './home-directory.js';
import type { Environment } from './surroundings.js';

const OWNER_ONLY = 0o700;
const GROUP_OR_OTHERS_WRITE = 0o022;

/**
 * $XDG_CACHE_HOME/seekable-oci, else ~/.cache/seekable-oci (XDG Base Directory Specification). Undefined when nobody
 * has a home here: an empty HOME is no directory, and the working directory none to leave things in.
 */
export function defaultCacheDirectory(
  env: Environment,
  home: string = homeDirectory(env),
): string | undefined {
  const cache = env['XDG_CACHE_HOME'];
  // "All paths must be absolute"; a relative one is to be ignored.
  if (cache !== undefined && isAbsolute(cache)) return join(cache, 'seekable-oci');
  return isAbsolute(home) ? join(home, '.cache', 'seekable-oci') : undefined;
}

/** Makes the directory that was asked for, and says at once when it cannot be used. @throws the system's error */
export async function makeCacheDirectory(path: string): Promise<void> {
  await worded(path, { name: `--cache-dir: ${path}` }, () => prepareFolder(path, OWNER_ONLY));
}

/** Makes the directory that nobody asked for. Why it should not be used; undefined when all is well. */
export async function defaultCacheFault(path: string): Promise<string | undefined> {
  try {
    await prepareFolder(path, OWNER_ONLY);
  } catch (error) {
    return (error as Error).message;
  }
  const { uid, mode } = await stat(path);
  if (process.getuid === undefined) return undefined;
  if (uid !== process.getuid()) return `${path} belongs to another user`;
  return (mode & GROUP_OR_OTHERS_WRITE) === 0 ? undefined : `others may write to ${path}`;
}

/** Options of the commands on the cache itself. */
export const CACHE_OPTIONS: OptionTable = {
  'cache-dir': { type: 'string', value: 'DIR', help: 'the cache directory (default ~/.cache/seekable-oci)' },
  json: { type: 'boolean', help: 'print the result as JSON' },
};

/** @throws UsageError when none is named and there is no home */
export function chosenCacheDirectory(invocation: Invocation): string {
  const directory = optionText(invocation, 'cache-dir') ?? defaultCacheDirectory(invocation.env);
  if (directory !== undefined) return directory;
  throw new UsageError('expected --cache-dir: HOME names no directory');
}
