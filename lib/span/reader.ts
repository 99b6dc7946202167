/**
 * Random access to the tar stream inside one layer: plan, fetch, verify,
 * decode, cache. Nothing leaves here whose compressed bytes did not have the
 * digest that the ztoc states, and nothing of a span whose output contradicts
 * the window of the next one.
 */

import { AbortScope } from '../async/abort-scope.js';
import type { SharedWork } from '../async/shared-work.js';
import { SociError } from '../errors.js';
import { completeSource, type GivenSource } from '../source/given-source.js';
import type { ReadOptions } from '../source/range-source.js';
import { Chain } from './chain.js';
import { ChainInput } from './chain-input.js';
import { Fetcher, newCounters, type ReadCounters, type ReadStats } from './fetcher.js';
import { BLOCK_BYTES, type HugeReadOptions, HugeSpans, hugeRequests } from './huge-span.js';
import { LayerSpans } from './layer-spans.js';
import { nextStep, planSteps, type RunLimits, runRange, type SpanState, type Step, spansOf } from './plan.js';
import { ProvenBlocks } from './proven-blocks.js';
import { defaultContext, type ReadContext } from './read-context.js';
import { blocksOf, copyInto, type ReadPart } from './read-part.js';
import type { PassMemory } from './reused-memory.js';
import { SpanLoader } from './span-loader.js';
import { decodedLength, type SpanTable } from './span-table.js';

/**
 * How far windows are trusted. 'neighbours': every window is compared with
 * what the span in front of it decodes to, whenever that is decoded anyway.
 * 'chain': nothing is read before everything in front of it was decoded from
 * the start of the layer and found to agree with the ztoc.
 */
export type WindowVerification = 'neighbours' | 'chain';

export interface SpanReaderOptions {
  /** Whose memory, threads and decoded spans the reader shares. Default: the default context. */
  readonly context?: ReadContext | undefined;
  readonly verifyWindows?: WindowVerification | undefined;
}

/** Bytes that are the caller's until it releases them, which it does at most once. */
export interface LentBytes {
  readonly bytes: Uint8Array;
  readonly release: () => void;
}

/** What a read would cost now. */
export interface ReadPlan {
  /** The spans touched, `end` exclusive; equal when none is. */
  readonly firstSpan: number;
  readonly endSpan: number;
  readonly requests: number;
  /** Compressed bytes to fetch. */
  readonly bytes: number;
  /** Of the spans touched, how many are decoded already or on their way. */
  readonly cachedSpans: number;
}

