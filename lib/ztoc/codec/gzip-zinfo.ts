/**
 * The zinfo blob of a gzip layer: where inflation can start, and with which
 * 32 KiB of history. int32 LE count, int64 LE span size, then per checkpoint
 * { int64 LE in, int64 LE out, uint8 bits, window }. Version 1 leaves out
 * checkpoint 0, version 2 has it; only the blob's length tells them apart.
 */
import { SociError } from '../../errors.js';

export const WINDOW_SIZE = 32_768;

const HEADER_SIZE = 12;
/** Bytes that one checkpoint takes in the blob. */
export const CHECKPOINT_SIZE: number = 8 + 8 + 1 + WINDOW_SIZE;

/** RFC 1952: what a member's header takes without optional fields; version 1 assumes it. */
const MIN_GZIP_HEADER = 10;

/** Two bits, a length code and a distance code of one bit each, are 258 bytes at best. */
const MAX_EXPANSION = 1032;

const ZEROS = new Uint8Array(WINDOW_SIZE);

export class GzipZinfo {
  readonly version: 1 | 2;
  readonly spanSize: number;
  readonly count: number;
  /** As stored. */
  readonly blob: Uint8Array;
  readonly #view: DataView;
  readonly #in: Float64Array;
  readonly #out: Float64Array;

  /** @throws SociError ERR_SOCI_ZTOC_FORMAT unless the blob has exactly the length its count asks for */
  constructor(blob: Uint8Array) {
    if (blob.length < HEADER_SIZE) throw format(`${blob.length} bytes, at least ${HEADER_SIZE} expected`);
    this.blob = blob;
    this.#view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
    this.count = this.#view.getInt32(0, true);
    if (this.count < 1) throw format(`${this.count} checkpoints, at least 1 expected`);
    const full = HEADER_SIZE + this.count * CHECKPOINT_SIZE;
    if (blob.length === full) this.version = 2;
    else if (blob.length === full - CHECKPOINT_SIZE) this.version = 1;
    else {
      const sizes = `${full} (version 2) or ${full - CHECKPOINT_SIZE} (version 1) expected`;
      throw format(`${blob.length} bytes for ${this.count} checkpoints, ${sizes}`);
    }
    this.spanSize = this.#int64(4);
    this.#in = new Float64Array(this.count);
    this.#out = new Float64Array(this.count);
    for (let i = 0; i < this.count; i += 1) {
      const at = this.#position(i);
      this.#in[i] = at < 0 ? MIN_GZIP_HEADER : this.#int64(at);
      this.#out[i] = at < 0 ? 0 : this.#int64(at + 8);
    }
  }

  /** Version 1: checkpoint 0 is implied to lie after a header of 10 bytes; the real one may be longer. */
  get impliedFirst(): boolean {
    return this.version === 1;
  }

  /** Bytes of the layer consumed at checkpoint i, the partly used byte included. */
  in(i: number): number {
    return this.#in[i] as number;
  }

  /** Offset in the uncompressed stream at which checkpoint i decodes on. */
  out(i: number): number {
    return this.#out[i] as number;
  }

  /** Bits of the byte before in(i) that belong to what follows. */
  bits(i: number): number {
    const at = this.#position(i);
    return at < 0 ? 0 : (this.blob[at + 16] as number);
  }

  /** The 32 KiB before out(i), oldest first: a view of the blob, zeros where implied. */
  window(i: number): Uint8Array {
    const at = this.#position(i);
    return at < 0 ? new Uint8Array(WINDOW_SIZE) : this.blob.subarray(at + 17, at + 17 + WINDOW_SIZE);
  }

