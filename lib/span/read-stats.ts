/** What reading has cost, as callers are told: of one layer, or summed over several. */

import { LANES } from '../source/lanes.js';
import type { Lane } from '../source/range-source.js';

/** What reads of one lane have cost so far. Of work that several reads share, the most urgent one's counts. */
export interface LaneStats {
  /** Bytes that callers asked for, tar headers checked on the way included. */
  readonly askedBytes: number;
  /** Compressed bytes that requests were made for, those that failed and gaps that were read over included. */
  readonly plannedBytes: number;
  /** Compressed bytes that arrived. */
  readonly fetchedBytes: number;
  /** Of what arrived, spans that nobody has asked for so far, in whichever lane. */
  readonly wastedBytes: number;
  readonly decodedBytes: number;
  /** Decoded bytes of spans or blocks that were in memory. */
  readonly memoryBytes: number;
  /** Compressed bytes that came from the store's disk and not from the network. */
  readonly diskBytes: number;
  /** Reads made of the source. */
  readonly requests: number;
  /** Requests sent a second time, since the first was silent for too long (`hedge` of the registry's options). */
  readonly hedges: number;
  /** Bytes that those asked for; they are not in `plannedBytes`. */
  readonly hedgeBytes: number;
}

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
  /** Requests sent a second time, since the first was silent for too long (`hedge` of the registry's options). */
  readonly hedges: number;
  /** Bytes that those asked for; they are not in `fetchedBytes`. */
  readonly hedgeBytes: number;
  /** The same by how urgent it was. */
  readonly lanes: Readonly<Record<Lane, LaneStats>>;
}

/** Numbers to count in. */
export type ReadCounters = { -readonly [Name in Exclude<keyof ReadStats, 'lanes'>]: number } & {
  lanes: Record<Lane, LaneStats>;
};

export function newLaneStats(): { -readonly [Name in keyof LaneStats]: number } {
  return {
    askedBytes: 0,
    plannedBytes: 0,
    fetchedBytes: 0,
    wastedBytes: 0,
    decodedBytes: 0,
    memoryBytes: 0,
    diskBytes: 0,
    requests: 0,
    hedges: 0,
    hedgeBytes: 0,
  };
}

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
    hedges: 0,
    hedgeBytes: 0,
    lanes: { demand: newLaneStats(), prefetch: newLaneStats(), background: newLaneStats() },
  };
}

/** The sum of both. */
export function sumOfStats(a: ReadStats, b: ReadStats): ReadStats {
  const lanes = newCounters().lanes;
  for (const lane of LANES) lanes[lane] = sumOf(a.lanes[lane], b.lanes[lane]);
  const { lanes: _a, ...ours } = a;
  const { lanes: _b, ...others } = b;
  return { ...sumOf(ours, others), lanes };
}

/** The same, of a layer that was read without anything being fetched. */
export function statsWithoutFetches(stats: ReadStats): ReadStats {
  const lanes = newCounters().lanes;
  const unhedged = { hedges: 0, hedgeBytes: 0 };
  for (const lane of LANES) {
    const none = { plannedBytes: 0, fetchedBytes: 0, wastedBytes: 0, diskBytes: 0, requests: 0, ...unhedged };
    lanes[lane] = { ...stats.lanes[lane], ...none };
  }
  return { ...stats, requests: 0, fetchedBytes: 0, ...unhedged, lanes };
}

function sumOf<T extends { readonly [Name in keyof T]: number }>(a: T, b: T): T {
  const names = Object.keys(a) as (keyof T)[];
  return Object.fromEntries(names.map(name => [name, a[name] + b[name]])) as T;
}
