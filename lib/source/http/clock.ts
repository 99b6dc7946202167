/** Time, as far as it decides who may send when: a seam, so that tests need not wait for what they want to see. */

export interface Clock {
  /** ms; only differences mean anything. */
  now(): number;
  /** Calls `act` after `ms`, unless the returned function is called before. */
  after(ms: number, act: () => void): () => void;
}

/** setTimeout turns anything beyond 31 bits into 1 ms. */
const LONGEST = 0x7fffffff;

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, Math.min(Math.ceil(ms), LONGEST));
    return () => clearTimeout(timer);
  },
};
