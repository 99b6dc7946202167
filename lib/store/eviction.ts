/**
 * Keeps a store within its bound: the least recently used blobs go first, whole
 * and partial ones alike, those in use last, those that are pinned never. Whoever
 * has one open goes on with it, and makes it anew when he next keeps something.
 */
import { dirname, join } from 'node:path';
import { publish } from '../observe/channels.js';
import { isComputable } from '../registry/digest.js';
import { forgetOldAnswers } from './answers.js';
import { placeOf, usesIn } from './blob-place.js';
import { BlobUse } from './blob-use.js';
import { namedBlobs } from './named-blobs.js';
import { ALGORITHMS, type KeptBlob, listBlobs, removeAbandoned } from './store-listing.js';
import type { StoreRoom } from './store-room.js';

export interface Collected {
  readonly removed: readonly KeptBlob[];
  /** Bytes of what is left. */
  readonly left: number;
}

/** When there is too much, this part of the bound is left: otherwise the next block would be too much again. */
const LEFT = 7 / 8;

/** @throws the system's error */
export async function collect(room: StoreRoom, maxBytes: number): Promise<Collected> {
  await removeAbandoned(room.disk, room.root);
  await forgetOldAnswers(room);
  const blobs = await listBlobs(room.disk, room.root);
  await removeUses(room, new Set(blobs.map(({ digest }) => digest)));
  let left = blobs.reduce((sum, { bytes }) => sum + bytes, 0);
  const removed: KeptBlob[] = [];
  if (left <= maxBytes) return { removed, left };
  const named = await namedBlobs(room);
  const candidates = blobs.filter(({ digest }) => !named.has(digest));
  for (const use of ['unused', 'in use'] as const) {
    for (const blob of candidates) {
      if (left <= maxBytes * LEFT) return { removed, left };
      if (removed.includes(blob) || !(await removeBlob(room, blob.digest, use))) continue;
      left -= blob.bytes;
      removed.push(blob);
      const { digest, bytes } = blob;
      publish('seekable-oci:store:blob', () => ({ digest, outcome: 'evicted', bytes }));
    }
  }
  return { removed, left };
}

/** Files of blobs that are not there, which nobody is at: whoever only looked for a blob has left one. */
async function removeUses({ disk, root }: StoreRoom, digests: ReadonlySet<string>): Promise<void> {
  for (const algorithm of ALGORITHMS) {
    for (const hex of await disk.names(usesIn(root, algorithm))) {
      const digest = `${algorithm}:${hex}`;
      if (digests.has(digest) || !isComputable(digest)) continue;
      const path = join(usesIn(root, algorithm), hex);
      const use = await BlobUse.open(disk, path);
      await use?.alone('pin', async () => void (await use.alone('use', () => disk.remove(path))));
      await use?.close();
    }
  }
}

/**
 * Removes a blob that no process has pinned.
 *
 * @param which 'unused': only if nobody has it open
 * @returns whether it was removed
 * @throws the system's error
 */
export async function removeBlob(
  { disk, root }: StoreRoom,
  digest: string,
  which: 'unused' | 'in use',
): Promise<boolean> {
  const place = placeOf(root, { digest, size: 0 });
  const remove = async (): Promise<void> => {
    // The journal first: without it, what is left of the data says nothing.
    for (const path of [place.journal, place.data, place.whole, place.use]) await disk.remove(path);
  };
  await disk.makeFolder(dirname(place.use));
  const use = await BlobUse.open(disk, place.use);
  if (use === undefined) {
    await remove();
    return true;
  }
  let removed = false;
  try {
    await use.alone('pin', async () => {
      if (which === 'in use') await remove();
      removed = which === 'in use' || (await use.alone('use', remove));
    });
  } finally {
    await use.close();
  }
  return removed;
}
