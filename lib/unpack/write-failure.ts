/** What could not be done in a tree, in the words of node:fs. */
import { getSystemErrorMap } from 'node:util';
import { SociError } from '../errors.js';
import type { BatchFailure } from '../native-tree.js';
import { decodeByteString, quoteByteString } from '../tar/byte-string.js';

/** @param path a byte string, from the root of what is unpacked */
export function writeFailed(directory: string, path: string, { call, errno }: BatchFailure): SociError {
  const [reason, text] = getSystemErrorMap().get(-Math.abs(errno)) ?? [`errno ${errno}`, 'unknown error'];
  return new SociError(
    'ERR_SOCI_OUTPUT',
    `${directory}: ${quoteByteString(`/${path}`)} cannot be written: ${reason}: ${text}, ${call}`,
    { data: { path: directory, entry: `/${decodeByteString(path)}`, reason, syscall: call } },
  );
}
