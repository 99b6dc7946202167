/**
 * What Node lacks of POSIX and Linux: openat2, locks of open files, passing of
 * file descriptors, sd_notify, files as memory. Linux only: elsewhere every call
 * throws ENOSYS. All run at once on the calling thread, and none blocks it.
 *
 * Failures are SociErrors like those of files: `code`, `errno`, `syscall`, and
 * `path` where there is one. Descriptors are numbers, as in node:fs: whoever
 * opened or received one closes it.
 */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { isUint8Array } from 'node:util/types';
import { checkInteger } from './arguments.js';
import { type PosixCalls, posixCalls } from './binding.js';
import { type FileErrorCode, fileError, invalidArgument, isFileErrorCode, SociError } from './errors.js';

/** How openat2 may resolve a path: RESOLVE_* of openat2(2). */
export const RESOLVE = {
  /** Not onto another mount. */
  NO_XDEV: 0x01,
  /** No links like those of /proc/PID/fd. */
  NO_MAGICLINKS: 0x02,
  /** No symbolic links at all. */
  NO_SYMLINKS: 0x04,
  /** Never out of the directory; absolute paths are refused. */
  BENEATH: 0x08,
  /** As if the directory were the root. */
  IN_ROOT: 0x10,
  /** Only with what the kernel has cached; EAGAIN otherwise. */
  CACHED: 0x20,
} as const;

const AT_FDCWD = -100;

export interface OpenAt2Options {
  /** An open directory that `path` is relative to; the working directory without. */
  readonly directory?: number;
  /** O_* of node:fs constants; O_CLOEXEC is added. */
  readonly flags: number;
  /** Of a file that is created; 0 otherwise. */
  readonly mode?: number;
  /** Some of RESOLVE. */
  readonly resolve: number;
}

const O_CLOEXEC = 0o2000000;

/**
 * Opens `path`, which may not lead where `resolve` forbids.
 *
 * @returns a new descriptor
 * @throws SociError EXDEV, ELOOP for a path that leads there; what open(2) gives
 */
export function openAt2(path: string, options: OpenAt2Options): number {
  const { directory = AT_FDCWD, flags, mode = 0, resolve } = options;
  if (path.includes('\0')) throw fileError('EINVAL', 'openat2', path);
  return check(calls('openat2').openat2(directory, path, flags | O_CLOEXEC, mode, resolve), 'openat2', path);
}

/** 'shared' needs a descriptor that can read, 'exclusive' one that can write. */
export type LockMode = 'shared' | 'exclusive';

/** A part of a file that is locked by itself, in bytes; it need not be in the file. */
export interface LockRange {
  readonly start: number;
  readonly length: number;
}

/** A length of 0 is all there will ever be. */
const WHOLE_FILE: LockRange = { start: 0, length: 0 };

/**
 * Locks an open file, or a range of it, against other open files, of this
 * process or another (an open file description lock, fcntl(2)). It ends with
 * `unlock`, or with the last descriptor of this open file. A lock that is
 * already held is converted.
 *
 * @returns false if another lock is in the way
 */
export function tryLock(fd: number, mode: LockMode, range: LockRange = WHOLE_FILE): boolean {
  checkLock(mode, range);
  const result = calls('fcntl').lock(fd, mode, range.start, range.length);
  if (result === -constants.errno.EAGAIN || result === -constants.errno.EACCES) return false;
  check(result, 'fcntl');
  return true;
}

/** The first lock of another open file that is in the way of this one; undefined when there is none. */
export function lockInTheWay(fd: number, mode: LockMode, range: LockRange): LockRange | undefined {
  checkLock(mode, range);
  const found = calls('fcntl').findLock(fd, mode, range.start, range.length);
  if (typeof found === 'number') throw systemError(found, 'fcntl');
  const [start, length] = found;
  return start === undefined || length === undefined ? undefined : { start, length };
}

function checkLock(mode: LockMode, { start, length }: LockRange): void {
  if (mode !== 'shared' && mode !== 'exclusive')
    throw invalidArgument('mode', "'shared' or 'exclusive'", mode);
  checkInteger('start', start, 0);
  checkInteger('length', length, 0, Number.MAX_SAFE_INTEGER - start);
}

/** Between two attempts at a lock that another holds: from the first to the second, each twice as long. */
const FIRST_DELAY_MS = 1;
const LAST_DELAY_MS = 50;

/**
 * Waits until the lock can be had. It is tried again and again: a thread that
 * waited in fcntl could be called back by a signal only, and until then neither
 * a worker nor the process could end.
 *
 * @throws the signal's reason
 */
