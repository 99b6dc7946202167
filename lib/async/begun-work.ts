/**
 * Work that is begun before anybody wants its result, by what it is about. Whoever
 * wants it takes it over, its failure included, as if the work were his own; what
 * nobody has taken over is abandoned when it is dropped, and fails nobody.
 */
import { SharedWork } from './shared-work.js';

interface Begun<T> {
  readonly work: SharedWork<T>;
  /** Waits for it in place of whoever will take it over. */
  readonly hold: AbortController;
}

export class BegunWork<K, T> {
  readonly #begun = new Map<K, Begun<T>>();
  readonly #unfinished = new Set<Promise<unknown>>();

  /** Begins work about `key`, unless that was begun and nobody has taken it over yet. */
  begin(key: K, run: (signal: AbortSignal) => Promise<T>): void {
    if (this.#begun.has(key)) return;
    const work = new SharedWork(run);
    const hold = new AbortController();
    work.wait(hold.signal).catch(() => {});
    this.#begun.set(key, { work, hold });
    const ending = work.finished();
    this.#unfinished.add(ending);
    ending.then(() => this.#unfinished.delete(ending));
  }

  /** Its result for one who wants it; undefined when nothing about `key` was begun, or somebody else has it. */
  take(key: K, signal: AbortSignal | undefined): Promise<T> | undefined {
    const begun = this.#begun.get(key);
    if (begun === undefined) return undefined;
    this.#begun.delete(key);
    const result = begun.work.wait(signal);
    begun.hold.abort();
    return result;
  }

  /** Abandons what nobody has taken over. */
  drop(): void {
    for (const { hold } of this.#begun.values()) hold.abort();
    this.#begun.clear();
  }

  /** Settles when nothing that was begun is under way, taken over or not. */
  async finished(): Promise<void> {
    while (this.#unfinished.size > 0) await Promise.all(this.#unfinished);
  }
}
