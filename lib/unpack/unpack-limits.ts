/**
 * Caps on what layers may make of a disk and of this process. Each is far above
 * what real images need and can be overridden per call; passing one is
 * ERR_SOCI_LIMIT, before anything has grown.
 */
import { checkInteger, checkOptions } from '../arguments.js';
import { SociError } from '../errors.js';
import { quoteByteString } from '../tar/byte-string.js';

export interface UnpackLimits {
  /** Names in all, those that are removed again included. Default 4,000,000. */
  readonly maxEntries: number;
  /** Bytes of a path from the root: what Linux takes in one call. Default 4095. */
  readonly maxPathBytes: number;
  /** Directories that a name is in. Default 1024. */
  readonly maxDepth: number;
  /** Bytes of the tars of all layers. Default 1 TiB. */
  readonly maxUnpackedBytes: number;
}

export const DEFAULT_UNPACK_LIMITS: UnpackLimits = {
  maxEntries: 4_000_000,
  maxPathBytes: 4095,
  maxDepth: 1024,
  maxUnpackedBytes: 2 ** 40,
};

/** NAME_MAX of all file systems that hold images. */
const MAX_NAME_BYTES = 255;

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT unless every given limit is a positive safe integer */
export function resolveUnpackLimits(overrides: Partial<UnpackLimits> | undefined): UnpackLimits {
  checkOptions('limits', overrides ?? {}, DEFAULT_UNPACK_LIMITS);
  const limits = { ...DEFAULT_UNPACK_LIMITS, ...overrides };
  for (const [name, value] of Object.entries(limits)) checkInteger(`limits.${name}`, value, 1);
  return limits;
}

/** @param path from the root, without a slash at either end; those above it have been checked */
export function checkPath(path: string, { maxPathBytes, maxDepth }: UnpackLimits): void {
  if (path.length > maxPathBytes) throw tooLarge('maxPathBytes', maxPathBytes, path.length, path);
  const name = path.length - path.lastIndexOf('/') - 1;
  if (name > MAX_NAME_BYTES) {
    throw new SociError(
      'ERR_SOCI_LIMIT',
      `${quoteByteString(`/${path}`)}: expected names of at most ${MAX_NAME_BYTES} bytes, found one of ${name}`,
      { data: { expected: MAX_NAME_BYTES, found: name } },
    );
  }
  // Only long paths can be deep.
  if (path.length <= 2 * maxDepth) return;
  let depth = 0;
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) depth += 1;
  if (depth > maxDepth) throw tooLarge('maxDepth', maxDepth, depth, path);
}

export function tooLarge(
  limit: keyof UnpackLimits,
  expected: number,
  found: number,
  what: string,
): SociError {
  return new SociError(
    'ERR_SOCI_LIMIT',
    `${quoteByteString(what)}: ${found}, limits.${limit} is ${expected}`,
    { data: { limit, expected, found } },
  );
}

/** What is left of what all layers together may unpack to. */
export class UnpackBounds {
  readonly limits: UnpackLimits;
  #left: number;

  constructor(limits: UnpackLimits) {
    this.limits = limits;
    this.#left = limits.maxUnpackedBytes;
  }

  /** @throws SociError ERR_SOCI_LIMIT */
  take(bytes: number, layer: string): void {
    this.#left -= bytes;
    if (this.#left >= 0) return;
    const { maxUnpackedBytes } = this.limits;
    throw tooLarge('maxUnpackedBytes', maxUnpackedBytes, maxUnpackedBytes - this.#left, `bytes of ${layer}`);
  }
}
