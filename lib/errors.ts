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
  // Layers
  'ERR_SOCI_UNSUPPORTED_COMPRESSION',
  'ERR_SOCI_GZIP_HEADER',
  'ERR_SOCI_GZIP_CHECKSUM',
  'ERR_SOCI_DEFLATE_DATA',
  'ERR_SOCI_LAYER_TRUNCATED',
  'ERR_SOCI_LAYER_TRAILING_DATA',
  'ERR_SOCI_ZSTD_DATA',
  'ERR_SOCI_TAR_HEADER',
  'ERR_SOCI_TAR_UNSUPPORTED',
  // ztocs
  'ERR_SOCI_ZTOC_FORMAT',
  'ERR_SOCI_ZTOC_INVALID',
  'ERR_SOCI_ZTOC_DIGEST',
  'ERR_SOCI_ZTOC_MISMATCH',
  // SOCI indexes
  'ERR_SOCI_INDEX_FORMAT',
  'ERR_SOCI_INDEX_EMPTY',
  'ERR_SOCI_INDEX_MISMATCH',
  'ERR_SOCI_NO_ZTOC',
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

/** ERR_SOCI_INVALID_ARGUMENT for a value of the wrong type, which is named but not shown: it may be secret, or large. */
export function invalidArgument(name: string, expected: string, received: unknown): SociError {
  const type = typeof received;
  const className = type === 'object' ? (received as object | null)?.constructor?.name : undefined;
  const found = received === null ? 'null' : (className ?? type);
  return new SociError('ERR_SOCI_INVALID_ARGUMENT', `expected ${expected} for ${name}, received ${found}`, {
    data: { name, expected, received: found },
  });
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
