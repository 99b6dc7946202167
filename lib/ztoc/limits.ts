/**
 * Caps on what a ztoc or a layer may make this process hold. Each is far above
 * what real images need and can be overridden per call; passing one is
 * ERR_SOCI_LIMIT.
 */
import { checkInteger, checkOptions } from '../arguments.js';
import { SociError } from '../errors.js';

export interface ZtocLimits {
  /** Bytes of an encoded ztoc. A 4 MiB span costs 32 KiB here: the default suffices for 25 GiB of tar. */
  readonly maxZtocBytes: number;
  /** Entries in a table of contents. Honest ones take at least 170 bytes each, so more do not fit `maxZtocBytes`. */
  readonly maxEntries: number;
  /** Spans of a layer; for gzip each is a 32 KiB window. */
  readonly maxSpans: number;
  /** Bytes from an entry's first header block to its data: three extensions of 1 MiB fit. */
  readonly maxHeaderBytes: number;
}

export const DEFAULT_ZTOC_LIMITS: ZtocLimits = {
  maxZtocBytes: 256 * 2 ** 20,
  maxEntries: 1_500_000,
  maxSpans: 1_000_000,
  maxHeaderBytes: 4 * 2 ** 20,
};

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT unless every given limit is a positive safe integer */
export function resolveLimits(overrides: Partial<ZtocLimits> | undefined): ZtocLimits {
  const limits = { ...DEFAULT_ZTOC_LIMITS, ...overrides };
  checkOptions('limits', overrides ?? {}, DEFAULT_ZTOC_LIMITS);
  for (const [name, value] of Object.entries(limits)) {
    checkInteger(`limits.${name}`, value, 1);
  }
  return limits;
}

export function checkLimit(limits: ZtocLimits, name: keyof ZtocLimits, found: number, what: string): void {
  const limit = limits[name];
  if (found <= limit) return;
  throw new SociError('ERR_SOCI_LIMIT', `${what}: ${found}, limits.${name} is ${limit}`, {
    data: { limit: name, expected: limit, found },
  });
}
