/**
 * What is read of an image's files while somebody records: which bytes of which
 * file, and when. Reads that go on where the last one of the file ended are one;
 * files whose names are no text are left out, since no load order could name them.
 */
import { isUtf8 } from 'node:buffer';
import { SociError } from '../errors.js';
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
    if (this.#reads.length >= MAX_TRACE_READS) {
      throw new SociError('ERR_SOCI_LIMIT', `more than ${MAX_TRACE_READS} separate reads were recorded`, {
        data: { limit: MAX_TRACE_READS },
      });
    }
    const { table } = this.#tree;
    const reads = this.#reads.flatMap(({ ino, start, end, ms }) => {
      const path = encodeName(table.path(table.nameOf(ino)), 'buffer');
      return isUtf8(path) ? [{ path: path.toString(), size: table.size(ino), start, end, ms }] : [];
    });
    return { image: this.#image, reads };
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #note(ino: number, start: number, end: number): void {
    const last = this.#last.get(ino);
    if (last !== undefined && last.end === start) {
      last.end = end;
      return;
    }
    if (this.#reads.length >= MAX_TRACE_READS) return;
    const read = { ino, start, end, ms: Math.floor(performance.now() - this.#began) };
    this.#reads.push(read);
    this.#last.set(ino, read);
  }
}
