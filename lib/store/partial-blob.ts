/**
 * A blob of which a part is there: a sparse file with its bytes where they
 * belong, and the journal of what is there. Both are read anew for every read, so
 * that what other processes write counts at once, and nothing of them is
 * remembered that could be out of date.
 */
import { dirname } from 'node:path';
import { digestAlgorithm, hashFor } from '../registry/digest.js';
import type { BlobPlace } from './blob-place.js';
import {
  BLOCK_BYTES,
  BlockRecords,
  type BlockRun,
  type BlockState,
  blockCount,
  blockOf,
  encodeHeader,
  encodeRecords,
  HEADER_BYTES,
  isHeader,
  joinRuns,
  RECORD_BYTES,
  recordOffset,
  runBytes,
  runsWhere,
} from './block-journal.js';
import type { Disk, DiskFile, DiskStat, Durability } from './disk.js';

export interface PresentBlocks {
  /** Runs that are not there, or not as they were written. */
  readonly missing: readonly BlockRun[];
  /** Of those, bytes that are recorded and are not what was recorded. */
  readonly damaged: number;
}

/** 'absent': not all of it is there. 'damaged': blocks on the disk are not what was written. */
export type Proof =
  | { readonly outcome: 'proved' | 'refuted'; readonly found: string }
  | { readonly outcome: 'absent' | 'damaged'; readonly bytes: number };

/** Records that are looked at in one read, of 4 MiB of the blob. */
const SCAN_BLOCKS = 1024;
/** 1 MiB: hashed in about a millisecond. */
const PROOF_BLOCKS = 256;

export class PartialBlob {
  readonly size: number;
  readonly #disk: Disk;
  readonly #place: BlobPlace;
  readonly #data: DiskFile;
  readonly #journal: DiskFile;
  /** Which files these are. */
  #identities: readonly DiskStat[] | undefined;
  /** What was found to be there, from the first block on. */
  #leading = 0;

  private constructor(disk: Disk, place: BlobPlace, data: DiskFile, journal: DiskFile) {
    this.#disk = disk;
    this.#place = place;
    this.size = place.size;
    this.#data = data;
    this.#journal = journal;
  }

  /**
   * @param access 'update' makes what is not there
   * @returns undefined when there is none, or what is there is of a blob of another size
   */
  static async open(
    disk: Disk,
    place: BlobPlace,
    access: 'read' | 'update',
  ): Promise<PartialBlob | undefined> {
    if (access === 'update') await disk.makeFolder(dirname(place.data));
    else if ((await disk.stat(place.data)) === undefined) return undefined;
    const data = await disk.open(place.data, access);
    let journal: DiskFile | undefined;
    try {
      journal = await disk.open(place.journal, access);
      if (await hasHeader(journal, place.size, access)) return new PartialBlob(disk, place, data, journal);
    } catch (error) {
      await Promise.all([data.close(), journal?.close()]);
      throw error;
    }
    await Promise.all([data.close(), journal.close()]);
    return undefined;
  }

  /**
   * Fills `into`, which begins at the first block and ends with the last one, with what is there.
   *
   * @throws the system's error
   */
  async read({ first, end }: BlockRun, into: Uint8Array): Promise<PresentBlocks> {
    const records = await this.#records(first, end);
    const states = new Map<number, BlockState>();
    for (const run of runsWhere({ first, end }, block => records.isWritten(block))) {
      const part = into.subarray((run.first - first) * BLOCK_BYTES, (run.end - first) * BLOCK_BYTES);
      const had = await this.#data.read(part, run.first * BLOCK_BYTES);
      // A file that ends early has lost what was in these blocks.
      const read = part.subarray(0, had);
      for (let block = run.first; block < run.end; block++)
        states.set(block, records.state(block, blockOf(read, block - run.first)));
    }
    const missing = runsWhere({ first, end }, block => states.get(block) !== 'present');
    const damaged = runsWhere({ first, end }, block => states.get(block) === 'damaged');
    return { missing, damaged: damaged.reduce((sum, run) => sum + runBytes(run, this.size), 0) };
  }

  /** Of the sparse file; undefined where there are none. */
  get descriptor(): number | undefined {
    return this.#data.descriptor;
  }

  /** Which blocks are recorded to be there, without a look at them. */
  async recorded(run: BlockRun): Promise<readonly BlockRun[]> {
    const runs: BlockRun[] = [];
    for (let { first } = run; first < run.end; first += SCAN_BLOCKS) {
      const end = Math.min(first + SCAN_BLOCKS, run.end);
      const records = await this.#records(first, end);
      runs.push(...runsWhere({ first, end }, block => records.checksum(block) !== undefined));
    }
    return joinRuns(runs, 0);
  }

