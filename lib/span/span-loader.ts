/**
 * Fetches and decodes spans, each once however many readers want it: those
 * under way are found here, and a reader that leaves cancels only what nobody
 * else waits for.
 */

import { KeyedWork } from '../async/keyed-work.js';
import { SharedWork } from '../async/shared-work.js';
import { SociError } from '../errors.js';
import type { Fetcher, ReadCounters } from './fetcher.js';
import { type Lease, memoryBudget } from './memory-budget.js';
import { runRange } from './plan.js';
import type { ReusedMemory, SpanBlock } from './reused-memory.js';
import { spanCache, spanKey } from './span-cache.js';
import { decodeWholeSpan, isOneJob } from './span-decoding.js';
import { decodedLength, type Span, type SpanTable } from './span-table.js';
import { checkNextWindow } from './windows.js';

/** What loading spans, huge ones included, needs of the reader it belongs to. */
export interface LoaderOwner {
  readonly id: number;
  readonly name: string;
  readonly table: SpanTable;
  readonly fetcher: Fetcher;
  readonly counters: ReadCounters;
  /** Throws when `bytes` are not what that block of the layer holds; an ordinary span is block 0. */
  checkBlock(span: Span, block: number, bytes: Uint8Array): Promise<void>;
}

/** 'keep': in the cache. 'hand on': to the one who asked. */
export type DecodedSpanUse = 'keep' | 'hand on' | LentUse;

/** To the one who asked, in memory that he gives back. */
export interface LentUse {
  readonly block: SpanBlock;
  readonly requests: ReusedMemory;
}

export class SpanLoader {
  readonly #owner: LoaderOwner;
  readonly #inFlight = new KeyedWork<number, Uint8Array>();

  constructor(owner: LoaderOwner) {
    this.#owner = owner;
  }

  /** The load of a span that is under way. */
  inFlight(index: number): SharedWork<Uint8Array> | undefined {
    return this.#inFlight.get(index);
  }

  /** Settles when nothing is under way. */
  async finished(): Promise<void> {
    await this.#inFlight.finished();
  }

  /** Fetches neighbouring spans, none of which is under way, in one request and decodes each. */
  load(first: number, end: number, use: DecodedSpanUse): SharedWork<Uint8Array>[] {
    const { table, fetcher } = this.#owner;
    const range = runRange(table, first, end);
    const spans = Array.from({ length: end - first }, (_, i) => table.span(first + i));
    const decoded = spans.reduce((sum, span) => sum + decodedLength(span), 0);
    const lent = typeof use === 'object' ? use : undefined;
    // A longer span is read again after its digest was checked, when a source that writes late could change it.
    const requests = spans.every(isOneJob) ? lent?.requests : undefined;
    let lease: Lease | undefined;
    const fetched = new SharedWork(async signal => {
      lease = await memoryBudget.acquire(range.end - range.start + decoded, signal);
      return fetcher.fetch(range.start, range.end, signal, requests);
    });
    const works = spans.map(span =>
      this.#inFlight.start(span.index, async signal => {
        try {
          const run = await fetched.wait(signal);
          const input = run.subarray(
            table.fetchStart(span.index) - range.start,
            span.compressedEnd - range.start,
          );
          const output = await this.#decode(span, input, signal, lent?.block.part(span.index - first));
          if (use === 'keep') spanCache.set(spanKey(this.#owner.id, span.index, 0), output);
          return output;
        } finally {
          lease?.release(decodedLength(span));
        }
      }),
    );
    this.#inFlight.track(
      Promise.all([fetched, ...works].map(work => work.finished())).then(([run]) => {
        lease?.release();
        if (run !== undefined) requests?.giveBack(run);
      }),
    );
    return works;
  }

  async #decode(
    span: Span,
    input: Uint8Array,
    signal: AbortSignal,
    room: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    const { name, table, fetcher, counters } = this.#owner;
    let output: Uint8Array;
    try {
      output = await decodeWholeSpan(table, span, input, name, signal, room);
    } catch (error) {
      if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_SPAN_DIGEST') throw error;
      // What arrived may have been damaged on its way; only a second time is it the layer or the ztoc.
      counters.digestRetries++;
      const again = await fetcher.fetch(table.fetchStart(span.index), span.compressedEnd, signal);
      output = await decodeWholeSpan(table, span, again, name, signal, room);
    }
    counters.decodedSpans++;
    counters.decodedBytes += output.length;
    checkNextWindow(table, name, span.index, table.window(span.index), output);
    await this.#owner.checkBlock(span, 0, output);
    return output;
  }
}
