/**
 * Memory of the ranges of all blobs of a pull that are on their way, or have come
 * before those in front of them. Given out in the order in which it is asked for:
 * whatever a blob has to wait for has asked before.
 */
import { LaneGate } from '../source/lanes.js';

/** For six of the largest ranges: on a link of 1 Gbit/s and 20 ms one keeps it busy, and the others are what comes next. */
const MAX_HELD = 48 * 2 ** 20;

export class HeldBytes extends LaneGate<number> {
  #held = 0;

  giveBack(bytes: number): void {
    this.#held -= bytes;
    this.admit();
  }

  protected override fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= MAX_HELD;
  }

  protected override take(bytes: number): void {
    this.#held += bytes;
  }
}
