/**
 * Random access to the tar stream inside one layer: plan, fetch, verify,
 * decode, cache. Nothing leaves here whose compressed bytes did not have the
 * digest that the ztoc states, and nothing of a span whose output contradicts
 * the window of the next one.
 */

import { checkChoice, checkOptions, type OptionNames } from '../arguments.js';
import { AbortScope } from '../async/abort-scope.js';
import type { SharedWork } from '../async/shared-work.js';
import { invalidValues, SociError } from '../errors.js';
import { completeSource, type GivenSource } from '../source/given-source.js';
import { LANES } from '../source/lanes.js';
import type { Lane, ReadOptions, SourceKeeping } from '../source/range-source.js';
import { Chain } from './chain.js';
import { ChainInput } from './chain-input.js';
import { Fetcher } from './fetcher.js';
import { HugeSpans } from './huge-span.js';
import { LayerSpans } from './layer-spans.js';
import { type Interval, type Step, spanIntervals, spansOf, type TarRange } from './plan.js';
import { PlannedRead, type PlannedReadOptions } from './planned-read.js';
import { Planner, type ReadCost } from './planner.js';
import { ProvenBlocks } from './proven-blocks.js';
import { defaultContext, type ReadContext } from './read-context.js';
import type { ReadPart } from './read-part.js';
import { ReadRecord } from './read-record.js';
import type { ReadStats } from './read-stats.js';
import { RestOfLayer } from './rest-of-layer.js';
import { PassMemory } from './reused-memory.js';
import { keepSpans } from './span-keeping.js';
import { SpanLoader } from './span-loader.js';
import { decodedLength, type SpanTable } from './span-table.js';
import { type FetchedAhead, warmSpans } from './span-warming.js';
import type { Wish } from './urgent-work.js';

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

const READER_OPTIONS: OptionNames<SpanReaderOptions> = { context: true, verifyWindows: true };

/** Bytes that are the caller's until it releases them, which it does at most once. They may be empty after that. */
export interface LentBytes {
  readonly bytes: Uint8Array;
  readonly release: () => void;
}

/** What a read would cost now. */
export interface ReadPlan extends ReadCost {
  /** The spans touched, `end` exclusive; equal when none is. */
  readonly firstSpan: number;
  readonly endSpan: number;
}

export class SpanReader {
  readonly #name: string;
  readonly #table: SpanTable;
  readonly #record: ReadRecord;
  readonly #layer: LayerSpans;
  readonly #chain: Chain | undefined;
  readonly #loader: SpanLoader;
  readonly #huge: HugeSpans;
  readonly #planner: Planner;
  readonly #planned: PlannedReadOptions;
  readonly #rest: RestOfLayer;
  readonly #reads = new AbortScope();
  readonly #requested: boolean;
  /** Settles when the rest of the layer has come, or does not any more. */
  #restRead: Promise<void> | undefined;
  readonly #fetcher: Fetcher;
  /** What the layer's source keeps of what is fetched, if it does. */
  readonly keeping: SourceKeeping | undefined;
  /** Set once the ztoc has been caught lying: nothing it says is used after that. */
  #forged: SociError | undefined;
  #closing: Promise<void> | undefined;

  /**
   * @param given the layer as stored; the reader does not close it
   * @param table the layer's ztoc
   */
  constructor(given: GivenSource, table: SpanTable, options: SpanReaderOptions = {}) {
    checkOptions('SpanReader', options, READER_OPTIONS);
    const source = completeSource(given);
    const { verifyWindows = 'neighbours', context = defaultContext } = options;
    checkChoice('verifyWindows', verifyWindows, ['neighbours', 'chain']);
    this.#name = source.name;
    this.#table = table;
    const fromStart = verifyWindows === 'chain' ? table.codec.fromLayerStart : undefined;
    const proven = fromStart && new ProvenBlocks();
    const record = new ReadRecord(source.name, table);
    this.#record = record;
    this.#layer = new LayerSpans({ name: source.name, table, context, record, proven });
    const fetcher = new Fetcher(source, record);
    this.#fetcher = fetcher;
    this.keeping = source.keeping;
    this.#requested = fetcher.requested;
    this.#huge = new HugeSpans(this.#layer, fetcher);
    this.#loader = new SpanLoader(this.#layer, fetcher);
    this.#planner = new Planner(this.#layer, this.#loader, this.#huge, fetcher);
    this.#rest = new RestOfLayer(this.#layer, fetcher);
    this.#planned = {
      layer: this.#layer,
      planner: this.#planner,
      loader: this.#loader,
      huge: this.#huge,
    };
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

