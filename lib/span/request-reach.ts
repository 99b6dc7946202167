/**
 * How far one request may reach, as settings and the link have it now. Reading
 * over a gap keeps the link busy for as long as its bytes take; another request
 * takes a round trip, of which requests beside it hide a part.
 */
import type { LinkEstimate } from '../source/link-estimate.js';
import type { Fetcher } from './fetcher.js';
import type { RunLimits } from './plan.js';
import type { ReadContext } from './read-context.js';

/** As long as nothing is known of the link: what one of 20 ms brings at 25 Mbit/s. */
const UNKNOWN_LINK_BYTES = 64 * 1024;
/** Of what could arrive during a round trip: the others of a read are under way at the same time. */
const WORTH_OF_ROUND_TRIP = 0.5;
/** Whatever a link seems to be like: bytes cost others on it, and memory here. */
const MAX_GAP_BYTES = 1024 * 1024;

/** Bytes that are rather read over than left out by another request. */
export function worthwhileGap(link: LinkEstimate | undefined): number {
  const { roundTripMs, bytesPerSecond } = link ?? {};
  if (roundTripMs === undefined || bytesPerSecond === undefined) return UNKNOWN_LINK_BYTES;
  const bytes = WORTH_OF_ROUND_TRIP * (roundTripMs / 1000) * bytesPerSecond;
  // What is no number, or none to go by, is as good as nothing known.
  return bytes >= 0 ? Math.min(Math.floor(bytes), MAX_GAP_BYTES) : UNKNOWN_LINK_BYTES;
}

/** The limits that hold for requests of a layer now. */
export function requestLimits({ settings, planning }: ReadContext, fetcher: Fetcher): RunLimits {
  return {
    requestBytes: settings.maxRequestBytes,
    // A quarter, so that the requests of one read can be under way together.
    decodedBytes: Math.floor(settings.memoryBytes / 4),
    gapBytes: planning.bridges && fetcher.requested ? worthwhileGap(fetcher.link) : 0,
  };
}
