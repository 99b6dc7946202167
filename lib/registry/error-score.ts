/**
 * What failures leave behind: they add up, and the sum halves every half minute. What failed rests as long as the sum
 * is above one; then it is in doubt until it has worked once. Times are arguments, so that all of it is a function of
 * what happened when.
 */

/** 'resting': asked only when nobody else can help. 'doubtful': failed before, and has not worked since. */
export type Trust = 'sound' | 'doubtful' | 'resting';

const HALF_LIFE_MS = 30_000;
/** Requests that fail at the same time say no more than one: five half-lives, two and a half minutes, are enough. */
const MOST = 32;
/** What a server may ask to be left alone for (Retry-After). */
const LONGEST_WISH_MS = 300_000;

export class ErrorScore {
  #sum = 0;
  #at = 0;
  #wishedUntil = Number.NEGATIVE_INFINITY;
  #doubtful = false;

  /**
   * @param weight its logarithm to the base of 2 is the half-lives that it costs alone
   * @param now ms of a clock that never goes back
   */
  add(weight: number, now: number): void {
    this.#sum = Math.min(MOST, this.#sumAt(now) + weight);
    this.#at = now;
    if (this.#sum > 1) this.#doubtful = true;
  }

  /** The server named a time, which holds whatever else is known. */
  restFor(ms: number, now: number): void {
    this.#wishedUntil = Math.max(this.#wishedUntil, now + Math.min(ms, LONGEST_WISH_MS));
    this.#doubtful = true;
  }

  /** It worked: doubt ends, a rest does not, since what was asked before it may still arrive. */
  succeeded(now: number): void {
    if (this.trust(now) === 'doubtful') this.#doubtful = false;
  }

  /** It was blamed for nothing. */
  forgive(): void {
    this.#sum = 0;
    this.#doubtful = false;
  }

  trust(now: number): Trust {
    if (this.#sumAt(now) > 1 || now < this.#wishedUntil) return 'resting';
    return this.#doubtful ? 'doubtful' : 'sound';
  }

  #sumAt(now: number): number {
    return this.#sum * 2 ** ((this.#at - now) / HALF_LIFE_MS);
  }
}
