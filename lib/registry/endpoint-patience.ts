/**
 * One budget of silence for all endpoints that one operation asks, one after the other: half of what the policy allows
 * is for the mirrors together, and what they have used up the registry does not get a second time. Without it each of
 * several silent mirrors would cost its own half minute.
 */
import { SociError } from '../errors.js';
import { silenceOf } from '../source/http/retry.js';
import type { RetryPolicy } from '../source/http/retry-policy.js';
import type { Endpoint } from './endpoint.js';

export class EndpointPatience {
  readonly #policy: RetryPolicy;
  #spent: number;

  /** @param spent ms that were waited for nothing before */
  constructor(policy: RetryPolicy, spent = 0) {
    this.#policy = policy;
    this.#spent = spent;
  }

  /** ms that were waited for nothing so far. */
  get spent(): number {
    return this.#spent;
  }

  /** A mirror is passed over once the mirrors before it have used up their share. */
  isWorthAsking(endpoint: Endpoint): boolean {
    return !endpoint.mirror || this.#spent < this.#policy.maxSilence / 2;
  }

  /** Counts what a failed endpoint has cost. */
  note(error: unknown): void {
    if (error instanceof SociError) this.#spent += silenceOf(error);
  }
}

/** An endpoint in its turn. */
export interface AskedEndpoint {
  readonly endpoint: Endpoint;
  /** ms of silence of those that were asked before. */
  readonly spent: number;
}

/**
 * How `endpoint` is asked when `spent` ms of silence lie behind: a mirror once again at most, and not when it was
 * silent, since behind it there is somebody else to ask.
 */
export function policyAt(policy: RetryPolicy, endpoint: Endpoint, spent: number): RetryPolicy {
  const { retries, maxSilence } = policy;
  if (!endpoint.mirror) return { ...policy, maxSilence: Math.max(0, maxSilence - spent) };
  return { ...policy, retries: Math.min(1, retries), maxSilence: Math.max(0, maxSilence / 2 - spent) };
}
