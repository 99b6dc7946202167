/**
 * Writing what was fetched, behind the back of who reads it: he has it in memory
 * and need not wait for the disk, unless that falls far behind.
 */
import { allocateExactly } from '../source/byte-range.js';
import { BLOCK_BYTES } from './block-journal.js';
import type { StoredBlob } from './stored-blob.js';

/** Of what was fetched, how much may wait to be written before more is fetched. */
const MAX_BEHIND = 32 * 1024 * 1024;
/** So much is written at a time: between two of them others may have to make room. */
const CHUNK_BYTES = 1024 * 1024;

export class KeptBehind {
  readonly #blob: StoredBlob;
  readonly #writing = new Set<Promise<void>>();
  #bytes = 0;

  constructor(blob: StoredBlob) {
    this.#blob = blob;
  }

  /** Keeps blocks. Settles when that is done, or failed; nobody has to wait for it. */
  keep(first: number, bytes: Uint8Array): Promise<void> {
    this.#bytes += bytes.length;
    const writing = this.#keep(first, bytes).finally(() => {
      this.#bytes -= bytes.length;
      this.#writing.delete(writing);
    });
    this.#writing.add(writing);
    return writing;
  }

  /** All of it stands in line at once: whoever takes some of it back comes behind. */
  async #keep(first: number, bytes: Uint8Array): Promise<void> {
    const pieces: Promise<void>[] = [];
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      pieces.push(this.#blob.keep(first + at / BLOCK_BYTES, bytes.subarray(at, at + CHUNK_BYTES)));
    }
    await Promise.all(pieces);
  }

  /** Keeps a stream from the start of a blob of `size` bytes, in chunks of any size. */
  stream(size: number): KeptStream {
    return new KeptStream(this, size);
  }

  /** Settles when so much is written that more may be fetched. */
  async ready(): Promise<void> {
    while (this.#bytes > MAX_BEHIND) await Promise.race(this.#writing);
  }

  /** Settles when all is written that waits for it now. */
  async written(): Promise<void> {
    await Promise.all(this.#writing);
  }

  /** Settles when all is written. */
  async finished(): Promise<void> {
    while (this.#writing.size > 0) await Promise.all(this.#writing);
  }
}

/** Gathers chunks to whole blocks. */
export class KeptStream {
  readonly #behind: KeptBehind;
  readonly #size: number;
  #gathered = allocateExactly(CHUNK_BYTES);
  #filled = 0;
  #kept = 0;

  /** @param size of the blob: its last block may be short, and what comes after it is none of it */
  constructor(behind: KeptBehind, size: number) {
    this.#behind = behind;
    this.#size = size;
  }

  async add(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const room = Math.min(CHUNK_BYTES, this.#size - this.#kept) - this.#filled;
      if (room <= 0) return;
      const part = chunk.subarray(at, at + room);
      this.#gathered.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (part.length === room) await this.#keep();
    }
  }

  async #keep(): Promise<void> {
    await this.#behind.ready();
    void this.#behind.keep(this.#kept / BLOCK_BYTES, this.#gathered.subarray(0, this.#filled));
    this.#kept += this.#filled;
    this.#gathered = allocateExactly(CHUNK_BYTES);
    this.#filled = 0;
  }
}
