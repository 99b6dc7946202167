/**
 * What reading one layer has cost: counted for whoever holds the reader, and
 * told to whoever listens to the process, in one place so that the two agree.
 */
import { publish, type SpanFetchEvent } from '../observe/channels.js';

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

export class ReadRecord {
  readonly #source: string;
  readonly #counters = newCounters();

  /** @param source what events call the layer */
  constructor(source: string) {
    this.#source = source;
  }

  /** A snapshot. */
  get stats(): ReadStats {
    return { ...this.#counters };
  }

  /** A caller wants `bytes` bytes. */
  asked(bytes: number): void {
    this.#counters.askedBytes += bytes;
  }

  /** A read of the source begins. */
  requested(): void {
    this.#counters.requests++;
  }

  /** It is over. */
  fetched(fetch: Omit<SpanFetchEvent, 'source'>): void {
    if (fetch.outcome === 'fetched') this.#counters.fetchedBytes += fetch.bytes;
    publish('seekable-oci:span:fetch', () => ({ source: this.#source, ...fetch }));
  }

  /** `bytes` bytes of a span were decoded. @param began what `performance.now()` was when they were asked for */
  decoded(span: number, bytes: number, began: number): void {
    this.#counters.decodedSpans++;
    this.#counters.decodedBytes += bytes;
    publish('seekable-oci:span:decode', () => {
      const ms = performance.now() - began;
      return { source: this.#source, span, bytes, ms };
    });
  }

  /** `bytes` bytes of a span were in memory. */
  hit(span: number, bytes: number): void {
    this.#counters.cacheHits++;
    publish('seekable-oci:span:cache-hit', () => ({ source: this.#source, span, bytes }));
  }

  /** A span was on its way for another reader. */
  shared(): void {
    this.#counters.sharedSpans++;
  }

  /** What arrived had the wrong digest, and is fetched again. */
  retried(): void {
    this.#counters.digestRetries++;
  }
}
