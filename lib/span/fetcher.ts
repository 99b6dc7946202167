/**
 * Fetches ranges of one layer, counts them, and trusts the source neither to
 * stop at once when it is told to nor to return the length it was asked for.
 */
import { abortable } from '../async/abortable.js';
import { SociError } from '../errors.js';
import type { Lane, RangeSource } from '../source/range-source.js';
import type { ReusedMemory } from './reused-memory.js';

/** What reading a layer has cost so far. Bytes count once each time they were moved. */
export interface ReadStats {
  /** Bytes that callers asked for, tar headers checked on the way included. */
  readonly askedBytes: number;
  /** Reads made of the source. */
  readonly requests: number;
  /** Compressed bytes that arrived. */
  readonly fetchedBytes: number;
  /** Spans (of huge ones: blocks of 1 MiB) decoded. */
  readonly decodedSpans: number;
  readonly decodedBytes: number;
  /** Spans or blocks found decoded in the cache. */
  readonly cacheHits: number;
  /** Spans that another reader was already fetching. */
  readonly sharedSpans: number;
  /** Spans fetched again because their digest was wrong. */
  readonly digestRetries: number;
}

export type ReadCounters = { -readonly [Name in keyof ReadStats]: ReadStats[Name] };

export function newCounters(): ReadCounters {
  return {
    askedBytes: 0,
    requests: 0,
    fetchedBytes: 0,
    decodedSpans: 0,
    decodedBytes: 0,
    cacheHits: 0,
    sharedSpans: 0,
    digestRetries: 0,
  };
}

export interface FetchOptions {
  readonly signal: AbortSignal;
  readonly lane: Lane;
  /**
   * Where to put the bytes. A source that does not stop at once may still write to what was taken of it after the
   * fetch was aborted.
   */
  readonly memory?: ReusedMemory | undefined;
}

export class Fetcher {
  readonly #source: RangeSource;
  readonly #counters: ReadCounters;

  constructor(source: RangeSource, counters: ReadCounters) {
    this.#source = source;
    this.#counters = counters;
  }

  /** The bytes [start, end) of the layer. */
  async fetch(start: number, end: number, options: FetchOptions): Promise<Uint8Array> {
    const { signal, lane, memory } = options;
    signal.throwIfAborted();
    this.#counters.requests++;
    const target = memory?.take(end - start);
    const reading =
      target === undefined
        ? this.#source.read(start, end - start, { signal, lane })
        : this.#source.readInto(target, start, { signal, lane }).then(() => target);
    const bytes = await abortable(reading, signal);
    if (bytes.length !== end - start) {
      throw new SociError(
        'ERR_SOCI_SOURCE_SHORT',
        `${this.#source.name}: expected ${end - start} bytes from ${start}, received ${bytes.length}`,
        { data: { offset: start, expected: end - start, received: bytes.length } },
      );
    }
    this.#counters.fetchedBytes += bytes.length;
    return bytes;
  }
}
