/** How long each phase of a request may take: one set for ranged reads, streams and small answers. */
import { checkInteger, checkOptions } from '../../arguments.js';

export interface HttpTimeouts {
  /** ms until a TCP (and TLS) connection stands. */
  readonly connect: number;
  /** ms from sending the request, or the last piece of its body that the server took, to the reply's header. */
  readonly headers: number;
  /** As `headers`, for requests with a body: a registry hashes what it took before it answers. */
  readonly upload: number;
  /** ms without a byte of the body while somebody waits for one. */
  readonly bodyIdle: number;
  /**
   * ms for a ranged read or a small answer as a whole, so that a dripping server ends too; with a request body, from
   * the reply's header on. Not for whole-object streams.
   */
  readonly request: number;
}

export const DEFAULT_TIMEOUTS: HttpTimeouts = {
  connect: 10_000,
  headers: 30_000,
  upload: 60_000,
  bodyIdle: 30_000,
  request: 300_000,
};

/** setTimeout turns anything beyond 31 bits into 1 ms. */
const LONGEST = 0x7fffffff;

/**
 * What is given, with the defaults for the rest; `upload` follows `headers` when only that is given.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT for anything but whole milliseconds.
 */
export function httpTimeouts(given: Partial<HttpTimeouts> = {}): HttpTimeouts {
  checkOptions('timeouts', given, DEFAULT_TIMEOUTS);
  const timeouts: { -readonly [phase in keyof HttpTimeouts]: number } = { ...DEFAULT_TIMEOUTS };
  for (const phase of ['connect', 'headers', 'upload', 'bodyIdle', 'request'] as const) {
    const ms = given[phase] ?? (phase === 'upload' ? given.headers : undefined);
    if (ms === undefined) continue;
    checkInteger(`timeouts.${phase}`, ms, 1, LONGEST);
    timeouts[phase] = ms;
  }
  return timeouts;
}
