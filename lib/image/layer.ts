/**
 * One layer as a set of files: a tree of one layer, read by path. The bytes of
 * the layer itself stay where they are.
 */
import type { Readable } from 'node:stream';
import { checkOptions, type OptionNames } from '../arguments.js';
import { fileError, invalidArgument, SociError } from '../errors.js';
import { clampRange } from '../layer/file-range.js';
import { FileStream } from '../layer/file-stream.js';
import { LayerEntries } from '../layer/layer-entries.js';
import { lentChunks } from '../layer/lent-chunks.js';
import { completeSource, type GivenSource } from '../source/given-source.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import { defaultContext, type ReadContext } from '../span/read-context.js';
import type { ReadStats } from '../span/read-stats.js';
import type { ReadPlan, WindowVerification } from '../span/reader.js';
import type { TocEntry } from '../tar/entry.js';
import { buildTreeSync, DEFAULT_MAX_NAMES } from '../tree/build-tree.js';
import type { FileTree } from '../tree/file-tree.js';
import type { Whiteouts } from '../tree/overlay.js';
import { type Found, lookUp, lookUpFile, shownPath } from '../tree/path-lookup.js';
import { MAX_LINKS, NONE } from '../tree/path-walk.js';
import { cleanPath } from '../ztoc/entry-path.js';
import { Ztoc } from '../ztoc/ztoc.js';
import { contentStream, FileContent, type RangeOptions } from './file-content.js';
import { FileHandle } from './file-handle.js';
import { FILE_RANGE, LAYER_TREE, LINKED, LOOKUP, RANGE } from './option-names.js';

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
  /** Follow a symbolic link in the last place too, 40 in all at most; those among the directories always are. Default true. */
  readonly followSymlinks?: boolean | undefined;
}

export interface FileRangeOptions extends LookupOptions, RangeOptions {}

export interface LayerTreeOptions {
  /**
   * 'overlayfs': whiteouts as overlayfs has them, devices 0/0 and directories with an xattr that says they are opaque;
   * 'keep': as the files that they are in the tar. Default 'overlayfs'.
   */
  readonly whiteouts?: Exclude<Whiteouts, 'apply'> | undefined;
}

export interface TarRangeOptions extends AbortableOptions {
  /** First byte of the tar stream. Default 0. */
  readonly start?: number | undefined;
  /** The byte after the last one. What lies beyond the stream is left out. Default: its end. */
  readonly endExclusive?: number | undefined;
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
  readonly #entries: LayerEntries;
  readonly #verifyHeaders: boolean;
  readonly #closeSource: boolean;
  readonly #trees = new Map<Whiteouts, FileTree>();
  #closed = false;

  /** @internal Use `openLayer`. */
  constructor(source: RangeSource, ztoc: Ztoc, options: OpenLayerOptions) {
    const { verifyHeaders = true, verifyWindows, context = defaultContext, closeSource = false } = options;
    this.ztoc = ztoc;
    this.#source = source;
    this.#entries = new LayerEntries({ ztoc, source }, { verifyHeaders, verifyWindows, context });
    this.#verifyHeaders = verifyHeaders;
    this.#closeSource = closeSource;
  }

  /** A snapshot of what reading this layer has cost so far. */
  get stats(): ReadStats {
    return this.#entries.stats;
  }

  /** All entries of the tar in its order, as the ztoc has them: unchecked until a file is opened. */
  entries(): Iterable<TocEntry> {
    return this.ztoc.entries();
  }

  /**
   * What is in the layer by inode, for front ends that work so: what the layer has at a path at its end, hard links
   * being one node. Made when it is first asked for. See FileTree.
   *
   * @throws SociError ERR_SOCI_LIMIT for more than 4,000,000 names; ERR_SOCI_CLOSED
   */
  tree(options: LayerTreeOptions = {}): FileTree {
    this.#checkOpen();
    checkOptions('tree', options, LAYER_TREE);
    const { whiteouts = 'overlayfs' } = options;
    let tree = this.#trees.get(whiteouts);
    if (tree === undefined) {
      tree = buildTreeSync([this.#entries], {
        whiteouts,
        semantics: 'spec',
        maxNames: DEFAULT_MAX_NAMES,
      });
      this.#trees.set(whiteouts, tree);
    }
    return tree;
  }

  /**
   * The entry that a path leads to, links followed, as the ztoc has it.
   *
   * @throws SociError ENOENT, ENOTDIR, ELOOP; EISDIR for a directory that has no entry of its own
   */
  lookup(path: string | Uint8Array, options: LookupOptions = {}): TocEntry {
    checkOptions('lookup', options, LOOKUP);
    const { followSymlinks = true } = options;
    const tree = this.#files();
    const { ino } = lookUp(tree, path, { followLast: followSymlinks, syscall: 'stat' });
    const entry = tree.table.entry(ino);
    if (entry === NONE) throw fileError('EISDIR', 'stat', shownPath(path));
    return this.ztoc.entry(entry);
  }

