/**
 * Lets the event loop turn now and then in work that never waits for anything: a
 * walk through a tree in memory, or a caller's loop of calls that are answered
 * at once. Promises alone do not do that: while some are due, no timer fires and
 * no socket is read.
 */
import { setImmediate } from 'node:timers/promises';

/** The longest that work goes on without a turn; nobody who watches notices less. */
const SLICE_MS = 10;

export class Pace {
  #turned = performance.now();

  /** Resolves at once, or after a turn of the event loop when the last one is a while ago. @throws the signal's reason */
  async step(signal?: AbortSignal): Promise<void> {
    if (performance.now() - this.#turned < SLICE_MS) return;
    await setImmediate();
    this.#turned = performance.now();
    signal?.throwIfAborted();
  }
}
