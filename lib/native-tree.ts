/**
 * Files, links and attributes beneath one directory, written by threads of the
 * addon: what is done is sent as batches of operations, contents are named by
 * their place in the tar stream, and their bytes never are in JavaScript unless
 * script has decoded them itself. Whoever sends batches decides which may run
 * beside each other; whatever they name, nothing outside of the directory is
 * touched, and no symbolic link is followed.
 *
 * A batch is records, one right after the other; all numbers are little-endian:
 *
 *     u32 length of the record: a multiple of 8, its last 0 to 7 bytes are padding
 *     u8  kind        u8  flags       u16 number of xattrs
 *     u32 path length                 u32 link length
 *     u32 mode: 07777, and S_IFMT of nodes
 *     u32 uid         u32 gid
 *     u32 nanoseconds, and i64 seconds, of the modification time
 *     u32 major       u32 minor       u32 file id     u32 0
 *     u64 tar offset of the contents  u64 their length
 *     u64 offset in the file, or (END_FILE) the file's size
 *     path, link, then of each xattr: u32 name length, u32 value length, name, value
 *
 * Paths are relative to the root, in one way each: no '/' at either end, no
 * empty name, no '.' or '..', no NUL; an empty path is the root itself.
 */
import { getSystemErrorName } from 'node:util';
import { checkInteger } from './arguments.js';
import { type AddonTreeWriter, type TarOutput, treeWriterClass } from './binding.js';
import { invalidText, invalidValues, SociError } from './errors.js';
import { type NativeError, translateFailure } from './native-failure.js';

/** What an operation does. Parents that are missing are made, with mode 0755, where anything is. */
export const TREE_OPERATION = {
  /** Made, or kept if there is one. */
  DIRECTORY: 1,
  /** Made, with all of its contents. */
  FILE: 2,
  /** Made, and open under the file id until it is ended. */
  BEGIN_FILE: 3,
  /** Contents of a file that was begun, at their offset in it. */
  PIECE: 4,
  /** Gives it its size and attributes. */
  END_FILE: 5,
  /** To `link`, as it is. */
  SYMBOLIC_LINK: 6,
  /** To the entry at the path `link`, which may be a symbolic link. */
  HARD_LINK: 7,
  /** A device or a fifo. */
  NODE: 8,
  /** What is at the path, with all below it, if there is anything. */
  REMOVE: 9,
  /** All below the directory, which stays. */
  CLEAR_DIRECTORY: 10,
  /** Of whatever is at the path. */
  SET_ATTRIBUTES: 11,
  /** All of the file system that the tree is on goes to the disk. */
  SYNC: 12,
} as const;

export const TREE_FLAG = {
  /** Its owner becomes uid and gid. */
  OWNER: 1,
  /** Its mode becomes that one; otherwise what is made gets 0644, a directory 0755, whatever the umask is. */
  MODE: 2,
  /** Its modification time, and that of access, become that one. */
  TIMES: 4,
  /** Whatever is at the path goes first: a directory with all below it, but for DIRECTORY, which keeps it. */
  REPLACE: 8,
  /** Done only if nothing is at the path; not with BEGIN_FILE. */
  ONLY_IF_MISSING: 16,
  /** It is a failure if an xattr cannot be set, whatever the reason. */
  XATTRS_REQUIRED: 32,
  /** A directory is not removed, neither by REPLACE nor by REMOVE. */
  KEEP_DIRECTORY: 64,
  /** The xattrs that it has go first, those excepted that the system keeps for itself. */
  ONLY_THESE_XATTRS: 128,
} as const;

/** Bytes of a record before its path. */
export const TREE_RECORD_BYTES = 80;

/** A batch is no longer than that. */
export const MAX_BATCH_BYTES = 1024 * 1024;

/** So many files may be begun and not ended. */
export const MAX_OPEN_FILES = 64;

export interface TreeWriterOptions {
  /** Descriptor of the directory. The writer takes one of its own: this one may be closed. */
  readonly root: number;
  /** Whether owners are set; if not, those that would differ are counted as skipped. */
  readonly owners: boolean;
  /** Whether it is a failure if the system refuses an owner, a device or an xattr; if not, it is counted as skipped. */
  readonly privileged: boolean;
  /** How many batches run at once. Default: one less than libuv's pool has threads. */
  readonly width?: number | undefined;
}

