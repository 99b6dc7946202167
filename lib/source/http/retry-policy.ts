/**
 * How long to wait before another request, and when to stop. The wait grows
 * exponentially with jitter so that many readers that failed together do not
 * come back together; a server that names its own delay (Retry-After, RFC 9110
 * §10.2.3) is obeyed or, if it asks for too long, given up.
 */
import { checkOptions } from '../../arguments.js';
import { invalidArgument } from '../../errors.js';

export interface RetryPolicy {
  /** Further attempts after the first. The count starts anew after each MiB of progress. */
  readonly retries: number;
  /** Wait before the first retry in ms; doubled for each further one. */
  readonly minDelay: number;
  readonly maxDelay: number;
  /**
   * Time limits that passed without a byte, in ms, all attempts since the last progress together: from then on no other
   * attempt is made, however many retries are left. With the default limits, a silent server is given up within 90 s.
   */
  readonly maxSilence: number;
  /** Longest Retry-After in ms that is waited for; a longer one ends in the error at once. */
  readonly maxRetryAfter: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  retries: 5,
  minDelay: 100,
  maxDelay: 10_000,
  maxSilence: 60_000,
  maxRetryAfter: 60_000,
};

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for negative or non-finite fields. */
export function retryPolicy(given: Partial<RetryPolicy> = {}): RetryPolicy {
  checkOptions('retry', given, DEFAULT_RETRY_POLICY);
  for (const [name, value] of Object.entries(given)) {
    if (!Number.isFinite(value) || value < 0) {
      throw invalidArgument(`retry.${name}`, 'a number from 0 on', value);
    }
  }
  return { ...DEFAULT_RETRY_POLICY, ...given };
}

/** Milliseconds; undefined when the header is absent or is neither seconds nor a date. */
export function parseRetryAfter(value: string | undefined, now: number = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1000;
  // Only dates of RFC 9110 §5.6.7: Date.parse alone takes '-5' or '1.5' for years and months.
  if (!/^[A-Z][a-z]+, /.test(value)) return undefined;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Wait in ms before retry number `retry` (from 0): between half of the exponential step and all of it. */
export function backoff(retry: number, policy: RetryPolicy, random: () => number = Math.random): number {
  const step = Math.min(policy.maxDelay, policy.minDelay * 2 ** retry);
  return step * (0.5 + random() / 2);
}
