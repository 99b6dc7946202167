/**
 * How many requests to one host may be under way: one more after as many have
 * succeeded as there are places (if they were all needed), half as many when the
 * host says that it has too much to do, breaks connections, or takes far longer
 * for most of many answers than it took for its fastest. AIMD, as TCP does it
 * (RFC 5681 §3.1): what was sent before a cut says nothing about what came of it,
 * so that there is one cut per round trip at most.
 */

/** What a gate asks. The limit of a host that is not known yet is the ceiling. */
export interface RequestLimit {
  /** Requests that may be under way, at least 1. */
  readonly places: number;
  /** Changes with every cut. A request remembers that of when it was sent. */
  readonly epoch: number;
  /** So many connections there may be; the most that was ever said counts. */
  allow(connections: number): void;
  /** @param crowded whether all places were taken when it was sent */
  succeeded(epoch: number, crowded: 'crowded' | 'roomy'): void;
  /** Refused for the number of requests (429, 503), or broken off. */
  failed(epoch: number): void;
  /** @param ms from the request to its answer. @param fastest that it ever took, of late */
  answered(epoch: number, ms: number, fastest: number): void;
}

/** Answers most of which must be late: a few may have had to be looked for. */
const LEAST_ANSWERS = 8;
/** A connection that has to be made first takes three round trips with TLS, and that is not the host's load. */
const LATE_FACTOR = 4;
const LATE_MS = 50;

export class AdaptiveLimit implements RequestLimit {
  #ceiling = 1;
  #limit = 1;
  #epoch = 0;
  #successes = 0;
  #answers = 0;
  #late = 0;

  get places(): number {
    return Math.floor(this.#limit);
  }

  get epoch(): number {
    return this.#epoch;
  }

  allow(connections: number): void {
    if (connections <= this.#ceiling) return;
    if (this.#limit === this.#ceiling) this.#limit = connections;
    this.#ceiling = connections;
  }

  succeeded(epoch: number, crowded: 'crowded' | 'roomy'): void {
    if (epoch !== this.#epoch || crowded === 'roomy' || this.#limit >= this.#ceiling) return;
    this.#successes++;
    if (this.#successes < this.places) return;
    this.#successes = 0;
    this.#limit = Math.min(this.#ceiling, this.#limit + 1);
  }

  failed(epoch: number): void {
    if (epoch !== this.#epoch) return;
    this.#epoch++;
    this.#limit = Math.max(1, this.#limit / 2);
    this.#successes = 0;
    this.#forgetAnswers();
  }

  answered(epoch: number, ms: number, fastest: number): void {
    if (epoch !== this.#epoch) return;
    this.#answers++;
    if (ms > LATE_FACTOR * fastest + LATE_MS) this.#late++;
    if (this.#answers < Math.max(LEAST_ANSWERS, this.places)) return;
    if (this.#late > this.#answers / 2) this.failed(epoch);
    else this.#forgetAnswers();
  }

  #forgetAnswers(): void {
    this.#answers = 0;
    this.#late = 0;
  }
}
