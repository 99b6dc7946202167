/**
 * Measures the link to a host by what passes anyway: the round trip as the
 * fastest answer of late, since everything that disturbs makes answers slower;
 * the bandwidth as what all bodies together brought while any was arriving.
 */
import type { LinkEstimate } from '../link-estimate.js';

/** The fastest answer counts for one to two of these: routes and hosts change. */
const ROUND_TRIP_WINDOW_MS = 60_000;
/** Less than this is what happened to lie in a socket's buffer. */
const LEAST_MS = 50;
const LEAST_BYTES = 256 * 1024;
/** How much of a new measurement is believed. */
const SHARE = 0.25;

export class LinkMeter implements LinkEstimate {
  #fastest = Number.POSITIVE_INFINITY;
  #fastestBefore = Number.POSITIVE_INFINITY;
  #windowFrom = 0;

  /** Bodies that are arriving. */
  #bodies = 0;
  /** Since the first piece of the first of them, which was on its way before. */
  #from: number | undefined;
  #last = 0;
  #bytes = 0;
  #ms = 0;
  #bytesPerMs: number | undefined;

  get roundTripMs(): number | undefined {
    const fastest = Math.min(this.#fastest, this.#fastestBefore);
    return fastest === Number.POSITIVE_INFINITY ? undefined : fastest;
  }

  get bytesPerSecond(): number | undefined {
    return this.#bytesPerMs === undefined ? undefined : this.#bytesPerMs * 1000;
  }

  /** An answer came `ms` after its request. */
  answered(ms: number, now: number): void {
    const age = now - this.#windowFrom;
    if (age >= ROUND_TRIP_WINDOW_MS) {
      this.#fastestBefore = age < 2 * ROUND_TRIP_WINDOW_MS ? this.#fastest : Number.POSITIVE_INFINITY;
      this.#fastest = Number.POSITIVE_INFINITY;
      this.#windowFrom = now;
    }
    this.#fastest = Math.min(this.#fastest, ms);
  }

  /** A body begins to arrive. */
  bodyBegan(): void {
    this.#bodies++;
  }

  received(bytes: number, now: number): void {
    if (this.#from === undefined) this.#from = now;
    else this.#bytes += bytes;
    this.#last = now;
    this.#learn();
  }

  bodyEnded(): void {
    this.#bodies--;
    if (this.#bodies > 0 || this.#from === undefined) return;
    this.#ms += this.#last - this.#from;
    this.#from = undefined;
  }

  #learn(): void {
    const ms = this.#ms + this.#last - (this.#from ?? this.#last);
    if (ms < LEAST_MS || this.#bytes < LEAST_BYTES) return;
    const measured = this.#bytes / ms;
    this.#bytesPerMs =
      this.#bytesPerMs === undefined ? measured : this.#bytesPerMs + SHARE * (measured - this.#bytesPerMs);
    this.#bytes = 0;
    this.#ms = 0;
    this.#from = this.#last;
  }
}
