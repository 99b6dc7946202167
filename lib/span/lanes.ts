/**
 * Who goes first where not all can go at once: memory and decoding threads are
 * given out lane by lane, inside of a lane in the order in which they were asked
 * for. Priority is a value that travels with the work; work that somebody comes
 * to wait for moves up while it waits.
 */
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import type { Lane } from '../source/range-source.js';

/** The most urgent first. */
export const LANES: readonly Lane[] = ['demand', 'prefetch', 'background'];

/** How urgent one piece of work is. It may only become more urgent. */
export class Urgency {
  #lane: Lane;
  readonly #watchers = new Set<() => void>();

  constructor(lane: Lane = 'demand') {
    this.#lane = lane;
  }

  get lane(): Lane {
    return this.#lane;
  }

  /** Somebody wants the work in this lane; a less urgent one changes nothing. */
  raise(lane: Lane): void {
    if (LANES.indexOf(lane) >= LANES.indexOf(this.#lane)) return;
    this.#lane = lane;
    for (const moved of this.#watchers) moved();
  }

  /** Calls `moved` whenever the lane has changed, until the returned function is called. */
  watch(moved: () => void): () => void {
    this.#watchers.add(moved);
    return () => this.#watchers.delete(moved);
  }
}

/** How a piece of work is done: until its signal fires, and as urgently as those who wait for it want it. */
export interface Work {
  readonly signal: AbortSignal;
  readonly urgency: Urgency;
}

/** How one waits at a gate. */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
  /** Default: that of somebody who waits for it. */
  readonly urgency?: Urgency | undefined;
}

interface Place {
  readonly size: number;
  readonly enter: () => void;
}

/** Something scarce that is taken in turn. */
export abstract class LaneGate {
  readonly #lanes = new Map(LANES.map(lane => [lane, new Set<Place>()]));

  /** Whether something of this size can be taken now. */
  protected abstract fits(size: number): boolean;

  /** Takes it. */
  protected abstract take(size: number): void;

  /**
   * Resolves when `size` has been taken.
   *
   * @throws the signal's reason; then nothing was taken
   */
  enter(size: number, { signal, urgency = new Urgency() }: Waiting = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      let lane = this.#lane(urgency);
      const gone = (): void => {
        lane.delete(place);
        unwatch();
        removeAbortListener(signal, leave);
      };
      const leave = (): void => {
        gone();
        reject(signal?.reason);
        // Whoever stood behind may fit.
        this.admit();
      };
      const unwatch = urgency.watch(() => {
        lane.delete(place);
        lane = this.#lane(urgency);
        lane.add(place);
        this.admit();
      });
      const place: Place = {
        size,
        enter: () => {
          gone();
          resolve();
        },
      };
      addAbortListener(signal, leave);
      lane.add(place);
      this.admit();
    });
  }

  /**
   * Lets in who fits: call it when there may be more room. Nobody passes one who stands before him and does not
   * fit yet: what is large would wait for ever.
   */
  admit(): void {
    for (const lane of this.#lanes.values()) {
      for (const place of lane) {
        if (!this.fits(place.size)) return;
        this.take(place.size);
        place.enter();
      }
    }
  }

  #lane(urgency: Urgency): Set<Place> {
    return this.#lanes.get(urgency.lane) as Set<Place>;
  }
}
