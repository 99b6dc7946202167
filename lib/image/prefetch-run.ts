/**
 * One prefetch under way: pieces that are short and fail one by one. What may be
 * had a moment later is tried again when all others have had their turn, and
 * neither a span nor a layer ends what is not its own.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { runBounded } from '../async/bounded-tasks.js';
import { ByteRate } from '../async/byte-rate.js';
import { SociError } from '../errors.js';
import { publish } from '../observe/channels.js';
import type { Interval } from '../span/plan.js';
import type { ReadContext } from '../span/read-context.js';
import type { SpanReader } from '../span/reader.js';
import { storedLength } from '../span/span-keeping.js';
import type { FailedSpan } from '../span/span-warming.js';
import type { Store } from '../store/store.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import { proveDiffId } from './diff-id-proof.js';
import type { ImageLayer } from './image-layer.js';
import type { LoadStep } from './load-plan.js';
import { PrefetchRoom } from './prefetch-room.js';
import type { WantedStep } from './prefetch-target.js';
import type { PrefetchedLayer, PrefetchFailure, PrefetchOptions, PrefetchReport } from './prefetching.js';

/** What images share their reads in. */
export interface PrefetchPlaces {
  readonly context: ReadContext;
  readonly store: Store | undefined;
}

type RunOptions = PrefetchOptions & { readonly signal: AbortSignal };

/** Pieces under way. */
const CONCURRENCY = 4;
/** Of a piece, as it is stored: one request, where nothing of it is there. In the background it is a short one. */
const PIECE_BYTES: Readonly<Record<LoadStep['lane'], number>> = {
  prefetch: 8 * 2 ** 20,
  background: 2 ** 20,
};
const PIECE_SPANS = 256;
/** What a piece may decode to, for each byte of that: more would not fit into small caches. */
const MAX_EXPANSION = 8;
/** How often a piece is tried, beside what HTTP does by itself. */
const ATTEMPTS = 3;
/** Before the second attempt; four times as long before the third. */
const FIRST_DELAY_MS = 250;
/** After so many pieces of a layer in a row that are not to be had, the others wait for the next round. */
const FAILED_IN_A_ROW = 4;
const MAX_FAILURES = 1000;
/** What is wrong with one span, which was fetched twice then, and not with how it is fetched. */
const SPAN_FAULTS: ReadonlySet<string> = new Set([
  'ERR_SOCI_SPAN_DIGEST',
  'ERR_SOCI_SPAN_LENGTH',
  'ERR_SOCI_DEFLATE_DATA',
]);

/** One layer's part of it. */
interface LayerWork {
  readonly layer: number;
  readonly layerDigest: string;
  readonly tar: SpanReader;
  readonly ztoc: Ztoc;
  size: number;
  present: number;
  fetched: number;
  failed: number;
  left: number;
  /** Pieces in a row that were not to be had, and why the last one was not. */
  row: number;
  error: SociError | undefined;
  /** Nothing more of it will be had. */
  ended: boolean;
  diffId: 'proved' | undefined;
}

interface Piece extends Interval {
  readonly work: LayerWork;
  readonly lane: LoadStep['lane'];
}

export class PrefetchRun {
  readonly #layers: ReadonlyMap<string, ImageLayer>;
  readonly #store: Store | undefined;
  readonly #room: PrefetchRoom;
  readonly #rate: ByteRate;
  readonly #options: RunOptions;
  readonly #works = new Map<string, LayerWork>();
  readonly #failures: PrefetchFailure[] = [];

  /** @param layers Opened. */
  constructor(layers: readonly ImageLayer[], { context, store }: PrefetchPlaces, options: RunOptions) {
    this.#layers = new Map(layers.map(layer => [layer.description.descriptor.digest, layer]));
    this.#store = store;
    this.#room = new PrefetchRoom(context, store);
    this.#rate = new ByteRate(options.maxBytesPerSecond);
    this.#options = options;
  }

