/**
 * Which bytes of a blob are there: a header, then one record of eight bytes for
 * each block of 4 KiB, found by its number. A record says what the block's bytes
 * are by their CRC-32, and is sealed by a CRC-32 over that and its own number.
 * So nothing depends on who wrote when: a record that is torn or misplaced is no
 * record, and one whose block was lost, or written by two at a time, does not fit
 * what is read. Writers need no lock, and a crash needs no repair.
 *
 * All numbers are little-endian; native code may map the file and look up blocks.
 */
import { crc32 } from 'node:zlib';

export const BLOCK_BYTES = 4096;
export const HEADER_BYTES = 32;
export const RECORD_BYTES = 8;

const MAGIC = Buffer.from('SOCIBLK1', 'latin1');
const BLOCK_SIZE_AT = 8;
const CHECKSUM_AT = 12;
const BLOB_SIZE_AT = 16;

/** Blocks [first, end). */
export interface BlockRun {
  readonly first: number;
  readonly end: number;
}

/** Blocks of a blob of `size` bytes; the last one may be short. */
export function blockCount(size: number): number {
  return Math.ceil(size / BLOCK_BYTES);
}

/** Bytes of a run of blocks in a blob of `size` bytes. */
export function runBytes({ first, end }: BlockRun, size: number): number {
  return Math.min(end * BLOCK_BYTES, size) - first * BLOCK_BYTES;
}

/** Where the record of a block is in the journal. */
export function recordOffset(block: number): number {
  return HEADER_BYTES + block * RECORD_BYTES;
}

export function encodeHeader(blobSize: number): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(BLOCK_BYTES, BLOCK_SIZE_AT);
  header.writeBigUInt64LE(BigInt(blobSize), BLOB_SIZE_AT);
  header.writeUInt32LE(crc32(header), CHECKSUM_AT);
  return header;
}

/** The size of the blob whose journal begins with `bytes`; undefined if none does. */
export function blobSizeOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const size = Number(view.getBigUint64(BLOB_SIZE_AT, true));
  return isHeader(bytes, size) ? size : undefined;
}

/** Whether these are the first bytes of a journal of a blob of `blobSize` bytes. */
export function isHeader(bytes: Uint8Array, blobSize: number): boolean {
  return bytes.length >= HEADER_BYTES && encodeHeader(blobSize).every((byte, at) => bytes[at] === byte);
}

/**
 * The records of blocks that were written.
 *
 * @param first number of the first block
 * @param bytes whole blocks, but for the last one of the blob
 */
export function encodeRecords(first: number, bytes: Uint8Array): Uint8Array {
  const count = blockCount(bytes.length);
  const records = new DataView(new ArrayBuffer(count * RECORD_BYTES));
  const seal = new Seal();
  for (let at = 0; at < count; at++) {
    const checksum = crc32(blockOf(bytes, at));
    records.setUint32(at * RECORD_BYTES, checksum, true);
    records.setUint32(at * RECORD_BYTES + 4, seal.of(first + at, checksum), true);
  }
  return new Uint8Array(records.buffer);
}

export type BlockState = 'present' | 'absent' | 'damaged';

/** Records as they were read, which may end early. */
export class BlockRecords {
  readonly #first: number;
  readonly #view: DataView;
  readonly #seal = new Seal();

  /** @param first number of the block that the first record is of */
  constructor(first: number, bytes: Uint8Array) {
    this.#first = first;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length - (bytes.length % RECORD_BYTES));
  }

  /** Whether anything was written there: what it says is for `checksum` to find out. */
  isWritten(block: number): boolean {
    const at = this.#offset(block);
    // Zeros are a hole in the journal, whatever they would be the seal of.
    return at !== undefined && (this.#view.getUint32(at) !== 0 || this.#view.getUint32(at + 4) !== 0);
  }

  /** What the block's bytes should have; undefined: it is not there. */
  checksum(block: number): number | undefined {
    const at = this.#offset(block);
    if (at === undefined || !this.isWritten(block)) return undefined;
    const checksum = this.#view.getUint32(at, true);
    return this.#view.getUint32(at + 4, true) === this.#seal.of(block, checksum) ? checksum : undefined;
  }

  /** What is to be thought of a block of which these bytes were read. */
  state(block: number, bytes: Uint8Array): BlockState {
    const checksum = this.checksum(block);
    if (checksum === undefined) return 'absent';
    return checksum === crc32(bytes) ? 'present' : 'damaged';
  }

  #offset(block: number): number | undefined {
    const at = (block - this.#first) * RECORD_BYTES;
    return at >= 0 && at < this.#view.byteLength ? at : undefined;
  }
}

/** Makes seals, all in the same memory: there is one for every 4 KiB that is read. */
class Seal {
  readonly #view = new DataView(new ArrayBuffer(12));
  readonly #bytes = new Uint8Array(this.#view.buffer);

  of(block: number, checksum: number): number {
    this.#view.setUint32(0, block % 2 ** 32, true);
    this.#view.setUint32(4, Math.floor(block / 2 ** 32), true);
    this.#view.setUint32(8, checksum, true);
    return crc32(this.#bytes);
  }
}

/** Block `at` of bytes that begin at a block's start. */
export function blockOf(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES);
}

/** The runs of those of the blocks [first, end) that `test` is true for. */
export function runsWhere({ first, end }: BlockRun, test: (block: number) => boolean): BlockRun[] {
  const runs: BlockRun[] = [];
  let start: number | undefined;
  for (let block = first; block <= end; block++) {
    if (block < end && test(block)) start ??= block;
    else if (start !== undefined) {
      runs.push({ first: start, end: block });
      start = undefined;
    }
  }
  return runs;
}

/** Runs, ascending, with those made one that at most `gap` blocks are between. */
export function joinRuns(runs: readonly BlockRun[], gap: number): BlockRun[] {
  const joined: BlockRun[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last !== undefined && run.first - last.end <= gap) {
      joined[joined.length - 1] = { first: last.first, end: Math.max(last.end, run.end) };
    } else joined.push(run);
  }
  return joined;
}
