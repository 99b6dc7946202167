/**
 * The ZTOC operand: a file, checked against `--ztoc-digest` if that was given.
 * Its name stands before whatever is wrong with it, since a layer in its place
 * (LAYER and ZTOC swapped) is the usual mistake; for the same reason its size
 * is looked at before it is read.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { DEFAULT_ZTOC_LIMITS, SociError, Ztoc } from '../index.js';
import { type Invocation, optionText, UsageError } from './command.js';

export interface ZtocInput {
  readonly ztoc: Ztoc;
  /** Bytes of the file. */
  readonly size: number;
  /** Of the file, `sha256:…`. */
  readonly digest: string;
}

async function readBytes(path: string, signal: AbortSignal): Promise<Uint8Array> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const limit = DEFAULT_ZTOC_LIMITS.maxZtocBytes;
    if (size > limit) {
      throw new SociError('ERR_SOCI_LIMIT', `expected a ztoc of at most ${limit} bytes, found ${size} bytes`);
    }
    return await handle.readFile({ signal });
  } finally {
    await handle.close();
  }
}

function expectedDigest(invocation: Invocation): string | undefined {
  const digest = optionText(invocation, 'ztoc-digest');
  if (digest === undefined || /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  throw new UsageError(
    `expected sha256: and 64 hex digits in lower case for --ztoc-digest, received '${digest}'`,
  );
}

/** What is wrong with the file; a fault of this program is none and goes on as it is. */
function failure(cause: unknown): Pick<SociError, 'code' | 'message' | 'data'> {
  if (cause instanceof SociError) return cause;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === undefined) throw cause;
  return { code: 'ERR_SOCI_SOURCE_IO', message, data: { reason: code } };
}

/** @throws SociError whose message begins with `path`; UsageError */
export async function readZtoc(path: string, invocation: Invocation): Promise<ZtocInput> {
  const { signal } = invocation;
  const expected = expectedDigest(invocation);
  try {
    const bytes = await readBytes(path, signal);
    const ztoc = Ztoc.decode(bytes, { expectedDigest: expected });
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    return { ztoc, size: bytes.length, digest };
  } catch (cause) {
    signal.throwIfAborted();
    const { code, message, data } = failure(cause);
    throw new SociError(code, `${path}: ${message}`, { data, cause });
  }
}
