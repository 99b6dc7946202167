/**
 * Pieces of work by what they are about: whoever wants the same thing at the
 * same time joins the work that is under way. It is forgotten as soon as it is
 * over, so that a failure is nobody's for ever.
 */
import { SharedWork } from './shared-work.js';

export class KeyedWork<K, T> {
  readonly #running = new Map<K, SharedWork<T>>();
  /** Everything that has begun and is not over, what was abandoned included. */
  readonly #unfinished = new Set<Promise<unknown>>();

  /** The work for `key` that can be joined. */
  get(key: K): SharedWork<T> | undefined {
    return this.#running.get(key);
  }

  /** Starts work for `key`, which takes the place of what may be under way for it. */
  start(key: K, work: (signal: AbortSignal) => Promise<T>): SharedWork<T> {
    const shared: SharedWork<T> = new SharedWork(work, () => {
      if (this.#running.get(key) === shared) this.#running.delete(key);
    });
    this.#running.set(key, shared);
    this.track(shared.finished());
    return shared;
  }

  /** The result of the work for `key`, which is started unless it is under way. */
  async join(key: K, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    return await (this.get(key) ?? this.start(key, work)).wait(signal);
  }

  /** Something else that `finished` waits for; it must not reject. */
  track(ending: Promise<unknown>): void {
    this.#unfinished.add(ending);
    ending.then(() => this.#unfinished.delete(ending));
  }

  /** Settles when nothing is under way, abandoned or not. */
  async finished(): Promise<void> {
    while (this.#unfinished.size > 0) await Promise.all(this.#unfinished);
  }
}
