/**
 * The records that the journal of a blob has when all that went by somebody is on
 * the disk as it was: whoever hashes a blob while it is fetched notes them, and
 * the blob need not be read again to know that what was hashed is what is there.
 */
import { BLOCK_BYTES, blockCount, encodeRecords, RECORD_BYTES } from './block-journal.js';

/** Of records at first, for 32 MiB of the blob: it grows with what comes, and not with what somebody says will. */
const FIRST_BYTES = 64 * 1024;

export class SeenRecords {
  #records = new Uint8Array(FIRST_BYTES);
  /** The beginning of a block whose end has not come yet. */
  readonly #begun = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #blocks = 0;

  /** The next bytes, in chunks of any size. */
  add(bytes: Uint8Array): void {
    let at = 0;
    if (this.#filled > 0) {
      at = this.#begin(bytes);
      if (this.#filled < BLOCK_BYTES) return;
      this.#record(this.#begun);
    }
    const end = bytes.length - ((bytes.length - at) % BLOCK_BYTES);
    if (end > at) this.#record(bytes.subarray(at, end));
    this.#filled = 0;
    this.#begin(bytes.subarray(end));
  }

  /** The records of all blocks; the last one may be short. */
  end(): Uint8Array {
    if (this.#filled > 0) this.#record(this.#begun.subarray(0, this.#filled));
    this.#filled = 0;
    return this.#records.subarray(0, this.#blocks * RECORD_BYTES);
  }

  /** @returns how much of `bytes` is in the block that was begun */
  #begin(bytes: Uint8Array): number {
    const part = bytes.subarray(0, BLOCK_BYTES - this.#filled);
    this.#begun.set(part, this.#filled);
    this.#filled += part.length;
    return part.length;
  }

  #record(blocks: Uint8Array): void {
    const end = (this.#blocks + blockCount(blocks.length)) * RECORD_BYTES;
    if (end > this.#records.length) {
      const larger = new Uint8Array(Math.max(2 * this.#records.length, end));
      larger.set(this.#records);
      this.#records = larger;
    }
    this.#records.set(encodeRecords(this.#blocks, blocks), this.#blocks * RECORD_BYTES);
    this.#blocks += blockCount(blocks.length);
  }
}
