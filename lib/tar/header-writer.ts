/**
 * The one writer of tar headers: POSIX ustar, with an extended header (pax) in
 * front for what does not fit into its fields. Equal files give equal bytes:
 * nothing is written that was not asked for.
 */
import { BLOCK_SIZE, CHECKSUM, headerSum } from './header-block.js';

export interface TarFile {
  readonly name: string;
  /** Bytes of the data that follow. */
  readonly size: number;
}

const NAME_BYTES = 100;
/** Where a number lies in the block, one byte for the NUL behind its octal digits included. */
const NUMBERS = { mode: [100, 8], uid: [108, 8], gid: [116, 8], size: [124, 12], mtime: [136, 12] } as const;
const TYPEFLAG = 156;
const MAGIC = 257;
/** Readable by everybody. */
const MODE = 0o644;

/** What precedes the data of a regular file of nobody in particular, of no particular time. */
export function encodeFileHeader({ name, size }: TarFile): Uint8Array {
  const bytes = Buffer.from(name);
  const block = headerBlock(bytes.subarray(0, NAME_BYTES), size, '0');
  if (bytes.length <= NAME_BYTES) return block;
  const record = encodePaxRecord('path', name);
  const extended = headerBlock(Buffer.from('pax'), record.length, 'x');
  return Buffer.concat([extended, record, encodePadding(record.length), block]);
}

/** Zeros that fill data of `size` bytes up to whole blocks. */
export function encodePadding(size: number): Uint8Array {
  return new Uint8Array((BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE);
}

/** The two blocks of zeros that end an archive. */
export function encodeArchiveEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK_SIZE);
}

/** "LENGTH KEY=VALUE\n"; the length counts its own digits. */
function encodePaxRecord(key: string, value: string): Uint8Array {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest > length) length += 1;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function headerBlock(name: Uint8Array, size: number, typeflag: '0' | 'x'): Uint8Array {
  const block = Buffer.alloc(BLOCK_SIZE);
  block.set(name);
  putNumber(block, NUMBERS.mode, MODE);
  putNumber(block, NUMBERS.uid, 0);
  putNumber(block, NUMBERS.gid, 0);
  putNumber(block, NUMBERS.size, size);
  putNumber(block, NUMBERS.mtime, 0);
  block.write(typeflag, TYPEFLAG, 'latin1');
  block.write('ustar\x0000', MAGIC, 'latin1');
  block.write(`${headerSum(block).toString(8).padStart(6, '0')}\0 `, CHECKSUM.start, 'latin1');
  return block;
}

/** Octal; beyond its digits (a file of 8 GiB) big-endian with the first bit set, as GNU and Go write it. */
function putNumber(block: Buffer, [at, width]: readonly [number, number], value: number): void {
  const digits = value.toString(8).padStart(width - 1, '0');
  if (digits.length < width) {
    block.write(`${digits}\0`, at, 'latin1');
    return;
  }
  block.writeBigUInt64BE(BigInt(value), at + width - 8);
  block[at] = 0x80;
}
