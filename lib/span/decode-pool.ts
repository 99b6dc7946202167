/**
 * Which decoding jobs the addon is given, and in which order. Its threads come
 * from libuv's pool, which is shared with file reads and DNS, so a process that
 * reads many layers must not flood it; one pool serves all of them. A job that
 * waits here costs next to nothing and can be dropped; one that waits in the
 * addon holds its input, but is begun at once.
 */
import { LaneGate, type Waiting } from '../source/lanes.js';

/** How one waits for a place. */
export interface Decoding extends Waiting {
  /** Whether a thread may take the job together with another such: the two share a place. */
  readonly bulk?: boolean | undefined;
}

export class DecodePool extends LaneGate {
  #running = 0;
  readonly #width: () => number;

  /** @param width jobs at once, asked for anew whenever one may begin */
  constructor(width: () => number) {
    super();
    this.#width = width;
  }

  /** Runs `job` when a place is free. A job that has begun is not interrupted here; one that waits is dropped. */
  async run<T>(job: () => Promise<T>, { bulk = false, ...waiting }: Decoding = {}): Promise<T> {
    const places = bulk ? 0.5 : 1;
    await this.enter(places, waiting);
    try {
      return await job();
    } finally {
      this.#running -= places;
      this.admit();
    }
  }

  protected override fits(places: number): boolean {
    return this.#running + places <= this.#width();
  }

  protected override take(places: number): void {
    this.#running += places;
  }
}
