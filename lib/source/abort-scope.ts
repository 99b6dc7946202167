/**
 * Ties every operation of a source to two ways of ending it: the caller's
 * signal and the source's close(). One controller per operation instead of
 * AbortSignal.any, whose dependants are kept alive by long-lived signals.
 */

export interface Operation {
  /** Aborts with the caller's reason or with the reason given to `AbortScope.close`. */
  readonly signal: AbortSignal;
  /** Must be called when the operation has settled. */
  end(): void;
}

export class AbortScope {
  readonly #running = new Set<AbortController>();
  #closedReason: unknown;
  #closed = false;

  /** @throws the reason of `signal`, or of `close`, when either came first. */
  begin(signal: AbortSignal | undefined): Operation {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closedReason;
    const controller = new AbortController();
    const onAbort = (): void => controller.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#running.add(controller);
    return {
      signal: controller.signal,
      end: () => {
        signal?.removeEventListener('abort', onAbort);
        this.#running.delete(controller);
      },
    };
  }

  async run<T>(signal: AbortSignal | undefined, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const operation = this.begin(signal);
    try {
      return await body(operation.signal);
    } finally {
      operation.end();
    }
  }

  close(reason: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closedReason = reason;
    for (const controller of this.#running) controller.abort(reason);
    this.#running.clear();
  }
}
