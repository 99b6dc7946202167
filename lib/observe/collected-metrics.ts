/** The Metrics that come with the library: sums since they were attached. */
import type {
  HttpRequestEvent,
  IndexStepEvent,
  RegistryHedgeEvent,
  SpanCacheHitEvent,
  SpanDecodeEvent,
  SpanFetchEvent,
  StoreBlobEvent,
  StoreDamageEvent,
  StoreReadEvent,
} from './channels.js';
import { attachMetrics, type Metrics } from './metrics.js';

/** Counts are of events, bytes and milliseconds sums over them. */
export interface MetricsSnapshot {
  readonly http: {
    readonly requests: number;
    /** Without a reply, or with a status of 400 or more. */
    readonly failures: number;
    readonly bytes: number;
    readonly ms: number;
  };
  readonly fetches: {
    readonly count: number;
    readonly failures: number;
    /** Of those that did not fail. */
    readonly bytes: number;
    readonly ms: number;
  };
  readonly decodes: { readonly count: number; readonly bytes: number; readonly ms: number };
  readonly cacheHits: { readonly count: number; readonly bytes: number };
  /** Ranges that were asked for twice, and their bytes. */
  readonly hedges: { readonly count: number; readonly won: number; readonly bytes: number };
  readonly store: {
    readonly reads: number;
    /** Of those, bytes that were there. */
    readonly keptBytes: number;
    /** Of those, bytes that had to be fetched. */
    readonly fetchedBytes: number;
    readonly damagedBytes: number;
    readonly failures: number;
    /** Blobs. */
    readonly completed: number;
    readonly refused: number;
    readonly evicted: number;
  };
  /** Steps of work on indexes, by their type. */
  readonly indexSteps: Readonly<Record<string, number>>;
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

class Sums implements Metrics {
  readonly http: Mutable<MetricsSnapshot['http']> = { requests: 0, failures: 0, bytes: 0, ms: 0 };
  readonly fetches: Mutable<MetricsSnapshot['fetches']> = { count: 0, failures: 0, bytes: 0, ms: 0 };
  readonly decodes: Mutable<MetricsSnapshot['decodes']> = { count: 0, bytes: 0, ms: 0 };
  readonly cacheHits: Mutable<MetricsSnapshot['cacheHits']> = { count: 0, bytes: 0 };
  readonly hedges: Mutable<MetricsSnapshot['hedges']> = { count: 0, won: 0, bytes: 0 };
  readonly store: Mutable<MetricsSnapshot['store']> = {
    reads: 0,
    keptBytes: 0,
    fetchedBytes: 0,
    damagedBytes: 0,
    failures: 0,
    completed: 0,
    refused: 0,
    evicted: 0,
  };
  readonly indexSteps = new Map<string, number>();

  httpRequest({ status, bytes, ms }: HttpRequestEvent): void {
    this.http.requests += 1;
    if (status === undefined || status >= 400) this.http.failures += 1;
    this.http.bytes += bytes;
    this.http.ms += ms;
  }

  spanFetch({ outcome, bytes, ms }: SpanFetchEvent): void {
    this.fetches.count += 1;
    if (outcome === 'fetched') this.fetches.bytes += bytes;
    else this.fetches.failures += 1;
    this.fetches.ms += ms;
  }

  spanDecode({ bytes, ms }: SpanDecodeEvent): void {
    this.decodes.count += 1;
    this.decodes.bytes += bytes;
    this.decodes.ms += ms;
  }

  spanCacheHit({ bytes }: SpanCacheHitEvent): void {
    this.cacheHits.count += 1;
    this.cacheHits.bytes += bytes;
  }

  indexStep({ type }: IndexStepEvent): void {
    this.indexSteps.set(type, (this.indexSteps.get(type) ?? 0) + 1);
  }

  registryHedge({ bytes, outcome }: RegistryHedgeEvent): void {
    this.hedges.count += 1;
    if (outcome === 'won') this.hedges.won += 1;
    this.hedges.bytes += bytes;
  }

  storeRead({ kept, fetched }: StoreReadEvent): void {
    this.store.reads += 1;
    this.store.keptBytes += kept;
    this.store.fetchedBytes += fetched;
  }

  storeDamage({ bytes }: StoreDamageEvent): void {
    this.store.damagedBytes += bytes;
  }

  storeBlob({ outcome }: StoreBlobEvent): void {
    this.store[outcome] += 1;
  }

  storeFailure(): void {
    this.store.failures += 1;
  }
}

export interface CollectedMetrics {
  /** A copy of the sums as they are now. */
  snapshot(): MetricsSnapshot;
  /** Ends the counting; `snapshot` stays. */
  stop(): void;
}

/** Counts everything that happens in this process from now on. */
export function collectMetrics(): CollectedMetrics {
  const sums = new Sums();
  const stop = attachMetrics(sums);
  return {
    stop,
    snapshot: () => ({
      http: { ...sums.http },
      fetches: { ...sums.fetches },
      decodes: { ...sums.decodes },
      cacheHits: { ...sums.cacheHits },
      hedges: { ...sums.hedges },
      store: { ...sums.store },
      indexSteps: Object.fromEntries(sums.indexSteps),
    }),
  };
}
