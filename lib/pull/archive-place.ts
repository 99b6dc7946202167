/** Where an archive is to be: what is there already, and where what is not complete waits. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SociError } from '../errors.js';
import { ArchiveFiles } from '../registry/archive-files.js';
import type { PullTarget } from './pull-target.js';
import { somethingElse } from './target-error.js';

export function stagingBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.seekable-oci-pull`);
}

/**
 * @param member a file that such an archive has
 * @throws SociError ERR_SOCI_OUTPUT unless there is such an archive, or nothing
 */
export async function checkArchive(
  { name, path }: Pick<PullTarget, 'name' | 'path'>,
  expected: string,
  member: string,
  signal: AbortSignal,
): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isFile()) throw somethingElse(name, `${expected}, or nothing`, 'no regular file');
  const files = new ArchiveFiles(path, name);
  try {
    if ((await files.size(member, signal)) !== undefined) return;
  } catch (error) {
    if (!(error instanceof SociError) || signal.aborted) throw error;
  } finally {
    await files.close();
  }
  throw somethingElse(name, `${expected}, or nothing`, `a file without ${member} in it`);
}
