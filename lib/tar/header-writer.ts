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

/** All that a header can say of a file. Names and targets are bytes. */
export interface TarMember {
  readonly type: 'reg' | 'hardlink' | 'symlink' | 'char' | 'block' | 'dir' | 'fifo';
  /** Of a directory with a slash at its end. */
  readonly name: Uint8Array;
  /** Permissions, with 04000, 02000 and 01000. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the data that follow. */
  readonly size: number;
  /** Whole seconds since 1970, which may be negative. */
  readonly mtime: number;
  readonly nanoseconds: number;
  /** Of links. */
  readonly target?: Uint8Array | undefined;
  /** Of devices. */
  readonly device?: readonly [major: number, minor: number] | undefined;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

const TYPEFLAGS = {
  reg: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
} as const;
const LINKNAME = 157;
const NAME_BYTES = 100;
/** Where a number lies in the block, one byte for the NUL behind its octal digits included. */
const NUMBERS = {
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  devmajor: [329, 8],
  devminor: [337, 8],
} as const;
const TYPEFLAG = 156;
const MAGIC = 257;
/** Readable by everybody. */
const MODE = 0o644;

/**
 * What precedes the data of any file: what ustar's fields cannot hold is in an extended header (POSIX.1-2017, pax),
 * extended attributes under the names that GNU tar, bsdtar and Go read.
 */
export function encodeMemberHeader(member: TarMember): Uint8Array {
  const { name, target = new Uint8Array(0), mtime, nanoseconds, size, xattrs } = member;
  const records: Uint8Array[] = [];
  if (name.length > NAME_BYTES) records.push(encodePaxRecord('path', name));
  if (target.length > NAME_BYTES) records.push(encodePaxRecord('linkpath', target));
  if (mtime < 0 || nanoseconds > 0) records.push(encodePaxRecord('mtime', secondsText(mtime, nanoseconds)));
  for (const [key, value] of xattrs) records.push(encodePaxRecord(`SCHILY.xattr.${key}`, value));
  const block = headerBlock({
    name: name.subarray(0, NAME_BYTES),
    typeflag: TYPEFLAGS[member.type],
    target: target.subarray(0, NAME_BYTES),
    numbers: {
      mode: member.mode,
      uid: member.uid,
      gid: member.gid,
      size,
      mtime: Math.max(0, mtime),
      devmajor: member.device?.[0] ?? 0,
      devminor: member.device?.[1] ?? 0,
    },
  });
  return withPaxRecords(records, block);
}

/** Seconds and nanoseconds as a decimal: -1 s and 250 ms after it is -0.75. */
function secondsText(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, part] = seconds < 0 ? [-(seconds + 1), 1e9 - nanoseconds] : [seconds, nanoseconds];
  return `${seconds < 0 ? '-' : ''}${whole}.${String(part).padStart(9, '0').replace(/0+$/, '')}`;
}

/** What precedes the data of a regular file of nobody in particular, of no particular time. */
export function encodeFileHeader({ name, size }: TarFile): Uint8Array {
  const bytes = Buffer.from(name);
  const records = bytes.length <= NAME_BYTES ? [] : [encodePaxRecord('path', bytes)];
  const numbers = { mode: MODE, uid: 0, gid: 0, size, mtime: 0 };
  return withPaxRecords(
    records,
    headerBlock({ name: bytes.subarray(0, NAME_BYTES), typeflag: '0', numbers }),
  );
}

function withPaxRecords(records: readonly Uint8Array[], block: Uint8Array): Uint8Array {
  if (records.length === 0) return block;
  const data = Buffer.concat(records);
  const numbers = { mode: MODE, uid: 0, gid: 0, size: data.length, mtime: 0 };
  const extended = headerBlock({ name: Buffer.from('pax'), typeflag: 'x', numbers });
  return Buffer.concat([extended, data, encodePadding(data.length), block]);
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
function encodePaxRecord(key: string, value: string | Uint8Array): Uint8Array {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length > length) length += 1;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

interface BlockFields {
  readonly name: Uint8Array;
  readonly typeflag: string;
  readonly target?: Uint8Array;
  readonly numbers: Readonly<Partial<Record<keyof typeof NUMBERS, number>>>;
}

function headerBlock({ name, typeflag, target, numbers }: BlockFields): Uint8Array {
  const block = Buffer.alloc(BLOCK_SIZE);
  block.set(name);
  for (const [field, value] of Object.entries(numbers)) {
    putNumber(block, NUMBERS[field as keyof typeof NUMBERS], value);
  }
  block.write(typeflag, TYPEFLAG, 'latin1');
  if (target !== undefined) block.set(target, LINKNAME);
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
