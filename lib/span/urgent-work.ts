/**
 * Work that readers share and wait for in lanes: one who joins makes what is
 * under way as urgent as he is, wherever it waits.
 */
import { KeyedWork } from '../async/keyed-work.js';
import type { SharedWork } from '../async/shared-work.js';
import { Urgency, type Work } from '../source/lanes.js';
import type { Lane } from '../source/range-source.js';

/** One reader's wish. */
export interface Wish {
  readonly signal: AbortSignal;
  readonly lane: Lane;
}

export class UrgentWork<K, T> {
  readonly #works = new KeyedWork<K, T>();
  readonly #urgencies = new WeakMap<SharedWork<T>, Urgency>();

  /** Whether work for `key` is under way. */
  has(key: K): boolean {
    return this.#works.get(key) !== undefined;
  }

  /** The work for `key` that is under way, from now on as urgent as `lane` at least. */
  raise(key: K, lane: Lane): SharedWork<T> | undefined {
    const work = this.#works.get(key);
    if (work !== undefined) this.#urgencies.get(work)?.raise(lane);
    return work;
  }

  /** Starts work for `key`, which is not under way; several pieces of work may share one urgency. */
  start(key: K, urgency: Urgency, body: (work: Work) => Promise<T>): SharedWork<T> {
    const work = this.#works.start(key, signal => body({ signal, urgency }));
    this.#urgencies.set(work, urgency);
    return work;
  }

  /** The result of the work for `key`, which is started unless it is under way. */
  async join(key: K, { signal, lane }: Wish, body: (work: Work) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const work = this.raise(key, lane) ?? this.start(key, new Urgency(lane), body);
    return await work.wait(signal);
  }

  /** Something else that `finished` waits for; it must not reject. */
  track(ending: Promise<unknown>): void {
    this.#works.track(ending);
  }

  /** Settles when nothing is under way. */
  async finished(): Promise<void> {
    await this.#works.finished();
  }
}
