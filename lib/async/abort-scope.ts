/**
 * Ties every operation of a source to two ways of ending it: the caller's
 * signal and the source's close(). One controller per operation instead of
 * AbortSignal.any, whose dependants are kept alive by long-lived signals.
 */
import { setMaxListeners } from 'node:events';
import { addAbortListener, removeAbortListener } from './abort-listeners.js';

export interface Operation {
  /** Aborts with the caller's reason or with the reason given to `AbortScope.close`. */
  readonly signal: AbortSignal;
  /** Ends this operation alone. */
  abort(reason: unknown): void;
  /** Must be called when the operation has settled. */
  end(): void;
}

export class AbortScope {
  readonly #running = new Set<AbortController>();
  #closed: { readonly reason: unknown } | undefined;

  /** @throws the reason of `signal`, or of `close`, when either came first. */
  begin(signal: AbortSignal | undefined): Operation {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed.reason;
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    const follow = (): void => controller.abort(signal?.reason);
    addAbortListener(signal, follow);
    this.#running.add(controller);
    return {
      signal: controller.signal,
      abort: reason => controller.abort(reason),
      end: () => {
        removeAbortListener(signal, follow);
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
    this.#closed = { reason };
    for (const controller of this.#running) controller.abort(reason);
    this.#running.clear();
  }
}
