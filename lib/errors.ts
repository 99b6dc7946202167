/**
 * The one error class of the package. `code` is stable and documented in
 * docs/api.md; `data` holds the facts of the message (offsets in bytes, names,
 * digests) for programs. File-system shaped failures use Node's own codes
 * (`ENOENT`, `EISDIR`, …) and carry `errno`, `syscall` and `path` like node:fs.
 */
import { constants } from 'node:os';

export const ERROR_CODES = [
  // Callers
  'ERR_SOCI_INVALID_ARGUMENT',
  'ERR_SOCI_CLOSED',
  'ERR_SOCI_ADDON',
  'ERR_SOCI_NO_MEMORY',
  'ERR_SOCI_LIMIT',
  'ERR_SOCI_OUTPUT',
  'ERR_SOCI_CONFIGURATION',
  // Where bytes come from
  'ERR_SOCI_SOURCE_RANGE',
  'ERR_SOCI_SOURCE_SHORT',
  'ERR_SOCI_SOURCE_CHANGED',
  'ERR_SOCI_SOURCE_IO',
  'ERR_SOCI_HTTP_STATUS',
  'ERR_SOCI_HTTP_RANGE',
  'ERR_SOCI_HTTP_NO_RANGES',
  'ERR_SOCI_HTTP_ENCODING',
  'ERR_SOCI_HTTP_REDIRECT',
  'ERR_SOCI_HTTP_NETWORK',
  'ERR_SOCI_HTTP_TIMEOUT',
  // Registries, layouts and what they hold
  'ERR_SOCI_REFERENCE',
  'ERR_SOCI_PLATFORM',
  'ERR_SOCI_DIGEST_INVALID',
  'ERR_SOCI_DIGEST_MISMATCH',
  'ERR_SOCI_MANIFEST',
  'ERR_SOCI_CREDENTIALS',
  'ERR_SOCI_HOSTS_CONFIG',
  'ERR_SOCI_REGISTRY_AUTH',
  'ERR_SOCI_REGISTRY_DENIED',
  'ERR_SOCI_REGISTRY_NOT_FOUND',
  'ERR_SOCI_REGISTRY_PROTOCOL',
  'ERR_SOCI_LAYOUT',
  // The store
  'ERR_SOCI_STORE',
  'ERR_SOCI_OFFLINE',
  // Layers
  'ERR_SOCI_UNSUPPORTED_COMPRESSION',
  'ERR_SOCI_GZIP_HEADER',
  'ERR_SOCI_GZIP_CHECKSUM',
  'ERR_SOCI_DEFLATE_DATA',
  'ERR_SOCI_LAYER_TRUNCATED',
  'ERR_SOCI_LAYER_TRAILING_DATA',
  'ERR_SOCI_ZSTD_DATA',
  'ERR_SOCI_DECOMPRESSOR',
  'ERR_SOCI_TAR_HEADER',
  'ERR_SOCI_TAR_UNSUPPORTED',
  // ztocs
  'ERR_SOCI_ZTOC_FORMAT',
  'ERR_SOCI_ZTOC_INVALID',
  'ERR_SOCI_ZTOC_DIGEST',
  'ERR_SOCI_ZTOC_MISMATCH',
  // Trees
  'ERR_SOCI_TREE_FORMAT',
  // Unpacking
  'ERR_SOCI_LINK_TARGET',
  'ERR_SOCI_ID_UNMAPPED',
  // SOCI indexes
  'ERR_SOCI_INDEX_FORMAT',
  'ERR_SOCI_INDEX_EMPTY',
  'ERR_SOCI_INDEX_MISMATCH',
  'ERR_SOCI_NO_ZTOC',
  // Load orders
  'ERR_SOCI_LOAD_ORDER_FORMAT',
  'ERR_SOCI_LOAD_ORDER_MISMATCH',
  // Reading through a ztoc
  'ERR_SOCI_SPAN_DIGEST',
  'ERR_SOCI_SPAN_LENGTH',
  'ERR_SOCI_WINDOW_MISMATCH',
  'ERR_SOCI_TAR_HEADER_MISMATCH',
] as const;

