/**
 * Which decoding jobs the addon is given, in the order in which they were asked
 * for. Its threads come from libuv's pool, which is shared with file reads and
 * DNS, so a process that reads many layers must not flood it; one pool serves
 * all of them. A job that waits here costs next to nothing and can be dropped;
 * one that waits in the addon holds its input, but is begun at once.
 */
import { setDecodeConcurrency } from '../binding.js';
import { onSettingsChange, settings } from './settings.js';

interface Waiting {
  readonly start: () => void;
}

export class DecodePool {
  #running = 0;
  readonly #queue = new Set<Waiting>();
  readonly #width: () => number;

  constructor(width: () => number) {
    this.#width = width;
  }

  /** Runs `job` when a place is free. A job that has begun is not interrupted here; one that waits is dropped. */
  async run<T>(job: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await job();
    } finally {
      this.#running--;
      this.admit();
    }
  }

  /** Starts waiting jobs while there are free places: after a job, or when the pool has become wider. */
  admit(): void {
    for (const waiting of this.#queue) {
      if (this.#running >= this.#width()) return;
      this.#queue.delete(waiting);
      this.#running++;
      waiting.start();
    }
  }

  #enter(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const leave = (): void => {
        this.#queue.delete(waiting);
        reject(signal?.reason);
      };
      const waiting: Waiting = {
        start: () => {
          signal?.removeEventListener('abort', leave);
          resolve();
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#queue.add(waiting);
      this.admit();
    });
  }
}

/** For each thread one job under way, and one to follow it. */
const JOBS_PER_THREAD = 2;

/** The one pool of the process. */
export const decodePool = new DecodePool(() => JOBS_PER_THREAD * settings().decodeConcurrency);
setDecodeConcurrency(settings().decodeConcurrency);
onSettingsChange(() => {
  setDecodeConcurrency(settings().decodeConcurrency);
  decodePool.admit();
});
