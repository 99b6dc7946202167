/**
 * Puts files of an image under a folder of this machine, and nothing anywhere
 * else. Names and links come from strangers: a name is one component or refused,
 * no symbolic link below the folder is ever followed, wherever it came from, and
 * every file is written under a name of our own and renamed into its place, so
 * that it is there whole or not at all.
 */
import { chmod, lchown, link, lstat, lutimes, mkdir, open, symlink, utimes } from 'node:fs/promises';
import { invalidText, SociError } from '../errors.js';
import { replaceAtomically } from '../files/atomic-file.js';

/** What a file keeps of the image. */
export interface KeptStats {
  /** Permissions, with 04000 and 02000 only where they shall be set. */
  readonly mode: number;
  /** Undefined for a directory that the image knows no time of. */
  readonly mtimeMs: number | undefined;
  /** Undefined: whoever copies owns it. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

const MAX_TIME_MS = 8.64e15;
const SLASH = 0x2f;
/** What Windows gives a meaning: separators, drives and streams, wildcards. */
const WINDOWS_SPECIAL = /[\\/:*?"<>|]/;

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for a name that would lead elsewhere */
export function childPath(folder: Buffer, name: Buffer): Buffer {
  const text = name.toString('latin1');
  const special = process.platform === 'win32' ? WINDOWS_SPECIAL.test(text) : /[/\0]/.test(text);
  if (special || text === '' || text === '.' || text === '..') {
    throw invalidText('a file to write', 'a name that can be one here', name.toString());
  }
  // The root ends with its slash already.
  const separator = folder.at(-1) === SLASH ? '' : '/';
  return Buffer.concat([folder, Buffer.from(separator), name]);
}

/** Makes a directory that only its owner may enter. False: it is there already. */
export async function makeDirectory(path: Buffer): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if ((await lstat(path)).isDirectory()) return false;
  throw new SociError('ENOTDIR', `ENOTDIR: ${path} is there and is no directory, and links are not followed`);
}

export async function writeFile(
  path: Buffer,
  stats: KeptStats,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  await replaceAtomically(path, async temporary => {
    const file = await open(temporary, 'wx', 0o600);
    try {
      for await (const chunk of content) await file.writeFile(chunk);
      // Before the mode: a change of owner takes set-id bits away.
      if (stats.owner !== undefined) await file.chown(stats.owner.uid, stats.owner.gid);
      await file.chmod(stats.mode);
      await file.utimes(seconds(stats), seconds(stats));
    } finally {
      await file.close();
    }
  });
}

/** Another name for a file that has been written. */
export async function writeHardLink(path: Buffer, first: Buffer): Promise<void> {
  await replaceAtomically(path, temporary => link(first, temporary));
}

export async function writeSymbolicLink(path: Buffer, target: Buffer, stats: KeptStats): Promise<void> {
  await replaceAtomically(path, async temporary => {
    await symlink(target, temporary);
    if (stats.owner !== undefined) await lchown(temporary, stats.owner.uid, stats.owner.gid);
    await lutimes(temporary, seconds(stats), seconds(stats));
  });
}

/** Gives a directory what it has in the image, once all is in it. */
export async function finishDirectory(path: Buffer, stats: KeptStats): Promise<void> {
  if (stats.owner !== undefined) await lchown(path, stats.owner.uid, stats.owner.gid);
  await chmod(path, stats.mode);
  if (stats.mtimeMs !== undefined) await utimes(path, seconds(stats), seconds(stats));
}

function seconds({ mtimeMs = 0 }: KeptStats): number {
  return Math.max(-MAX_TIME_MS, Math.min(MAX_TIME_MS, mtimeMs)) / 1000;
}