export class SpanReader {
  readonly #name: string;
  readonly #table: SpanTable;
  readonly #context: ReadContext;
  readonly #counters: ReadCounters = newCounters();
  readonly #layer: LayerSpans;
  readonly #chain: Chain | undefined;
  readonly #loader: SpanLoader;
  readonly #huge: HugeSpans;
  readonly #reads = new AbortScope();
  /** Set once the ztoc has been caught lying: nothing it says is used after that. */
  #forged: SociError | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param given the layer as stored; the reader does not close it
   * @param table the layer's ztoc
   */
  constructor(given: GivenSource, table: SpanTable, options: SpanReaderOptions = {}) {
    const source = completeSource(given);
    const { verifyWindows = 'neighbours', context = defaultContext } = options;
    if (!['neighbours', 'chain'].includes(verifyWindows)) {
      throw new SociError(
        'ERR_SOCI_INVALID_ARGUMENT',
        `Expected 'neighbours' or 'chain' for verifyWindows but received ${String(verifyWindows)}`,
        { data: { received: verifyWindows } },
      );
    }
    this.#name = source.name;
    this.#table = table;
    this.#context = context;
    const fromStart = verifyWindows === 'chain' ? table.codec.fromLayerStart : undefined;
    const proven = fromStart && new ProvenBlocks();
    this.#layer = new LayerSpans({ name: source.name, table, context, counters: this.#counters, proven });
    const fetcher = new Fetcher(source, this.#counters);
    this.#huge = new HugeSpans(this.#layer, fetcher);
    this.#loader = new SpanLoader(this.#layer, fetcher);
    if (fromStart !== undefined && proven !== undefined) {
      const input = new ChainInput(this.#layer, fetcher, this.#huge);
      this.#chain = new Chain(this.#layer, input, proven, fromStart(context.settings.engine));
    }
  }

  /** Bytes of the tar stream. */
  get size(): number {
    // A last span that begins beyond the end of the archive is empty, but the one before it reaches up to there.
    const { spanCount } = this.#table;
    return spanCount === 0 ? 0 : this.#table.span(spanCount - 1).uncompressedEnd;
  }

  /** A snapshot of what reading has cost so far. */
  get stats(): ReadStats {
    return { ...this.#counters };
  }

  /** The bytes [start, end) of the tar stream. */
  async read(start: number, end: number, options: ReadOptions = {}): Promise<Uint8Array> {
    this.#checkRange(start, end);
    const target = new Uint8Array(end - start);
    await this.readParts([{ start, target }], options);
    return target;
  }

  /** Fills `target` with the bytes from `start` of the tar stream. What it holds after a failure is undefined. */
  async readInto(target: Uint8Array, start: number, options: ReadOptions = {}): Promise<void> {
    await this.readParts([{ start, target }], options);
  }

  /**
   * Fills several targets through one plan, so that neighbouring ones share
   * requests. After it has settled, nothing is written to a target any more.
   *
   * @param parts ascending, not overlapping
   * @throws SociError ERR_SOCI_SPAN_DIGEST when a span is not what the ztoc states, fetched twice;
   *   ERR_SOCI_WINDOW_MISMATCH when the ztoc contradicts the layer, after which every read fails with it;
   *   ERR_SOCI_SPAN_LENGTH, ERR_SOCI_DEFLATE_DATA and the like when a span does not decode to what the ztoc
   *   states; ERR_SOCI_CLOSED; what the source throws; the signal's reason
   */
  async readParts(parts: readonly ReadPart[], options: ReadOptions = {}): Promise<void> {
    let end = 0;
    for (const { start, target } of parts) {
      this.#checkRange(start, start + target.length);
      // An empty part lies nowhere: it may stand between two others, or at the start of one.
      if (target.length === 0) continue;
      if (start < end) throw new SociError('ERR_SOCI_INVALID_ARGUMENT', 'Expected ascending parts of a read');
      end = start + target.length;
      this.#counters.askedBytes += target.length;
    }
    this.#throwIfUnusable();
    const read = this.#reads.begin(options.signal);
    try {
      const how = { signal: read.signal, lane: options.lane ?? 'demand' };
      await this.#chain?.advanceTo(end, how);
      await this.#readPlanned(parts, how);
    } catch (error) {
      // Those who still wait for a span of this read leave, and nothing is copied any more.
      read.abort(error);
      throw this.#failed(error);
    } finally {
      read.end();
    }
  }

  /**
   * The bytes [start, end) of the tar stream, in the parts that its spans hold
   * of them, in memory that is the caller's own. Spans that are not at hand are
   * handed on as they were decoded, neither copied nor cached: for passes over
   * much of a layer, which would only push out what is read again. Each part
   * fails for itself, with what `readParts` throws.
   */
  take(start: number, end: number, options: ReadOptions = {}): Promise<Uint8Array>[] {
    return this.#pass(start, end, 'hand on', options).map(async part => (await part).bytes);
  }

  /** As `take`, but of `memory`, to which each part goes back when it is released. */
  lend(start: number, end: number, memory: PassMemory, options: ReadOptions = {}): Promise<LentBytes>[] {
    const use = this.#table.codec.stored ? 'hand on' : memory;
    return this.#pass(start, end, use, options);
  }

  /** What reading these ranges of the tar stream would cost; fetches nothing. */
  plan(ranges: readonly { readonly start: number; readonly end: number }[]): ReadPlan {
    const intervals = this.#intervals(ranges);
    const firstSpan = intervals[0]?.first ?? 0;
    const endSpan = intervals.at(-1)?.end ?? 0;
    const chained = this.#chain?.cost(endSpan);
    // What the chain decodes on its way is cached, so that the read itself fetches nothing more.
    if (chained !== undefined) return { firstSpan, endSpan, ...chained, cachedSpans: 0 };
    let requests = 0;
    let bytes = 0;
    let cachedSpans = 0;
    const limits = this.#runLimits();
    for (const { first, end } of intervals) {
      for (const step of planSteps(this.#table, first, end, index => this.#stateOf(index), limits)) {
        const huge = step.state === 'huge' && this.#huge.isPresent(step.first);
        if (step.state === 'cached' || step.state === 'in-flight' || huge) cachedSpans++;
        else {
          const range = runRange(this.#table, step.first, step.end);
          requests += step.state === 'huge' ? hugeRequests(range.end - range.start) : 1;
          bytes += range.end - range.start;
        }
      }
    }
    return { firstSpan, endSpan, requests, bytes, cachedSpans };
  }

  /**
   * Where reading on from `start` should stop so that it takes whole spans and
   * about `bytes` of them, `end` at most: how streams divide a file.
   */
  pieceEnd(start: number, end: number, bytes: number): number {
    const table = this.#table;
    let index = table.spanOf(start);
    if (this.#layer.isHuge(table.span(index))) {
      const from = table.span(index).uncompressedStart;
      const block = Math.floor((start + bytes - from) / BLOCK_BYTES) * BLOCK_BYTES;
      return Math.min(end, table.span(index).uncompressedEnd, Math.max(from + block, start + 1));
    }
    let at = table.span(index).uncompressedEnd;
    while (at < end && ++index < table.spanCount) {
      const span = table.span(index);
      if (span.uncompressedEnd - start > bytes || this.#layer.isHuge(span)) break;
      at = Math.max(at, span.uncompressedEnd);
    }
    return Math.min(at, end);
  }

  /** Reads under way reject with ERR_SOCI_CLOSED; settles when nothing of them is left. Twice is no error. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#reads.close(this.#closedError());
    await this.#loader.finished();
    await this.#chain?.finished();
    await this.#huge.close();
  }

  #pass(start: number, end: number, use: 'hand on' | PassMemory, options: ReadOptions): Promise<LentBytes>[] {
    this.#checkRange(start, end);
    this.#throwIfUnusable();
    const range = spansOf(this.#table, start, end);
    const limits = this.#runLimits();
    const parts: Promise<LentBytes>[] = [];
    for (let first = range.first; first < range.end; ) {
      const step = nextStep(this.#table, first, range.end, index => this.#stateOf(index), limits);
      const from = Math.max(start, this.#table.span(first).uncompressedStart);
      const to = Math.min(end, this.#table.span(step.end - 1).uncompressedEnd);
      const loaded = step.state === 'missing' && this.#chain === undefined;
      if (loaded) parts.push(...this.#passRun(step, { start: from, end: to }, use, options));
      else parts.push(this.read(from, to, options).then(owned));
      first = step.end;
    }
    return parts;
  }

  #passRun(
    step: Step,
    { start, end }: { readonly start: number; readonly end: number },
    use: 'hand on' | PassMemory,
    options: ReadOptions,
  ): Promise<LentBytes>[] {
    const read = this.#reads.begin(options.signal);
    this.#counters.askedBytes += end - start;
    const spans = Array.from({ length: step.end - step.first }, (_, i) => this.#table.span(step.first + i));
    const lent =
      use === 'hand on' ? use : { block: use.block(spans.map(decodedLength)), requests: use.requests };
    const one = async (work: SharedWork<Uint8Array>, index: number): Promise<LentBytes> => {
      const { uncompressedStart: from } = this.#table.span(step.first + index);
      try {
        const span = await work.wait(read.signal);
        const part = span.subarray(Math.max(0, start - from), Math.max(0, end - from));
        // Another reader that waited for the same span may still be about to copy from it.
        if (work.shared) return owned(new Uint8Array(part));
        return lent === 'hand on' ? owned(part) : { bytes: part, release: () => lent.block.release() };
      } catch (error) {
        throw this.#failed(error);
      }
    };
    const load = { use: lent, lane: options.lane ?? 'demand' };
    const parts = this.#loader.load(step.first, step.end, load).map(one);
    Promise.allSettled(parts).then(() => read.end());
    return parts;
  }

  /** `error`, remembered when it says that the ztoc lies. */
  #failed(error: unknown): unknown {
    if (error instanceof SociError && error.code === 'ERR_SOCI_WINDOW_MISMATCH') this.#forged ??= error;
    return error;
  }

  async #readPlanned(parts: readonly ReadPart[], how: HugeReadOptions): Promise<void> {
    const queue = this.#intervals(
      parts.map(part => ({ start: part.start, end: part.start + part.target.length })),
    );
    let missing = parts.reduce((sum, part) => sum + part.target.length, 0);
    const copy = (from: number, bytes: Uint8Array): void => {
      if (!how.signal.aborted) missing -= copyInto(parts, from, bytes);
    };
    const limits = this.#runLimits();
    const worker = async (): Promise<void> => {
      for (let interval = queue[0]; interval !== undefined; interval = queue[0]) {
        how.signal.throwIfAborted();
        const { first, end } = interval;
        const step = nextStep(this.#table, first, end, index => this.#stateOf(index), limits);
        if (step.end < end) interval.first = step.end;
        else queue.shift();
        await this.#perform(step, parts, copy, how);
      }
    };
    const spans = queue.reduce((sum, { first, end }) => sum + end - first, 0);
    await Promise.all(
      Array.from({ length: Math.min(this.#context.settings.readConcurrency, spans) }, worker),
    );
    if (missing !== 0) {
      throw new SociError('ERR_SOCI_SPAN_LENGTH', `${missing} bytes of the tar stream are in no span`, {
        data: { missing },
      });
    }
  }

  async #perform(
    step: Step,
    parts: readonly ReadPart[],
    copy: (from: number, bytes: Uint8Array) => void,
    { signal, lane }: HugeReadOptions,
  ): Promise<void> {
    const { uncompressedStart: from } = this.#table.span(step.first);
    switch (step.state) {
      case 'cached': {
        const bytes = this.#context.cache.get(this.#layer.key(step.first));
        this.#counters.cacheHits++;
        if (bytes !== undefined) copy(from, bytes);
        return;
      }
      case 'in-flight': {
        this.#counters.sharedSpans++;
        const bytes = await this.#loader.join(step.first, lane)?.wait(signal);
        if (bytes !== undefined) copy(from, bytes);
        return;
      }
      case 'missing': {
        const works = this.#loader.load(step.first, step.end, { use: 'keep', lane });
        const one = async (work: SharedWork<Uint8Array>, index: number): Promise<void> =>
          copy(this.#table.span(step.first + index).uncompressedStart, await work.wait(signal));
        await Promise.all(works.map(one));
        return;
      }
      case 'huge': {
        const huge = this.#huge.get(step.first);
        for (const block of blocksOf(this.#table.span(step.first), parts)) {
          copy(from + block * BLOCK_BYTES, await huge.block(block, { signal, lane }));
        }
        return;
      }
    }
  }

  #stateOf(index: number): SpanState {
    if (this.#layer.isHuge(this.#table.span(index))) return 'huge';
    if (this.#loader.has(index)) return 'in-flight';
    return this.#context.cache.has(this.#layer.key(index)) ? 'cached' : 'missing';
  }

  #runLimits(): RunLimits {
    const { maxRequestBytes, memoryBytes } = this.#context.settings;
    // A quarter, so that the requests of one read can be under way together.
    return { requestBytes: maxRequestBytes, decodedBytes: Math.floor(memoryBytes / 4) };
  }

  /** The spans of ascending ranges as intervals without overlap, touching ones merged. */
  #intervals(ranges: readonly { readonly start: number; readonly end: number }[]): Interval[] {
    const intervals: Interval[] = [];
    for (const range of ranges) {
      const { first, end } = spansOf(this.#table, range.start, range.end);
      const last = intervals.at(-1);
      if (first === end) continue;
      if (last !== undefined && first <= last.end) last.end = Math.max(last.end, end);
      else intervals.push({ first, end });
    }
    return intervals;
  }

  #checkRange(start: number, end: number): void {
    const { size } = this;
    if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end) {
      if (end <= size) return;
    }
    throw new SociError(
      'ERR_SOCI_INVALID_ARGUMENT',
      `Expected a range inside the tar stream of ${size} bytes but received ${start} to ${end}`,
      { data: { start, end, size } },
    );
  }

  #throwIfUnusable(): void {
    if (this.#closing !== undefined) throw this.#closedError();
    if (this.#forged !== undefined) throw this.#forged;
  }

  #closedError(): SociError {
    return new SociError('ERR_SOCI_CLOSED', `the reader of ${this.#name} is closed`);
  }
}

function owned(bytes: Uint8Array): LentBytes {
  return { bytes, release: () => {} };
}

interface Interval {
  first: number;
  end: number;
}
