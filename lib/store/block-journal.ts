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
  const records = Buffer.alloc(count * RECORD_BYTES);
  for (let at = 0; at < count; at++) {
    const checksum = crc32(blockOf(bytes, at));
    records.writeUInt32LE(checksum, at * RECORD_BYTES);
    records.writeUInt32LE(seal(first + at, checksum), at * RECORD_BYTES + 4);
  }
  return records;
}

/** What block `at` of `bytes` says it should be; undefined: it is not there. */
export function recordedChecksum(records: Uint8Array, first: number, at: number): number | undefined {
  const start = at * RECORD_BYTES;
  if (start + RECORD_BYTES > records.length) return undefined;
  const view = new DataView(records.buffer, records.byteOffset + start, RECORD_BYTES);
  const checksum = view.getUint32(0, true);
  const sealed = view.getUint32(4, true);
  // Zeros are a hole in the journal, whatever they would be the seal of.
  if ((checksum === 0 && sealed === 0) || sealed !== seal(first + at, checksum)) return undefined;
  return checksum;
}

export type BlockState = 'present' | 'absent' | 'damaged';

/**
 * What is to be thought of block `at` of `bytes`, the first of which is number `first`.
 *
 * @param records as read, from that of `first` on; may end early, as `bytes` may
 */
export function blockState(first: number, at: number, records: Uint8Array, bytes: Uint8Array): BlockState {
  const checksum = recordedChecksum(records, first, at);
  if (checksum === undefined) return 'absent';
  return checksum === crc32(blockOf(bytes, at)) ? 'present' : 'damaged';
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

function seal(block: number, checksum: number): number {
  const bytes = Buffer.alloc(12);
  bytes.writeBigUInt64LE(BigInt(block));
  bytes.writeUInt32LE(checksum, 8);
  return crc32(bytes);
}
