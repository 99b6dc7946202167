/**
 * The regular files of a tar archive and where their bytes are, so that an OCI
 * archive is read in place. Only headers are read. This is for archives that
 * tools write around layouts; layers have a far more exact reader in tar/.
 */
import { SociError } from '../errors.js';
import type { RangeSource } from '../source/range-source.js';

export interface ArchiveMember {
  /** Of the content, in bytes of the archive. */
  readonly offset: number;
  readonly size: number;
}

const BLOCK = 512;
const MAX_SHORT_NAME = 100;
const MAX_MEMBERS = 200_000;
const MAX_EXTENSION = 1024 * 1024;

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** Octal, or base-256 when the first bit is set (GNU; Go writes it for sizes of 8 GiB and more). */
function numberOf(bytes: Uint8Array): number {
  if ((bytes[0]! & 0x80) === 0) {
    const text = textOf(bytes).trim();
    return /^[0-7]*$/.test(text) ? Number.parseInt(text || '0', 8) : Number.NaN;
  }
  let value = bytes[0]! & 0x7f;
  for (const byte of bytes.subarray(1)) {
    value = value * 256 + byte;
  }
  return value;
}

function checksumHolds(header: Uint8Array): boolean {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return sum === numberOf(header.subarray(148, 156));
}

/** POSIX pax records: `length key=value\n`, the length counting itself. */
function paxRecords(body: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(textOf(body.subarray(at, space)));
    if (!Number.isSafeInteger(length) || length <= space - at || at + length > body.length) {
      break;
    }
    const record = textOf(body.subarray(space + 1, at + length - 1));
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** `./blobs/sha256/x` and `blobs/sha256/x` are one name. */
function cleanName(name: string): string {
  return name
    .split('/')
    .filter(part => part !== '' && part !== '.')
    .join('/');
}

/**
 * Walks the headers of `archive`.
 *
 * @throws SociError ERR_SOCI_LAYOUT when it is not a tar archive or is cut short.
 */
export async function indexArchive(
  archive: RangeSource,
  signal?: AbortSignal,
): Promise<Map<string, ArchiveMember>> {
  const fail = (detail: string, offset: number): SociError =>
    new SociError('ERR_SOCI_LAYOUT', `${archive.name}: ${detail} at offset ${offset}`, {
      data: { name: archive.name, offset },
    });
  const members = new Map<string, ArchiveMember>();
  let longName: string | undefined;
  let pax = new Map<string, string>();
  let at = 0;
  for (let count = 0; at + BLOCK <= archive.size; count++) {
    const header = await archive.read(at, BLOCK, { signal });
    if (header.every(byte => byte === 0)) {
      return members;
    }
    if (!checksumHolds(header)) {
      const gzip = at === 0 && header[0] === 0x1f && header[1] === 0x8b;
      throw fail(
        gzip ? 'a compressed archive cannot be read in place; gunzip it first: gzip data' : 'no tar header',
        at,
      );
    }
    const type = String.fromCharCode(header[156]!);
    const stated = type === 'x' ? undefined : pax.get('size');
    const size = stated === undefined ? numberOf(header.subarray(124, 136)) : Number(stated);
    const start = at + BLOCK;
    if (!Number.isSafeInteger(size) || size < 0 || size > archive.size - start) {
      throw fail('a member reaches beyond the end of the archive', at);
    }
    if (count > MAX_MEMBERS) {
      throw new SociError('ERR_SOCI_LIMIT', `${archive.name}: more than ${MAX_MEMBERS} members`, {
        data: { limit: MAX_MEMBERS },
      });
    }
    if ('xgLK'.includes(type)) {
      if (size > MAX_EXTENSION) {
        throw fail(`an extension header of ${size} bytes`, at);
      }
      const body = await archive.read(start, size, { signal });
      longName = type === 'L' ? textOf(body) : longName;
      pax = type === 'x' ? paxRecords(body) : pax;
    } else {
      const prefix = textOf(header.subarray(257, 262)) === 'ustar' ? textOf(header.subarray(345, 500)) : '';
      const short = textOf(header.subarray(0, 100));
      const name =
        pax.get('path') ?? longName ?? (prefix === '' || header[262] !== 0 ? short : `${prefix}/${short}`);
      if (type === '0' || type === '\0' || type === '7') {
        members.set(cleanName(name), { offset: start, size });
      }
      longName = undefined;
      pax = new Map();
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  // Some writers leave out the two zero blocks at the end, but none stops within a block.
  if (at !== archive.size) {
    throw fail('the archive is cut short', at);
  }
  return members;
}

/**
 * What precedes a regular file, readable by everybody; two runs over equal files give equal archives. A name that does
 * not fit into a header, such as that of a sha512 blob, goes into an extended one (POSIX pax).
 */
export function archiveHeader(name: string, size: number): Uint8Array {
  if (Buffer.byteLength(name) <= MAX_SHORT_NAME) {
    return headerBlock(name, size, '0');
  }
  const record = paxRecord('path', name);
  const extended = headerBlock('pax', record.length, 'x');
  const short = Buffer.from(name).toString('latin1', 0, MAX_SHORT_NAME);
  return Buffer.concat([extended, record, archivePadding(record.length), headerBlock(short, size, '0')]);
}

/** The length counts its own digits. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  const digits = String(rest + String(rest).length).length;
  return Buffer.from(`${rest + digits} ${key}=${value}\n`);
}

function headerBlock(name: string, size: number, type: '0' | 'x'): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, MAX_SHORT_NAME, 'latin1');
  header.write('0000644\0', 100, 'ascii');
  header.write('0000000\0', 108, 'ascii');
  header.write('0000000\0', 116, 'ascii');
  if (size < 8 ** 11) {
    header.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'ascii');
  } else {
    header.writeBigUInt64BE(BigInt(size), 128);
    header[124] = 0x80;
  }
  header.write('00000000000\0', 136, 'ascii');
  header.write(`        ${type}`, 148, 'ascii');
  header.write('ustar\x0000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'ascii');
  return header;
}

/** Zeros that fill a member of `size` bytes up to whole blocks. */
export function archivePadding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

/** Two zero blocks. */
export const ARCHIVE_END: Uint8Array = new Uint8Array(2 * BLOCK);
