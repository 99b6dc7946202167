/**
 * Who goes first where not all can go at once: memory, decoding threads and
 * places at a host are given out lane by lane, inside of a lane in the order in
 * which they were asked for. Priority is a value that travels with the work; work that somebody comes
 * to wait for moves up while it waits.
 */
import { checkChoice } from '../arguments.js';
import { addAbortListener, removeAbortListener } from '../async/abort-listeners.js';
import type { Lane, ReadOptions } from './range-source.js';

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

/** That of a read. @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function urgencyOf(options: ReadOptions): Urgency {
  const { lane = 'demand', urgency } = options;
  checkChoice('lane', lane, LANES);
  return urgency ?? new Urgency(lane);
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

interface Place<Wish> {
  readonly wish: Wish;
  readonly enter: () => void;
}

/** Something scarce that is taken in turn: so much of it, or by whoever wishes. */
export abstract class LaneGate<Wish = number> {
  readonly #lanes = new Map(LANES.map(lane => [lane, new Set<Place<Wish>>()]));

  /** Whether this wish can be granted now. */
  protected abstract fits(wish: Wish): boolean;

  /** Grants it. */
  protected abstract take(wish: Wish): void;

  /**
   * Resolves when what is wished for has been taken.
   *
   * @throws the signal's reason; then nothing was taken
   */
  enter(wish: Wish, { signal, urgency = new Urgency() }: Waiting = {}): Promise<void> {
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
      const place: Place<Wish> = {
        wish,
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
        if (!this.fits(place.wish)) return;
        this.take(place.wish);
        place.enter();
      }
    }
  }

  #lane(urgency: Urgency): Set<Place<Wish>> {
    return this.#lanes.get(urgency.lane) as Set<Place<Wish>>;
  }
}
