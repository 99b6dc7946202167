/**
 * One 512-byte tar header block, read as Go's archive/tar reads it (readHeader,
 * getFormat): V7, ustar, star and GNU layouts, checksums summed signed or
 * unsigned. POSIX.1-2017 "ustar Interchange Format" names the fields.
 */
import { SociError } from '../errors.js';
import { toByteString } from './byte-string.js';
import { type Int64, parseNumeric, parseOctal } from './numeric.js';

export const BLOCK_SIZE = 512;

/** Strings are byte strings; numbers are as stored, before any PAX record overrides them. */
export interface HeaderBlock {
  readonly typeflag: number;
  readonly name: string;
  readonly linkname: string;
  readonly size: Int64;
  readonly mode: Int64;
  readonly uid: Int64;
  readonly gid: Int64;
  readonly mtime: Int64;
  /** 0: only PAX records tell more. */
  readonly nanoseconds: number;
  readonly uname: string;
  readonly gname: string;
  readonly devmajor: Int64;
  readonly devminor: Int64;
}

type Layout = 'v7' | 'ustar' | 'star' | 'gnu';

export const CHECKSUM = { start: 148, end: 156 } as const;
const TYPEFLAG = 156;

/**
 * @param block 512 bytes
 * @param offset of the block in the tar stream, for messages
 * @throws SociError ERR_SOCI_TAR_HEADER
 */
export function parseHeaderBlock(block: Uint8Array, offset: number): HeaderBlock {
  verifyChecksum(block, offset);
  const layout = layoutOf(block);
  const name = text(block, 0, 100);
  const prefix = layout === 'v7' ? '' : prefixOf(block, layout, offset);
  return {
    typeflag: block[TYPEFLAG] as number,
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkname: text(block, 157, 257),
    size: number(block, 'size', 124, 136, offset),
    mode: number(block, 'mode', 100, 108, offset),
    uid: number(block, 'uid', 108, 116, offset),
    gid: number(block, 'gid', 116, 124, offset),
    mtime: number(block, 'mtime', 136, 148, offset),
    nanoseconds: 0,
    uname: layout === 'v7' ? '' : text(block, 265, 297),
    gname: layout === 'v7' ? '' : text(block, 297, 329),
    devmajor: layout === 'v7' ? 0 : number(block, 'devmajor', 329, 337, offset),
    devminor: layout === 'v7' ? 0 : number(block, 'devminor', 337, 345, offset),
  };
}

/** Whether 512 bytes carry the checksum of a tar header, summed as unsigned or, as old tars did, signed chars. */
export function hasHeaderChecksum(block: Uint8Array): boolean {
  const stored = parseOctal(block, CHECKSUM.start, CHECKSUM.end);
  if (stored === undefined) return false;
  const unsigned = headerSum(block);
  if (stored === unsigned) return true;
  let high = 0;
  for (let i = 0; i < BLOCK_SIZE; i += 1) {
    if ((i < CHECKSUM.start || i >= CHECKSUM.end) && (block[i] as number) >= 0x80) high += 1;
  }
  return stored === unsigned - 256 * high;
}

/** Two of them end an archive. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block.every(byte => byte === 0);
}

export function headerError(offset: number, reason: string, data: Record<string, unknown> = {}): SociError {
  return new SociError(
    'ERR_SOCI_TAR_HEADER',
    `bad tar header at offset ${offset} of the tar stream: ${reason}`,
    {
      data: { ...data, offset },
    },
  );
}

function verifyChecksum(block: Uint8Array, offset: number): void {
  if (hasHeaderChecksum(block)) return;
  if (isZeroBlock(block)) {
    throw headerError(offset, 'a single block of zeros with more blocks behind it; two end an archive');
  }
  const found = toByteString(block, CHECKSUM.start, CHECKSUM.end);
  const expected = headerSum(block).toString(8);
  throw headerError(
    offset,
    `its checksum field holds ${JSON.stringify(found)}, expected ${expected} (octal)`,
    {
      field: 'checksum',
      expected,
      found,
    },
  );
}

/** The sum with the checksum field itself taken as spaces. */
export function headerSum(block: Uint8Array): number {
  const view = new DataView(block.buffer, block.byteOffset, BLOCK_SIZE);
  // Words of four bytes, as two sums of 16 bits each: 128 bytes add up to less.
  let even = 0;
  let odd = 0;
  for (let at = 0; at < BLOCK_SIZE; at += 4) {
    const word = view.getUint32(at, true);
    even += word & 0x00ff_00ff;
    odd += (word >>> 8) & 0x00ff_00ff;
  }
  let sum = (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16);
  for (let at = CHECKSUM.start; at < CHECKSUM.end; at += 1) sum += 0x20 - (block[at] as number);
  return sum;
}

function layoutOf(block: Uint8Array): Layout {
  if (!hasText(block, 257, 'ustar')) return 'v7';
  if (block[262] === 0) return hasText(block, 508, 'tar\0') ? 'star' : 'ustar';
  return hasText(block, 262, '  \0') ? 'gnu' : 'v7';
}

function hasText(block: Uint8Array, offset: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (block[offset + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

function prefixOf(block: Uint8Array, layout: Layout, offset: number): string {
  if (layout === 'ustar') return text(block, 345, 500);
  if (layout === 'star') {
    number(block, 'atime', 476, 488, offset);
    number(block, 'ctime', 488, 500, offset);
    return text(block, 345, 476);
  }
  // GNU has no prefix: atime and ctime lie there. Go's writer before 1.8 put a
  // prefix there all the same (golang.org/issue/12594), so Go's reader takes
  // the bytes for one when they are not times.
  const times = isTime(block, 345, 357) && isTime(block, 357, 369);
  const prefix = times ? '' : text(block, 345, 500);
  return isAscii(prefix) ? prefix : '';
}

function isTime(block: Uint8Array, start: number, end: number): boolean {
  return block[start] === 0 || parseNumeric(block, start, end) !== undefined;
}

function isAscii(byteString: string): boolean {
  for (let i = 0; i < byteString.length; i += 1) {
    if (byteString.charCodeAt(i) >= 0x80) return false;
  }
  return true;
}

function number(block: Uint8Array, field: string, start: number, end: number, offset: number): Int64 {
  const value = parseNumeric(block, start, end);
  if (value !== undefined) return value;
  const found = JSON.stringify(toByteString(block, start, end));
  throw headerError(offset, `its ${field} field is not a number: ${found}`, { field });
}

/** Up to the first NUL. */
function text(block: Uint8Array, start: number, end: number): string {
  let length = 0;
  while (start + length < end && block[start + length] !== 0) length += 1;
  return length === 0 ? '' : toByteString(block, start, start + length);
}