  /** Whether the layer's bytes have to be asked for, as against: lie in a file or in memory. */
  get requested(): boolean {
    return this.#requested;
  }

  /** A snapshot of what reading has cost so far. */
  get stats(): ReadStats {
    return this.#record.stats;
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
    const lane = laneOf(options);
    // By what was asked for before: one read of much says nothing about what comes after it.
    const rest = lane === 'demand' && this.#chain === undefined ? this.#rest.due() : undefined;
    let end = 0;
    for (const { start, target } of parts) {
      this.#checkRange(start, start + target.length);
      // An empty part lies nowhere: it may stand between two others, or at the start of one.
      if (target.length === 0) continue;
      if (start < end) throw invalidValues('the parts of a read', 'ascending ones', { start, end });
      end = start + target.length;
      this.#record.asked(target.length, lane);
      this.#record.use.asked(spansOf(this.#table, start, end), 'read');
    }
    try {
      await this.#run(end, { signal: options.signal, lane }, wish => {
        const read = new PlannedRead(this.#planned, parts, wish).run();
        if (rest !== undefined) this.#readRest(rest);
        return read;
      });
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * @internal Decodes what holds these ranges of the tar stream, ascending, and keeps it as long as the cache does:
   * for reads that will probably come. Huge spans are left alone. Fails as `readParts` does, which fails no read.
   */
  async prefetch(ranges: readonly TarRange[], signal?: AbortSignal): Promise<void> {
    for (const { start, end } of ranges) this.#checkRange(start, end);
    const end = ranges.at(-1)?.end ?? 0;
    await this.#run(end, { signal, lane: 'prefetch' }, wish =>
      new PlannedRead(this.#planned, [], wish, ranges).run(),
    );
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

  /** Memory for one pass with `lend`. */
  passMemory(): PassMemory {
    return new PassMemory(this.#layer.context.lent);
  }

  /** As `take`, but of `memory`, to which each part goes back when it is released. */
  lend(start: number, end: number, memory: PassMemory, options: ReadOptions = {}): Promise<LentBytes>[] {
    return this.#pass(start, end, memory, options);
  }

  /**
   * Fetches neighbouring spans before anybody asks for them: to where the source keeps them, their digests checked and
   * nothing decoded; into the context's cache where it keeps nothing.
   *
   * @param spans at least one
   * @returns undefined when nothing that is fetched would be kept
   * @throws what fetching fails with; the signal's reason
   */
  async fetchAhead(spans: Interval, options: ReadOptions): Promise<FetchedAhead | undefined> {
    this.#throwIfUnusable();
    const lane = laneOf(options);
    const read = this.#reads.begin(options.signal);
    const wish = { signal: read.signal, lane };
    try {
      if (this.keeping !== undefined) {
        return await keepSpans(this.#layer, this.#fetcher, spans, wish);
      }
      await this.#chain?.advanceTo(this.#table.span(spans.end - 1).uncompressedEnd, wish);
      return await warmSpans(this.#planned, spans, wish);
    } catch (error) {
      read.abort(error);
      throw this.#failed(error);
    } finally {
      read.end();
    }
  }

  /** What reading these ranges of the tar stream would cost; fetches nothing. */
  plan(ranges: readonly TarRange[]): ReadPlan {
    const intervals = spanIntervals(this.#table, ranges);
    const firstSpan = intervals[0]?.first ?? 0;
    const endSpan = intervals.at(-1)?.end ?? 0;
    const chained = this.#chain?.cost(endSpan);
    // What the chain decodes on its way is cached, so that the read itself fetches nothing more.
    if (chained !== undefined) return { firstSpan, endSpan, ...chained, cachedSpans: 0 };
    return { firstSpan, endSpan, ...this.#planner.cost(intervals) };
  }

  /**
   * Where reading on from `start` should stop so that it takes whole spans and
   * about `bytes` of them, `end` at most: how streams divide a file.
   */
  pieceEnd(start: number, end: number, bytes: number): number {
    return this.#planner.pieceEnd(start, end, bytes);
  }

  /** Reads under way reject with ERR_SOCI_CLOSED; settles when nothing of them is left. Twice is no error. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @param end how far the chain must have come before `body` begins */
  async #run(
    end: number,
    { signal, lane }: { readonly signal: AbortSignal | undefined; readonly lane: Lane },
    body: (wish: Wish) => Promise<void>,
  ): Promise<void> {
    this.#throwIfUnusable();
    const read = this.#reads.begin(signal);
    const wish = { signal: read.signal, lane };
    try {
      await this.#chain?.advanceTo(end, wish);
      await body(wish);
    } catch (error) {
      // Those who still wait for a span of this read leave, and nothing is copied any more.
      read.abort(error);
      throw error;
    } finally {
      read.end();
    }
  }

  /** Fetches the rest of the layer; nobody waits for that, and nobody learns of it. */
  #readRest(how: 'keep' | 'decode'): void {
    const fetched =
      how === 'keep'
        ? this.#run(0, { signal: undefined, lane: 'prefetch' }, wish => this.#rest.keep(wish.signal))
        : this.prefetch([{ start: 0, end: this.size }]);
    this.#restRead = fetched.catch(() => {});
  }

  async #close(): Promise<void> {
    this.#reads.close(this.#closedError());
    await this.#restRead;
    await this.#loader.finished();
    await this.#chain?.finished();
    await this.#huge.close();
  }

  #pass(start: number, end: number, use: 'hand on' | PassMemory, options: ReadOptions): Promise<LentBytes>[] {
    this.#checkRange(start, end);
    this.#throwIfUnusable();
    const range = spansOf(this.#table, start, end);
    laneOf(options);
    const parts: Promise<LentBytes>[] = [];
    for (let first = range.first; first < range.end; ) {
      const step = this.#planner.next(first, range.end);
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
    const lane = laneOf(options);
    this.#record.asked(end - start, lane);
    this.#record.use.asked(step, 'pass');
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
    const parts = this.#loader.load(step.first, step.end, { use: lent, lane }).map(one);
    Promise.allSettled(parts).then(() => read.end());
    return parts;
  }

  /** `error`, remembered when it says that the ztoc lies. */
  #failed(error: unknown): unknown {
    if (error instanceof SociError && error.code === 'ERR_SOCI_WINDOW_MISMATCH') this.#forged ??= error;
    return error;
  }

  #checkRange(start: number, end: number): void {
    const { size } = this;
    if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end) {
      if (end <= size) return;
    }
    throw invalidValues('a range of the tar stream', '0 <= start <= end <= size', { start, end, size });
  }

  #throwIfUnusable(): void {
    if (this.#closing !== undefined) throw this.#closedError();
    if (this.#forged !== undefined) throw this.#forged;
  }

  #closedError(): SociError {
    return new SociError('ERR_SOCI_CLOSED', `the reader of ${this.#name} is closed`);
  }
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
function laneOf({ lane = 'demand' }: ReadOptions): Lane {
  checkChoice('lane', lane, LANES);
  return lane;
}

function owned(bytes: Uint8Array): LentBytes {
  return { bytes, release: () => {} };
}
