/**
 * Fetches ranges of one layer, counts them, and trusts the source neither to
 * stop at once when it is told to nor to return the length it was asked for.
 */
import { abortable } from '../async/abortable.js';
import { SociError } from '../errors.js';
import type { Urgency } from '../source/lanes.js';
import { type FileLender, LEND_FILE } from '../source/lent-file.js';
import type { Lane, RangeSource } from '../source/range-source.js';
import type { ReadRecord } from './read-record.js';
import type { ReusedMemory } from './reused-memory.js';

export interface FetchOptions {
  readonly signal: AbortSignal;
  readonly urgency: Urgency;
  /**
   * Where to put the bytes. A source that does not stop at once may still write to what was taken of it after the
   * fetch was aborted.
   */
  readonly memory?: ReusedMemory | undefined;
  /** See ReadOptions. */
  readonly fresh?: boolean | undefined;
}

export class Fetcher {
  readonly #source: RangeSource;
  readonly #record: ReadRecord;

  constructor(source: RangeSource, record: ReadRecord) {
    this.#source = source;
    this.#record = record;
  }

  /** Lends the layer to jobs that read it themselves; undefined where they cannot. */
  get lend(): FileLender | undefined {
    return this.#source[LEND_FILE];
  }

  /** Begins to count what jobs read of [start, end) by themselves; call what is returned when it is over. */
  countRead(start: number, end: number, lane: Lane): (outcome: 'fetched' | 'failed') => void {
    this.#record.requested();
    const began = performance.now();
    return outcome => {
      const ms = performance.now() - began;
      this.#record.fetched({ lane, offset: start, bytes: end - start, ms, outcome });
    };
  }

  /** The bytes [start, end) of the layer. */
  async fetch(start: number, end: number, options: FetchOptions): Promise<Uint8Array> {
    const { signal, urgency } = options;
    signal.throwIfAborted();
    const over = this.countRead(start, end, urgency.lane);
    let outcome: 'fetched' | 'failed' = 'failed';
    try {
      const bytes = await abortable(this.#read(start, end, options), signal);
      if (bytes.length !== end - start) {
        throw new SociError(
          'ERR_SOCI_SOURCE_SHORT',
          `${this.#source.name}: expected ${end - start} bytes from ${start}, received ${bytes.length}`,
          { data: { offset: start, expected: end - start, received: bytes.length } },
        );
      }
      outcome = 'fetched';
      return bytes;
    } finally {
      over(outcome);
    }
  }

  async #read(start: number, end: number, options: FetchOptions): Promise<Uint8Array> {
    const { memory, ...wish } = options;
    const read = { ...wish, lane: wish.urgency.lane };
    const target = this.#source.ownMemory === true ? undefined : memory?.take(end - start);
    if (target === undefined) return this.#source.read(start, end - start, read);
    await this.#source.readInto(target, start, read);
    return target;
  }
}
