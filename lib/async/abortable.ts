/**
 * Leaving a wait when a signal fires. Promises cannot be cancelled, so every
 * wait of ours ends early through these, and listeners never pile up on a
 * signal that lives longer than the wait.
 */
import { addAbortListener, removeAbortListener } from './abort-listeners.js';

/** Settles like `promise`, or rejects with the signal's reason as soon as it is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    const settled = (): void => removeAbortListener(signal, leave);
    // Handlers go on first: a promise that is left must not become an unhandled rejection.
    promise.then(resolve, reject).finally(settled);
    if (signal.aborted) leave();
    else addAbortListener(signal, leave);
  });
}
