/** How long each phase of a request may take: one set for ranged reads, streams and small answers. */
import { checkOptions } from '../../arguments.js';
import { invalidArgument } from '../../errors.js';

export interface HttpTimeouts {
  /** ms until a TCP (and TLS) connection stands. */
  readonly connect: number;
  /** ms from sending the request, or the last piece of its body that the server took, to the reply's header. */
  readonly headers: number;
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
  bodyIdle: 30_000,
  request: 300_000,
};

/** setTimeout turns anything beyond 31 bits into 1 ms. */
const LONGEST = 0x7fffffff;

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for anything but whole milliseconds. */
export function httpTimeouts(
  given: Partial<HttpTimeouts> = {},
  defaults: HttpTimeouts = DEFAULT_TIMEOUTS,
): HttpTimeouts {
  checkOptions('timeouts', given, defaults);
  const timeouts: { -readonly [phase in keyof HttpTimeouts]: number } = { ...defaults };
  for (const phase of ['connect', 'headers', 'bodyIdle', 'request'] as const) {
    const ms = given[phase];
    if (ms === undefined) continue;
    if (!Number.isInteger(ms) || ms < 1 || ms > LONGEST) {
      throw invalidArgument(`timeouts.${phase}`, `1 to ${LONGEST} ms`, ms);
    }
    timeouts[phase] = ms;
  }
  return timeouts;
}
