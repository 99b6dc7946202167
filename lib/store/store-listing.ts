/**
 * What is in a store's folder, found by reading it: there is no list that could
 * disagree with it. What is not named as ours is neither listed nor removed.
 */
import { join } from 'node:path';
import { runBounded } from '../async/bounded-tasks.js';
import { isComputable } from '../registry/digest.js';
import { type BlobPlace, JOURNAL_SUFFIX, partialIn, placeOf, wholeIn } from './blob-place.js';
import { BlobUse } from './blob-use.js';
import { blobSizeOf, HEADER_BYTES } from './block-journal.js';
import type { Disk } from './disk.js';

export interface KeptBlob {
  readonly digest: string;
  readonly state: 'whole' | 'partial';
  /** Of the blob; undefined when its journal is damaged. */
  readonly size: number | undefined;
  /** That it takes up on the disk. */
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

/** Each is a job of libuv's pool, of which reads want some too. */
const STATS_AT_ONCE = 8;
/** Of the digests that can be computed. */
export const ALGORITHMS: readonly string[] = ['sha256', 'sha384', 'sha512'];
/** Half a file, of a process that is writing it, or did not come to its end. */
const UNFINISHED = /^\.[0-9a-f]{64,128}\.[0-9a-f]{12}\.tmp$/;
/** Nobody writes to one file for so long. */
const ABANDONED_MS = 24 * 3600 * 1000;

/** All blobs, the least recently used first. @throws the system's error */
export async function listBlobs(disk: Disk, root: string): Promise<KeptBlob[]> {
  const blobs: KeptBlob[] = [];
  for (const algorithm of ALGORITHMS) {
    const whole = await disk.names(wholeIn(root, algorithm));
    const partial = await disk.names(partialIn(root, algorithm));
    const parts = new Set(partial.map(name => name.replace(JOURNAL_SUFFIX, '')));
    const digests = [...new Set([...whole, ...parts])].map(hex => `${algorithm}:${hex}`).filter(isComputable);
    const found = await runBounded(digests, STATS_AT_ONCE, undefined, digest => {
      const place = placeOf(root, { digest, size: 0 });
      // Most are whole, and their folder has said that there is nothing else.
      return blobAt(disk, place, parts.has(digest.slice(algorithm.length + 1)) ? 'all' : 'whole');
    });
    blobs.push(...found.filter(blob => blob !== undefined));
  }
  return blobs.sort((a, b) => a.usedAt - b.usedAt || (a.digest < b.digest ? -1 : 1));
}

/**
 * Undefined when nothing is there, or no longer.
 *
 * @param which what to look for
 * @throws the system's error
 */
export async function blobAt(
  disk: Disk,
  place: BlobPlace,
  which: 'whole' | 'all' = 'all',
): Promise<KeptBlob | undefined> {
  const parts = which === 'all' ? [place.data, place.journal] : [];
  const [whole, use, data, journal] = await Promise.all(
    [place.whole, place.use, ...parts].map(path => disk.stat(path)),
  );
  const there = [whole, data, journal].filter(found => found !== undefined);
  const [first] = there;
  if (first === undefined) return undefined;
  return {
    digest: place.digest,
    state: whole === undefined ? 'partial' : 'whole',
    size: whole?.size ?? (await journalledSize(disk, place.journal)),
    bytes: there.reduce((sum, { allocated }) => sum + allocated, 0),
    usedAt: (use ?? first).modifiedAt,
  };
}

async function journalledSize(disk: Disk, path: string): Promise<number | undefined> {
  const file = await disk.open(path, 'read').catch(() => undefined);
  if (file === undefined) return undefined;
  try {
    const header = new Uint8Array(HEADER_BYTES);
    return blobSizeOf(header.subarray(0, await file.read(header, 0)));
  } finally {
    await file.close();
  }
}

/** A name for a file in the making that will be `place.whole`. */
export function unfinishedPath(root: string, digest: string, nonce: string): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return join(partialIn(root, algorithm), `.${hex}.${nonce}.tmp`);
}

/** Removes what processes that ended early have left behind, and parts of what is whole by now. @throws the system's error */
export async function removeAbandoned(disk: Disk, root: string): Promise<void> {
  for (const algorithm of ALGORITHMS) {
    const folder = partialIn(root, algorithm);
    for (const name of await disk.names(folder)) {
      const path = join(folder, name);
      if (!UNFINISHED.test(name)) {
        await removeSurplus(disk, root, `${algorithm}:${name.replace(JOURNAL_SUFFIX, '')}`);
        continue;
      }
      const found = await disk.stat(path);
      if (found !== undefined && Date.now() - found.modifiedAt > ABANDONED_MS) await disk.remove(path);
    }
  }
}

/** An image that is imported is whole at once, whatever had been read of it before. */
async function removeSurplus(disk: Disk, root: string, digest: string): Promise<void> {
  if (!isComputable(digest)) return;
  const place = placeOf(root, { digest, size: 0 });
  if ((await disk.stat(place.whole)) === undefined) return;
  const use = await BlobUse.open(disk, place.use);
  await use?.alone('use', async () => {
    await disk.remove(place.journal);
    await disk.remove(place.data);
  });
  await use?.close();
}
