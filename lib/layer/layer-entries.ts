/**
 * One layer by entry: `entry` is a place in its table of contents, and whoever
 * asks has done the looking up. Files are read through the layer's spans, holes
 * of sparse ones included; the tar header of each is held against the table of
 * contents once, in the same plan as its data.
 */
import { LRUCache } from 'lru-cache';
import type { RangeSource, ReadOptions } from '../source/range-source.js';
import { type Interval, spanIntervals, type TarRange } from '../span/plan.js';
import type { ReadContext } from '../span/read-context.js';
import type { ReadPart } from '../span/read-part.js';
import type { ReadStats } from '../span/read-stats.js';
import { type ReadPlan, SpanReader, type WindowVerification } from '../span/reader.js';
import type { TocEntry } from '../tar/entry.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import type { FileRange } from './file-range.js';
import { FilesInOrder } from './files-in-order.js';
import { HeaderCheck } from './header-check.js';
import type { PiecewiseFile } from './read-ahead.js';
import { SequentialReads } from './sequential-reads.js';
import type { SparseMap } from './sparse-map.js';

/** What a layer is read from. */
export interface LayerContent {
  readonly ztoc: Ztoc;
  /** The bytes that the ztoc describes; whoever opened them closes them. */
  readonly source: RangeSource;
  /** By entry: files whose data have holes. */
  readonly sparse?: ReadonlyMap<number, SparseMap> | undefined;
}

export interface LayerEntriesOptions {
  /** Hold the tar header of every file that is read against the ztoc. */
  readonly verifyHeaders: boolean;
  readonly verifyWindows: WindowVerification | undefined;
  readonly context: ReadContext;
}

export interface EntryReadOptions extends ReadOptions {
  /** Other entries whose headers count too, as those of links on the way to the file. */
  readonly proofs?: readonly TocEntry[] | undefined;
}

/** Files of which it is known where the last range that was read of them ended. */
const MAX_RANGED_FILES = 64;

/** Decoded bytes of a sparse file that a stream asks for at once. */
const SPARSE_PIECE_BYTES = 2 ** 20;

export class LayerEntries {
  readonly ztoc: Ztoc;
  /** The tar stream that holds the entries. */
  readonly tar: SpanReader;
  readonly #context: ReadContext;
  readonly #headers: HeaderCheck;
  readonly #sparse: ReadonlyMap<number, SparseMap> | undefined;
  /** Of files that were read in ranges lately. */
  readonly #ranges = new LRUCache<number, SequentialReads>({ max: MAX_RANGED_FILES });
  readonly #order = new FilesInOrder();

  constructor({ ztoc, source, sparse }: LayerContent, options: LayerEntriesOptions) {
    const { verifyHeaders, verifyWindows, context } = options;
    this.ztoc = ztoc;
    this.#context = context;
    this.tar = new SpanReader(source, ztoc, { verifyWindows, context });
    this.#headers = new HeaderCheck({ enabled: verifyHeaders });
    this.#sparse = sparse;
  }

  get stats(): ReadStats {
    return this.tar.stats;
  }

  /** What reading ahead goes by. */
  get pace(): Pick<PiecewiseFile<unknown>, 'threads' | 'requested'> {
    return { threads: this.#context.settings.decodeConcurrency, requested: this.tar.requested };
  }

  /** Bytes of a file. */
  size(entry: number): number {
    return this.#sparse?.get(entry)?.size ?? this.ztoc.fields(entry).size;
  }

  /** Fills `target` from `offset` of the file; nothing at all still checks its header. */
  async readInto(
    entry: number,
    target: Uint8Array,
    offset: number,
    options: EntryReadOptions = {},
  ): Promise<void> {
    const found = this.ztoc.entry(entry);
    const headers = this.#headers.pending([found, ...(options.proofs ?? [])]);
    const data: readonly ReadPart[] = this.#sparse?.get(entry)?.parts(target, offset) ?? [
      { start: found.offset + offset, target },
    ];
    const parts = [...headers.parts, ...data].sort((a, b) => a.start - b.start);
    const read = this.tar.readParts(parts, { signal: options.signal, lane: options.lane });
    // Noted after it was planned: what is fetched ahead comes after what somebody waits for.
    const { start, target: last } = data.at(-1) ?? { start: found.offset, target };
    const from = offset === 0 ? found.headerOffset : (data[0]?.start ?? found.offset);
    if (options.lane !== 'prefetch' && options.lane !== 'background') {
      this.#noteOrder(entry, { start: from, end: start + last.length });
    }
    await read;
    headers.compare();
  }

