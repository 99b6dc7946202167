/**
 * A blob as a RangeSource over another one: what the store has of it comes from
 * the disk, what it does not is fetched and kept. Whoever wants what another
 * process is fetching waits for that, within reason; nothing is locked that
 * anybody has to wait for, since a claim only says that it is not worth fetching
 * twice.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { AbortScope } from '../async/abort-scope.js';
import { abortable } from '../async/abortable.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import { publish } from '../observe/channels.js';
import { allocateExactly, checkByteRange, closedError } from '../source/byte-range.js';
import { Urgency, urgencyOf } from '../source/lanes.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import type { RangeSource, ReadOptions, SourceKeeping } from '../source/range-source.js';
import { BOUNDARY_BYTES } from '../source/request-pieces.js';
import { BLOCK_BYTES, type BlockRun, blockCount, joinRuns, runBytes } from './block-journal.js';
import { KeptBehind } from './kept-behind.js';
import { OfflineSource } from './offline-source.js';
import { PieceFill } from './piece-fill.js';
import type { SharedRate } from './shared-rate.js';
import type { StoredBlob } from './stored-blob.js';

/** What is fetched at once. */
const PIECE_BLOCKS = BOUNDARY_BYTES / BLOCK_BYTES;
/** As above, of what nobody waits for: who comes to wait for some of it has the less to wait for. */
const BACKGROUND_PIECE_BLOCKS = (1024 * 1024) / BLOCK_BYTES;
const PIECES_AT_ONCE = 2;
/** So many blocks are rather fetched again than left out by a second request: 64 KiB. */
const GAP_BLOCKS = 16;
/** How long another may take to fetch what is wanted here. */
const CLAIM_MS = 10_000;
const FIRST_DELAY_MS = 1;
const LAST_DELAY_MS = 50;

interface PieceOptions extends ReadOptions {
  readonly signal: AbortSignal;
  readonly urgency: Urgency;
}

/** What is being fetched, which others must not fetch. */
interface Fetching {
  readonly runs: readonly BlockRun[];
  readonly urgency: Urgency;
}

export class StoredSource implements RangeSource {
  readonly size: number;
  readonly name: string;
  readonly ownMemory = true;
  readonly keeping: SourceKeeping = {
    willKeep: () => this.#blob.isWhole || this.#blob.keeps,
    presentBytes: (offset, length) => this.#presentBytes(offset, length),
    readPast: (offset, length, options) => this.#readPast(offset, length, options),
    hold: () => this.#blob.hold(),
    forget: (offset, length) => this.#blob.forget(blocksOf(offset, length)),
    settled: () => this.#settled(),
  };
  readonly #blob: StoredBlob;
  readonly #source: RangeSource;
  readonly #behind: KeptBehind;
  readonly #rate: SharedRate | undefined;
  /** Blocks that are there and may be fetched with those around them. */
  readonly #gap: number;
  readonly #reads = new AbortScope();
  readonly #fetching = new Set<Fetching>();
  #closing: Promise<void> | undefined;

  /**
   * @param source closed with this
   * @param rate of what is fetched that nobody waits for
   */
  constructor(blob: StoredBlob, source: RangeSource, rate?: SharedRate) {
    this.#blob = blob;
    this.#source = source;
    this.#rate = rate;
    this.#behind = new KeptBehind(blob);
    // Offline nothing is said to be missing that is there.
    this.#gap = source instanceof OfflineSource ? 0 : GAP_BLOCKS;
    this.size = blob.place.size;
    this.name = source.name;
  }

  get link(): LinkEstimate | undefined {
    return this.#source.link;
  }