  /** The checkpoint at which decoding of `offset` starts: the last with out <= offset. */
  spanOf(offset: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.out(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * What every reader relies on: order, sizes, and windows that hold no history
   * from before the stream. Old ztocs have several checkpoints at offset 0
   * (zero-length spans), which is in order.
   *
   * @throws SociError ERR_SOCI_ZTOC_INVALID
   */
  verify(compressedSize: number, uncompressedSize: number): void {
    if (this.spanSize < 0) throw invalid(`its span size is ${this.spanSize}`, { field: 'spanSize' });
    for (let i = 0; i < this.count; i += 1) {
      const position = this.in(i);
      const first = this.bits(i) === 0 ? MIN_GZIP_HEADER : MIN_GZIP_HEADER + 1;
      if (position < first || position >= compressedSize) {
        throw invalid(`checkpoint ${i} is at byte ${position} of a layer of ${compressedSize}`, { index: i });
      }
      if (i === 0 ? this.out(0) !== 0 : this.in(i - 1) >= position || this.out(i - 1) > this.out(i)) {
        const here = `(${position}, ${this.out(i)})`;
        const before = i === 0 ? 'output 0 expected' : `not after (${this.in(i - 1)}, ${this.out(i - 1)})`;
        throw invalid(`checkpoint ${i} at (input, output) ${here} is out of order: ${before}`, { index: i });
      }
      if (this.bits(i) > 7) throw invalid(`checkpoint ${i} claims ${this.bits(i)} bits`, { index: i });
      this.#verifyExpansion(i, compressedSize, uncompressedSize);
      this.#verifyWindow(i);
    }
  }

  #verifyExpansion(i: number, compressedSize: number, uncompressedSize: number): void {
    const last = i === this.count - 1;
    const consumed = (last ? compressedSize : this.in(i + 1)) - this.in(i) + 1;
    const produced = (last ? Math.max(uncompressedSize, this.out(i)) : this.out(i + 1)) - this.out(i);
    if (produced <= (consumed + 1) * MAX_EXPANSION) return;
    throw invalid(`span ${i} claims ${produced} bytes out of ${consumed}, more than deflate can hold`, {
      index: i,
    });
  }

  #verifyWindow(i: number): void {
    const before = this.window(i).subarray(0, WINDOW_SIZE - Math.min(this.out(i), WINDOW_SIZE));
    if (Buffer.compare(before, ZEROS.subarray(0, before.length)) === 0) return;
    const stray = before.findIndex(byte => byte !== 0);
    const what = `byte ${stray} of window ${i} lies before the stream's start and is not zero`;
    throw invalid(what, { field: 'window', index: i });
  }

  /** Where checkpoint i lies in the blob; negative when it is implied. */
  #position(i: number): number {
    return i === 0 && this.version === 1
      ? -1
      : HEADER_SIZE + (this.version === 1 ? i - 1 : i) * CHECKPOINT_SIZE;
  }

  #int64(position: number): number {
    const value = this.#view.getBigInt64(position, true);
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw format(`a number beyond 2^53 at byte ${position}: ${value}`);
    return number;
  }
}

/** One checkpoint of a blob to be written. */
export interface Checkpoint {
  readonly in: number;
  readonly out: number;
  readonly bits: number;
  /** 32768 bytes, oldest first. */
  readonly window: Uint8Array;
}

/** The blob of all checkpoints (version 2), or of all but the first (version 1). */
export function encodeGzipZinfo(
  spanSize: number,
  checkpoints: readonly Checkpoint[],
  version: 1 | 2 = 2,
): Uint8Array {
  const stored = version === 1 ? checkpoints.slice(1) : checkpoints;
  const blob = new Uint8Array(HEADER_SIZE + stored.length * CHECKPOINT_SIZE);
  const view = new DataView(blob.buffer);
  view.setInt32(0, checkpoints.length, true);
  view.setBigInt64(4, BigInt(spanSize), true);
  stored.forEach((checkpoint, i) => {
    const at = HEADER_SIZE + i * CHECKPOINT_SIZE;
    view.setBigInt64(at, BigInt(checkpoint.in), true);
    view.setBigInt64(at + 8, BigInt(checkpoint.out), true);
    view.setUint8(at + 16, checkpoint.bits);
    blob.set(checkpoint.window, at + 17);
  });
  return blob;
}

function format(reason: string): SociError {
  return new SociError('ERR_SOCI_ZTOC_FORMAT', `bad checkpoints in the ztoc: ${reason}`);
}

function invalid(reason: string, data: Record<string, unknown>): SociError {
  return new SociError('ERR_SOCI_ZTOC_INVALID', `the ztoc contradicts itself: ${reason}`, { data });
}
