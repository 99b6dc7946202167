/**
 * The bytes of one regular file of a tree: ranges of it, a stream, what reading
 * would cost. What handles, `readFile` and streams of images and of layers do
 * alike.
 */
import type { Readable } from 'node:stream';
import { SociError } from '../errors.js';
import { clampRange, type FileRange, type GivenRange } from '../layer/file-range.js';
import { FileStream, type StreamedFile } from '../layer/file-stream.js';
import type { LayerEntries } from '../layer/layer-entries.js';
import type { SequentialReads } from '../layer/sequential-reads.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { ReadPlan } from '../span/reader.js';
import type { TocEntry } from '../tar/entry.js';
import type { FileTree } from '../tree/file-tree.js';
import type { NameEncoding } from '../tree/path-lookup.js';
import { textEncoding } from './encoding-options.js';

export interface RangeOptions extends AbortableOptions {
  /** First byte of the file. Default 0. */
  readonly start?: number | undefined;
  /**
   * The byte after the last one. What lies beyond the file is left out. Default: its end. Not called `end`, which is
   * the last byte itself in node:fs.
   */
  readonly endExclusive?: number | undefined;
}

export interface EncodingOptions {
  /** Default: none, bytes, which 'buffer' and null mean too. */
  readonly encoding?: NameEncoding | null | undefined;
}

/** What gives bytes, what gives text, and either. */
export type BytesOptions =
  | 'buffer'
  | null
  | (RangeOptions & { readonly encoding?: 'buffer' | null | undefined });
export type TextOptions = BufferEncoding | (RangeOptions & { readonly encoding: BufferEncoding });
export type ReadFileOptions = NameEncoding | null | (RangeOptions & EncodingOptions);

/** As node:fs: more than this goes through a stream. */
const MAX_READ_FILE_BYTES = 2 ** 31 - 1;

/** A file's place in a tree. */
interface FileNode {
  readonly tree: FileTree;
  readonly ino: number;
}

export interface FileContentOptions {
  /** Entries whose headers count too, as those of links that led to the file. */
  readonly proofs?: readonly TocEntry[] | undefined;
  /** Of a file that was found before there was a merged tree: its place there, once there is one. */
  readonly merged?: (() => FileNode | undefined) | undefined;
}

export class FileContent {
  #node: FileNode;
  #merged: (() => FileNode | undefined) | undefined;
  readonly #layer: LayerEntries;
  readonly #entry: number;
  readonly #proofs: readonly TocEntry[];

  /** @param ino Of a regular file. */
  constructor(tree: FileTree, ino: number, { proofs = [], merged }: FileContentOptions = {}) {
    const { layer, entry } = tree.file(ino);
    this.#node = { tree, ino };
    this.#merged = merged;
    this.#layer = layer;
    this.#entry = entry;
    this.#proofs = proofs;
  }

  /** Where it is in the merged tree as soon as there is one, for there reads are recorded. */
  get node(): FileNode {
    const merged = this.#merged?.();
    if (merged !== undefined) {
      this.#node = merged;
      this.#merged = undefined;
    }
    return this.#node;
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#node.tree.table.size(this.#node.ino);
  }

  get entry(): TocEntry {
    return this.#layer.ztoc.entry(this.#entry);
  }

  /** Fills `target` from `start` of the file, which must hold as much; nothing at all still checks its header. */
  async readInto(target: Uint8Array, start: number, { signal }: AbortableOptions = {}): Promise<void> {
    const { tree, ino } = this.node;
    tree.readLog.note(ino, start, start + target.length);
    await this.#layer.readInto(this.#entry, target, start, { signal, proofs: this.#proofs });
  }

  /**
   * What comes after a range that goes on where the last one ended is fetched ahead.
   *
   * @throws SociError ERR_SOCI_LIMIT for 2 GiB and more
   */
  async readRange(options: RangeOptions): Promise<Buffer> {
    const range = clampRange(this.size, options);
    const bytes = this.#bytes(range, options.signal);
    if (range.end - range.start < this.size) this.#layer.noteRange(this.#entry, range);
    return await bytes;
  }

  /** Notes that a range is being read, and fetches what comes next ahead, if `reads` says so, until the signal fires. */
  readAhead(range: FileRange, reads: SequentialReads, signal: AbortSignal): void {
    this.#layer.readAhead(this.#entry, range, reads, signal);
  }

  async #bytes({ start, end }: FileRange, signal: AbortSignal | undefined): Promise<Buffer> {
    if (end - start > MAX_READ_FILE_BYTES) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${end - start} bytes are too many for readFile, use createReadStream`,
        { data: { limit: MAX_READ_FILE_BYTES, size: end - start } },
      );
    }
    // Uninitialised: a read either fills all of it or fails.
    const target = Buffer.allocUnsafeSlow(end - start);
    await this.readInto(target, start, { signal });
    return target;
  }

  /** What reading a range would cost now. */
  plan(range: GivenRange): ReadPlan {
    return this.#layer.plan(this.#entry, clampRange(this.size, range), this.#proofs);
  }

  streamed(range: GivenRange): StreamedFile {
    const { start, end } = clampRange(this.size, range);
    return {
      start,
      end,
      ...this.#layer.pace,
      read: (from, to, signal) => this.#bytes({ start: from, end: to }, signal),
      pieceEnd: (from, bytes) => this.#layer.pieceEnd(this.#entry, { start: from, end }, bytes),
    };
  }
}

/** @param open Looks the file up; its errors are the stream's. */
export function contentStream(
  open: (signal: AbortSignal) => FileContent | Promise<FileContent>,
  options: RangeOptions & EncodingOptions,
): Readable {
  const encoding = textEncoding(options);
  const stream = new FileStream(async abort => (await open(abort)).streamed(options), options.signal);
  if (encoding !== undefined) stream.setEncoding(encoding);
  return stream;
}
