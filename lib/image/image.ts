/**
 * An image as one read-only file system, with the calls of node:fs/promises.
 * What it answers comes from the merged tree of all layers; bytes of files come
 * from the layer that has them, span by span.
 */
import { constants } from 'node:fs';
import type { Readable } from 'node:stream';
import { checkInteger, checkOptions } from '../arguments.js';
import { Pace } from '../async/pace.js';
import { fileError } from '../errors.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import type { IndexSearch } from '../soci/find-index.js';
import type { LoadOrder } from '../soci/load-order.js';
import { closedError } from '../source/byte-range.js';
import type { AbortableOptions } from '../source/range-source.js';
import { newCounters, type ReadStats, sumOfStats } from '../span/read-stats.js';
import type { FileTree } from '../tree/file-tree.js';
import type { LayerNote } from '../tree/layer-note.js';
import {
  encodeName,
  type ImagePath,
  type LookupHow,
  lookUp,
  lookUpDirectory,
  type NameEncoding,
  shownPath,
} from '../tree/path-lookup.js';
import type { GlobOptions, NameOptions, OpendirOptions, ReaddirOptions } from './call-options.js';
import { ImageDirectory, walkDirectory } from './directory-walk.js';
import { encodingOptions, textEncoding } from './encoding-options.js';
import {
  type BytesOptions,
  contentStream,
  type FileContent,
  type RangeOptions,
  type ReadFileOptions,
  type TextOptions,
} from './file-content.js';
import { FileHandle } from './file-handle.js';
import { checkAccess, type ImageDirent, ImageStats } from './file-stats.js';
import { glob, matchedDirent } from './glob.js';
import { type ImageCompletion, imageCompletion } from './image-completion.js';
import type { ImageConfig } from './image-config.js';
import type { ImageLayerInfo } from './image-layer.js';
import type { ImageParts } from './image-parts.js';
import {
  type ImageFileLocation,
  type ImageFilePlan,
  layersToRead,
  locateFile,
  planFile,
  planLayers,
  type WholeLayersPlan,
} from './image-plan.js';
import { ImageTrees } from './image-trees.js';
import { type LoadPlan, planLoads } from './load-plan.js';
import { ABORTABLE, ENCODED, GLOB, LINKED, OPENDIR, RANGE, READ, READDIR } from './option-names.js';
import type { PrefetchTarget } from './prefetch-target.js';
import { ImagePrefetches, type PrefetchOptions, type PrefetchReport } from './prefetching.js';
import { Recording } from './recording.js';

const FOLLOWED = { followLast: true } as const;
/** Names listed between two looks at the clock. */
const NAMES_PER_STEP = 256;

type Encoded<Options> = Options extends 'buffer' | { readonly encoding: 'buffer' } ? Buffer : string;

export class Image {
  /** The image manifest with its bytes and descriptor. */
  readonly manifest: PlatformManifest;
  /** Undefined for an artifact, which has none of an image. */
  readonly config: ImageConfig | undefined;
  /** The search for a SOCI index: what was found, and why something was not used; undefined when none was wanted. */
  readonly index: IndexSearch | undefined;
  readonly #parts: ImageParts;
  readonly #trees: ImageTrees;
  readonly #pace = new Pace();
  readonly #prefetches: ImagePrefetches;
  #closing: Promise<void> | undefined;

  /** @internal Use `openImage`. */
  constructor(parts: ImageParts) {
    this.#parts = parts;
    this.manifest = parts.content;
    this.config = parts.config;
    this.index = parts.index;
    this.#trees = new ImageTrees(parts);
    this.#prefetches = new ImagePrefetches(parts, this.#trees);
  }