  /** Notes a read of a file that was given as a range, and fetches ahead if it goes on where the last one ended. */
  noteRange(entry: number, range: FileRange): void {
    let reads = this.#ranges.get(entry);
    if (reads === undefined) {
      reads = new SequentialReads();
      this.#ranges.set(entry, reads);
    }
    this.readAhead(entry, range, reads);
  }

  /**
   * Notes a read of a file, and fetches ahead what `reads` says, behind the back of who reads: it fails nothing.
   *
   * @param signal ends it
   */
  readAhead(entry: number, range: FileRange, reads: SequentialReads, signal?: AbortSignal): void {
    const most = this.#mostAhead;
    if (most === 0) return;
    const ahead = reads.note(range, this.size(entry), most);
    if (ahead !== undefined) this.tar.prefetch(this.#dataRanges(entry, ahead), signal).catch(() => {});
  }

  /** What reading a range of a file would cost now. */
  plan(entry: number, range: FileRange, proofs: readonly TocEntry[] = []): ReadPlan {
    const found = this.ztoc.entry(entry);
    const headers = this.#headers.pending([found, ...proofs]).parts;
    const ranges = headers.map(part => ({ start: part.start, end: part.start + part.target.length }));
    const data = this.#dataRanges(entry, range);
    return this.tar.plan([...ranges, ...data].sort((a, b) => a.start - b.start));
  }

  /** The spans that hold a range of a file and its tar header, whatever has been read of them, ascending. */
  spans(entry: number, range: FileRange): readonly Interval[] {
    const { headerOffset, offset } = this.ztoc.entry(entry);
    const data = this.#dataRanges(entry, range);
    return spanIntervals(this.ztoc, [{ start: headerOffset, end: offset }, ...data]);
  }

  /** Where a piece of about `bytes` bytes from the start of `range` ends, inside of it, so that no span is divided. */
  pieceEnd(entry: number, { start, end }: FileRange, bytes: number): number {
    if (this.#sparse?.has(entry)) return Math.min(end, start + Math.max(bytes, SPARSE_PIECE_BYTES));
    const { offset } = this.ztoc.entry(entry);
    return this.tar.pieceEnd(offset + start, offset + end, bytes) - offset;
  }

  /** Reads under way reject with ERR_SOCI_CLOSED; settles when nothing of them is left. Twice is no error. */
  async close(): Promise<void> {
    await this.tar.close();
  }

  /** Notes a read of a file, and fetches ahead what follows it in the tar if files are read in its order. */
  #noteOrder(entry: number, range: TarRange): void {
    const most = this.#mostAhead;
    const ahead = most === 0 ? undefined : this.#order.note(entry, range, most);
    const end = Math.min(ahead?.end ?? 0, this.tar.size);
    if (ahead !== undefined && ahead.start < end) {
      this.tar.prefetch([{ start: ahead.start, end }]).catch(() => {});
    }
  }

  /** Bytes that may be fetched ahead: they share memory with all that is read. */
  get #mostAhead(): number {
    const { maxReadAheadBytes, cacheBytes, memoryBytes } = this.#context.settings;
    if (!this.tar.requested) return 0;
    return Math.floor(Math.min(maxReadAheadBytes, cacheBytes / 2, memoryBytes / 4));
  }

  /** Where the data of a range of a file are. */
  #dataRanges(entry: number, { start, end }: FileRange): readonly TarRange[] {
    const { offset } = this.ztoc.entry(entry);
    return this.#sparse?.get(entry)?.ranges(start, end) ?? [{ start: offset + start, end: offset + end }];
  }
}
