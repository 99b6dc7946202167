/**
 * What reading one layer has cost: counted for whoever holds the reader, and
 * told to whoever listens to the process, in one place so that the two agree.
 */
import { publish, type SpanFetchEvent } from '../observe/channels.js';
import { LANES } from '../source/lanes.js';
import type { Lane } from '../source/range-source.js';
import {
  type LaneStats,
  newCounters,
  newLaneStats,
  type ReadCounters,
  type ReadStats,
} from './read-stats.js';
import type { SpanTable } from './span-table.js';
import { SpanUse } from './span-use.js';

type LaneCounters = { -readonly [Name in keyof LaneStats]: LaneStats[Name] };

export class ReadRecord {
  /** Which spans were fetched, and asked for. */
  readonly use: SpanUse;
  readonly #source: string;
  readonly #counters: Omit<ReadCounters, 'lanes'> = newCounters();
  readonly #lanes: Record<Lane, LaneCounters> = {
    demand: newLaneStats(),
    prefetch: newLaneStats(),
    background: newLaneStats(),
  };

  /** @param source what events call the layer */
  constructor(source: string, table: SpanTable) {
    this.#source = source;
    this.use = new SpanUse(table);
  }

  /** A snapshot. */
  get stats(): ReadStats {
    const lanes = newCounters().lanes;
    for (const lane of LANES) lanes[lane] = { ...this.#lanes[lane], wastedBytes: this.use.wasted(lane) };
    return { ...this.#counters, lanes };
  }

  /** A caller wants `bytes` bytes. */
  asked(bytes: number, lane: Lane): void {
    this.#counters.askedBytes += bytes;
    this.#lanes[lane].askedBytes += bytes;
  }

  /** A read of `bytes` bytes of the source begins. */
  requested(bytes: number, lane: Lane): void {
    this.#counters.requests++;
    this.#lanes[lane].requests++;
    this.#lanes[lane].plannedBytes += bytes;
  }

  /** It is over. */
  fetched(fetch: Omit<SpanFetchEvent, 'source'>): void {
    if (fetch.outcome === 'fetched') {
      this.#counters.fetchedBytes += fetch.bytes;
      this.#lanes[fetch.lane].fetchedBytes += fetch.bytes;
    }
    publish('seekable-oci:span:fetch', () => ({ source: this.#source, ...fetch }));
  }

  /** `bytes` bytes of what a read wants were in the store. */
  kept(bytes: number, lane: Lane): void {
    this.#lanes[lane].diskBytes += bytes;
  }

  /** `bytes` bytes of a span were decoded. @param began what `performance.now()` was when they were asked for */
  decoded(span: number, bytes: number, began: number, lane: Lane): void {
    this.#counters.decodedSpans++;
    this.#counters.decodedBytes += bytes;
    this.#lanes[lane].decodedBytes += bytes;
    publish('seekable-oci:span:decode', () => {
      const ms = performance.now() - began;
      return { source: this.#source, span, bytes, ms };
    });
  }

  /** `bytes` bytes of a span were in memory. */
  hit(span: number, bytes: number, lane: Lane): void {
    this.#counters.cacheHits++;
    this.#lanes[lane].memoryBytes += bytes;
    publish('seekable-oci:span:cache-hit', () => ({ source: this.#source, span, bytes }));
  }

  /** A span was on its way for another reader. */
  shared(): void {
    this.#counters.sharedSpans++;
  }

  /** `bytes` bytes are asked for twice. */
  hedged(bytes: number, lane: Lane): void {
    for (const counters of [this.#counters, this.#lanes[lane]]) {
      counters.hedges++;
      counters.hedgeBytes += bytes;
    }
  }

  /** What arrived had the wrong digest, and is fetched again. */
  retried(): void {
    this.#counters.digestRetries++;
  }
}
