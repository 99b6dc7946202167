/**
 * The bytes of a source that lie in an open file of this machine, lent to whoever
 * can read them by the file's descriptor: the jobs that decode spans do, so that no
 * stored byte passes the thread of script. The name is a symbol: no source of a
 * caller, whose reads may do more than read a file, is taken for one.
 */
import type { AbortableOptions } from './range-source.js';

/** What a file was when it was opened. */
export interface FileIdentity {
  readonly size: bigint;
  readonly ino: bigint;
  /** Undefined where it means something else. */
  readonly mtimeNs: bigint | undefined;
}

/** A part of an open file. */
export interface FilePart {
  readonly fd: number;
  /** In bytes of the file. */
  readonly offset: number;
  readonly length: number;
  /** What fstat(2) must say after it was read, before the bytes are used; undefined: only their digest tells. */
  readonly identity: FileIdentity | undefined;
}

/**
 * Gives `read` the file's part with the bytes [offset, offset + length) of the source, good until the promise of
 * `read` is settled. What `read` finds wrong with the file (ERR_SOCI_SOURCE_SHORT with the number of bytes there were
 * as `offset` in its data, ERR_SOCI_SOURCE_CHANGED, ERR_SOCI_SOURCE_IO with its `reason`) becomes what the source's own
 * `readInto` throws; all other errors are passed on.
 */
export type FileLender = <T>(
  offset: number,
  length: number,
  read: (part: FilePart) => Promise<T>,
  options?: AbortableOptions,
) => Promise<T>;

/** The property of a RangeSource that is its FileLender. */
export const LEND_FILE: unique symbol = Symbol('seekable-oci.lendFile');
