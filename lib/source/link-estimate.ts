/**
 * What is known of the way to where a source's bytes are: enough to tell whether
 * reading over bytes that nobody wants is cheaper than another request.
 */
export interface LinkEstimate {
  /** ms from a request to its first byte; undefined: not known yet. */
  readonly roundTripMs: number | undefined;
  /** Of the whole link to the host; undefined: not known yet. */
  readonly bytesPerSecond: number | undefined;
}
