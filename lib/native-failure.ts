/**
 * What the native core can fail with, and the words for it. The core knows
 * codes and offsets only; which stream an offset counts is known to whoever
 * called.
 */
import { getSystemErrorName } from 'node:util';
import { SociError, type SociErrorCode } from './errors.js';

/** The names of native/core/status.h, as the addon spells them. */
export type NativeCode =
  | 'ABORTED'
  | 'GZIP_HEADER'
  | 'GZIP_CHECKSUM'
  | 'DEFLATE_DATA'
  | 'TRUNCATED'
  | 'TRAILING_DATA'
  | 'OUTPUT_LENGTH'
  | 'CHECKPOINT_BLOB'
  | 'CHECKPOINT_MISS'
  | 'TAR_HEADER'
  | 'LIMIT'
  | 'DIGEST'
  | 'INPUT_SHORT'
  | 'INPUT_READ'
  | 'INPUT_CHANGED'
  | 'NO_MEMORY'
  | 'MISUSE';

/** What native offsets count: bytes of the layer, or of the input of one span. */
export type OffsetSpace = 'layer' | 'span';

interface Failure {
  readonly code: SociErrorCode;
  /** `at` names the byte and what it is a byte of; `offset` is for those that count another stream. */
  readonly message: (at: string, offset: number, space: OffsetSpace) => string;
}

/** Every native failure but ABORTED, which has a class of its own. */
export const NATIVE_FAILURES: Readonly<Record<Exclude<NativeCode, 'ABORTED'>, Failure>> = {
  GZIP_HEADER: {
    code: 'ERR_SOCI_GZIP_HEADER',
    message: at => `expected a gzip member header, found other or damaged bytes, noticed at ${at}`,
  },
  GZIP_CHECKSUM: {
    code: 'ERR_SOCI_GZIP_CHECKSUM',
    message: at => `gzip member checksum or length does not match its data, noticed at ${at}`,
  },
  DEFLATE_DATA: {
    code: 'ERR_SOCI_DEFLATE_DATA',
    message: at => `expected DEFLATE data, found an invalid block, code or distance at ${at}`,
  },
  TRUNCATED: {
    code: 'ERR_SOCI_LAYER_TRUNCATED',
    // Of the compressed bytes or of the tar stream, whichever ends too early.
    message: (_, offset, space) =>
      `expected more data, found the end of the ${space} inside a member or an entry, noticed at byte ${offset}`,
  },
  TRAILING_DATA: {
    code: 'ERR_SOCI_LAYER_TRAILING_DATA',
    message: at => `expected another gzip member or the end, found other bytes at ${at}`,
  },
  OUTPUT_LENGTH: {
    code: 'ERR_SOCI_SPAN_LENGTH',
    message: at => `the compressed bytes end before the promised output is complete, at ${at}`,
  },
  CHECKPOINT_BLOB: {
    code: 'ERR_SOCI_ZTOC_INVALID',
    message: at => `expected a list of checkpoints, found an impossible length, count or order at ${at}`,
  },
  CHECKPOINT_MISS: {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
    message: at => `expected a DEFLATE block to start at the checkpoint at ${at}, found none`,
  },
  TAR_HEADER: {
    code: 'ERR_SOCI_TAR_HEADER',
    message: (_, offset) =>
      `expected a tar header, found a block that is none at byte ${offset} of the tar stream`,
  },
  LIMIT: {
    code: 'ERR_SOCI_LIMIT',
    message: at => `more checkpoints than maxCheckpoints allows: reached at ${at}`,
  },
  DIGEST: {
    code: 'ERR_SOCI_SPAN_DIGEST',
    message: () => 'the SHA-256 of the compressed bytes is not the expected one',
  },
  INPUT_SHORT: {
    code: 'ERR_SOCI_SOURCE_SHORT',
    message: at => `expected more bytes in the file, found its end at ${at}`,
  },
  INPUT_READ: {
    code: 'ERR_SOCI_SOURCE_IO',
    message: at => `cannot read the file at ${at}`,
  },
  INPUT_CHANGED: {
    code: 'ERR_SOCI_SOURCE_CHANGED',
    message: at => `expected the file as it was when it was opened, found it changed, noticed at ${at}`,
  },
  NO_MEMORY: {
    code: 'ERR_SOCI_NO_MEMORY',
    message: (_, __, space) => `not enough memory to process the ${space}`,
  },
  MISUSE: {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
    message: () =>
      'expected one call at a time, none after finish(), and arrays that keep their length; found another call under way, an ended object or a detached array',
  },
};

/** An indexer or span decoder was told to `abort()`. Callers reject with their signal's reason instead. */
export class AbortedError extends Error {
  readonly code = 'ABORTED';

  constructor() {
    super('the native call was aborted');
    this.name = 'AbortedError';
  }
}

/** What the addon throws and rejects with. */
export interface NativeError {
  readonly code?: string;
  readonly offset?: number;
  /** Of the system call that failed, if one has. */
  readonly errno?: number;
  readonly message: string;
}

/**
 * The error for a failure that the addon names; undefined for one that it does
 * not, which is Node's own.
 */
export function translateFailure(error: NativeError, space: OffsetSpace): Error | undefined {
  const { code, offset, errno, message } = error;
  if (code === 'ABORTED') return new AbortedError();
  const failure = (NATIVE_FAILURES as Readonly<Record<string, Failure>>)[code ?? ''];
  if (failure === undefined) return undefined;
  // Without an offset it is an argument of the wrong type, which the addon has named.
  if (offset === undefined) return new SociError(failure.code, message);
  const where = space === 'layer' ? 'the layer' : "the span's compressed bytes";
  const text = failure.message(`byte ${offset} of ${where}`, offset, space);
  if (errno === undefined) return new SociError(failure.code, text, { data: { offset } });
  const reason = getSystemErrorName(-errno);
  return new SociError(failure.code, `${text}: ${reason}`, { data: { offset, reason } });
}
