/**
 * Something that is made when it is first needed and then kept: a layer's table
 * of contents, the merged tree, a download. Callers at the same time share the
 * work; one of them may leave without harm to the others, and a failure is
 * nobody's for ever: the next caller tries again.
 */
import { KeyedWork } from './keyed-work.js';

export class SharedOnce<T> {
  readonly #make: (signal: AbortSignal) => Promise<T>;
  readonly #discard: (value: T) => Promise<void> | void;
  readonly #work = new KeyedWork<'value', T>();
  #value: T | undefined;

  /**
   * @param make Its signal fires when nobody waits any more.
   * @param discard For a value that came after all when nobody waited any more; it must not fail.
   */
  constructor(
    make: (signal: AbortSignal) => Promise<T>,
    discard: (value: T) => Promise<void> | void = () => {},
  ) {
    this.#make = make;
    this.#discard = discard;
  }

  /** The value, once it has been made. */
  get value(): T | undefined {
    return this.#value;
  }

  /** Whether the value is there, or on its way. */
  get begun(): boolean {
    return this.#value !== undefined || this.#work.get('value') !== undefined;
  }

  async get(signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    if (this.#value !== undefined) return this.#value;
    return await this.#work.join('value', signal, async abandoned => {
      const value = await this.#make(abandoned);
      if (abandoned.aborted) {
        await this.#discard(value);
        throw abandoned.reason;
      }
      this.#value = value;
      return value;
    });
  }

  /** Settles when no work is under way, abandoned or not. */
  async finished(): Promise<void> {
    await this.#work.finished();
  }
}
