/**
 * What deriving asks of an image: is there such a file, and a few bytes of it.
 * All of it is bounded, since links, library paths and includes are whatever an
 * image says: a hostile one ends the derivation, and never keeps it going.
 */
import { isUtf8 } from 'node:buffer';
import { Pace } from '../async/pace.js';
import { SociError } from '../errors.js';
import type { Image } from '../image/image.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { FileTree } from '../tree/file-tree.js';
import { KIND } from '../tree/node-kind.js';
import { encodeName } from '../tree/path-lookup.js';
import { NONE, walkPath } from '../tree/path-walk.js';

/** Questions about paths; a large Python or Node.js image takes some thousand. */
const MAX_LOOKUPS = 100_000;
/** Bytes read of all files together: headers, scripts, configuration. */
const MAX_READ_BYTES = 64 * 2 ** 20;
/** Names taken of one directory. */
const MAX_NAMES = 10_000;

/** A regular file of the image. */
export interface FoundFile {
  /** Without links. */
  readonly path: string;
  /** As it was asked for, made absolute: where `$ORIGIN` and a virtual environment are looked for. */
  readonly asked: string;
  readonly size: number;
  readonly isExecutable: boolean;
}

export interface ImageFilesOptions extends AbortableOptions {
  /** Default 100,000. */
  readonly maxLookups?: number;
}

export class ImageFiles {
  readonly #image: Image;
  readonly #tree: FileTree;
  readonly #signal: AbortSignal | undefined;
  readonly #maxLookups: number;
  readonly #pace = new Pace();
  #lookups = 0;
  #bytes = 0;

  private constructor(image: Image, tree: FileTree, { signal, maxLookups = MAX_LOOKUPS }: ImageFilesOptions) {
    this.#image = image;
    this.#tree = tree;
    this.#signal = signal;
    this.#maxLookups = maxLookups;
  }

  static async of(image: Image, options: ImageFilesOptions): Promise<ImageFiles> {
    return new ImageFiles(image, await image.tree({ signal: options.signal }), options);
  }

  /** The regular file at a path; undefined when there is none, or its name is no text. */
  async find(path: string, directory = '/'): Promise<FoundFile | undefined> {
    await this.#count();
    // Not cleaned: '..' behind a link leads elsewhere than its text says.
    const asked = path.startsWith('/') ? path : `${directory}/${path}`;
    const name = this.#walk(asked);
    if (name === NONE) return undefined;
    const { table } = this.#tree;
    const ino = table.inode(name);
    const real = encodeName(table.path(name), 'buffer');
    if (table.kindOf(ino) !== KIND.reg || !isUtf8(real)) return undefined;
    const isExecutable = (table.mode(ino) & 0o111) !== 0;
    return { path: real.toString(), asked, size: table.size(ino), isExecutable };
  }

  /** The first of some paths where a file is. */
  async first(paths: readonly string[], directory = '/'): Promise<FoundFile | undefined> {
    for (const path of paths) {
      const found = await this.find(path, directory);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Bytes [start, start + length) of a file, or fewer where it ends. */
  async read({ path }: FoundFile, start: number, length: number): Promise<Buffer> {
    this.#bytes += length;
    if (this.#bytes > MAX_READ_BYTES) throw limit('bytes of its files', MAX_READ_BYTES);
    const signal = this.#signal;
    return await this.#image.readFile(path, { start, endExclusive: start + length, signal });
  }

  /** A whole file as bytes; undefined for one of more than `most`. */
  async readWhole(file: FoundFile, most: number): Promise<Buffer | undefined> {
    return file.size > most ? undefined : await this.read(file, 0, file.size);
  }

  /** The names in a directory, sorted; none where there is none. At most 10,000 of it. */
  async names(directory: string): Promise<readonly string[]> {
    await this.#count();
    const name = this.#walk(directory);
    const { table } = this.#tree;
    if (name === NONE || table.kind(name) !== KIND.dir) return [];
    return this.#tree.readdir(table.inode(name), 0, MAX_NAMES).map(each => each.name.toString());
  }

  /** Where a path leads to, by its name in the tree; NONE for nowhere. */
  #walk(path: string): number {
    if (path.includes('\0')) return NONE;
    const text = Buffer.from(path).toString('latin1');
    const found = walkPath(this.#tree.table, text, { followLast: true });
    return typeof found === 'number' ? found : NONE;
  }

  async #count(): Promise<void> {
    this.#lookups += 1;
    if (this.#lookups > this.#maxLookups) throw limit('questions about its files', this.#maxLookups);
    this.#signal?.throwIfAborted();
    await this.#pace.step(this.#signal);
  }
}

function limit(what: string, most: number): SociError {
  return new SociError(
    'ERR_SOCI_LIMIT',
    `what its programs read cannot be found out of the image: it takes more than ${most} ${what}`,
    { data: { limit: most } },
  );
}