  /** As `RangeSource.read`; also ERR_SOCI_DIGEST_MISMATCH once all was there and had another digest. */
  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    checkByteRange(this.name, this.size, offset, length);
    return await this.#reads.run(options.signal, async signal => {
      const urgency = urgencyOf(options);
      const pieces = piecesOf(offset, length, urgency);
      const [only] = pieces;
      if (only !== undefined && pieces.length === 1) {
        const start = offset - only.first * BLOCK_BYTES;
        const { onBytes } = options;
        const told = (arrived: Uint8Array): void => {
          if (arrived.length > start) onBytes?.(arrived.subarray(start, start + length));
        };
        const wish = { ...options, signal, urgency, onBytes: onBytes && told };
        return (await this.#piece(only, wish)).subarray(start, start + length);
      }
      const target = allocateExactly(length);
      await runBounded(pieces, PIECES_AT_ONCE, signal, async (piece, abort) => {
        const bytes = await this.#piece(piece, { ...options, signal: abort, urgency, onBytes: undefined });
        const from = piece.first * BLOCK_BYTES - offset;
        const skipped = Math.max(0, -from);
        target.set(bytes.subarray(skipped, length - from), from + skipped);
      });
      return target;
    });
  }

  async readInto(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
    const { onBytes } = options;
    let copied = 0;
    const copy = (arrived: Uint8Array): void => {
      target.set(arrived.subarray(copied), copied);
      copied = arrived.length;
    };
    const told = (arrived: Uint8Array): void => {
      copy(arrived);
      onBytes?.(target.subarray(0, copied));
    };
    copy(await this.read(offset, target.length, { ...options, onBytes: onBytes && told }));
  }

  /** What is read of the disk has the blob's digest, or the checksums of when it was written. */
  async *stream(options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const operation = this.#reads.begin(options.signal);
    try {
      const wish = { ...options, signal: operation.signal, urgency: urgencyOf(options), onBytes: undefined };
      if (this.#blob.isWhole) await this.#blob.isProved(operation.signal);
      this.#throwIfRefused();
      // One request for all of it, where a part would not save much.
      if ((await this.#blob.presentBytes()) === 0) yield* this.#streamAll(wish);
      else yield* this.#streamPieces(wish);
    } finally {
      operation.end();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#reads.close(closedError(this.name));
    await this.#behind.finished();
    await this.#blob.close();
    await this.#source.close();
  }

  async #presentBytes(offset: number, length: number): Promise<number | undefined> {
    checkByteRange(this.name, this.size, offset, length);
    if (this.#blob.isWhole) return length;
    if (!this.#blob.keeps) return undefined;
    const within = ({ first, end }: BlockRun): number =>
      Math.min(end * BLOCK_BYTES, offset + length) - Math.max(first * BLOCK_BYTES, offset);
    await this.#behind.written();
    const present = await this.#blob.present(blocksOf(offset, length));
    return present.reduce((sum, each) => sum + within(each), 0);
  }

  async #readPast(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    return await this.#reads.run(options.signal, async signal => {
      await this.#rate?.take(length, urgencyOf(options), signal);
      return await abortable(this.#source.read(offset, length, { ...options, signal }), signal);
    });
  }

  async #settled(): Promise<void> {
    await this.#behind.finished();
    await this.#blob.settled();
    this.#throwIfRefused();
  }

  async *#streamAll(options: PieceOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const tail = this.#behind.stream(this.size);
    for await (const chunk of this.#source.stream(options)) {
      options.signal.throwIfAborted();
      await this.#rate?.take(chunk.length, options.urgency, options.signal);
      await tail.add(chunk);
      yield chunk;
      options.signal.throwIfAborted();
    }
  }

  async *#streamPieces(options: PieceOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const pieces = piecesOf(0, this.size, options.urgency);
    let next = this.#ahead(pieces[0], options);
    for (const position of pieces.keys()) {
      const bytes = await next;
      next = this.#ahead(pieces[position + 1], options);
      options.signal.throwIfAborted();
      if (bytes !== undefined) yield bytes;
      options.signal.throwIfAborted();
    }
  }

  #ahead(piece: BlockRun | undefined, options: PieceOptions): Promise<Uint8Array | undefined> {
    const bytes = piece === undefined ? Promise.resolve(undefined) : this.#piece(piece, options);
    // Nobody may come for it.
    bytes.catch(() => {});
    return bytes;
  }

  /** The blocks of a piece, which end where the blob does. */
  async #piece(run: BlockRun, options: PieceOptions): Promise<Uint8Array> {
    this.#throwIfRefused();
    const { digest } = this.#blob.place;
    if (options.fresh === true) {
      await this.#rate?.take(runBytes(run, this.size), options.urgency, options.signal);
      const bytes = await this.#fetch(run, options);
      await this.#blob.replace(run.first, bytes);
      return bytes;
    }
    const piece = new PieceFill(run, allocateExactly(runBytes(run, this.size)), options.onBytes);
    const { bytes } = piece;
    const { missing } = await this.#blob.read(run, bytes);
    options.signal.throwIfAborted();
    const fetched = bytesOf(missing, this.size);
    publish('seekable-oci:store:read', () => ({ digest, kept: bytes.length - fetched, fetched }));
    options.onKept?.(bytes.length - fetched);
    if (missing.length > 0) await this.#fill(piece, missing, options);
    this.#throwIfRefused();
    return bytes;
  }

  /** Fetches what is missing, or waits for those who do, once it may be fetched: a claim is not held meanwhile. */
  async #fill(piece: PieceFill, missing: readonly BlockRun[], options: PieceOptions): Promise<void> {
    const bytes = bytesOf(joinRuns(missing, this.#gap), this.size);
    await this.#rate?.take(bytes, options.urgency, options.signal);
    const fetched = await this.#fillNow(piece, missing, options);
    // Another process has fetched the rest.
    await this.#rate?.giveBack(bytes - fetched);
  }

  /** @returns bytes that were fetched here */
  async #fillNow(piece: PieceFill, missing: readonly BlockRun[], options: PieceOptions): Promise<number> {
    let fetched = 0;
    const until = performance.now() + CLAIM_MS;
    let wait = FIRST_DELAY_MS;
    let left: readonly BlockRun[] = joinRuns(missing, this.#gap);
    piece.rest(left);
    while (left.length > 0) {
      if (!this.#blob.keeps || performance.now() > until) {
        // It may have become whole just now.
        return (
          fetched + (await this.#fetchAll(await this.#stillMissing(left, piece), piece, options)).fetched
        );
      }
      const found = left.map(run => this.#blob.claim(run));
      const claimed = found.flatMap(each => each.claimed);
      left = found.flatMap(each => each.others);
      this.#hurry(left, options.urgency);
      if (claimed.length > 0) fetched += await this.#fetchClaimed(claimed, piece, options);
      else {
        await delay(wait, undefined, { signal: options.signal }).catch(() => options.signal.throwIfAborted());
        wait = Math.min(2 * wait, LAST_DELAY_MS);
      }
      left = await this.#stillMissing(left, piece);
    }
    return fetched;
  }

  /** @returns bytes that were fetched */
  async #fetchClaimed(
    claimed: readonly BlockRun[],
    piece: PieceFill,
    options: PieceOptions,
  ): Promise<number> {
    let keeping: Promise<unknown> = Promise.resolve();
    const urgency = new Urgency(options.urgency.lane);
    const unwatch = options.urgency.watch(() => urgency.raise(options.urgency.lane));
    const fetching = { runs: claimed, urgency };
    this.#fetching.add(fetching);
    try {
      // Another may have fetched it before it was claimed.
      const wanted = await this.#stillMissing(claimed, piece);
      const all = await this.#fetchAll(wanted, piece, { ...options, urgency });
      ({ keeping } = all);
      return all.fetched;
    } finally {
      unwatch();
      this.#fetching.delete(fetching);
      void keeping.then(() => this.#blob.release(claimed));
    }
  }

  /** Somebody waits for blocks that are being fetched, perhaps less urgently than he wants them. */
  #hurry(wanted: readonly BlockRun[], { lane }: Urgency): void {
    for (const { runs, urgency } of this.#fetching) {
      const overlaps = wanted.some(({ first, end }) => runs.some(run => run.first < end && first < run.end));
      if (overlaps) urgency.raise(lane);
    }
  }

  /** @returns how many bytes that were, and what settles when all is kept, which nobody has to wait for */
  async #fetchAll(
    runs: readonly BlockRun[],
    piece: PieceFill,
    options: PieceOptions,
  ): Promise<{ readonly fetched: number; readonly keeping: Promise<unknown> }> {
    const writing: Promise<void>[] = [];
    await runBounded(runs, PIECES_AT_ONCE, options.signal, async (run, signal) => {
      const { onBytes } = options;
      const told = (arrived: Uint8Array): void => piece.put(run, arrived);
      const fetched = await this.#fetch(run, { ...options, signal, onBytes: onBytes && told });
      piece.put(run, fetched);
      writing.push(this.#behind.keep(run.first, fetched));
    });
    return { fetched: bytesOf(runs, this.size), keeping: Promise.all(writing) };
  }

  async #fetch(run: BlockRun, options: PieceOptions): Promise<Uint8Array> {
    const length = runBytes(run, this.size);
    await this.#behind.ready();
    // A source need not stop at once when it is told to.
    const reading = this.#source.read(run.first * BLOCK_BYTES, length, options);
    const bytes = await abortable(reading, options.signal);
    if (bytes.length === length) return bytes;
    throw new SociError(
      'ERR_SOCI_SOURCE_SHORT',
      `${this.name}: expected ${length} bytes from ${run.first * BLOCK_BYTES}, received ${bytes.length}`,
      { data: { offset: run.first * BLOCK_BYTES, expected: length, received: bytes.length } },
    );
  }

  /** What is missing of runs, of which the rest is taken from the disk; joined inside of each of them alone. */
  async #stillMissing(runs: readonly BlockRun[], piece: PieceFill): Promise<readonly BlockRun[]> {
    const left: BlockRun[] = [];
    for (const run of runs) {
      const { missing } = await this.#blob.read(run, piece.part(run), 'again');
      const wanted = joinRuns(missing, this.#gap);
      piece.rest(wanted, run);
      left.push(...wanted);
    }
    return left;
  }

  #throwIfRefused(): void {
    const refusal = this.#blob.refusal;
    if (refusal !== undefined) throw refusal;
  }
}

function bytesOf(runs: readonly BlockRun[], size: number): number {
  return runs.reduce((sum, run) => sum + runBytes(run, size), 0);
}

/** The blocks that a range is in. */
function blocksOf(offset: number, length: number): BlockRun {
  return { first: Math.floor(offset / BLOCK_BYTES), end: blockCount(offset + length) };
}

/** The blocks that a range is in, divided at the boundaries of pieces. */
function piecesOf(offset: number, length: number, { lane }: Urgency): BlockRun[] {
  if (length === 0) return [];
  const blocks = lane === 'background' ? BACKGROUND_PIECE_BLOCKS : PIECE_BLOCKS;
  const end = Math.ceil((offset + length) / BLOCK_BYTES);
  const pieces: BlockRun[] = [];
  for (let first = Math.floor(offset / BLOCK_BYTES); first < end; ) {
    const boundary = (Math.floor(first / blocks) + 1) * blocks;
    pieces.push({ first, end: Math.min(boundary, end) });
    first = Math.min(boundary, end);
  }
  return pieces;
}
