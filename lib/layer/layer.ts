/**
 * One layer as a set of files: looks paths up in the ztoc and reads file ranges
 * through the layer's spans. The bytes of the layer itself stay where they are.
 */
import type { Readable } from 'node:stream';
import { checkOptions, type OptionNames } from '../arguments.js';
import { fileError, invalidArgument, SociError } from '../errors.js';
import { completeSource, type GivenSource } from '../source/given-source.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import { defaultContext, type ReadContext } from '../span/read-context.js';
import type { ReadStats } from '../span/read-record.js';
import { type ReadPlan, SpanReader, type WindowVerification } from '../span/reader.js';
import { PassMemory } from '../span/reused-memory.js';
import { quoteByteString } from '../tar/byte-string.js';
import type { TocEntry } from '../tar/entry.js';
import { Ztoc } from '../ztoc/ztoc.js';
import { clampRange } from './file-range.js';
import { FileStream } from './file-stream.js';
import { HeaderCheck } from './header-check.js';
import { LayerFile } from './layer-file.js';
import { lentChunks } from './lent-chunks.js';
import { type Lookup, PathWalker } from './path-walk.js';

/** As node:fs: more than this goes through a stream. */
const MAX_READ_FILE_BYTES = 2 ** 31 - 1;

export interface OpenLayerOptions extends AbortableOptions {
  /** What the ztoc must hash to, 'sha256:…'. Give it whenever it is known: windows have no other protection. */
  readonly ztocDigest?: string | undefined;
  /** Compare the tar header of every file that is opened with the ztoc. Default true. */
  readonly verifyHeaders?: boolean | undefined;
  /** Default 'neighbours'. */
  readonly verifyWindows?: WindowVerification | undefined;
  /** Whose memory, threads and decoded spans reading shares. Default: the default context. */
  readonly context?: ReadContext | undefined;
  /** Close the source with the layer. Default false. */
  readonly closeSource?: boolean | undefined;
}

const OPEN_LAYER_OPTIONS: OptionNames<OpenLayerOptions> = {
  signal: true,
  ztocDigest: true,
  verifyHeaders: true,
  verifyWindows: true,
  context: true,
  closeSource: true,
};

export interface LookupOptions {
  /** Follow symbolic links inside the layer, 40 at most. Default false. */
  readonly followSymlinks?: boolean | undefined;
}

export interface FileRangeOptions extends LookupOptions, AbortableOptions {
  /** First byte of the file. Default 0. */
  readonly start?: number | undefined;
  /** The byte after the last one, unlike in node:fs. What lies beyond the file is left out. Default: its end. */
  readonly end?: number | undefined;
}

export interface TarRangeOptions extends AbortableOptions {
  /** First byte of the tar stream. Default 0. */
  readonly start?: number | undefined;
  /** The byte after the last one. What lies beyond the stream is left out. Default: its end. */
  readonly end?: number | undefined;
}

/** What a read would cost now. */
export interface FilePlan extends ReadPlan {
  readonly entry: TocEntry;
}

/**
 * Binds a layer to its ztoc. Nothing is fetched yet.
 *
 * @param source the layer as stored. Closing the layer leaves it open unless `closeSource` is set.
 * @param ztoc a `Ztoc`, or one encoded
 * @throws SociError ERR_SOCI_ZTOC_MISMATCH when the ztoc was made for a layer of another size;
 *   ERR_SOCI_ZTOC_DIGEST; ERR_SOCI_INVALID_ARGUMENT; what `Ztoc.decode` throws
 */
export async function openLayer(
  source: GivenSource,
  ztoc: Ztoc | Uint8Array,
  options: OpenLayerOptions = {},
): Promise<Layer> {
  checkOptions('openLayer', options, OPEN_LAYER_OPTIONS);
  options.signal?.throwIfAborted();
  if (typeof source?.read !== 'function' || typeof source.size !== 'number') {
    throw invalidArgument('source', 'a RangeSource (FileSource, HttpSource, BufferSource, …)', source);
  }
  const { ztocDigest: expectedDigest } = options;
  const table = ztoc instanceof Ztoc ? ztoc : Ztoc.decode(ztoc, { expectedDigest });
  if (expectedDigest !== undefined && table.digest !== expectedDigest) {
    throw new SociError(
      'ERR_SOCI_ZTOC_DIGEST',
      `expected a ztoc of ${expectedDigest}, found ${table.digest}`,
      {
        data: { expected: expectedDigest, found: table.digest },
      },
    );
  }
  if (source.size !== table.compressedSize) {
    throw new SociError(
      'ERR_SOCI_ZTOC_MISMATCH',
      `the ztoc is for a layer of ${table.compressedSize} bytes, but ${source.name} has ${source.size}`,
      { data: { expected: table.compressedSize, found: source.size } },
    );
  }
  return new Layer(completeSource(source), table, options);
}