export async function lock(
  fd: number,
  mode: LockMode,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { signal } = options;
  signal?.throwIfAborted();
  for (let wait = FIRST_DELAY_MS; !tryLock(fd, mode); wait = Math.min(2 * wait, LAST_DELAY_MS)) {
    try {
      await delay(wait, undefined, signal && { signal });
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  }
}

/** Gives the lock back, or that of a range, if there is one. */
export function unlock(fd: number, range: LockRange = WHOLE_FILE): void {
  check(calls('fcntl').lock(fd, 'none', range.start, range.length), 'fcntl');
}

/** Two connected unix sockets (SOCK_SEQPACKET: a message arrives whole or not at all), e.g. to pass one to a child. */
export function socketPair(): [number, number] {
  const ends = calls('socketpair').socketPair();
  if (typeof ends === 'number') throw systemError(ends, 'socketpair');
  return ends;
}

/**
 * Sends `data`, at least one byte, with duplicates of `descriptors`, at most 253,
 * over a connected unix socket (SCM_RIGHTS, unix(7)).
 *
 * @returns the number of bytes sent, which a stream socket may cut; the descriptors are sent with the first
 * @throws SociError EAGAIN when the socket is full, EPIPE when the other end is closed
 */
export function sendDescriptors(socket: number, data: Uint8Array, descriptors: readonly number[]): number {
  if (!isUint8Array(data) || data.length === 0) throw invalidArgument('data', 'a byte at least', data);
  return check(calls('sendmsg').sendDescriptors(socket, data, descriptors), 'sendmsg');
}

export interface ReceivedDescriptors {
  /** The part of the buffer that was filled. */
  readonly data: Uint8Array;
  /** Open, and closed on exec. */
  readonly descriptors: readonly number[];
}

/**
 * Receives one message into `buffer`, or what a stream socket has.
 *
 * @returns undefined at the end: the other end is closed
 * @throws SociError EAGAIN when nothing is there, EMSGSIZE when the message does not fit, which is then lost
 */
export function receiveDescriptors(socket: number, buffer: Uint8Array): ReceivedDescriptors | undefined {
  if (!isUint8Array(buffer) || buffer.length === 0)
    throw invalidArgument('buffer', 'a byte at least', buffer);
  const received = calls('recvmsg').receiveDescriptors(socket, buffer);
  if (typeof received === 'number') throw systemError(received, 'recvmsg');
  const [size, ...descriptors] = received;
  return size === 0 ? undefined : { data: buffer.subarray(0, size), descriptors };
}

/**
 * Tells the service manager of the state of this process, as sd_notify(3) does.
 *
 * @param state lines like `READY=1`
 * @param socket its path, or `@name` of the abstract namespace; by default what NOTIFY_SOCKET says
 * @returns false when there is nobody to tell
 */
export function sdNotify(state: string, socket = process.env['NOTIFY_SOCKET']): boolean {
  if (socket === undefined || socket === '') return false;
  check(calls('sendto').sendDatagram(socket, Buffer.from(state)), 'sendto', socket);
  return true;
}

/**
 * A part of a file as memory that can only be read: writing to it ends the
 * process with SIGSEGV.
 *
 * The part must be in the file when it is mapped. A file that is truncated
 * later takes the memory away: whoever reads it then gets SIGBUS, which ends
 * the process. So only files that nobody truncates may be mapped: those that
 * are written once, then at most unlinked or replaced by rename.
 */
export class MappedRegion {
  /** Empty once closed. */
  readonly bytes: Uint8Array;
  readonly #buffer: ArrayBuffer;

  /**
   * @param offset in bytes, not necessarily of a page
   * @throws SociError EINVAL for a part that is empty or not in the file, ENOTSUP in a runtime that forbids
   *   such memory
   */
  constructor(fd: number, offset: number, length: number) {
    const mapped = calls('mmap').map(fd, offset, length);
    if (typeof mapped === 'number') throw systemError(mapped, 'mmap');
    this.#buffer = mapped;
    this.bytes = new Uint8Array(mapped);
  }

  /**
   * Takes the memory away from all arrays over it, which become empty; it is
   * unmapped in one of the next turns of the event loop. Without, it is when
   * nothing refers to it any more.
   */
  close(): void {
    calls('munmap').unmap(this.#buffer);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function calls(syscall: string): PosixCalls {
  if (posixCalls === undefined) throw systemError(-constants.errno.ENOSYS, syscall);
  return posixCalls;
}

function check(result: number, syscall: string, path?: string): number {
  if (result < 0) throw systemError(result, syscall, path);
  return result;
}

/** The error for a negative errno; with a code that the package does not know it is EIO, and `errno` says more. */
function systemError(errno: number, syscall: string, path?: string): SociError {
  const name = getSystemErrorName(errno);
  const code: FileErrorCode = isFileErrorCode(name) ? name : 'EIO';
  if (path !== undefined) return Object.assign(fileError(code, syscall, path), { errno });
  return Object.assign(new SociError(code, `${name}: ${syscall}`), { errno, syscall });
}
