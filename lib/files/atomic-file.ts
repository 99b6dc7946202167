/**
 * Files that are there whole or not at all: written beside their place, synced,
 * and renamed over it. Readers never see half a blob, nor does a crash leave one.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { SociError } from '../errors.js';

function ioError(path: string, cause: unknown): unknown {
  const code = (cause as NodeJS.ErrnoException).code;
  return cause instanceof SociError || code === undefined
    ? cause
    : new SociError('ERR_SOCI_LAYOUT', `${path}: cannot be written (${code})`, {
        data: { path, reason: code },
        cause,
      });
}

/** Writes `chunks` to `path`, whose folder is made if need be. When a chunk fails, nothing has changed. */
export async function writeFileAtomically(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx', 0o644);
    try {
      for await (const chunk of chunks) {
        signal?.throwIfAborted();
        await file.writeFile(chunk);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    signal?.throwIfAborted();
    throw ioError(path, error);
  }
}
