/**
 * Which failures are worth another request, how long to wait before it, and
 * when to stop. The wait grows exponentially with jitter so that many readers
 * that failed together do not come back together; a server that names its own
 * delay (Retry-After, RFC 9110 §10.2.3) is obeyed or, if it asks for too long, given up.
 */
import { SociError } from '../errors.js';

export interface RetryPolicy {
  /** Further attempts after the first. The count starts anew after each MiB of progress. */
  readonly retries: number;
  /** Wait before the first retry in ms; doubled for each further one. */
  readonly minDelay: number;
  readonly maxDelay: number;
  /** Longest Retry-After in ms that is waited for; a longer one ends in the error at once. */
  readonly maxRetryAfter: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  retries: 5,
  minDelay: 100,
  maxDelay: 10_000,
  maxRetryAfter: 60_000,
};

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT for negative or non-finite fields. */
export function retryPolicy(given: Partial<RetryPolicy> = {}): RetryPolicy {
  for (const [name, value] of Object.entries(given)) {
    if (!Number.isFinite(value) || value < 0) {
      throw new SociError(
        'ERR_SOCI_INVALID_ARGUMENT',
        `retry.${name} must be a number from 0 on, got ${value}`,
      );
    }
  }
  return { ...DEFAULT_RETRY_POLICY, ...given };
}

/** A server that hands out a few bytes per connection must not keep a read going for ever. */
const PROGRESS_THAT_COUNTS = 1024 * 1024;

const TRANSIENT_NETWORK_REASONS: ReadonlySet<unknown> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_INFO',
  'UND_ERR_SOCKET',
]);

/** Not implemented (501) and version not supported (505) will not change by asking again. */
function isTransientStatus(status: unknown): boolean {
  if (typeof status !== 'number') return false;
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

export function isTransient(error: unknown): error is SociError {
  if (!(error instanceof SociError)) return false;
  switch (error.code) {
    case 'ERR_SOCI_HTTP_TIMEOUT':
    case 'ERR_SOCI_SOURCE_SHORT':
      return true;
    case 'ERR_SOCI_HTTP_STATUS':
      return isTransientStatus(error.data['status']);
    case 'ERR_SOCI_HTTP_NETWORK':
      return TRANSIENT_NETWORK_REASONS.has(error.data['reason']);
    default:
      return false;
  }
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

/** The failures of one logical read, whatever number of requests it takes. */
export class Retries {
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal;
  #failures = 0;
  #attempts = 0;
  #position = 0;

  constructor(policy: RetryPolicy, signal: AbortSignal) {
    this.#policy = policy;
    this.#signal = signal;
  }

  /**
   * Returns when the next attempt may start.
   *
   * @param position bytes that the logical read has got so far
   * @throws `error`, when it is final or the attempts are used up; the signal's reason.
   */
  async pause(error: unknown, position: number): Promise<void> {
    this.#signal.throwIfAborted();
    this.#attempts += 1;
    if (position - this.#position >= PROGRESS_THAT_COUNTS) {
      this.#position = position;
      this.#failures = 0;
    }
    if (!isTransient(error)) throw error;
    if (this.#policy.retries === 0) throw error;
    if (this.#failures >= this.#policy.retries) throw this.#gaveUp(error, '');
    const asked = retryAfterOf(error);
    if (asked > this.#policy.maxRetryAfter) {
      throw this.#gaveUp(error, `: the server asks to wait ${Math.ceil(asked / 1000)} s`);
    }
    const delay = Math.max(asked, backoff(this.#failures, this.#policy));
    this.#failures += 1;
    await sleep(delay, this.#signal);
  }

  #gaveUp(error: SociError, why: string): SociError {
    const attempts = this.#attempts;
    const message = `${error.message} (gave up after ${attempts} attempt${attempts === 1 ? '' : 's'}${why})`;
    return new SociError(error.code, message, { data: { ...error.data, attempts }, cause: error.cause });
  }
}

function retryAfterOf(error: SociError): number {
  const value = error.data['retryAfter'];
  return typeof value === 'number' ? value : 0;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