  async fetch(steps: readonly WantedStep[]): Promise<void> {
    const { signal } = this.#options;
    let pieces: readonly Piece[] = steps.flatMap(step => [...this.#piecesOf(step)]);
    for (let attempt = 1; pieces.length > 0; attempt++) {
      if (attempt > 1) {
        const wait = FIRST_DELAY_MS * 4 ** (attempt - 2) * (1 + Math.random() / 4);
        await delay(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
      }
      pieces = await this.#round(pieces, attempt === ATTEMPTS ? 'the last one' : 'not the last one');
    }
    // What was fetched is written behind its reader's back, and a blob proved when the last of it is.
    for (const work of this.#works.values()) {
      await work.tar.keeping?.settled().catch(error => this.#refused(work, error));
      signal.throwIfAborted();
    }
  }

  /** Of the layers that are in the store as a whole, what the config says of them. */
  async proveDiffIds(): Promise<void> {
    const { signal } = this.#options;
    for (const work of this.#works.values()) {
      const layer = this.#layers.get(work.layerDigest);
      const { size } = layer?.description.descriptor ?? {};
      if (this.#store === undefined || layer === undefined || size === undefined) continue;
      if ((await work.tar.keeping?.presentBytes(0, size)) !== size) continue;
      try {
        work.diffId = await proveDiffId(this.#store, layer, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.#refused(work, error);
      }
    }
  }

  failed(layerDigest: string, { first, end }: Interval, error: SociError): void {
    const isNext = (other: PrefetchFailure): boolean =>
      other.layerDigest === layerDigest && other.endSpan === first && other.error.code === error.code;
    const at = end > first ? this.#failures.findLastIndex(isNext) : -1;
    const before = this.#failures[at];
    if (before !== undefined) this.#failures[at] = { ...before, endSpan: end };
    else if (this.#failures.length < MAX_FAILURES) {
      const layer = this.#layers.get(layerDigest)?.description.position ?? 0;
      this.#failures.push({ layer, layerDigest, firstSpan: first, endSpan: end, error });
    }
  }

  report(): Omit<PrefetchReport, 'omitted'> {
    const layers = [...this.#works.values()].map(
      ({ layer, layerDigest, size, present, fetched, failed, left, diffId }): PrefetchedLayer => {
        return { layer, layerDigest, size, present, fetched, failed, left, diffId };
      },
    );
    return { into: this.#store === undefined ? 'cache' : 'store', layers, failures: this.#failures };
  }

  *#piecesOf({ layerDigest, firstSpan, endSpan, lane }: WantedStep): Generator<Piece> {
    const work = this.#workOf(layerDigest);
    if (work === undefined) return;
    const { ztoc } = work;
    for (let first = firstSpan; first < endSpan; ) {
      let end = first + 1;
      const most = Math.min(endSpan, first + PIECE_SPANS);
      while (end < most && isPiece(ztoc, { first, end: end + 1 }, PIECE_BYTES[lane])) end++;
      work.size += storedLength(ztoc, { first, end });
      yield { first, end, work, lane };
      first = end;
    }
  }

  #workOf(layerDigest: string): LayerWork | undefined {
    const { opened, description } = this.#layers.get(layerDigest) ?? {};
    let work = this.#works.get(layerDigest);
    if (work === undefined && opened !== undefined && description !== undefined) {
      const { tar, ztoc } = opened.entries;
      const counts = { size: 0, present: 0, fetched: 0, failed: 0, left: 0 };
      const state = { row: 0, error: undefined, ended: false, diffId: undefined };
      work = { layer: description.position, layerDigest, tar, ztoc, ...counts, ...state };
      this.#works.set(layerDigest, work);
    }
    return work;
  }

  /** Tries pieces. @returns those to be tried again */
  async #round(
    pieces: readonly Piece[],
    which: 'the last one' | 'not the last one',
  ): Promise<readonly Piece[]> {
    const again: Piece[] = [];
    for (const work of this.#works.values()) work.row = 0;
    await runBounded(pieces, CONCURRENCY, this.#options.signal, async (piece, signal) => {
      const { work } = piece;
      for (const { first, end, error } of joined(await this.#failuresOf(piece, signal))) {
        if (which === 'not the last one' && mayPass(error)) again.push({ ...piece, first, end });
        else {
          work.failed += storedLength(work.ztoc, { first, end });
          this.failed(work.layerDigest, { first, end }, error);
        }
      }
      this.#progress(work);
    });
    return again;
  }

  /** Fetches a piece and counts it. @returns what could not be had of it, ascending */
  async #failuresOf(piece: Piece, signal: AbortSignal): Promise<readonly FailedSpan[]> {
    const { work, first, end } = piece;
    const all = (error: SociError): FailedSpan[] =>
      Array.from({ length: end - first }, (_, at) => ({ span: first + at, error }));
    if (work.error !== undefined && (work.ended || work.row >= FAILED_IN_A_ROW)) return all(work.error);
    let failures: readonly FailedSpan[];
    try {
      failures = await this.#fetchPiece(piece, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SociError)) throw error;
      failures = all(error);
    }
    const error = failures.find(failure => !SPAN_FAULTS.has(failure.error.code))?.error;
    if (error === undefined) work.row = 0;
    else {
      work.row++;
      work.error = error;
      work.ended ||= !mayPass(error);
    }
    return failures;
  }

  async #fetchPiece({ work, first, end, lane }: Piece, signal: AbortSignal): Promise<readonly FailedSpan[]> {
    const spans = { first, end };
    const { tar, ztoc } = work;
    const bytes = storedLength(ztoc, spans);
    const isKept = tar.keeping !== undefined;
    if (!isKept && isCached(tar, ztoc, spans)) {
      work.present += bytes;
      return [];
    }
    const room = isKept ? this.#room.inStore(bytes) : this.#room.inCache(ztoc, spans, lane);
    if (room === undefined) {
      work.left += bytes;
      return [];
    }
    let outcome: 'brought' | 'nothing' = 'nothing';
    try {
      await this.#rate.take(bytes, signal);
      const found = await tar.fetchAhead(spans, { signal, lane });
      if (found === undefined) {
        this.#rate.giveBack(bytes);
        work.left += bytes;
        return [];
      }
      outcome = 'brought';
      const right = bytes - joined(found.failures).reduce((sum, run) => sum + storedLength(ztoc, run), 0);
      const present = Math.min(found.present, right);
      this.#rate.giveBack(present);
      work.present += present;
      work.fetched += right - present;
      return found.failures;
    } finally {
      room.end(outcome);
    }
  }

  /** All of a layer was fetched, and turned out to be another blob, or another tar than the image's. */
  #refused(work: LayerWork, error: unknown): void {
    if (!(error instanceof SociError)) throw error;
    work.failed += work.present + work.fetched;
    work.present = 0;
    work.fetched = 0;
    this.failed(work.layerDigest, { first: 0, end: work.ztoc.spanCount }, error);
  }

  #progress({ layer, layerDigest: digest, present, fetched, failed, left, size }: LayerWork): void {
    const bytes = present + fetched + failed + left;
    publish('seekable-oci:progress', () => ({ phase: 'prefetch', digest, bytes, size }));
    this.#options.onProgress?.({ layer, digest, bytes, size });
  }
}

/** Whether spans are short enough to be fetched together. */
function isPiece(ztoc: Ztoc, spans: Interval, bytes: number): boolean {
  const decoded = ztoc.span(spans.end - 1).uncompressedEnd - ztoc.span(spans.first).uncompressedStart;
  return storedLength(ztoc, spans) <= bytes && decoded <= MAX_EXPANSION * bytes;
}

/** Whether spans are decoded, or on their way. */
function isCached(tar: SpanReader, ztoc: Ztoc, { first, end }: Interval): boolean {
  const range = { start: ztoc.span(first).uncompressedStart, end: ztoc.span(end - 1).uncompressedEnd };
  return range.end > range.start && tar.plan([range]).requests === 0;
}

/** Spans that follow each other and failed alike. */
function joined(failures: readonly FailedSpan[]): (Interval & { readonly error: SociError })[] {
  const runs: (Interval & { readonly error: SociError })[] = [];
  for (const { span, error } of failures) {
    const last = runs.at(-1);
    if (last?.end === span && last.error.code === error.code)
      runs[runs.length - 1] = { ...last, end: span + 1 };
    else runs.push({ first: span, end: span + 1, error });
  }
  return runs;
}

/** Whether a piece may be had another time. */
function mayPass({ data }: SociError): boolean {
  return data['temporary'] === true;
}
