/**
 * The seam between "where a layer's bytes are" and everything that reads them.
 * A new transport is a new RangeSource; nothing above it changes.
 */
import type { OptionNames } from '../arguments.js';
import { allocateExactly, checkByteRange } from './byte-range.js';
import type { Urgency } from './lanes.js';
import type { FileLender, FilePart, LEND_FILE } from './lent-file.js';
import type { LinkEstimate } from './link-estimate.js';

export interface AbortableOptions {
  readonly signal?: AbortSignal | undefined;
}

export const ABORTABLE_NAMES: OptionNames<AbortableOptions> = { signal: true };

/**
 * How urgent a read is: somebody waits for it; somebody will probably want it
 * soon; it only completes what is there. An argument of every read, not another
 * way to read.
 */
export type Lane = 'demand' | 'prefetch' | 'background';

export interface ReadOptions extends AbortableOptions {
  /** Default 'demand'. */
  readonly lane?: Lane | undefined;
  /** @internal That of work which somebody may come to wait for while it is under way; it wins over `lane`. */
  readonly urgency?: Urgency | undefined;
  /** Nothing that is kept anywhere: what came before proved to be wrong. */
  readonly fresh?: boolean | undefined;
  /**
   * Called by sources whose bytes arrive bit by bit, as often as they like, with those that are there by then: the
   * first ones of what the read will give, in its memory and final. It must not throw.
   */
  readonly onBytes?: ((arrived: Uint8Array) => void) | undefined;
  /** Called by sources that keep what they fetch with the bytes that they had already; it must not throw. */
  readonly onKept?: ((bytes: number) => void) | undefined;
}

/**
 * @internal Where a part of what is lent is: in a file to be read by its descriptor before anything else is done;
 * undefined when the source is closed, or does not hand it out any more.
 */
export type KeptPart = (offset: number, length: number) => FilePart | undefined;

/** What a source that keeps what it fetches says of that. */
export interface SourceKeeping {
  /** Whether it does now: a disk may be full, or have failed. */
  willKeep(): boolean;

  /**
   * How many of these bytes are there already, by what is written about them; undefined when nothing that is fetched
   * would be kept.
   */
  presentBytes(offset: number, length: number): Promise<number | undefined>;

  /** As `RangeSource.read`, past all that is kept; nothing of it is kept either. */
  readPast(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;

  /**
   * What is fetched from now on has not been looked at: whatever follows from all of it being there waits until the
   * function that is returned is called.
   */
  hold(): () => void;

  /**
   * @internal Lends what is kept of these bytes, if all of them are by now. Nobody looks at them, so that they have to be
   * held against a digest, and read as ever when they have not got that.
   */
  lend?(offset: number, length: number): Promise<KeptPart | undefined>;

  /** These bytes turned out to be wrong: they are not there any more. */
  forget(offset: number, length: number): Promise<void>;

  /** Settles when all that was fetched is kept, as far as it can be. @throws why nothing is handed out any more */
  settled(): Promise<void>;
}

export interface RangeSource {
  /** Length of the object in bytes. */
  readonly size: number;

  /** What errors and progress bars call it: a path or a URL without credentials or query values. */
  readonly name: string;

  /** Whether `read` gives memory that the source has anyway, which `readInto` could only copy. Default: no. */
  readonly ownMemory?: boolean;

  /** What the link is like that reads of it take. Default: nothing is known. */
  readonly link?: LinkEstimate | undefined;

  /** Only of a source that keeps what it fetches, so that it comes from this machine the next time. */
  readonly keeping?: SourceKeeping | undefined;

  /** @internal Only where reading the file itself is as good as `readInto`. */
  readonly [LEND_FILE]?: FileLender | undefined;

  /**
   * Fills all of `target` from `offset` (in bytes of the stored, i.e. compressed, object). Once it has settled
   * nothing is written there any more. The primitive: everything else can be derived from it.
   *
   * @throws SociError ERR_SOCI_SOURCE_RANGE when [offset, offset + target.length) is not inside the object;
   *   ERR_SOCI_SOURCE_SHORT when fewer bytes arrive; ERR_SOCI_SOURCE_CHANGED when the object is not the one that
   *   was opened. An aborted read rejects with the signal's reason.
   */
  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void>;

  /** Exactly `length` bytes from `offset`, which may be memory of the source's own. Fails as `readInto` does. */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;

  /** The whole object from its first byte to its last, in chunks of any size. */
  stream(options?: ReadOptions): AsyncIterable<Uint8Array>;

  /** Frees what the source holds. Reads under way reject with ERR_SOCI_CLOSED; closing twice is no error. */
  close(): Promise<void>;
}

const STREAM_CHUNK = 1024 * 1024;

/** A source made of its primitive: `read` fills new memory, `stream` reads on and on, 1 MiB at a time. */
export abstract class FilledSource implements RangeSource {
  abstract readonly size: number;
  abstract readonly name: string;
  abstract readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void>;
  abstract close(): Promise<void>;

  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    checkByteRange(this.name, this.size, offset, length);
    const target = allocateExactly(length);
    await this.readInto(target, offset, options);
    return target;
  }

  async *stream(options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for (let offset = 0; offset < this.size; offset += STREAM_CHUNK) {
      yield await this.read(offset, Math.min(STREAM_CHUNK, this.size - offset), options);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