export class Layer {
  readonly ztoc: Ztoc;
  readonly #source: RangeSource;
  readonly #context: ReadContext;
  readonly #reader: SpanReader;
  readonly #headers: HeaderCheck;
  readonly #paths: PathWalker;
  readonly #closeSource: boolean;
  #closed = false;

  /** @internal Use `openLayer`. */
  constructor(source: RangeSource, ztoc: Ztoc, options: OpenLayerOptions) {
    this.ztoc = ztoc;
    this.#source = source;
    this.#context = options.context ?? defaultContext;
    const { verifyWindows } = options;
    this.#reader = new SpanReader(source, ztoc, { verifyWindows, context: this.#context });
    this.#headers = new HeaderCheck({ enabled: options.verifyHeaders ?? true });
    this.#paths = new PathWalker(ztoc);
    this.#closeSource = options.closeSource ?? false;
  }

  /** A snapshot of what reading this layer has cost so far. */
  get stats(): ReadStats {
    return this.#reader.stats;
  }

  /** All entries of the tar in its order, as the ztoc has them: unchecked until a file is opened. */
  entries(): Iterable<TocEntry> {
    return this.ztoc.entries();
  }

  /**
   * The entry that a path leads to, hard links followed, as the ztoc has it.
   *
   * @throws SociError ENOENT, ENOTDIR, ELOOP; EISDIR for a directory that has no entry of its own
   */
  lookup(path: string | Uint8Array, options: LookupOptions = {}): TocEntry {
    return this.#find(path, options, 'stat').entry;
  }

