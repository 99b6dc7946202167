/**
 * A file or a tree of an image as a tar stream, with all that the image says of
 * it: owners, set-id bits, devices, hard links, extended attributes. Files follow
 * one another as their bytes come, and nothing is kept but the numbers of files
 * that have more than one name.
 */
import type { AbortableOptions } from '../source/range-source.js';
import { encodeArchiveEnd, encodeMemberHeader, encodePadding, type TarMember } from '../tar/header-writer.js';
import type { FileTree } from '../tree/file-tree.js';
import { type ImagePath, lookUp } from '../tree/path-lookup.js';
import type { Image } from './image.js';

const CHUNK = 1024 * 1024;

/** A name on its way into the tar. */
interface Pending {
  readonly name: Buffer;
  readonly ino: number;
}

/**
 * @param path what it leads to, a link at its end followed
 * @param name what that is called in the tar; empty for a directory whose content alone is meant
 * @throws SociError ENOENT, ENOTDIR, ELOOP; what reading files fails with. A hard link to nothing is left out.
 */
export async function* imageTar(
  image: Image,
  path: ImagePath,
  name: Uint8Array,
  { signal }: AbortableOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const tree = await image.tree({ signal });
  const { ino: root } = lookUp(tree, path, { followLast: true, syscall: 'open' });
  const firstNames = new Map<number, Buffer>();
  const pending: Pending[] = [{ name: Buffer.from(name), ino: root }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    signal?.throwIfAborted();
    const { ino } = next;
    const { kind, nlink, size } = tree.attributes(ino);
    if (kind === 'missing') continue;
    const first = firstNames.get(ino);
    if (first !== undefined) {
      yield encodeMemberHeader({ ...memberOf(tree, next), type: 'hardlink', size: 0, target: first });
      continue;
    }
    if (kind !== 'dir' && nlink > 1) firstNames.set(ino, next.name);
    if (next.name.length > 0) yield encodeMemberHeader(memberOf(tree, next));
    if (kind === 'reg') yield* content(tree, ino, size, signal);
    if (kind === 'dir') pending.push(...childrenOf(tree, next));
  }
  yield encodeArchiveEnd();
}

/** The last first, as they are taken from the end. */
function childrenOf(tree: FileTree, { name: directory, ino }: Pending): Pending[] {
  const prefix = directory.length === 0 ? [] : [directory, Buffer.from('/')];
  return tree
    .readdir(ino)
    .map(child => ({ name: Buffer.concat([...prefix, child.name]), ino: child.ino }))
    .reverse();
}

function memberOf(tree: FileTree, { name, ino }: Pending): TarMember {
  const { kind, mode, uid, gid, rdev, size, mtimeSeconds, mtimeNanoseconds } = tree.attributes(ino);
  return {
    type: kind === 'missing' ? 'hardlink' : kind,
    name: kind === 'dir' ? Buffer.concat([name, Buffer.from('/')]) : name,
    mode: mode & 0o7777,
    uid,
    gid,
    size: kind === 'reg' ? size : 0,
    mtime: mtimeSeconds,
    nanoseconds: mtimeNanoseconds,
    target: kind === 'symlink' ? tree.readlink(ino) : undefined,
    device: kind === 'char' || kind === 'block' ? deviceOf(rdev) : undefined,
    xattrs: tree.xattrs(ino),
  };
}

/** As Linux' major(3) and minor(3). */
function deviceOf(rdev: number): readonly [number, number] {
  return [Math.floor(rdev / 2 ** 8) & 0xfff, (rdev & 0xff) + Math.floor(rdev / 2 ** 20) * 2 ** 8];
}

async function* content(
  tree: FileTree,
  ino: number,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < size; ) {
    // A fresh one each time: whoever takes it may still hold the last one.
    const chunk = new Uint8Array(Math.min(CHUNK, size - at));
    at += await tree.readInto(ino, at, chunk, { signal });
    yield chunk;
  }
  yield encodePadding(size);
}