export interface BatchFailure {
  /** Its number in the batch, from 0 on. */
  readonly operation: number;
  /** The system call without its suffixes ('open', 'mkdir', 'write', 'chown', …); 'parse': the batch is malformed, and nothing of it was done. */
  readonly call: string;
  /** Above 0. ENODATA of 'write': the tar is not held there. */
  readonly errno: number;
}

export interface BatchResult {
  /** undefined: all operations were done. Otherwise those before this one were. */
  readonly failed?: BatchFailure | undefined;
  /** Entries whose owner, and with it their set-id bits, could not be set. */
  readonly skippedOwners: number;
  /** Attributes that could not be set. */
  readonly skippedXattrs: number;
  readonly skippedDevices: number;
}

/** One writer is for one tar stream. */
export class TreeWriter implements TarOutput {
  readonly native: AddonTreeWriter;

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT; ENOSYS on Windows */
  constructor(options: TreeWriterOptions) {
    const { root, owners, privileged, width } = options;
    checkInteger('root', root, 0, 2 ** 31 - 1);
    if (width !== undefined) checkInteger('width', width, 1);
    const Native = treeWriterClass;
    if (Native === undefined) {
      throw new SociError('ENOSYS', 'ENOSYS: function not implemented, writing a tree on Windows');
    }
    this.native = translated(
      () => new Native({ root, owners, privileged, width: width ?? 0 }),
      ({ errno = 0 }) => invalidText('root', 'an open directory', getSystemErrorName(-errno)),
    );
  }

  /**
   * Copies bytes of the tar, of which the first is byte `offset`; the next ones come right behind.
   *
   * @throws SociError ERR_SOCI_INVALID_ARGUMENT; ERR_SOCI_NO_MEMORY, once 256 MiB are held, too; AbortedError once
   * aborted or closed
   */
  add(offset: number, bytes: Uint8Array): void {
    translated(
      () => this.native.add(offset, bytes),
      ({ offset: end = 0 }) => invalidValues('offset', `${end} (where the bytes before end)`, { offset }),
    );
  }

  /** No operation will name contents before this offset of the tar any more. */
  release(offset: number): void {
    checkInteger('offset', offset, 0);
    this.native.release(offset);
  }

  /** Of the tar, from the last release on. Memory is up to 8 MiB more, and what was held before is kept for what comes. */
  get heldBytes(): number {
    return this.native.held();
  }

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT unless all of them are held */
  read(offset: number, length: number): Uint8Array {
    return translated(
      () => this.native.read(offset, length),
      () => invalidValues('offset and length', 'bytes of the tar that are held', { offset, length }),
    );
  }

  /**
   * Executes the operations of a batch, which is copied, in their order, up to the first that fails.
   *
   * @throws AbortedError; SociError ERR_SOCI_INVALID_ARGUMENT of a batch that is too long, or after `close`
   */
  async run(batch: Uint8Array): Promise<BatchResult> {
    try {
      return (await this.native.run(batch)) as BatchResult;
    } catch (error) {
      throw translate(error as NativeError, () =>
        invalidText('run', 'a writer that is open', 'one that is closed'),
      );
    }
  }

  /** Ends it: batches that have not begun are rejected, those under way end after the operation that they are at. */
  abort(): void {
    this.native.abort();
  }

  /** Closes all that is open and frees memory, once all batches have ended. */
  async close(): Promise<void> {
    translated(
      () => this.native.close(),
      () => invalidText('close', 'all batches to have ended', 'some under way'),
    );
  }
}

/** What the addon refuses as misuse, which has no words in common, is told by `refused`. */
type Refusal = (error: NativeError) => SociError;

function translated<T>(call: () => T, refused: Refusal): T {
  try {
    return call();
  } catch (error) {
    throw translate(error as NativeError, refused);
  }
}

function translate(error: NativeError, refused: Refusal): Error {
  // Without an offset it is an argument of the wrong type, which the addon has named.
  if (error.code === 'MISUSE' && error.offset !== undefined) return refused(error);
  return translateFailure(error, 'layer') ?? (error as Error);
}
