/** A file of an image as the commands show it: one line for people, one object for programs. */
import { isUtf8 } from 'node:buffer';
import type { EntryType, Image, ImagePath, ImageStats } from '../index.js';
import { modeText } from './mode-text.js';
import { printableName } from './printable.js';

export type FileType = Exclude<EntryType, 'hardlink'> | 'missing';

export interface FileEntry {
  /** As it shall be shown. */
  readonly name: Uint8Array;
  /** 'missing': a hard link to nothing, which no tool could unpack. */
  readonly type: FileType;
  readonly stats: ImageStats | undefined;
  /** Of a symbolic link. */
  readonly target: Uint8Array | undefined;
}

const MAX_DATE_MS = 8.64e15;

/** Symbolic links are not followed. */
export async function fileEntry(
  image: Image,
  path: ImagePath,
  name: Uint8Array,
  signal: AbortSignal,
): Promise<FileEntry> {
  let stats: ImageStats;
  try {
    stats = await image.lstat(path, { signal });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { name, type: 'missing', stats: undefined, target: undefined };
  }
  const target = stats.isSymbolicLink()
    ? await image.readlink(path, { encoding: 'buffer', signal })
    : undefined;
  return { name, type: typeOf(stats), stats, target };
}

export function typeOf(stats: ImageStats): FileType {
  if (stats.isDirectory()) return 'dir';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isCharacterDevice()) return 'char';
  if (stats.isBlockDevice()) return 'block';
  return stats.isFIFO() ? 'fifo' : 'reg';
}

/** ISO 8601, or seconds since 1970 for what is beyond any calendar. */
export function timeText(ms: number): string {
  return Math.abs(ms) <= MAX_DATE_MS ? new Date(ms).toISOString().replace('.000Z', 'Z') : `@${ms / 1000}`;
}

/** As Linux' major(3) and minor(3). */
export function deviceText(rdev: number): string {
  const major = Math.floor(rdev / 2 ** 8) & 0xfff;
  const minor = (rdev & 0xff) + Math.floor(rdev / 2 ** 20) * 2 ** 8;
  return `${major},${minor}`;
}

export function longLine({ name, type, stats, target }: FileEntry): string {
  const arrow = target === undefined ? '' : ` -> ${printableName(target)}`;
  if (stats === undefined) return `${modeText(type, 0)} ${printableName(name)}`;
  const device = type === 'char' || type === 'block';
  const fields = [
    modeText(type, stats.mode & 0o7777),
    String(stats.nlink).padStart(3),
    `${stats.uid}/${stats.gid}`.padEnd(11),
    (device ? deviceText(stats.rdev) : String(stats.size)).padStart(12),
    timeText(stats.mtimeMs),
    printableName(name),
  ];
  return fields.join(' ') + arrow;
}

/** Text that is no UTF-8 has its bytes beside it, in base64. */
export function bytesAsJson(key: string, bytes: Uint8Array): Record<string, string> {
  const buffer = Buffer.from(bytes);
  const text = { [key]: buffer.toString() };
  return isUtf8(bytes) ? text : { ...text, [`${key}Base64`]: buffer.toString('base64') };
}

export function entryAsJson({ name, type, stats, target }: FileEntry): Record<string, unknown> {
  const head = { ...bytesAsJson('path', name), type };
  if (stats === undefined) return head;
  const { mode, size, uid, gid, nlink, rdev, mtimeMs } = stats;
  return {
    ...head,
    mode: mode & 0o7777,
    size,
    uid,
    gid,
    nlink,
    ...(type === 'char' || type === 'block' ? { device: deviceText(rdev) } : {}),
    mtime: timeText(mtimeMs),
    ...(target === undefined ? {} : bytesAsJson('target', target)),
  };
}
