/**
 * A blob that is there whole, under its own digest. There is no journal any more:
 * span digests are held against what is read of it, and where nobody does that,
 * or somebody found it wrong, the digest of all of it is.
 */
import { setImmediate } from 'node:timers/promises';
import { digestAlgorithm, hashFor } from '../registry/digest.js';
import type { BlobPlace } from './blob-place.js';
import { BLOCK_BYTES, type BlockRun, runBytes } from './block-journal.js';
import type { Disk, DiskFile } from './disk.js';
import type { PresentBlocks } from './partial-blob.js';

const CHUNK_BYTES = 1024 * 1024;

export class WholeFile {
  /** Of the file; the blob's, unless it is damaged or somebody has lied about it. */
  readonly size: number;
  readonly #file: DiskFile;
  readonly #place: BlobPlace;
  #proved: boolean;

  private constructor(file: DiskFile, place: BlobPlace, known: { size: number; proved: boolean }) {
    this.#file = file;
    this.#place = place;
    this.size = known.size;
    this.#proved = known.proved;
  }

  /** Undefined when there is none. @param state what is known about its bytes */
  static async open(
    disk: Disk,
    place: BlobPlace,
    state: 'proved' | 'unproved' = 'unproved',
  ): Promise<WholeFile | undefined> {
    if ((await disk.stat(place.whole)) === undefined) return undefined;
    const file = await disk.open(place.whole, 'read');
    try {
      const { size } = await file.stat();
      return new WholeFile(file, place, { size, proved: state === 'proved' });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Fills `into` with the blocks. @throws the system's error */
  async read(run: BlockRun, into: Uint8Array): Promise<PresentBlocks> {
    const had = await this.#file.read(into, run.first * BLOCK_BYTES);
    if (had >= runBytes(run, this.#place.size)) return { missing: [], damaged: 0 };
    return { missing: [run], damaged: into.length };
  }

  /** Undefined where there are none. */
  get descriptor(): number | undefined {
    return this.#file.descriptor;
  }

  /** Whether its bytes were found to have its digest. */
  get proved(): boolean {
    return this.#proved;
  }

  /** Reads all of it. @returns whether it has its digest. @throws the system's error; the signal's reason */
  async prove(signal?: AbortSignal): Promise<boolean> {
    this.#proved = (await this.#hash(signal)) === this.#place.digest;
    return this.#proved;
  }

  async close(): Promise<void> {
    await this.#file.close().catch(() => {});
  }

  async #hash(signal: AbortSignal | undefined): Promise<string> {
    const { digest, whole } = this.#place;
    const hash = hashFor(digest, whole);
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, this.size));
    for (let at = 0; at < this.size; ) {
      signal?.throwIfAborted();
      const had = await this.#file.read(chunk, at);
      if (had === 0) break;
      hash.update(chunk.subarray(0, had));
      at += had;
      await setImmediate();
    }
    return `${digestAlgorithm(digest)}:${hash.digest('hex')}`;
  }
}
