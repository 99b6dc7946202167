/**
 * What a directory was unpacked of, in a file beside it: the same image need not be
 * pulled there again, and another one is refused. It says nothing of what anybody
 * has changed in the directory since.
 */
import { lstat, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeFileAtomically } from '../files/atomic-file.js';

export interface TreeRecord {
  /** Digest of the image's manifest. */
  readonly manifest: string;
  /** Digests of its blobs. */
  readonly blobs: readonly string[];
}

/** As it is written down: another directory of that name is not it. */
interface WrittenRecord extends TreeRecord {
  readonly device: number;
  readonly inode: number;
}

const MAX_BYTES = 16 * 2 ** 20;

/** Undefined when there is none, or none of the directory that is there. */
export async function readTreeRecord(directory: string): Promise<TreeRecord | undefined> {
  try {
    const path = recordOf(directory);
    if ((await lstat(path)).size > MAX_BYTES) return undefined;
    const record = JSON.parse(await readFile(path, 'utf8')) as WrittenRecord;
    const { dev, ino } = await lstat(directory);
    const isText = (value: unknown): boolean => typeof value === 'string';
    const isRecord = isText(record.manifest) && Array.isArray(record.blobs) && record.blobs.every(isText);
    return isRecord && record.device === dev && record.inode === ino ? record : undefined;
  } catch {
    // Whatever it is: nothing is known of the directory.
    return undefined;
  }
}

/** @throws SociError ERR_SOCI_OUTPUT */
export async function writeTreeRecord(directory: string, record: TreeRecord): Promise<void> {
  const { dev: device, ino: inode } = await lstat(directory);
  const written: WrittenRecord = { ...record, device, inode };
  await writeFileAtomically(recordOf(directory), [Buffer.from(`${JSON.stringify(written)}\n`)], {
    code: 'ERR_SOCI_OUTPUT',
  });
}

function recordOf(directory: string): string {
  return join(dirname(directory), `.${basename(directory)}.seekable-oci-image.json`);
}
