/**
 * What is read of an image's files while somebody records: which bytes of which
 * file, and when. Reads that go on where the last one of the file ended are one;
 * files that no load order could name, as their names are no text, are left out.
 */
import { isUtf8 } from 'node:buffer';
import { SociError } from '../errors.js';
import { isLoadPath } from '../soci/load-order.js';
import type { FileTree } from '../tree/file-tree.js';
import { encodeName } from '../tree/path-lookup.js';

/** Of one run, whatever it is read with: a path has some hundred bytes, and a run some thousand reads. */
export const MAX_TRACE_READS = 1_000_000;

/** Bytes [start, end) of a file, as somebody read them. */
export interface TraceRead {
  /** Absolute, links resolved. */
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  readonly start: number;
  readonly end: number;
  /** Milliseconds since the recording began. */
  readonly ms: number;
}

/** What one run has read, in the order in which it asked. */
export interface Trace {
  /** Digest of the image manifest. */
  readonly image: string;
  readonly reads: readonly TraceRead[];
}

interface Read {
  readonly ino: number;
  readonly start: number;
  end: number;
  readonly ms: number;
}

export class Recording {
  readonly #image: string;
  readonly #tree: FileTree;
  readonly #began = performance.now();
  readonly #reads: Read[] = [];
  /** By inode, to go on with. */
  readonly #last = new Map<number, Read>();
  readonly #end: () => void;
  #hasMore = false;

  /** @internal Use `Image.record`. */
  constructor(image: string, tree: FileTree) {
    this.#image = image;
    this.#tree = tree;
    this.#end = tree.readLog.listen((ino, start, end) => this.#note(ino, start, end));
  }

  /**
   * Ends the recording. What is asked for from now on is not in it; a second call gives the same.
   *
   * @throws SociError ERR_SOCI_LIMIT for more than a million separate reads
   */
  stop(): Trace {
    this.#end();
    if (this.#hasMore) {
      throw new SociError('ERR_SOCI_LIMIT', `more than ${MAX_TRACE_READS} separate reads were recorded`, {
        data: { limit: MAX_TRACE_READS },
      });
    }
    const paths = new Map<number, string | undefined>();
    const reads: TraceRead[] = [];
    for (const { ino, start, end, ms } of this.#reads) {
      if (!paths.has(ino)) paths.set(ino, this.#pathOf(ino));
      const path = paths.get(ino);
      if (path !== undefined) reads.push({ path, size: this.#tree.table.size(ino), start, end, ms });
    }
    return { image: this.#image, reads };
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  /** One of its paths; undefined for one that a load order cannot have. */
  #pathOf(ino: number): string | undefined {
    const { table } = this.#tree;
    const name = encodeName(table.path(table.nameOf(ino)), 'buffer');
    const path = name.toString();
    return isUtf8(name) && isLoadPath(path) ? path : undefined;
  }

  #note(ino: number, start: number, end: number): void {
    const last = this.#last.get(ino);
    if (last !== undefined && last.end === start) {
      last.end = end;
      return;
    }
    if (this.#reads.length === MAX_TRACE_READS) {
      this.#hasMore = true;
      return;
    }
    const read = { ino, start, end, ms: Math.floor(performance.now() - this.#began) };
    this.#reads.push(read);
    this.#last.set(ino, read);
  }
}
