/**
 * How many bytes may be fetched that nobody waits for: a token bucket over all
 * hosts. A request takes its bytes in advance and gives back what did not come,
 * so that many that begin at once do not overdraw it many times.
 */

/** What may be saved up while nothing is fetched, in seconds of the rate. */
const SAVED_SECONDS = 0.25;

export class ByteAllowance {
  readonly #rate: () => number;
  #balance = 0;
  #at = 0;

  /** @param rate bytes per second, asked for anew each time; 0: no limit */
  constructor(rate: () => number) {
    this.#rate = rate;
  }

  /** ms until another request may begin. */
  wait(now: number): number {
    this.#earn(now);
    return this.#balance >= 0 ? 0 : Math.ceil((-this.#balance / this.#rate()) * 1000);
  }

  /** Takes `bytes`, which may leave a debt: who asks for more than there is at once waits afterwards. */
  spend(bytes: number, now: number): void {
    this.#earn(now);
    this.#balance -= bytes;
  }

  /** @param bytes that were taken and did not come; less than none when more came */
  giveBack(bytes: number): void {
    this.#balance += bytes;
  }

  #earn(now: number): void {
    const rate = this.#rate();
    const earned = this.#balance + (Math.max(0, now - this.#at) / 1000) * rate;
    this.#balance = rate === 0 ? 0 : Math.min(rate * SAVED_SECONDS, earned);
    this.#at = now;
  }
}
