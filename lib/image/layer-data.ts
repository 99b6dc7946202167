/**
 * The files of one opened layer, by their place in its table of contents: the
 * image's tree has done the looking up. Headers are checked and spans shared as
 * in layer/.
 */
import { HeaderCheck } from '../layer/header-check.js';
import type { SparseMap } from '../plain/sparse-map.js';
import type { RangeSource } from '../source/range-source.js';
import type { ReadStats } from '../span/fetcher.js';
import type { ReadContext } from '../span/read-context.js';
import type { ReadPart } from '../span/read-part.js';
import { type ReadPlan, SpanReader, type WindowVerification } from '../span/reader.js';
import type { TocEntry } from '../tar/entry.js';
import type { Ztoc } from '../ztoc/ztoc.js';

/** What came with one ztoc: where its layer's bytes are, and how far it is trusted. */
export interface LayerContent {
  readonly ztoc: Ztoc;
  /** Closed with the layer. */
  readonly source: RangeSource;
  /** From an index; built now or before from the layer itself; of a plain tar that the layer was unpacked to. */
  readonly origin: 'index' | 'cache' | 'built' | 'unpacked';
  /** By entry: files whose data have holes. */
  readonly sparse: ReadonlyMap<number, SparseMap>;
}

export interface LayerDataOptions {
  readonly verifyHeaders: boolean;
  readonly verifyWindows: WindowVerification | undefined;
  readonly context: ReadContext;
}

/** Decoded bytes of a sparse file that a stream asks for at once. */
const SPARSE_PIECE_BYTES = 2 ** 20;

export class LayerData {
  readonly toc: Ztoc;
  readonly origin: LayerContent['origin'];
  readonly #source: RangeSource;
  readonly #reader: SpanReader;
  readonly #headers: HeaderCheck;
  readonly #sparse: ReadonlyMap<number, SparseMap>;

  constructor(content: LayerContent, options: LayerDataOptions) {
    this.toc = content.ztoc;
    this.origin = content.origin;
    this.#source = content.source;
    const { verifyWindows, context } = options;
    this.#reader = new SpanReader(content.source, content.ztoc, { verifyWindows, context });
    // An unpacked tar's table was read from the headers themselves, and says less than a header can.
    this.#headers = new HeaderCheck(options.verifyHeaders && content.origin !== 'unpacked');
    this.#sparse = content.sparse;
  }

  get stats(): ReadStats {
    return this.#reader.stats;
  }

  /** Bytes of a file. */
  size(entry: number): number {
    return this.#sparse.get(entry)?.size ?? this.toc.entry(entry).size;
  }

  /** Fills `target` from `start` of the file; nothing at all still checks its header. */
  async readInto(
    entry: number,
    target: Uint8Array,
    start: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const found = this.toc.entry(entry);
    const headers = this.#headers.pending([found]);
    const parts = [...headers.parts, ...this.#parts(entry, found, target, start)];
    await this.#reader.readParts(
      parts.sort((a, b) => a.start - b.start),
      { signal },
    );
    headers.compare();
  }

  /** What reading [start, end) of a file would cost now. */
  plan(entry: number, start: number, end: number): ReadPlan {
    const found = this.toc.entry(entry);
    const headers = this.#headers.pending([found]).parts;
    const ranges = headers.map(part => ({ start: part.start, end: part.start + part.target.length }));
    const data = this.#sparse.get(entry)?.ranges(start, end) ?? [
      { start: found.offset + start, end: found.offset + end },
    ];
    return this.#reader.plan([...ranges, ...data].sort((a, b) => a.start - b.start));
  }

  /** Where a piece of a file from `start` of about `bytes` bytes ends, `end` at most, so that no span is divided. */
  pieceEnd(entry: number, start: number, end: number, bytes: number): number {
    if (this.#sparse.has(entry)) return Math.min(end, start + Math.max(bytes, SPARSE_PIECE_BYTES));
    const { offset } = this.toc.entry(entry);
    return this.#reader.pieceEnd(offset + start, offset + end, bytes) - offset;
  }

  async close(): Promise<void> {
    await this.#reader.close();
    await this.#source.close();
  }

  #parts(entry: number, { offset }: TocEntry, target: Uint8Array, start: number): ReadPart[] {
    return this.#sparse.get(entry)?.parts(target, start) ?? [{ start: offset + start, target }];
  }
}
