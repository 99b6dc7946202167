/**
 * Something that is made when it is first needed and then kept: a layer's table
 * of contents, the merged tree. Callers at the same time share the work; one of
 * them may leave without harm to the others, and a failure is nobody's for
 * ever: the next caller tries again.
 */
import { SharedWork } from './shared-work.js';

export class SharedOnce<T> {
  readonly #make: (signal: AbortSignal) => Promise<T>;
  readonly #discard: (value: T) => void;
  #work: SharedWork<T> | undefined;
  #value: T | undefined;

  /**
   * @param make Its signal fires when nobody waits any more.
   * @param discard For a value that came after all, when somebody else's work has taken its place.
   */
  constructor(make: (signal: AbortSignal) => Promise<T>, discard: (value: T) => void = () => {}) {
    this.#make = make;
    this.#discard = discard;
  }

  /** The value, once it has been made. */
  get value(): T | undefined {
    return this.#value;
  }

  async get(signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    if (this.#value !== undefined) return this.#value;
    if (this.#work === undefined || this.#work.abandoned) this.#work = this.#start();
    return await this.#work.wait(signal);
  }

  /** Settles when no work is under way. */
  async finished(): Promise<void> {
    await this.#work?.finished();
  }

  #start(): SharedWork<T> {
    const work: SharedWork<T> = new SharedWork(async signal => {
      // `work` is not there before this function has come to its first await.
      await undefined;
      try {
        const value = await this.#make(signal);
        if (this.#work === work) this.#value = value;
        else this.#discard(value);
        return value;
      } catch (error) {
        if (this.#work === work) this.#work = undefined;
        throw error;
      }
    });
    return work;
  }
}
