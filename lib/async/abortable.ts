/**
 * Leaving a wait when a signal fires. Promises cannot be cancelled, so every
 * wait below span/ ends early through these, and listeners never pile up on a
 * signal that lives longer than the wait.
 */

import { setMaxListeners } from 'node:events';

/** Settles like `promise`, or rejects with the signal's reason as soon as it is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    const settled = (): void => signal.removeEventListener('abort', leave);
    // Handlers go on first: a promise that is left must not become an unhandled rejection.
    promise.then(resolve, reject).finally(settled);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
}

/** A controller that `parent` aborts too. Call `unlink` when the work is over. */
export class LinkedController extends AbortController {
  readonly #parent: AbortSignal | undefined;
  readonly #forward = (): void => this.abort(this.#parent?.reason);

  constructor(parent: AbortSignal | undefined) {
    super();
    allowManyListeners(this.signal);
    if (parent !== undefined) allowManyListeners(parent);
    this.#parent = parent;
    if (parent?.aborted) this.#forward();
    else parent?.addEventListener('abort', this.#forward, { once: true });
  }

  unlink(): void {
    this.#parent?.removeEventListener('abort', this.#forward);
  }
}

/**
 * One signal for many reads, and one read that waits for many spans, are no
 * leak: without this Node warns of one from the eleventh listener on.
 */
function allowManyListeners(signal: AbortSignal): void {
  try {
    setMaxListeners(Number.POSITIVE_INFINITY, signal);
  } catch {
    // Somebody else's AbortSignal, which counts no listeners.
  }
}
