/**
 * `verifyWindows: 'chain'`, for those who trust nothing a ztoc says about
 * decoding: one decoder runs from the gzip header on and never uses a
 * checkpoint, so what it gives is what the layer holds, whatever windows, bit
 * offsets and positions the ztoc claims. Of every span (of huge ones: every
 * block) the SHA-256 of its bytes is kept, 32 bytes each, and whatever is
 * decoded from a checkpoint later must have the same. No byte leaves before
 * the chain has passed it.
 */

import { abortable } from '../async/abortable.js';
import { SharedWork } from '../async/shared-work.js';
import type { EngineName } from '../binding.js';
import { SociError } from '../errors.js';
import type { SpanStart } from '../ztoc/codec/span-codec.js';
import { BLOCK_BYTES, fileFeed, HugeSpan } from './huge-span.js';
import { type Lease, memoryBudget } from './memory-budget.js';
import { nextStep, planSteps, runRange, type SpanState } from './plan.js';
import { settings } from './settings.js';
import { type InputFeed, memoryFeed, SlicedDecoder } from './sliced-decoder.js';
import { spanCache, spanKey } from './span-cache.js';
import { inSpan } from './span-decoding.js';
import { digestBytes, digestMismatch, sameDigest, sha256 } from './span-digest.js';
import type { LoaderOwner } from './span-loader.js';
import { decodedLength, type Span } from './span-table.js';
import { checkNextWindow, WINDOW_BYTES, windowAfter } from './windows.js';

/** Compressed bytes fetched ahead of the decoder in one request. */
const RUN_LIMITS = { requestBytes: 8 * 1024 * 1024, decodedBytes: Number.POSITIVE_INFINITY };

const NOTHING = new Uint8Array(0);

/** What the chain needs of the reader it belongs to. */
export interface ChainOwner extends LoaderOwner {
  isHuge(span: Span): boolean;
  hugeSpan(index: number): HugeSpan;
}

export class Chain {
  readonly #owner: ChainOwner;
  readonly #decoder: SlicedDecoder;
  /** SHA-256 of the true bytes, by span and block. */
  readonly #digests: Uint8Array[][] = [];
  /** What comes next: this block of this span. */
  #span = 0;
  #block = 0;
  #piece: { readonly bytes: Uint8Array; filled: number } | undefined;
  #window: Uint8Array = new Uint8Array(WINDOW_BYTES);
  /** Compressed bytes of the spans in front of the decoder: [start, start + bytes.length) of the layer. */
  #run: { readonly start: number; readonly bytes: Uint8Array; readonly end: number } | undefined;
  /** Where the bytes fed to the decoder end, in the layer. */
  #fedTo = 0;
  /** What the decoder is fed, in order; a former span may have bytes left that gave no output. */
  readonly #feeds: InputFeed[] = [];
  /** Whether the span that comes next is among them. */
  #fed = false;
  #position = 0;
  #target = 0;
  #step: SharedWork<void> | undefined;

  /** @param start of a decoder that needs nothing the ztoc says */
  constructor(owner: ChainOwner, start: (engine: EngineName) => SpanStart) {
    this.#owner = owner;
    this.#decoder = new SlicedDecoder(start(settings().engine), signal => this.#nextInput(signal));
  }

