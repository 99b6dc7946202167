/**
 * Asks again after failures that are temporary, as the policy allows. Whoever
 * reads an object goes on where its bytes ended and counts progress; a call is
 * sent once more as it was, by the interceptor.
 */
import { addAbortListener, removeAbortListener } from '../../async/abort-listeners.js';
import { SociError } from '../../errors.js';
import type { Interceptor } from './message.js';
import { backoff, type RetryPolicy } from './retry-policy.js';
import { isTemporary } from './temporary.js';

/** A server that hands out a few bytes per connection must not keep a read going for ever. */
const PROGRESS_THAT_COUNTS = 1024 * 1024;

/** Sends again what failed below it; replies that should count as failures must be errors there. */
export function retry(policy: RetryPolicy): Interceptor {
  return next => async request => {
    const retries = new Retries(policy, request.signal);
    for (;;) {
      try {
        return await next(request);
      } catch (error) {
        await retries.pause(error, 0);
      }
    }
  };
}

/** The failures of one logical read or call, whatever number of requests it takes. */
export class Retries {
  readonly #policy: RetryPolicy;
  readonly #signal: AbortSignal;
  #failures = 0;
  #attempts = 0;
  #position = 0;
  #silence = 0;
  #silentAt = 0;

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
    if (!isTemporary(error) || wasGivenUp(error) || this.#policy.retries === 0) throw error;
    if (this.#failures >= this.#policy.retries) throw this.#gaveUp(error, '');
    this.#listen(error, position);
    // Who answers is not silent, even if those that were asked before have left nothing of the budget.
    if (this.#silence > 0 && this.#silence >= this.#policy.maxSilence) throw this.#gaveUp(error, '');
    const asked = retryAfterOf(error);
    if (asked > this.#policy.maxRetryAfter) {
      throw this.#gaveUp(error, `: the server asks to wait ${Math.ceil(asked / 1000)} s`);
    }
    const delay = Math.max(asked, backoff(this.#failures, this.#policy));
    this.#failures += 1;
    await sleep(delay, this.#signal);
  }

  /** Adds up what was waited for nothing; a limit to all of a request passes while bytes arrive. */
  #listen(error: SociError, position: number): void {
    if (position > this.#silentAt) this.#silence = 0;
    this.#silentAt = position;
    this.#silence += silenceOf(error);
  }

  #gaveUp(error: SociError, why: string): SociError {
    const attempts = this.#attempts;
    const message = `${error.message} (gave up after ${attempts} attempt${attempts === 1 ? '' : 's'}${why})`;
    return new SociError(error.code, message, {
      data: { ...error.data, attempts, silence: this.#silence },
      cause: error.cause,
    });
  }
}

/** ms that were waited for nothing before `error`: of its own request, or of all attempts when it is the end of them. */
export function silenceOf({ code, data }: SociError): number {
  if (typeof data['silence'] === 'number') return data['silence'];
  return code === 'ERR_SOCI_HTTP_TIMEOUT' && data['phase'] !== 'request' ? Number(data['timeout']) : 0;
}

/** What a retry below has given up (a token that could not be had) is not tried that many times that many times. */
function wasGivenUp(error: SociError): boolean {
  return error.data['attempts'] !== undefined;
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
      removeAbortListener(signal, onAbort);
      resolve();
    }, ms);
    addAbortListener(signal, onAbort);
  });
}
