/**
 * The bound on memory for spans: what is being fetched and decoded takes a lease
 * first, and pushes cached spans out when room is short.
 *
 * Every piece of work takes its whole lease at once, before it does anything,
 * so nobody waits while holding. A lease larger than the bound is granted when
 * nothing else is held: a small bound makes reads sequential, never stuck.
 */
import { LaneGate, type Waiting } from '../source/lanes.js';
import type { SpanCache } from './span-cache.js';

/** Bytes taken from a budget. */
export class Lease {
  #bytes: number;
  readonly #giveBack: (bytes: number) => void;

  constructor(bytes: number, giveBack: (bytes: number) => void) {
    this.#bytes = bytes;
    this.#giveBack = giveBack;
  }

  /** Gives back `bytes`, or all that is left. */
  release(bytes: number = this.#bytes): void {
    const back = Math.min(bytes, this.#bytes);
    this.#bytes -= back;
    if (back > 0) this.#giveBack(back);
  }
}

export class MemoryBudget extends LaneGate {
  #held = 0;
  readonly #bound: () => number;
  readonly #cache: SpanCache;

  /** @param bound bytes, asked for anew whenever a lease may be granted */
  constructor(bound: () => number, cache: SpanCache) {
    super();
    this.#bound = bound;
    this.#cache = cache;
  }

  /** Bytes leased out. */
  get held(): number {
    return this.#held;
  }

  /** A lease of `bytes`, lane by lane, first come first served. */
  async acquire(bytes: number, waiting: Waiting = {}): Promise<Lease> {
    await this.enter(bytes, waiting);
    return new Lease(bytes, back => {
      this.#held -= back;
      this.admit();
    });
  }

  protected override fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.#bound();
  }

  protected override take(bytes: number): void {
    this.#held += bytes;
    while (this.#held + this.#cache.size > this.#bound() && this.#cache.evictOne());
  }
}
