/**
 * Ties every operation of a source to two ways of ending it: the caller's
 * signal and the source's close(). One controller per operation instead of
 * AbortSignal.any, whose dependants are kept alive by long-lived signals, and
 * one listener per caller's signal however many operations share it, since Node
 * takes more than ten for a leak and says so.
 */
import { setMaxListeners } from 'node:events';

export interface Operation {
  /** Aborts with the caller's reason or with the reason given to `AbortScope.close`. */
  readonly signal: AbortSignal;
  /** Ends this operation alone. */
  abort(reason: unknown): void;
  /** Must be called when the operation has settled. */
  end(): void;
}

interface Followers {
  readonly controllers: Set<AbortController>;
  readonly onAbort: () => void;
}

const followersOf = new WeakMap<AbortSignal, Followers>();

export class AbortScope {
  readonly #running = new Set<AbortController>();
  #closed: { readonly reason: unknown } | undefined;

  /** @throws the reason of `signal`, or of `close`, when either came first. */
  begin(signal: AbortSignal | undefined): Operation {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#closed.reason;
    const controller = new AbortController();
    setMaxListeners(0, controller.signal);
    if (signal) follow(signal, controller);
    this.#running.add(controller);
    return {
      signal: controller.signal,
      abort: reason => controller.abort(reason),
      end: () => {
        if (signal) unfollow(signal, controller);
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

function follow(signal: AbortSignal, controller: AbortController): void {
  let followers = followersOf.get(signal);
  if (!followers) {
    const controllers = new Set<AbortController>();
    const onAbort = (): void => {
      for (const each of controllers) each.abort(signal.reason);
    };
    followers = { controllers, onAbort };
    followersOf.set(signal, followers);
    signal.addEventListener('abort', onAbort, { once: true });
  }
  followers.controllers.add(controller);
}

function unfollow(signal: AbortSignal, controller: AbortController): void {
  const followers = followersOf.get(signal);
  if (!followers) return;
  followers.controllers.delete(controller);
  if (followers.controllers.size > 0) return;
  followersOf.delete(signal);
  signal.removeEventListener('abort', followers.onAbort);
}
