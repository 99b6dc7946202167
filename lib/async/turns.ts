/** Work that goes one at a time, in the order in which it was asked for. */
export class Turns {
  /** Settles when the last one in line is done. */
  #last: Promise<unknown> = Promise.resolve();

  /** What `work` gives, once everything before it is over; a failure is its own and holds nobody up. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}