  /** Whether something is written of all of these blocks, for who will find out whether it is right. */
  async isWritten({ first, end }: BlockRun): Promise<boolean> {
    const records = await this.#records(first, end);
    for (let block = first; block < end; block++) if (!records.isWritten(block)) return false;
    return true;
  }

  /**
   * Keeps whole blocks, the last one of the blob excepted, from block `first` on.
   *
   * @throws the system's error
   */
  async keep(first: number, bytes: Uint8Array, durability: Durability): Promise<void> {
    await this.#data.write(bytes, first * BLOCK_BYTES);
    // After a power cut a record without its block would cost a read in vain.
    if (durability === 'sync') await this.#data.datasync();
    await this.#journal.write(encodeRecords(first, bytes), recordOffset(first));
  }

  /** Whether this is what others find, too: it may have been evicted, or become whole. */
  async isCurrent(): Promise<boolean> {
    const { data, journal } = this.#place;
    const there = await Promise.all([this.#disk.stat(data), this.#disk.stat(journal)]);
    this.#identities ??= await Promise.all([this.#data.stat(), this.#journal.stat()]);
    return this.#identities.every(({ identity }, which) => identity === there[which]?.identity);
  }

  /** Whether all blocks are recorded to be there. */
  async isComplete(): Promise<boolean> {
    const count = blockCount(this.size);
    while (this.#leading < count) {
      const end = Math.min(this.#leading + SCAN_BLOCKS, count);
      const records = await this.#records(this.#leading, end);
      // Whatever comes behind one that is not there changes nothing.
      while (this.#leading < end && records.checksum(this.#leading) !== undefined) this.#leading += 1;
      if (this.#leading < end) return false;
    }
    return true;
  }

  /** Reads all of it and holds it against the blob's digest. What is damaged is no longer said to be there. */
  async prove(): Promise<Proof> {
    const { digest } = this.#place;
    const hash = hashFor(digest, this.#place.data);
    const count = blockCount(this.size);
    let damaged = 0;
    let absent = 0;
    for (let first = 0; first < count; first += PROOF_BLOCKS) {
      const run = { first, end: Math.min(first + PROOF_BLOCKS, count) };
      const bytes = new Uint8Array(runBytes(run, this.size));
      const found = await this.read(run, bytes);
      hash.update(bytes);
      damaged += found.damaged;
      for (const missing of found.missing) {
        absent += runBytes(missing, this.size);
        if (found.damaged > 0) await this.forget(missing);
      }
    }
    if (damaged > 0) return { outcome: 'damaged', bytes: damaged };
    if (absent > 0) return { outcome: 'absent', bytes: absent };
    const found = `${digestAlgorithm(digest)}:${hash.digest('hex')}`;
    return { outcome: found === digest ? 'proved' : 'refuted', found };
  }

  /**
   * Makes it whole, after it was proved. The data stay open and can be read as before.
   *
   * @returns false if it was evicted meanwhile, and another has taken its place
   * @throws the system's error
   */
  async complete(durability: Durability): Promise<boolean> {
    const { whole, data, journal } = this.#place;
    const folder = dirname(whole);
    await this.#disk.makeFolder(folder);
    if (durability === 'sync') await this.#data.datasync();
    if (!(await this.isCurrent())) return false;
    await this.#disk.rename(data, whole);
    const { identity } = await this.#data.stat();
    if ((await this.#disk.stat(whole))?.identity !== identity) {
      // Evicted and begun anew between the question and the answer: what has its name now is not what was proved.
      await this.#disk.remove(whole);
      return false;
    }
    if (durability === 'sync') await this.#disk.syncFolder(folder);
    await this.#disk.remove(journal);
    return true;
  }

  /** Blocks are not there any more. @throws the system's error */
  async forget({ first, end }: BlockRun): Promise<void> {
    this.#leading = Math.min(this.#leading, first);
    await this.#journal.write(new Uint8Array((end - first) * RECORD_BYTES), recordOffset(first));
  }

  async close(): Promise<void> {
    await Promise.all([this.#data.close(), this.#journal.close()].map(closing => closing.catch(() => {})));
  }

  async #records(first: number, end: number): Promise<BlockRecords> {
    const records = new Uint8Array((end - first) * RECORD_BYTES);
    const had = await this.#journal.read(records, recordOffset(first));
    return new BlockRecords(first, records.subarray(0, had));
  }
}

async function hasHeader(journal: DiskFile, size: number, access: 'read' | 'update'): Promise<boolean> {
  const header = new Uint8Array(HEADER_BYTES);
  const had = await journal.read(header, 0);
  if (isHeader(header.subarray(0, had), size)) return true;
  // New, or never finished: all that make it write the same.
  if (access === 'read' || header.some(byte => byte !== 0)) return false;
  await journal.write(encodeHeader(size), 0);
  return true;
}
