/**
 * Joins callers that want the same thing at the same time. The work is aborted
 * only when the last of them has gone, so that one caller's abort never fails
 * another's request.
 */

interface Running<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

export class SharedTasks<T> {
  readonly #running = new Map<string, Running<T>>();

  /** The result of `work`, or of a run of the same `key` that is under way. */
  async join(
    key: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const running = this.#running.get(key) ?? this.#start(key, work);
    running.waiting++;
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([running.promise, aborted]);
    } finally {
      signal?.removeEventListener('abort', onAbort!);
      running.waiting--;
      if (running.waiting === 0) {
        this.#forget(key, running);
        running.controller.abort();
      }
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Running<T> {
    const controller = new AbortController();
    const promise = work(controller.signal);
    const running: Running<T> = { promise, controller, waiting: 0 };
    this.#running.set(key, running);
    promise.catch(() => {}).finally(() => this.#forget(key, running));
    return running;
  }

  #forget(key: string, running: Running<T>): void {
    if (this.#running.get(key) === running) {
      this.#running.delete(key);
    }
  }
}
