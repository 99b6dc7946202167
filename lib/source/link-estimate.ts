/**
 * What the link to a source is like, as far as reading it has shown: what a
 * request costs besides its bytes, and what a byte costs. Whoever decides
 * between one request more and some bytes more needs both.
 */
export interface LinkEstimate {
  /** ms from a request to its first byte; undefined: not known yet. */
  readonly roundTripMs: number | undefined;
  /** Of the whole link to the host; undefined: not known yet. */
  readonly bytesPerSecond: number | undefined;
}
