/**
 * The ZTOC operand: a file, checked against `--ztoc-digest` if that was given.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SociError, Ztoc } from '../index.js';
import { type Invocation, optionText } from './command.js';

export interface ZtocInput {
  readonly ztoc: Ztoc;
  /** Bytes of the file. */
  readonly size: number;
  /** Of the file, `sha256:…`. */
  readonly digest: string;
}

export async function readZtoc(path: string, invocation: Invocation): Promise<ZtocInput> {
  const { signal } = invocation;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path, { signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new SociError('ERR_SOCI_SOURCE_IO', `${path}: ${(cause as Error).message}`, { cause });
  }
  const expectedDigest = optionText(invocation, 'ztoc-digest');
  const ztoc = Ztoc.decode(bytes, expectedDigest === undefined ? {} : { expectedDigest });
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { ztoc, size: bytes.length, digest };
}
