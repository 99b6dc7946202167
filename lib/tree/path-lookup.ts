/**
 * Paths as callers give them, looked up in a tree. They begin at the root whether
 * they begin with '/' or not, and may be any bytes; errors are those of node:fs.
 */
import { type FileErrorCode, fileError, invalidArgument, type SociError } from '../errors.js';
import { toByteString } from '../tar/byte-string.js';
import type { FileTree } from './file-tree.js';
import { KIND, KIND_NAMES, KIND_TEXT, type NodeKind } from './node-kind.js';
import { walkPath } from './path-walk.js';

/** A string is taken as UTF-8. */
export type ImagePath = string | Uint8Array;

/** How names come back: as text, or as they are in the image. */
export type NameEncoding = BufferEncoding | 'buffer';

export interface LookupHow {
  /** Follow a symbolic link in the last place too. */
  readonly followLast: boolean;
  /** Whose errors they are. */
  readonly syscall: string;
}

/** What a path leads to. */
export interface Found {
  readonly ino: number;
  /** Its name in the tree's table: of a file with several the one that was come by. */
  readonly name: number;
  /** The names of the symbolic links that led to it. */
  readonly links: readonly number[];
}

/** @throws SociError ENOENT, ENOTDIR, ELOOP; ERR_SOCI_INVALID_ARGUMENT for what no file system call takes */
export function lookUp(tree: FileTree, path: ImagePath, { followLast, syscall }: LookupHow): Found {
  const text = pathText(path);
  const links: number[] = [];
  const onLink = (name: number): void => {
    links.push(name);
  };
  const name = text === '' ? { code: 'ENOENT' as const } : walkPath(tree.table, text, { followLast, onLink });
  if (typeof name !== 'number') throw failed(name.code, syscall, path, name.detail);
  const ino = tree.table.inode(name);
  if (tree.table.kindOf(ino) === KIND.missing) {
    const { linkname } = tree.layer(ino).ztoc.entry(tree.table.entry(ino));
    const detail = `hard link to ${JSON.stringify(linkname)}, which is in no layer`;
    throw failed('ENOENT', syscall, path, detail);
  }
  return { ino, name, links };
}

/** A file that can be read. @throws SociError also EISDIR; EINVAL for what is no regular file */
export function lookUpFile(tree: FileTree, path: ImagePath, how: LookupHow): Found {
  const found = lookUp(tree, path, how);
  const kind = KIND_NAMES[tree.table.kindOf(found.ino)] as NodeKind;
  if (kind === 'reg') return found;
  if (kind === 'dir') throw failed('EISDIR', how.syscall, path);
  const unless = kind === 'symlink' ? ', which { followSymlinks: true } follows' : '';
  throw failed('EINVAL', how.syscall, path, `not a regular file but a ${KIND_TEXT[kind]}${unless}`);
}

/** A directory, links followed. @throws SociError also ENOTDIR */
export function lookUpDirectory(tree: FileTree, path: ImagePath, syscall: string): Found {
  const found = lookUp(tree, path, { followLast: true, syscall });
  if (tree.table.kindOf(found.ino) !== KIND.dir) throw failed('ENOTDIR', syscall, path);
  return found;
}

export function shownPath(path: ImagePath): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}

/** A byte string as the caller wants to see it. */
export function encodeName(name: string, encoding: 'buffer'): Buffer;
export function encodeName(name: string, encoding: BufferEncoding): string;
export function encodeName(name: string, encoding: NameEncoding): string | Buffer;
export function encodeName(name: string, encoding: NameEncoding): string | Buffer {
  const bytes = Buffer.from(name, 'latin1');
  return encoding === 'buffer' ? bytes : bytes.toString(encoding);
}

/** A path as a byte string. @throws SociError ERR_SOCI_INVALID_ARGUMENT for what no file system call takes */
export function pathText(path: ImagePath): string {
  const valid = typeof path === 'string' || path instanceof Uint8Array;
  const text = valid ? toByteString(typeof path === 'string' ? Buffer.from(path) : path) : '\0';
  if (!text.includes('\0')) return text;
  throw invalidArgument('path', 'a string or bytes, without a NUL among them,', path);
}

function failed(code: FileErrorCode, syscall: string, path: ImagePath, detail?: string): SociError {
  return fileError(code, syscall, shownPath(path), detail);
}
