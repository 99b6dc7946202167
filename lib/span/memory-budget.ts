/**
 * The process-wide bound on memory for spans: what is being fetched and
 * decoded takes a lease first, and pushes cached spans out when room is short.
 *
 * Every piece of work takes its whole lease at once, before it does anything,
 * so nobody waits while holding. A lease larger than the bound is granted when
 * nothing else is held: a small bound makes reads sequential, never stuck.
 */
import { onSettingsChange, settings } from './settings.js';
import { type SpanCache, spanCache } from './span-cache.js';

interface Waiting {
  readonly bytes: number;
  readonly grant: (lease: Lease) => void;
}

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

export class MemoryBudget {
  #held = 0;
  readonly #queue = new Set<Waiting>();
  readonly #bound: () => number;
  readonly #cache: SpanCache;

  constructor(bound: () => number, cache: SpanCache) {
    this.#bound = bound;
    this.#cache = cache;
  }

  /** Bytes leased out. */
  get held(): number {
    return this.#held;
  }

  /** A lease of `bytes`, first come first served. */
  acquire(bytes: number, signal?: AbortSignal): Promise<Lease> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const leave = (): void => {
        this.#queue.delete(waiting);
        reject(signal?.reason);
        this.admit();
      };
      const waiting: Waiting = {
        bytes,
        grant: lease => {
          signal?.removeEventListener('abort', leave);
          resolve(lease);
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#queue.add(waiting);
      this.admit();
    });
  }

  /** Grants waiting leases in order while they fit. */
  admit(): void {
    for (const waiting of this.#queue) {
      if (this.#held > 0 && this.#held + waiting.bytes > this.#bound()) return;
      this.#queue.delete(waiting);
      this.#held += waiting.bytes;
      while (this.#held + this.#cache.size > this.#bound() && this.#cache.evictOne());
      waiting.grant(
        new Lease(waiting.bytes, back => {
          this.#held -= back;
          this.admit();
        }),
      );
    }
  }
}

/** The one budget of the process. */
export const memoryBudget = new MemoryBudget(() => settings().memoryBytes, spanCache);
onSettingsChange(() => memoryBudget.admit());
