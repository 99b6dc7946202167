/**
 * Spans that are fetched together: one lease of memory, one run of stored bytes.
 * Each span has what it needs as soon as its own bytes are there; when nobody waits
 * for any of them any more, what is still to come is called off.
 */
import { AbortScope } from '../async/abort-scope.js';
import { SharedWork } from '../async/shared-work.js';
import type { Urgency } from '../source/lanes.js';
import type { Fetcher } from './fetcher.js';
import type { LayerSpans } from './layer-spans.js';
import type { Lease } from './memory-budget.js';
import { ReadOver } from './read-over.js';
import type { ReusedMemory } from './reused-memory.js';
import { decodedLength, type Span } from './span-table.js';
import { type StoredRun, storedRun } from './stored-run.js';

export interface SpanRequestOptions {
  readonly layer: LayerSpans;
  readonly fetcher: Fetcher;
  /** Ascending. */
  readonly spans: readonly [Span, ...Span[]];
  readonly urgency: Urgency;
  /** For the stored bytes. */
  readonly memory: ReusedMemory | undefined;
}

export class SpanRequest {
  readonly run: StoredRun;
  readonly urgency: Urgency;
  /** Settles when the fetch is over and every span was released. */
  readonly over: Promise<void>;
  readonly #begun: SharedWork<void>;
  readonly #used: Promise<void>;
  readonly #readOver: ReadOver | undefined;
  #lease: Lease | undefined;
  #isThere = false;
  #left: number;
  #allReleased: () => void = () => {};

  /** Begins at once; every span must be released. */
  constructor({ layer, fetcher, spans, urgency, memory }: SpanRequestOptions) {
    this.run = storedRun(layer, fetcher, spans, memory);
    this.urgency = urgency;
    this.#left = spans.length;
    this.#used = new Promise(resolve => {
      this.#allReleased = resolve;
    });
    this.#readOver = ReadOver.of(layer, spans, fetcher.keeping);
    const decoded = spans.reduce((sum, span) => sum + decodedLength(span), 0);
    this.#begun = new SharedWork(async signal => {
      this.#lease = await layer.context.memory.acquire(this.run.length + decoded, { signal, urgency });
      await this.run.begin({ signal, urgency });
      const last = spans.at(-1) as Span;
      layer.record.use.fetched({ first: spans[0].index, end: last.index + 1 }, urgency.lane);
      this.#isThere = true;
    });
    this.over = this.#end();
  }

  /** Settles when the stored bytes of `span` are there. */
  async arrival(span: Span, signal: AbortSignal): Promise<void> {
    const early = this.run.arrival(span);
    if (early === undefined) {
      await this.#begun.wait(signal);
      return;
    }
    const waiting = new AbortScope().begin(signal);
    try {
      await Promise.race([this.#begun.wait(waiting.signal), early]);
    } finally {
      // Who has what he wants waits for the rest no longer.
      waiting.abort(undefined);
      waiting.end();
    }
  }

  /** A span is decoded, or will not be. */
  release(span: Span): void {
    this.#lease?.release(decodedLength(span));
    this.#left--;
    if (this.#left === 0) this.#allReleased();
  }

  async #end(): Promise<void> {
    await Promise.all([this.#looked(), this.#used]);
    this.#lease?.release();
    this.run.end();
  }

  async #looked(): Promise<void> {
    await this.#begun.finished();
    await this.#readOver?.end(span => (this.#isThere ? this.run.stored(span) : undefined));
  }
}
