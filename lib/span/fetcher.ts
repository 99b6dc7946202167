/**
 * Fetches ranges of one layer in requests that cross no boundary of object
 * stores, counts them, and trusts the source neither to stop at once when it is
 * told to nor to return the length it was asked for.
 */
import { abortable } from '../async/abortable.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import { BufferSource } from '../source/buffer-source.js';
import { allocateExactly, type ByteSpan } from '../source/byte-range.js';
import type { Urgency } from '../source/lanes.js';
import { type FileLender, LEND_FILE } from '../source/lent-file.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import type { Lane, RangeSource, ReadOptions, SourceKeeping } from '../source/range-source.js';
import { requestPieces } from '../source/request-pieces.js';
import type { ReadRecord } from './read-record.js';
import type { ReusedMemory } from './reused-memory.js';

export interface FetchOptions {
  readonly signal: AbortSignal;
  readonly urgency: Urgency;
  /**
   * Where to put the bytes. A source that does not stop at once may still write to what was taken of it after the
   * fetch was aborted.
   */
  readonly memory?: ReusedMemory | undefined;
  /** See ReadOptions. */
  readonly fresh?: boolean | undefined;
  /** Told while bytes arrive. */
  readonly onBytes?: OnArrival | undefined;
}

/** [start, end) of the layer are there, and final: in `memory`, which begins where the fetch does. */
export type OnArrival = (memory: Uint8Array, start: number, end: number) => void;

/** Requests of one fetch under way: the first bytes should not wait for the last ones. */
const PIECES_AT_ONCE = 2;

export class Fetcher {
  readonly #source: RangeSource;
  readonly #record: ReadRecord;

  constructor(source: RangeSource, record: ReadRecord) {
    this.#source = source;
    this.#record = record;
  }

  /** Lends the layer to jobs that read it themselves; undefined where they cannot. */
  get lend(): FileLender | undefined {
    return this.#source[LEND_FILE];
  }

  /** Whether the layer's bytes have to be asked for, as against: lie in a file or in memory. */
  get requested(): boolean {
    return this.lend === undefined && !(this.#source instanceof BufferSource);
  }

  /** How what is fetched is kept, if it is. */
  get keeping(): SourceKeeping | undefined {
    return this.#source.keeping;
  }

  /** What is known of the link that they come by. */
  get link(): LinkEstimate | undefined {
    return this.#source.link;
  }

  /** The requests that fetching [start, end) takes. */
  requests(start: number, end: number): number {
    return this.#pieces(start, end).length;
  }

  /** Begins to count what jobs read of [start, end) by themselves; call what is returned when it is over. */
  countRead(start: number, end: number, lane: Lane): (outcome: 'fetched' | 'failed') => void {
    this.#record.requested(end - start, lane);
    const began = performance.now();
    return outcome => {
      const ms = performance.now() - began;
      this.#record.fetched({ lane, offset: start, bytes: end - start, ms, outcome });
    };
  }

  /** The bytes [start, end) of the layer, which are some. */
  async fetch(start: number, end: number, options: FetchOptions): Promise<Uint8Array> {
    options.signal.throwIfAborted();
    const pieces = this.#pieces(start, end);
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined && this.#source.ownMemory === true) {
      return await this.#counted(only, options, signal => this.#readOwn(only, { ...options, signal }));
    }
    const target = options.memory?.take(end - start) ?? allocateExactly(end - start);
    await runBounded(pieces, PIECES_AT_ONCE, options.signal, (piece, signal) =>
      this.#counted(piece, { ...options, signal }, () => {
        const part = target.subarray(piece.start - start, piece.end - start);
        const told = (arrived: Uint8Array): void =>
          options.onBytes?.(target, piece.start, piece.start + arrived.length);
        return this.#source.readInto(part, piece.start, this.#readOptions(options, signal, told));
      }),
    );
    return target;
  }

  /** A request, counted whatever comes of it. */
  async #counted<T>(
    { start, end }: ByteSpan,
    { signal, urgency }: FetchOptions,
    read: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const over = this.countRead(start, end, urgency.lane);
    let outcome: 'fetched' | 'failed' = 'failed';
    try {
      const result = await abortable(read(signal), signal);
      outcome = 'fetched';
      return result;
    } finally {
      over(outcome);
    }
  }

  /** In memory of the source's own. */
  async #readOwn({ start, end }: ByteSpan, options: FetchOptions): Promise<Uint8Array> {
    const told = (arrived: Uint8Array): void => options.onBytes?.(arrived, start, start + arrived.length);
    const bytes = await this.#source.read(
      start,
      end - start,
      this.#readOptions(options, options.signal, told),
    );
    if (bytes.length === end - start) return bytes;
    throw new SociError(
      'ERR_SOCI_SOURCE_SHORT',
      `${this.#source.name}: expected ${end - start} bytes from ${start}, received ${bytes.length}`,
      { data: { offset: start, expected: end - start, received: bytes.length } },
    );
  }

  #pieces(start: number, end: number): ByteSpan[] {
    return this.requested ? requestPieces(start, end) : [{ start, end }];
  }

  #readOptions(
    { urgency, fresh, onBytes }: FetchOptions,
    signal: AbortSignal,
    told: (arrived: Uint8Array) => void,
  ): ReadOptions {
    const { lane } = urgency;
    const onKept = (bytes: number): void => this.#record.kept(bytes, lane);
    return { signal, lane, urgency, fresh, onBytes: onBytes && told, onKept };
  }
}
