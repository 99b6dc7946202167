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
 * Who is behind an endpoint: 'others', who can be asked in its place; 'nobody'; or somebody who is being asked already,
 * so that a failure costs nothing ('asked').
 */
export type Behind = 'others' | 'nobody' | 'asked';

/** What a server may ask to wait for where somebody else can be asked. */
const SHORT_WAIT_MS = 1000;

/** Who is behind an endpoint where the configured order stands. */
export function behind({ mirror }: Endpoint): Behind {
  return mirror ? 'others' : 'nobody';
}

/**
 * How an endpoint is asked when `spent` ms of silence lie behind: with others to ask, once again at most, and not when
 * it was silent or wants to be left alone.
 */
export function policyAt(policy: RetryPolicy, who: Behind, spent: number): RetryPolicy {
  const { retries, maxSilence, maxRetryAfter } = policy;
  if (who === 'nobody') return { ...policy, maxSilence: Math.max(0, maxSilence - spent) };
  return {
    ...policy,
    retries: who === 'asked' ? 0 : Math.min(1, retries),
    maxSilence: Math.max(0, maxSilence / 2 - spent),
    maxRetryAfter: Math.min(SHORT_WAIT_MS, maxRetryAfter),
  };
}
