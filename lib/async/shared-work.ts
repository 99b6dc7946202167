/**
 * One piece of work that several readers wait for. Each of them may leave
 * without harm to the others; when the last one has left, the work itself is
 * cancelled, and whoever comes later starts it anew.
 */
import { abortable } from './abortable.js';

export class SharedWork<T> {
  readonly #controller = new AbortController();
  readonly #result: Promise<T>;
  readonly #onOver: () => void;
  #waiting = 0;
  #waiters = 0;
  #settled = false;

  /**
   * Starts `work` at once.
   * @param onOver called when nobody should join any more: when the work has settled, before any waiter learns of
   *   it, or when the last waiter has left, before the work's signal fires
   */
  constructor(work: (signal: AbortSignal) => Promise<T>, onOver: () => void = () => {}) {
    this.#onOver = onOver;
    this.#result = work(this.#controller.signal);
    const settled = (): void => {
      this.#settled = true;
      if (!this.abandoned) onOver();
    };
    this.#result.then(settled, settled);
  }

  /** Whether nobody waits any more, so that the work was cancelled. */
  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Whether more than one reader ever waited for it. */
  get shared(): boolean {
    return this.#waiters > 1;
  }

  /** The result, or a rejection with the signal's reason when this waiter leaves. */
  async wait(signal?: AbortSignal): Promise<T> {
    this.#waiting++;
    this.#waiters++;
    try {
      return await abortable(this.#result, signal);
    } finally {
      this.#waiting--;
      if (this.#waiting === 0 && !this.#settled) {
        this.#onOver();
        this.#controller.abort(signal?.reason);
      }
    }
  }

  /** Settles when the work is over, however it ended; counts as nobody's wait. */
  async finished(): Promise<T | undefined> {
    return this.#result.catch(() => undefined);
  }
}