  /** Proves the tar stream up to `end`; what is proven already costs nothing. */
  async advanceTo(end: number, signal: AbortSignal): Promise<void> {
    this.#target = Math.max(this.#target, end);
    while (this.#position < end) {
      let step = this.#step;
      if (step === undefined) {
        const over = (): void => {
          if (this.#step === step) this.#step = undefined;
        };
        step = this.#step = new SharedWork(async workSignal => {
          try {
            await this.#advance(workSignal);
          } finally {
            over();
          }
        });
      }
      // A step that its readers left is finished or cancelled before the next one begins: there is one decoder.
      if (step.abandoned) await abortable(step.finished(), signal);
      else await step.wait(signal);
      signal.throwIfAborted();
    }
  }

  /** What passing all spans in front of `endSpan` would fetch; undefined when the chain has passed them. */
  cost(endSpan: number): { requests: number; bytes: number } | undefined {
    if (endSpan <= this.#span) return undefined;
    const { table } = this.#owner;
    const from = Math.max(this.#span + (this.#fed ? 1 : 0), this.#run?.end ?? 0);
    let requests = 0;
    let bytes = 0;
    for (const { state, first, end } of planSteps(table, from, endSpan, i => this.#stateOf(i), RUN_LIMITS)) {
      const range = runRange(table, first, end);
      const header = first === 0 ? range.start : 0;
      bytes += range.end - range.start + header;
      if (state === 'missing') requests++;
      else requests += HugeSpan.requests(range.end - range.start) + (header > 0 ? 1 : 0);
    }
    return { requests, bytes };
  }

  /** Whether `bytes` are what the layer holds in `block` of a span that the chain has passed. */
  async agrees(span: number, block: number, bytes: Uint8Array): Promise<boolean> {
    const expected = this.#digests[span]?.[block];
    return expected !== undefined && sameDigest(await sha256(bytes), expected);
  }

  /** Settles when no step is under way. */
  async finished(): Promise<void> {
    await this.#step?.finished();
  }

  /** Decodes and proves one span, or one block of a huge one. */
  async #advance(signal: AbortSignal): Promise<void> {
    const { table, id, name, counters } = this.#owner;
    const span = table.span(this.#span);
    const huge = this.#owner.isHuge(span);
    const start = this.#block * BLOCK_BYTES;
    const length = huge ? Math.min(BLOCK_BYTES, decodedLength(span) - start) : decodedLength(span);
    let lease: Lease | undefined;
    try {
      // A huge span's download has a lease of its own: nobody waits for one while holding another.
      if (!this.#fed && huge) this.#enqueue(await this.#hugeFeed(span, signal));
      lease = await memoryBudget.acquire(length + RUN_LIMITS.requestBytes, signal);
      if (!this.#fed) this.#enqueue(await this.#runFeed(span, signal));
      this.#piece ??= { bytes: new Uint8Array(length), filled: 0 };
      const piece = this.#piece;
      piece.filled = await this.#decoder.fill(piece.bytes, piece.filled, signal);
      signal.throwIfAborted();
      this.#digests[span.index] ??= [];
      this.#digests[span.index]?.push(await sha256(piece.bytes));
      spanCache.set(spanKey(id, span.index, this.#block), piece.bytes);
      counters.decodedSpans++;
      counters.decodedBytes += length;
      this.#window = new Uint8Array(windowAfter(this.#window, piece.bytes));
      this.#piece = undefined;
      this.#position += length;
      this.#block++;
      if (start + length < decodedLength(span)) return;
      this.#block = 0;
      this.#span++;
      this.#fed = false;
      this.#fedTo = span.compressedEnd;
      checkNextWindow(table, name, span.index, this.#window, NOTHING);
    } catch (error) {
      throw signal.aborted ? signal.reason : inSpan(name, span, error);
    } finally {
      lease?.release();
    }
  }

  /** To the chain every span that is not huge is missing: it never uses what was decoded from a checkpoint. */
  #stateOf(index: number): SpanState {
    return this.#owner.isHuge(this.#owner.table.span(index)) ? 'huge' : 'missing';
  }

  #enqueue(feed: InputFeed): void {
    this.#feeds.push(feed);
    this.#fed = true;
  }

  async #nextInput(signal: AbortSignal): Promise<Uint8Array | undefined> {
    for (;;) {
      const input = await this.#feeds[0]?.(signal);
      if (input !== undefined || this.#feeds.length === 0) return input;
      this.#feeds.shift();
    }
  }

  /** The rest of a huge span's bytes, from where the former span's ended. */
  async #hugeFeed(span: Span, signal: AbortSignal): Promise<InputFeed> {
    const { table, fetcher } = this.#owner;
    const file = await this.#owner.hugeSpan(span.index).compressed(signal);
    const from = table.fetchStart(span.index);
    if (this.#fedTo >= from) return fileFeed(file, this.#fedTo - from);
    const header = memoryFeed(await fetcher.fetch(this.#fedTo, from, signal));
    const rest = fileFeed(file);
    return async feedSignal => (await header(feedSignal)) ?? rest(feedSignal);
  }

  /** The rest of a span's bytes, fetched together with those of the spans after it up to the target. */
  async #runFeed(span: Span, signal: AbortSignal): Promise<InputFeed> {
    const { table, fetcher, name, counters } = this.#owner;
    if (this.#run === undefined || span.index >= this.#run.end) {
      const last = table.spanOf(Math.max(this.#target - 1, span.uncompressedStart)) + 1;
      const to = Math.max(span.index + 1, last);
      const { end } = nextStep(table, span.index, to, index => this.#stateOf(index), RUN_LIMITS);
      const range = runRange(table, span.index, end);
      // The header in front of span 0 belongs to no span, but a decoder without a checkpoint begins there.
      const start = span.index === 0 ? 0 : range.start;
      this.#run = { start, end, bytes: await fetcher.fetch(start, range.end, signal) };
    }
    const { start, bytes } = this.#run;
    let digested = bytes.subarray(span.compressedStart - start, span.compressedEnd - start);
    const expected = digestBytes(span.digest);
    let found = await sha256(digested);
    let feedable = bytes.subarray(this.#fedTo - start, span.compressedEnd - start);
    if (!sameDigest(found, expected)) {
      counters.digestRetries++;
      const from = Math.min(this.#fedTo, span.compressedStart);
      const again = await fetcher.fetch(from, span.compressedEnd, signal);
      digested = again.subarray(span.compressedStart - from);
      feedable = again.subarray(this.#fedTo - from);
      found = await sha256(digested);
    }
    if (!sameDigest(found, expected)) throw digestMismatch(name, span, found);
    return memoryFeed(feedable);
  }
}

/** What was decoded from a checkpoint is not what the layer holds there. */
export function checkpointMismatch(name: string, span: number): SociError {
  return new SociError(
    'ERR_SOCI_WINDOW_MISMATCH',
    `span ${span} of ${name} decodes to other bytes from its checkpoint than from the start of the layer: ` +
      'the ztoc was forged or does not belong to this layer',
    { data: { span } },
  );
}
