/**
 * How long a host takes to its first byte: a smoothed time, by which hosts are compared, and a histogram with steps of
 * a quarter of an octave (19 %), by which it is told that one request takes longer than most. Both forget: what they
 * know is of some hundred replies at most.
 */

/** Until then nothing is known: the first requests wait for a connection, TLS and a token too. */
const LEAST_KNOWN = 4;
/** As TCP smooths round trips (RFC 6298 §2); where nothing was measured for a while, what is known is half as good. */
const SHARE_OF_LAST = { recent: 1 / 8, old: 1 / 2 } as const;
/** A single reply that hangs is no slow host: more than this many times the smoothed time is not counted. */
const OUTLIER = 4;

const LEAST_MS = 0.25;
const STEPS_PER_DOUBLING = 4;
/** To four minutes, beyond every time limit that is worth a second request. */
const BUCKETS = 20 * STEPS_PER_DOUBLING;
const LEAST_RANKED = 16;
const MOST_COUNTED = 256;

export class ReplyTimes {
  readonly #buckets = new Float64Array(BUCKETS);
  #counted = 0;
  #seen = 0;
  #smoothed = Number.POSITIVE_INFINITY;

  /**
   * @param ms from the request to the first byte of its reply; when it was ended before, that long at least
   * @param known how old that is which was measured before
   */
  add(ms: number, known: 'recent' | 'old' = 'recent'): void {
    const value = Math.max(ms, LEAST_MS);
    this.#seen++;
    this.#smoothed =
      this.#seen <= LEAST_KNOWN
        ? Math.min(this.#smoothed, value)
        : this.#smoothed +
          SHARE_OF_LAST[known] * (Math.min(value, OUTLIER * this.#smoothed) - this.#smoothed);
    const step = Math.ceil(STEPS_PER_DOUBLING * Math.log2(value / LEAST_MS));
    const bucket = Math.min(BUCKETS - 1, step);
    this.#buckets[bucket] = this.#buckets[bucket]! + 1;
    this.#counted++;
    if (this.#counted >= MOST_COUNTED) this.#halve();
  }

  /** Smoothed ms to the first byte; undefined: not known yet. */
  get smoothed(): number | undefined {
    return this.#seen < LEAST_KNOWN ? undefined : this.#smoothed;
  }

  /** ms within which `percent` of the replies came, rounded up to a step; undefined: too few to tell. */
  percentile(percent: number): number | undefined {
    if (this.#counted < LEAST_RANKED) return undefined;
    let left = (percent / 100) * this.#counted;
    let bucket = -1;
    while (left > 0 && bucket < BUCKETS - 1) left -= this.#buckets[++bucket]!;
    return LEAST_MS * 2 ** (Math.max(0, bucket) / STEPS_PER_DOUBLING);
  }

  #halve(): void {
    this.#counted = 0;
    for (const [bucket, count] of this.#buckets.entries()) {
      this.#buckets[bucket] = count / 2;
      this.#counted += count / 2;
    }
  }
}