  /** The lowest first. */
  get layers(): readonly ImageLayerInfo[] {
    return this.#parts.layers.map(layer => {
      const { descriptor, diffId, ztoc } = layer.description;
      const { opened, reason, stats } = layer;
      return { descriptor, diffId, ztoc, opened: opened?.origin, reason, stats };
    });
  }

  /** Whether the layers have been opened and merged, which the first look at the files does, if nothing has done it before. */
  get loaded(): boolean {
    return this.#trees.merged !== undefined;
  }

  /** What reading all layers has cost so far. Manifests and ztocs are not counted. */
  get stats(): ReadStats {
    const layers = [...new Set(this.#parts.layers)];
    return layers.map(({ stats }) => stats).reduce(sumOfStats, newCounters());
  }

  /**
   * How much of the image is in the store, and whether that is all and proved; undefined when it has none, or is on
   * this machine anyway.
   */
  async completion(options: AbortableOptions = {}): Promise<ImageCompletion | undefined> {
    checkOptions('completion', options, ABORTABLE);
    const { store, content, layers } = this.#parts;
    const described = layers.map(layer => layer.description);
    return await this.#trees.run(options, async signal =>
      store === undefined ? undefined : imageCompletion(store, content, described, signal),
    );
  }

  /**
   * The bytes of a file, or of a range of it; text if an encoding is given.
   *
   * @throws SociError ENOENT, ENOTDIR, ELOOP, EISDIR; EINVAL for what is no regular file; ERR_SOCI_NO_ZTOC when a
   *   layer has no ztoc and may not be read for one; ERR_SOCI_TAR_HEADER_MISMATCH when a ztoc contradicts the file's
   *   header; ERR_SOCI_LIMIT for 2 GiB and more (use createReadStream); ERR_SOCI_CLOSED; what fetching ztocs and
   *   reading spans throws
   */
  readFile(path: ImagePath, options?: BytesOptions): Promise<Buffer>;
  readFile(path: ImagePath, options: TextOptions): Promise<string>;
  async readFile(path: ImagePath, options?: ReadFileOptions): Promise<Buffer | string> {
    const given = encodingOptions('readFile', options, READ);
    const encoding = textEncoding(given);
    const bytes = await this.#trees.at(path, given, FOLLOWED, (tree, signal) =>
      this.#trees.content(tree, path).readRange({ ...given, signal }),
    );
    return encoding === undefined ? bytes : bytes.toString(encoding);
  }

  /** Opens a file for reads at any position; its tar header is checked here. Errors as for `readFile`. */
  async open(path: ImagePath, options: AbortableOptions = {}): Promise<FileHandle> {
    checkOptions('open', options, ABORTABLE);
    return await this.#trees.at(path, options, FOLLOWED, async (tree, signal) => {
      const content = this.#trees.content(tree, path);
      await content.readInto(new Uint8Array(0), 0, { signal });
      return new FileHandle(shownPath(path), content, () => this.load());
    });
  }

  /**
   * A file, or a range of it, as a stream: memory for a few spans, the next ones fetched ahead. Errors as for
   * `readFile`, given to the stream.
   */
  createReadStream(path: ImagePath, options?: ReadFileOptions): Readable {
    const given = encodingOptions('createReadStream', options, READ);
    const open = (signal: AbortSignal): Promise<FileContent> =>
      this.#trees.at(path, { signal }, FOLLOWED, async tree => this.#trees.content(tree, path));
    return contentStream(open, given);
  }

  /** Links are followed. @throws SociError ENOENT, ENOTDIR, ELOOP */
  async stat(path: ImagePath, options: AbortableOptions = {}): Promise<ImageStats> {
    checkOptions('stat', options, ABORTABLE);
    return await this.#trees.with(options, async tree =>
      statsAt(tree, path, { followLast: true, syscall: 'stat' }),
    );
  }

  async lstat(path: ImagePath, options: AbortableOptions = {}): Promise<ImageStats> {
    checkOptions('lstat', options, ABORTABLE);
    return await this.#trees.with(options, async tree =>
      statsAt(tree, path, { followLast: false, syscall: 'lstat' }),
    );
  }

  /** @param mode as node:fs has it (`constants.X_OK`, …), asked for root. @throws SociError also EACCES, EROFS */
  async access(path: ImagePath, mode = 0, options: AbortableOptions = {}): Promise<void> {
    checkOptions('access', options, ABORTABLE);
    checkInteger('mode', mode, constants.F_OK, constants.R_OK | constants.W_OK | constants.X_OK);
    await this.#trees.with(options, async tree => {
      checkAccess(statsAt(tree, path, { followLast: true, syscall: 'access' }), mode, shownPath(path));
    });
  }

  /** Sorted bytewise; a directory before what is in it. @throws SociError also ENOTDIR */
  readdir<const Options extends ReaddirOptions & { readonly withFileTypes: true }>(
    path: ImagePath,
    options: Options,
  ): Promise<ImageDirent<Encoded<Options>>[]>;
  readdir<
    const Options extends
      | NameEncoding
      | null
      | (ReaddirOptions & { readonly withFileTypes?: false | undefined }) = NameOptions,
  >(path: ImagePath, options?: Options): Promise<Encoded<Options>[]>;
  async readdir(path: ImagePath, options?: ReaddirOptions | NameEncoding | null): Promise<unknown[]> {
    const given = encodingOptions<ReaddirOptions>('readdir', options, READDIR);
    const { recursive = false, withFileTypes = false } = given;
    const encoding = given.encoding ?? 'utf8';
    return await this.#trees.with(given, async (tree, signal) => {
      const directory = lookUpDirectory(tree, path, 'scandir').ino;
      const walked = walkDirectory<string | Buffer>(tree, directory, shownPath(path), {
        recursive,
        encoding,
      });
      const names: unknown[] = [];
      for (const { path: name, dirent } of walked) {
        names.push(withFileTypes ? dirent : name);
        if (names.length % NAMES_PER_STEP === 0) await this.#pace.step(signal);
      }
      return names;
    });
  }

  /** As `readdir`, a name at a time. */
  async opendir<const Options extends OpendirOptions | NameEncoding | null = OpendirOptions>(
    path: ImagePath,
    options?: Options,
  ): Promise<ImageDirectory<Encoded<Options>>> {
    const given = encodingOptions<OpendirOptions>('opendir', options, OPENDIR);
    const { recursive = false, signal } = given;
    const encoding = given.encoding ?? 'utf8';
    return await this.#trees.with(given, async tree => {
      const directory = lookUpDirectory(tree, path, 'opendir').ino;
      const shown = shownPath(path);
      const names = walkDirectory<Encoded<Options>>(tree, directory, shown, { recursive, encoding });
      return new ImageDirectory(shown, names, signal);
    });
  }

  /** The target as it is written. @throws SociError also EINVAL */
  async readlink<const Options extends NameOptions | NameEncoding | null = NameOptions>(
    path: ImagePath,
    options?: Options,
  ): Promise<Encoded<Options>> {
    const given = encodingOptions<NameOptions>('readlink', options, ENCODED);
    const encoding = given.encoding ?? 'utf8';
    const target = await this.#trees.at(path, given, { followLast: false }, async tree => {
      const { ino } = lookUp(tree, path, { followLast: false, syscall: 'readlink' });
      if (tree.attributes(ino).kind !== 'symlink') throw fileError('EINVAL', 'readlink', shownPath(path));
      return tree.readlink(ino);
    });
    return (encoding === 'buffer' ? target : target.toString(encoding)) as Encoded<Options>;
  }

  /** The absolute path inside the image, without links and dots. */
  async realpath<const Options extends NameOptions | NameEncoding | null = NameOptions>(
    path: ImagePath,
    options?: Options,
  ): Promise<Encoded<Options>> {
    const given = encodingOptions<NameOptions>('realpath', options, ENCODED);
    const encoding = given.encoding ?? 'utf8';
    const real = await this.#trees.at(path, given, FOLLOWED, async tree =>
      tree.table.path(lookUp(tree, path, { followLast: true, syscall: 'realpath' }).name),
    );
    return encodeName(real, encoding) as Encoded<Options>;
  }

  /**
   * Paths that match a pattern, each once: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any directories. They begin where
   * the pattern does. Dots at the start of a name must be written; `**` follows no links.
   */
  glob(
    pattern: string | readonly string[],
    options: GlobOptions & { readonly withFileTypes: true },
  ): AsyncGenerator<ImageDirent, void, undefined>;
  glob(pattern: string | readonly string[], options?: GlobOptions): AsyncGenerator<string, void, undefined>;
  async *glob(
    pattern: string | readonly string[],
    options: GlobOptions = {},
  ): AsyncGenerator<string | ImageDirent, void, undefined> {
    checkOptions('glob', options, GLOB);
    const { cwd = '/', withFileTypes = false, signal } = options;
    const { table, directory } = await this.#trees.with(options, async tree => ({
      table: tree.table,
      directory: lookUpDirectory(tree, cwd, 'scandir').name,
    }));
    for (const match of glob(table, directory, typeof pattern === 'string' ? [pattern] : pattern)) {
      signal?.throwIfAborted();
      this.#checkOpen();
      await this.#pace.step(signal);
      if (match === undefined) continue;
      yield withFileTypes ? matchedDirent(table, match, shownPath(cwd)) : encodeName(match.path, 'utf8');
    }
  }

  /** Extended attributes by name. Links are followed unless `followSymlinks` is false. */
  async xattrs(
    path: ImagePath,
    options: AbortableOptions & { readonly followSymlinks?: boolean | undefined } = {},
  ): Promise<Map<string, Buffer>> {
    checkOptions('xattrs', options, LINKED);
    const { followSymlinks = true } = options;
    return await this.#trees.with(options, async tree =>
      tree.xattrs(lookUp(tree, path, { followLast: followSymlinks, syscall: 'getxattr' }).ino),
    );
  }

  /**
   * What reading a file, or a range of it, would cost now. Fetches the ztocs that say so, and nothing of a layer: where
   * layers have none, and nothing has been read of the image yet, what it says is that they will be read. Errors as for
   * `readFile`.
   */
  async explain(path: ImagePath, options: RangeOptions = {}): Promise<ImageFilePlan | WholeLayersPlan> {
    checkOptions('explain', options, RANGE);
    this.#parts.ztocs.ask();
    const wholeLayers = this.loaded
      ? []
      : await this.#trees.run(options, signal => layersToRead(this.#parts.layers, signal));
    if (wholeLayers.length > 0) return planLayers(wholeLayers);
    return await this.#trees.with(options, async tree => planFile(tree, this.#parts.layers, path, options));
  }

  /** Which layer a file's bytes are in, and where. Errors as for `readFile`. */
  async locate(path: ImagePath, options: AbortableOptions = {}): Promise<ImageFileLocation> {
    checkOptions('locate', options, ABORTABLE);
    return await this.#trees.at(path, options, FOLLOWED, async tree =>
      locateFile(tree, this.#parts.layers, path),
    );
  }

  /**
   * The same files by inode, for front ends that work so. Opens all layers like any other call; ends with the image.
   * See FileTree.
   */
  async tree(options: AbortableOptions = {}): Promise<FileTree> {
    checkOptions('tree', options, ABORTABLE);
    return await this.#trees.with(options, async tree => tree);
  }

  /**
   * Records what is read of the image's files from now on, by whichever call, until `stop` gives the trace: what load
   * orders are made of. Opens all layers like any other call.
   */
  async record(options: AbortableOptions = {}): Promise<Recording> {
    checkOptions('record', options, ABORTABLE);
    return await this.#trees.with(
      options,
      async tree => new Recording(this.#parts.content.descriptor.digest, tree),
    );
  }

  /**
   * What to load for a load order: spans of layers, each once, in its order. Loads that do not fit the image are left
   * out and said. Opens all layers like any other call.
   */
  async planLoads(order: LoadOrder, options: AbortableOptions = {}): Promise<LoadPlan> {
    checkOptions('planLoads', options, ABORTABLE);
    return await this.#trees.with(options, (tree, signal) => planLoads(tree, this.layers, order, signal));
  }

  /**
   * Fetches what will be wanted, without anybody having to wait for it: into the store, its digests checked and nothing
   * decoded, or, without one, decoded into the context's cache as far as that has room. What fails is tried again after
   * a while, and then reported; only the signal, or `close`, ends it early.
   *
   * @throws SociError ERR_SOCI_INVALID_ARGUMENT; what opening the layers throws
   */
  prefetch(what: PrefetchTarget, options: PrefetchOptions = {}): Promise<PrefetchReport> {
    return this.#prefetches.begin(what, options);
  }

  /**
   * Where the image's layers can be read in more than one way, or a runtime refuses them, at most 1000 places: what
   * overlay runtimes do, and what the specification says. `semantics` has chosen between the two.
   */
  async notes(options: AbortableOptions = {}): Promise<readonly LayerNote[]> {
    checkOptions('notes', options, ABORTABLE);
    return await this.#trees.with(options, async tree => tree.notes);
  }

  /** Opens all layers and merges them, which any other call does when it comes first. */
  async load(options: AbortableOptions = {}): Promise<void> {
    checkOptions('load', options, ABORTABLE);
    await this.#trees.with(options, async () => {});
  }

  /** @internal Begins what the first question about files will wait for, as far as that takes no request. */
  prepare(): void {
    this.#trees.prepare();
  }

  /** Whatever is under way rejects with ERR_SOCI_CLOSED. Settles when nothing of it is left. Twice is no error. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#trees.close();
    await this.#prefetches.settled();
    await this.#trees.finished();
    await Promise.all([...new Set(this.#parts.layers)].map(layer => layer.close()));
    await this.#parts.release();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError(this.#parts.name);
  }
}

function statsAt(tree: FileTree, path: ImagePath, how: LookupHow): ImageStats {
  return new ImageStats(tree.attributes(lookUp(tree, path, how).ino));
}
