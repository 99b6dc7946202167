/**
 * All of one blob, as ranges in parallel or in one request, handed on from its
 * first byte to its last and hashed on the way: nothing is read a second time to
 * know that it is the blob. Where the source keeps what it fetches, what is kept
 * is not fetched, and what comes is there for whoever comes later.
 */

import { AbortScope } from '../async/abort-scope.js';
import type { PullLimits } from '../configuration/pull-presets.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { digestAlgorithm, hashFor } from '../registry/digest.js';
import type { Lane, RangeSource, ReadOptions } from '../source/range-source.js';
import { BOUNDARY_BYTES } from '../source/request-pieces.js';
import { BLOCK_BYTES } from '../store/block-journal.js';
import type { DownloadTurns } from './download-turns.js';
import type { HeldBytes } from './held-bytes.js';

/**
 * A pull is waited for, but by nobody who reads a file: it gives way to those of its process who do, and has all of the
 * link when there are none.
 */
export const PULL_LANE: Lane = 'prefetch';

/** Of one blob; more only wait for those before them. */
const MAX_RANGES_AHEAD = 16;
/** Less is not worth a request. */
const LEAST_RANGE = 64 * 1024;

export interface DownloadParts {
  readonly limits: PullLimits;
  readonly turns: DownloadTurns;
  readonly held: HeldBytes;
  /** Called with what comes, in order; it must not be written to. */
  readonly onBytes: (bytes: Uint8Array) => void;
  /** Throws when it is in vain to go on. */
  readonly check: () => void;
}

/**
 * 'kept': all of it was here. In one request: 'whole', since that is what the limits say; 'small', since it is no
 * larger than a range; 'no ranges', since the server knows none. Else in 'ranges'.
 */
export type DownloadWay = 'kept' | 'whole' | 'small' | 'no ranges' | 'ranges';

export interface Downloaded {
  readonly way: DownloadWay;
  /** Bytes that were kept before. */
  readonly kept: number;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

/** How a range waits for its turn, if it has to. */
type InTurn = (signal: AbortSignal, work: () => Promise<Uint8Array>) => Promise<Uint8Array>;

export class BlobDownload {
  readonly #descriptor: Descriptor;
  readonly #source: RangeSource;
  readonly #parts: DownloadParts;
  #passed = 0;
  #kept = 0;

  constructor(descriptor: Descriptor, source: RangeSource, parts: DownloadParts) {
    this.#descriptor = descriptor;
    this.#source = source;
    this.#parts = parts;
  }