  /**
   * The bytes of a file, or of a range of it.
   *
   * @throws SociError ENOENT, ENOTDIR, ELOOP, EISDIR; EINVAL for what is no regular file;
   *   ERR_SOCI_TAR_HEADER_MISMATCH when the ztoc contradicts the file's header; ERR_SOCI_LIMIT for 2 GiB and
   *   more (use createReadStream); ERR_SOCI_CLOSED; what reading spans throws (see SpanReader)
   */
  async readFile(path: string | Uint8Array, options: FileRangeOptions = {}): Promise<Buffer> {
    options.signal?.throwIfAborted();
    const file = this.#findFile(path, options);
    const { start, end } = clampRange(file.entry.size, options);
    if (end - start > MAX_READ_FILE_BYTES) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${quoteByteString(file.entry.fields.name)}: ${end - start} bytes are too many for readFile, use createReadStream`,
        { data: { limit: MAX_READ_FILE_BYTES, size: end - start } },
      );
    }
    return this.#readRange(file, start, end, options.signal);
  }

  /** Opens a file for reads at any position; its tar header is checked here. Errors as for `readFile`. */
  async open(path: string | Uint8Array, options: LookupOptions & AbortableOptions = {}): Promise<LayerFile> {
    options.signal?.throwIfAborted();
    const file = this.#findFile(path, options);
    await this.#readInto(file, 0, new Uint8Array(0), options.signal);
    return new LayerFile(file.entry, shown(path), (target, start, signal) =>
      this.#readInto(file, start, target, signal),
    );
  }

  /**
   * A file, or a range of it, as a stream: memory for a few spans, the next ones
   * fetched ahead. Errors as for `readFile`, given to the stream.
   */
  createReadStream(path: string | Uint8Array, options: FileRangeOptions = {}): Readable {
    return new FileStream(() => {
      const file = this.#findFile(path, options);
      const { start, end } = clampRange(file.entry.size, options);
      const { offset } = file.entry;
      return {
        start,
        end,
        threads: this.#context.settings.decodeConcurrency,
        read: (from, to, signal) => this.#readRange(file, from, to, signal),
        pieceEnd: (from, bytes) => this.#reader.pieceEnd(offset + from, offset + end, bytes) - offset,
      };
    }, options.signal);
  }

  /**
   * The tar stream itself, or a range of it, as the layer holds it: headers and
   * padding included. All threads of the decode pool work on it, about two
   * spans each. Nothing of it is kept for later reads.
   */
  createTarStream(options: TarRangeOptions = {}): Readable {
    return new FileStream(() => {
      this.#checkOpen();
      const { start, end } = clampRange(this.#reader.size, options);
      return {
        start,
        end,
        threads: this.#context.settings.decodeConcurrency,
        read: (from, to, signal) => this.#reader.take(from, to, { signal }),
        pieceEnd: (from, bytes) => this.#reader.pieceEnd(from, end, bytes),
      };
    }, options.signal);
  }

  /**
   * The same bytes in chunks of about a span, the fastest way through a layer:
   * each chunk is lent, and valid only until the next one is asked for. Its
   * memory cannot be transferred. Leaving the loop ends what is under way.
   *
   * @throws what reading spans throws (see SpanReader); the signal's reason
   */
  tarChunks(options: TarRangeOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    return lentChunks(() => {
      this.#checkOpen();
      const { start, end } = clampRange(this.#reader.size, options);
      const memory = new PassMemory();
      return {
        start,
        end,
        threads: this.#context.settings.decodeConcurrency,
        read: (from, to, signal) => this.#reader.lend(from, to, memory, { signal }),
        pieceEnd: (from, bytes) => this.#reader.pieceEnd(from, end, bytes),
      };
    }, options.signal);
  }

  /** What reading a file, or a range of it, would cost now; fetches nothing. Errors as for `readFile`. */
  explain(path: string | Uint8Array, options: FileRangeOptions = {}): FilePlan {
    const file = this.#findFile(path, options);
    const { start, end } = clampRange(file.entry.size, options);
    const headers = this.#headers.pending([file.entry, ...file.links]).parts;
    const ranges = headers.map(part => ({ start: part.start, end: part.start + part.target.length }));
    ranges.push({ start: file.entry.offset + start, end: file.entry.offset + end });
    return { entry: file.entry, ...this.#reader.plan(ranges.sort((a, b) => a.start - b.start)) };
  }

  /** Reads under way reject with ERR_SOCI_CLOSED, and what they used is given back. Twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#reader.close();
    if (this.#closeSource) await this.#source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #readRange(
    file: Lookup,
    start: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    // Uninitialised: a read either fills all of it or fails.
    const target = Buffer.allocUnsafeSlow(end - start);
    await this.#readInto(file, start, target, signal);
    return target;
  }

  /** Fills `target` from `start` of the file; the headers that were not checked yet come with the same plan. */
  async #readInto(
    file: Lookup,
    start: number,
    target: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    this.#checkOpen();
    const headers = this.#headers.pending([file.entry, ...file.links]);
    const parts = [...headers.parts, { start: file.entry.offset + start, target }];
    await this.#reader.readParts(
      parts.sort((a, b) => a.start - b.start),
      { signal },
    );
    headers.compare();
  }

  #find(path: string | Uint8Array, options: LookupOptions, syscall: string): Lookup {
    this.#checkOpen();
    return this.#paths.find(path, options.followSymlinks ?? false, syscall);
  }

  #findFile(path: string | Uint8Array, options: LookupOptions): Lookup {
    const found = this.#find(path, options, 'open');
    const { type } = found.entry;
    if (type === 'dir') throw fileError('EISDIR', 'open', shown(path));
    if (type !== 'reg') {
      const detail =
        type === 'symlink'
          ? 'a symbolic link, which only { followSymlinks: true } follows'
          : `a ${KINDS[type]}`;
      throw fileError('EINVAL', 'open', shown(path), `not a regular file but ${detail}`);
    }
    return found;
  }

  #checkOpen(): void {
    if (this.#closed) throw new SociError('ERR_SOCI_CLOSED', `the layer ${this.#source.name} is closed`);
  }
}

const KINDS = {
  char: 'character device',
  block: 'block device',
  fifo: 'fifo',
  hardlink: 'hard link',
} as const;

function shown(path: string | Uint8Array): string {
  return typeof path === 'string' ? path : Buffer.from(path).toString();
}