export type SociErrorCode = (typeof ERROR_CODES)[number];
export type FileErrorCode =
  | 'ENOENT'
  | 'ENOTDIR'
  | 'EISDIR'
  | 'EINVAL'
  | 'ELOOP'
  | 'EBADF'
  | 'EACCES'
  | 'EROFS'
  | 'EAGAIN'
  | 'ECONNREFUSED'
  | 'EEXIST'
  | 'EIO'
  | 'EMFILE'
  | 'EMSGSIZE'
  | 'ENAMETOOLONG'
  | 'ENOSYS'
  | 'ENOTSOCK'
  | 'ENOTSUP'
  | 'EPERM'
  | 'EPIPE'
  | 'EXDEV';

export interface SociErrorOptions {
  data?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

export class SociError extends Error {
  readonly code: SociErrorCode | FileErrorCode;
  readonly data: Readonly<Record<string, unknown>>;
  declare readonly errno?: number;
  declare readonly syscall?: string;
  declare readonly path?: string;

  constructor(code: SociErrorCode | FileErrorCode, message: string, options: SociErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SociError';
    this.code = code;
    this.data = options.data ?? {};
  }
}

/**
 * ERR_SOCI_INVALID_ARGUMENT in its one form, `expected … for NAME, received …`.
 * Numbers and the like are shown as they are; texts and objects are named by
 * their type, since they may be secret, or large.
 */
export function invalidArgument(name: string, expected: string, received: unknown): SociError {
  return refusal(name, expected, shownValue(received));
}

/** The same for a text that is no secret, which is shown; `hint` ends the sentence. */
export function invalidText(name: string, expected: string, received: string, hint = ''): SociError {
  const clipped = received.length > 100 ? `${received.slice(0, 100)}…` : received;
  return refusal(name, expected, JSON.stringify(clipped), { hint });
}

/** The same for values that do not fit each other, e.g. `received start 5, end 3`; they are in `data` too. */
export function invalidValues(
  name: string,
  expected: string,
  received: Readonly<Record<string, unknown>>,
): SociError {
  const shown = Object.entries(received).map(([key, value]) => `${key} ${shownValue(value)}`);
  return refusal(name, expected, shown.join(', '), { data: received });
}

function shownValue(value: unknown): string {
  if (value === null || !['string', 'object', 'function', 'symbol'].includes(typeof value))
    return String(value);
  const className = typeof value === 'object' ? value.constructor?.name : undefined;
  return className ?? typeof value;
}

function refusal(
  name: string,
  expected: string,
  received: string,
  { data, hint = '' }: { readonly data?: Readonly<Record<string, unknown>>; readonly hint?: string } = {},
): SociError {
  const message = `expected ${expected} for ${name}, received ${received}${hint}`;
  return new SociError('ERR_SOCI_INVALID_ARGUMENT', message, { data: { ...data, name, expected, received } });
}

const FILE_ERROR_TEXT: Readonly<Record<FileErrorCode, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EISDIR: 'illegal operation on a directory',
  EINVAL: 'invalid argument',
  ELOOP: 'too many symbolic links encountered',
  EBADF: 'bad file descriptor',
  EACCES: 'permission denied',
  EROFS: 'read-only file system',
  EAGAIN: 'resource temporarily unavailable',
  ECONNREFUSED: 'connection refused',
  EEXIST: 'file already exists',
  EIO: 'i/o error',
  EMFILE: 'too many open files',
  EMSGSIZE: 'message too long',
  ENAMETOOLONG: 'name too long',
  ENOSYS: 'function not implemented',
  ENOTSOCK: 'socket operation on non-socket',
  ENOTSUP: 'operation not supported',
  EPERM: 'operation not permitted',
  EPIPE: 'broken pipe',
  EXDEV: 'cross-device link not permitted',
};

/** Whether the package speaks of `name`, as the system spells it, by itself. */
export function isFileErrorCode(name: string): name is FileErrorCode {
  return Object.hasOwn(FILE_ERROR_TEXT, name);
}

/** An error with the fields and wording of node:fs, e.g. `ENOENT: no such file or directory, open 'etc/x'`. */
export function fileError(code: FileErrorCode, syscall: string, path: string, detail?: string): SociError {
  const text = detail ?? FILE_ERROR_TEXT[code];
  const error = new SociError(code, `${code}: ${text}, ${syscall} '${path}'`);
  return Object.assign(error, { errno: -constants.errno[code], syscall, path });
}