  /** @throws SociError ERR_SOCI_DIGEST_MISMATCH when it is another blob, of which nothing is kept then; what reading throws */
  async run(signal: AbortSignal): Promise<Downloaded> {
    const { digest, size } = this.#descriptor;
    const { keeping } = this.#source;
    const witness = keeping?.witness?.();
    const hash = hashFor(digest, this.#source.name);
    const pass = (bytes: Uint8Array): void => {
      hash.update(bytes);
      witness?.saw(bytes);
      this.#passed += bytes.length;
      this.#parts.onBytes(bytes);
    };
    let found: string | undefined;
    let way: DownloadWay;
    try {
      way = await this.#fetch(pass, signal);
      if (this.#passed === size) found = `${digestAlgorithm(digest)}:${hash.digest('hex')}`;
    } finally {
      witness?.testify(found);
    }
    // What the store says of a blob that it refuses is less than what is known here.
    const refusal = await keeping?.settled().catch((error: unknown) => error);
    if (found !== digest) {
      await keeping?.forget(0, size);
      throw this.#mismatch(found);
    }
    if (refusal !== undefined) throw refusal;
    return { way, kept: this.#kept };
  }

  async #fetch(pass: (bytes: Uint8Array) => void, signal: AbortSignal): Promise<DownloadWay> {
    const { size } = this.#descriptor;
    const { turns, limits } = this.#parts;
    const present = (await this.#source.keeping?.presentBytes(0, size)) ?? 0;
    const chunk = limits.concurrentDownloadChunkSize;
    try {
      if (present === size) {
        await this.#ranges(rangesOf(size, BOUNDARY_BYTES), pass, signal, (_, work) => work());
        return 'kept';
      }
      if (chunk === 0 || chunk >= size) {
        await turns.take(signal, () => this.#stream(pass, this.#how(signal)));
        return chunk === 0 ? 'whole' : 'small';
      }
      await this.#ranges(rangesOf(size, rangeBytes(chunk)), pass, signal, (abort, work) =>
        turns.take(abort, work),
      );
      return 'ranges';
    } catch (error) {
      if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_HTTP_NO_RANGES') throw error;
      signal.throwIfAborted();
      await turns.take(signal, () => this.#stream(pass, { ...this.#how(signal), fresh: true }));
      return 'no ranges';
    }
  }

  /** In one request; what had been passed on before is passed over. */
  async #stream(pass: (bytes: Uint8Array) => void, how: ReadOptions): Promise<void> {
    let over = this.#passed;
    for await (const chunk of this.#source.stream({ ...how, provedByReader: true })) {
      this.#parts.check();
      const skipped = Math.min(over, chunk.length);
      over -= skipped;
      if (skipped < chunk.length) pass(chunk.subarray(skipped));
    }
  }

  async #ranges(
    ranges: Iterator<Range>,
    pass: (bytes: Uint8Array) => void,
    signal: AbortSignal,
    inTurn: InTurn,
  ): Promise<void> {
    const { limits, held, check } = this.#parts;
    const perImage = limits.maxConcurrentDownloadsPerImage;
    const ahead = perImage > 0 ? Math.min(perImage, MAX_RANGES_AHEAD) : MAX_RANGES_AHEAD;
    const operation = new AbortScope().begin(signal);
    const begun: { readonly length: number; readonly bytes: Promise<Uint8Array> }[] = [];
    const begin = (): void => {
      const { value: range, done } = ranges.next();
      if (done === true) return;
      const bytes = this.#range(range, operation.signal, inTurn);
      // Nobody may come for it.
      bytes.catch(() => {});
      begun.push({ length: range.length, bytes });
    };
    try {
      for (;;) {
        for (let room = ahead - begun.length; room > 0; room--) begin();
        const [first] = begun;
        if (first === undefined) return;
        pass(await first.bytes);
        begun.shift();
        held.giveBack(first.length);
        check();
      }
    } finally {
      operation.abort(signal.reason);
      for (const { length, bytes } of begun) {
        // One that failed has given it back itself.
        await bytes.then(
          () => held.giveBack(length),
          () => {},
        );
      }
      operation.end();
    }
  }

  /** The memory for it is taken, unless this fails. */
  async #range({ offset, length }: Range, signal: AbortSignal, inTurn: InTurn): Promise<Uint8Array> {
    await this.#parts.held.enter(length, { signal });
    try {
      return await inTurn(signal, () => this.#source.read(offset, length, this.#how(signal)));
    } catch (error) {
      this.#parts.held.giveBack(length);
      throw error;
    }
  }

  #how(signal: AbortSignal): ReadOptions {
    return {
      signal,
      lane: PULL_LANE,
      onKept: bytes => {
        this.#kept += bytes;
      },
    };
  }

  #mismatch(found: string | undefined): SociError {
    const { digest, size } = this.#descriptor;
    const received = this.#passed;
    const detail =
      found === undefined
        ? `expected ${size} bytes, found ${received}`
        : `expected ${digest}, found ${found}`;
    const origin =
      this.#kept === 0
        ? 'what was sent is not this blob'
        : `${this.#kept} bytes of it had been kept before: pulling again fetches all of it`;
    return new SociError(
      'ERR_SOCI_DIGEST_MISMATCH',
      `${this.#source.name}: ${detail}; ${origin}; nothing of it is kept`,
      { data: { digest, size, received, found } },
    );
  }
}

/** Whole blocks of a store, between the bounds of what is worth a request and what stays inside of an upload's part. */
function rangeBytes(chunk: number): number {
  const wanted = Math.max(LEAST_RANGE, Math.min(chunk, BOUNDARY_BYTES));
  return Math.ceil(wanted / BLOCK_BYTES) * BLOCK_BYTES;
}

/**
 * A blob of `size` bytes in ranges of `step`, none of which reaches over a multiple of BOUNDARY_BYTES: made as they are
 * wanted, since a size is only what somebody says.
 */
function* rangesOf(size: number, step: number): Generator<Range, undefined> {
  for (let offset = 0; offset < size; ) {
    const boundary = (Math.floor(offset / BOUNDARY_BYTES) + 1) * BOUNDARY_BYTES;
    const length = Math.min(step, boundary - offset, size - offset);
    yield { offset, length };
    offset += length;
  }
}
