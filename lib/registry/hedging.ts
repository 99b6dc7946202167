/**
 * When a read is worth a second request: after a time within which most first bytes of that host have come, and as
 * long as bytes that are asked for twice stay a small part of all. Off unless somebody asks for it.
 */
import { checkOptions } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import type { EndpointHealth } from './endpoint-health.js';

export interface HedgeOptions {
  /** Of a host's times to the first byte, in percent: who waits longer gets a second request. Default 95. */
  readonly percentile?: number | undefined;
  /** Bytes that may be asked for twice, as a part of the bytes that are read. Default 0.05. */
  readonly budget?: number | undefined;
}

const DEFAULTS = { percentile: 95, budget: 0.05 } as const;

const MIB = 1024 * 1024;
/** For the first reads, which cannot have saved up anything: a span or two. */
const ALLOWANCE = 4 * MIB;
/**
 * What long quiet times may save up, so that a host that begins to hang is not asked for everything twice; it also
 * bounds the memory that second requests take.
 */
const MOST_SAVED = 16 * MIB;
/** Below this a timer is no measure of anything. */
const LEAST_WAIT_MS = 5;

export class Hedging {
  readonly #percentile: number;
  readonly #budget: number;
  #saved = ALLOWANCE;

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
  constructor(options: HedgeOptions) {
    checkOptions('hedge', options, DEFAULTS);
    const { percentile = DEFAULTS.percentile, budget = DEFAULTS.budget } = options;
    // Written so that NaN is refused, too.
    if (!(typeof percentile === 'number' && percentile >= 50 && percentile <= 99.9))
      throw invalidArgument('hedge.percentile', 'a number of 50 to 99.9', percentile);
    if (!(typeof budget === 'number' && budget > 0 && budget <= 1))
      throw invalidArgument('hedge.budget', 'a number above 0, of at most 1', budget);
    this.#percentile = percentile;
    this.#budget = budget;
  }

  /** ms of silence after which a read of that host gets a second request; undefined: too little is known of it. */
  wait(health: EndpointHealth): number | undefined {
    const usual = health.percentile(this.#percentile);
    return usual === undefined ? undefined : Math.max(LEAST_WAIT_MS, usual);
  }

  /** Somebody reads so many bytes, once. */
  earn(bytes: number): void {
    this.#saved = Math.min(MOST_SAVED, this.#saved + this.#budget * bytes);
  }

  /** Whether so many bytes may be asked for twice; they are spent then. */
  spend(bytes: number): boolean {
    if (bytes > this.#saved) return false;
    this.#saved -= bytes;
    return true;
  }

  /** They were not asked for after all. */
  giveBack(bytes: number): void {
    this.#saved = Math.min(MOST_SAVED, this.#saved + bytes);
  }
}
