/**
 * A bound on bytes per second: who wants some waits for his turn before he
 * fetches them, so that nothing is held open meanwhile, and gives back what he
 * did not need.
 */
import { setTimeout as delay } from 'node:timers/promises';

export class ByteRate {
  readonly #bytesPerMs: number;
  /** When all that was taken so far has had its time, as `performance.now()` counts. */
  #free = 0;

  /** @param bytesPerSecond undefined: no bound */
  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerMs = bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : bytesPerSecond / 1000;
  }

  /** Settles when `bytes` may be fetched. @throws the signal's reason; the bytes count as taken all the same */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const now = performance.now();
    const turn = Math.max(this.#free, now);
    this.#free = turn + bytes / this.#bytesPerMs;
    if (turn > now) await delay(turn - now, undefined, { signal }).catch(() => signal.throwIfAborted());
  }

  giveBack(bytes: number): void {
    this.#free -= bytes / this.#bytesPerMs;
  }
}
