/**
 * What a directory was unpacked of, in a file beside it: the same image need not be
 * pulled there again, and another one is refused. It says nothing of what anybody
 * has changed in the directory since.
 */
import { lstat, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeFileAtomically } from '../files/atomic-file.js';

export interface TreeRecord {
  /** Digest of the image's manifest. */
  readonly manifest: string;
  /** Digests of its blobs. */
  readonly blobs: readonly string[];
}

/** Which directory it is: another one of that name is not it. */
interface Identity {
  readonly device: string;
  readonly inode: string;
  /** In nanoseconds; a directory that is made anew often has the number of the one before. '': not known. */
  readonly born: string;
}

type WrittenRecord = TreeRecord & Identity;

const MAX_BYTES = 16 * 2 ** 20;

/** Undefined when there is none, or none of the directory that is there. */
export async function readTreeRecord(directory: string): Promise<TreeRecord | undefined> {
  try {
    const path = recordOf(directory);
    if ((await lstat(path)).size > MAX_BYTES) return undefined;
    const record = JSON.parse(await readFile(path, 'utf8')) as WrittenRecord;
    const { device, inode, born } = await identityOf(directory);
    const isText = (value: unknown): boolean => typeof value === 'string';
    const isRecord = isText(record.manifest) && Array.isArray(record.blobs) && record.blobs.every(isText);
    const isThis = record.device === device && record.inode === inode && ['', born].includes(record.born);
    return isRecord && isThis ? record : undefined;
  } catch {
    // Whatever it is: nothing is known of the directory.
    return undefined;
  }
}

/**
 * Before the directory has its name, so that it never is there without the record.
 *
 * @param directory where it will be
 * @param partial where it is
 * @throws SociError ERR_SOCI_OUTPUT
 */
export async function writeTreeRecord(directory: string, partial: string, record: TreeRecord): Promise<void> {
  const written: WrittenRecord = { ...record, ...(await identityOf(partial)) };
  await writeFileAtomically(recordOf(directory), [Buffer.from(`${JSON.stringify(written)}\n`)], {
    code: 'ERR_SOCI_OUTPUT',
  });
}

/** The directory has not become it. */
export async function removeTreeRecord(directory: string): Promise<void> {
  await rm(recordOf(directory), { force: true }).catch(() => {});
}

async function identityOf(path: string): Promise<Identity> {
  const { dev, ino, birthtimeNs, ctimeNs } = await lstat(path, { bigint: true });
  // A system without it says when the inode was changed, which renaming does.
  const born = birthtimeNs === ctimeNs ? '' : `${birthtimeNs}`;
  return { device: `${dev}`, inode: `${ino}`, born };
}

function recordOf(directory: string): string {
  return join(dirname(directory), `.${basename(directory)}.seekable-oci-image.json`);
}
