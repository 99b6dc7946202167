/**
 * Small blobs that are kept and read as one piece: manifests, configs, indexes,
 * ztocs. They are there whole or not at all, and what is read has the digest that
 * was asked for, each time.
 */
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { publish } from '../observe/channels.js';
import { digestAlgorithm, hashFor, isComputable } from '../registry/digest.js';
import { type BlobPlace, placeOf } from './blob-place.js';
import type { Disk, DiskFile } from './disk.js';
import { unfinishedPath } from './store-listing.js';
import type { StoreRoom } from './store-room.js';

/** Undefined unless the blob is there, of at most `limit` bytes and with this digest; one with another is dropped. */
export async function readWhole(
  room: StoreRoom,
  digest: string,
  limit: number,
): Promise<Uint8Array | undefined> {
  if (!isComputable(digest)) return undefined;
  const place = placeOf(room.root, { digest, size: 0 });
  try {
    const bytes = await readFile(room.disk, place.whole, limit);
    if (bytes === undefined) return undefined;
    const found = hashFor(digest, place.whole).update(bytes).digest('hex');
    if (`${digestAlgorithm(digest)}:${found}` === digest) {
      await markUsed(room.disk, place);
      return bytes;
    }
    publish('seekable-oci:store:damage', () => ({ digest, bytes: bytes.length }));
    if (room.access === 'update') await room.disk.remove(place.whole);
  } catch (error) {
    room.failed('read', digest, error);
  }
  return undefined;
}

/** Keeps `bytes`, which have this digest. What cannot be kept is fetched again another time. */
export async function keepWhole(room: StoreRoom, digest: string, bytes: Uint8Array): Promise<void> {
  if (!isComputable(digest) || room.access === 'read') return;
  const place = placeOf(room.root, { digest, size: bytes.length });
  try {
    if ((await room.disk.stat(place.whole))?.size === bytes.length) return;
    await writeReplacing(room, unfinishedPath(room.root, digest, newNonce()), place.whole, bytes);
    await markUsed(room.disk, place);
    void room.grew(bytes.length);
  } catch (error) {
    room.failed('write', digest, error);
  }
}

/** Writes a file that is there whole or not at all. @throws the system's error */
export async function writeReplacing(
  { disk, durability }: StoreRoom,
  temporary: string,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  await disk.makeFolder(dirname(temporary));
  await disk.makeFolder(dirname(path));
  let file: DiskFile | undefined = await disk.open(temporary, 'create');
  try {
    await file.write(bytes, 0);
    if (durability === 'sync') await file.datasync();
    await file.close();
    file = undefined;
    await disk.rename(temporary, path);
    if (durability === 'sync') await disk.syncFolder(dirname(path));
  } catch (error) {
    await file?.close();
    await disk.remove(temporary).catch(() => undefined);
    throw error;
  }
}

export function newNonce(): string {
  return randomBytes(6).toString('hex');
}

/** All of a file of at most `limit` bytes. @throws the system's error */
export async function readFile(disk: Disk, path: string, limit: number): Promise<Uint8Array | undefined> {
  const found = await disk.stat(path);
  if (found === undefined || found.size > limit) return undefined;
  const file = await disk.open(path, 'read');
  try {
    const bytes = new Uint8Array(found.size);
    return bytes.subarray(0, await file.read(bytes, 0));
  } finally {
    await file.close();
  }
}

/** A store that cannot be written to forgets when it was used, and that is all. */
async function markUsed(disk: Disk, { use }: BlobPlace): Promise<void> {
  try {
    // Nearly always it is there: five small blobs on the way to a file would take twenty calls more.
    if (await touched(disk, use)) return;
    await disk.makeFolder(dirname(use));
    const file = await disk.open(use, 'update');
    await file.close();
    await disk.touch(use);
  } catch {
    // Nothing depends on it but the order in which blobs go.
  }
}

async function touched(disk: Disk, path: string): Promise<boolean> {
  return await disk.touch(path).then(
    () => true,
    () => false,
  );
}