  /**
   * The bytes of a file, or of a range of it.
   *
   * @throws SociError ENOENT, ENOTDIR, ELOOP, EISDIR; EINVAL for what is no regular file;
   *   ERR_SOCI_TAR_HEADER_MISMATCH when the ztoc contradicts the file's header, or that of a link to it;
   *   ERR_SOCI_LIMIT for 2 GiB and more (use createReadStream); ERR_SOCI_CLOSED; what reading spans throws (see
   *   SpanReader)
   */
  async readFile(path: string | Uint8Array, options: FileRangeOptions = {}): Promise<Buffer> {
    checkOptions('readFile', options, FILE_RANGE);
    options.signal?.throwIfAborted();
    return await this.#content(path, options).readRange(options);
  }

  /** Opens a file for reads at any position; its tar header is checked here. Errors as for `readFile`. */
  async open(path: string | Uint8Array, options: LookupOptions & AbortableOptions = {}): Promise<FileHandle> {
    checkOptions('open', options, LINKED);
    options.signal?.throwIfAborted();
    const content = this.#content(path, options);
    await content.readInto(new Uint8Array(0), 0, options);
    return new FileHandle(shownPath(path), content);
  }

  /**
   * A file, or a range of it, as a stream: memory for a few spans, the next ones
   * fetched ahead. Errors as for `readFile`, given to the stream.
   */
  createReadStream(path: string | Uint8Array, options: FileRangeOptions = {}): Readable {
    checkOptions('createReadStream', options, FILE_RANGE);
    return contentStream(() => this.#content(path, options), options);
  }

  /**
   * The tar stream itself, or a range of it, as the layer holds it: headers and
   * padding included. All threads of the decode pool work on it, about two
   * spans each. Nothing of it is kept for later reads.
   */
  createTarStream(options: TarRangeOptions = {}): Readable {
    checkOptions('createTarStream', options, RANGE);
    return new FileStream(() => {
      this.#checkOpen();
      const { tar, pace } = this.#entries;
      const { start, end } = clampRange(tar.size, options);
      return {
        start,
        end,
        ...pace,
        read: (from, to, signal) => tar.take(from, to, { signal }),
        pieceEnd: (from, bytes) => tar.pieceEnd(from, end, bytes),
      };
    }, options.signal);
  }

  /**
   * The same bytes in chunks of about a span, the fastest way through a layer:
   * each chunk is lent, and valid only until the next one is asked for: then it
   * may become empty. Its memory cannot be transferred. Leaving the loop ends what is under way.
   *
   * @throws what reading spans throws (see SpanReader); the signal's reason
   */
  tarChunks(options: TarRangeOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    checkOptions('tarChunks', options, RANGE);
    return lentChunks(() => {
      this.#checkOpen();
      const { tar, pace } = this.#entries;
      const { start, end } = clampRange(tar.size, options);
      const memory = tar.passMemory();
      return {
        start,
        end,
        ...pace,
        read: (from, to, signal) => tar.lend(from, to, memory, { signal }),
        pieceEnd: (from, bytes) => tar.pieceEnd(from, end, bytes),
      };
    }, options.signal);
  }

  /** What reading a file, or a range of it, would cost now; fetches nothing. Errors as for `readFile`. */
  explain(path: string | Uint8Array, options: FileRangeOptions = {}): FilePlan {
    checkOptions('explain', options, FILE_RANGE);
    const content = this.#content(path, options);
    return { entry: content.entry, ...content.plan(options) };
  }

  /** Reads under way reject with ERR_SOCI_CLOSED, and what they used is given back. Twice is no error. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#entries.close();
    if (this.#closeSource) await this.#source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** What paths are looked up in. */
  #files(): FileTree {
    return this.tree({ whiteouts: 'keep' });
  }

  #content(path: string | Uint8Array, { followSymlinks = true }: LookupOptions): FileContent {
    const tree = this.#files();
    const found = lookUpFile(tree, path, { followLast: followSymlinks, syscall: 'open' });
    const proofs = this.#verifyHeaders ? this.#linksTo(tree, found) : [];
    if (proofs.length > MAX_LINKS) throw fileError('ELOOP', 'open', shownPath(path));
    return new FileContent(tree, found.ino, { proofs });
  }

  /** The links that led to a file: what they say counts, so their headers are checked like the file's own. */
  #linksTo(tree: FileTree, { name, links }: Found): TocEntry[] {
    const { table } = tree;
    const entries = links.map(link => this.ztoc.entry(table.entry(table.inode(link))));
    const linked = [...links, name].filter(each => table.nlink(table.inode(each)) > 1);
    return [...entries, ...linked.flatMap(each => this.#hardLinks(table.path(each)))];
  }

  /** The hard links from a path to the first name of its file: each to the last entry of that name before it. */
  #hardLinks(path: string): TocEntry[] {
    const links: TocEntry[] = [];
    let entry = this.ztoc.locateCleaned(path);
    while (entry?.type === 'hardlink' && links.length <= MAX_LINKS) {
      links.push(entry);
      const target = cleanPath(entry.fields.linkname);
      entry = this.ztoc.locateCleaned(target, entry.offset) ?? this.ztoc.locateCleaned(target);
    }
    return links;
  }

  #checkOpen(): void {
    if (this.#closed) throw new SociError('ERR_SOCI_CLOSED', `the layer ${this.#source.name} is closed`);
  }
}
