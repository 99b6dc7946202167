/** ELF files of a few hundred bytes, with what a kernel and a dynamic linker look at and nothing else. */

export interface SampleElf {
  readonly bits?: 32 | 64;
  readonly littleEndian?: boolean;
  readonly machine?: number;
  readonly interpreter?: string;
  readonly needed?: readonly string[];
  readonly soname?: string;
  readonly rpath?: string;
  readonly runpath?: string;
  /** Bytes behind what is mapped, as symbols and debugging information are. */
  readonly unmapped?: number;
}

const [PT_LOAD, PT_DYNAMIC, PT_INTERP] = [1, 2, 3];
const [DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH] = [1, 5, 14, 15, 29];
/** Where the first segment is in memory. */
const BASE = 0x400000;

export function sampleElf(options: SampleElf = {}): Buffer {
  const { bits = 64, littleEndian = true, machine = 62, interpreter, needed = [], unmapped = 0 } = options;
  const wide = bits === 64;
  const [headerBytes, entryBytes] = wide ? [64, 56] : [52, 32];
  const strings = ['\0'];
  const offsetOf = (text: string): number => {
    const at = strings.join('').length;
    strings.push(`${text}\0`);
    return at;
  };
  const dynamic: [number, number][] = needed.map(name => [DT_NEEDED, offsetOf(name)]);
  const named = [
    [DT_SONAME, options.soname],
    [DT_RPATH, options.rpath],
    [DT_RUNPATH, options.runpath],
  ] as const;
  for (const [tag, text] of named) if (text !== undefined) dynamic.push([tag, offsetOf(text)]);
  const isDynamic = dynamic.length > 0 || interpreter !== undefined;
  const count = 1 + (isDynamic ? 1 : 0) + (interpreter === undefined ? 0 : 1);
  const textBytes = Buffer.from(`${interpreter ?? ''}\0`);
  const textAt = headerBytes + count * entryBytes;
  const stringsAt = textAt + textBytes.length;
  const stringBytes = Buffer.from(strings.join(''));
  const dynamicAt = stringsAt + stringBytes.length;
  const rows: [number, number][] = [...dynamic, [DT_STRTAB, BASE + stringsAt], [0, 0]];
  const dynamicBytes = rows.length * (wide ? 16 : 8);
  const size = dynamicAt + dynamicBytes;
  const bytes = Buffer.alloc(size + unmapped);

  const half = (at: number, value: number): unknown =>
    littleEndian ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
  const word = (at: number, value: number): unknown =>
    littleEndian ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
  const address = (at: number, value: number): unknown => {
    if (!wide) return word(at, value);
    return littleEndian
      ? bytes.writeBigUInt64LE(BigInt(value), at)
      : bytes.writeBigUInt64BE(BigInt(value), at);
  };
  bytes.write('\x7fELF', 'latin1');
  bytes.set([wide ? 2 : 1, littleEndian ? 1 : 2, 1], 4);
  half(16, 3);
  half(18, machine);
  address(wide ? 32 : 28, headerBytes);
  half(wide ? 54 : 42, entryBytes);
  half(wide ? 56 : 44, count);
  const headers: [number, number, number][] = [[PT_LOAD, 0, size]];
  if (isDynamic) headers.push([PT_DYNAMIC, dynamicAt, dynamicBytes]);
  if (interpreter !== undefined) headers.push([PT_INTERP, textAt, textBytes.length]);
  for (const [index, [type, offset, length]] of headers.entries()) {
    const at = headerBytes + index * entryBytes;
    word(at, type);
    address(at + (wide ? 8 : 4), offset);
    address(at + (wide ? 16 : 8), BASE + offset);
    address(at + (wide ? 32 : 16), length);
  }
  textBytes.copy(bytes, textAt);
  stringBytes.copy(bytes, stringsAt);
  for (const [index, [tag, value]] of rows.entries()) {
    const width = wide ? 8 : 4;
    address(dynamicAt + index * 2 * width, tag);
    address(dynamicAt + index * 2 * width + width, value);
  }
  return bytes;
}

export interface CacheEntry {
  readonly soname: string;
  readonly path: string;
  readonly flags?: number;
  readonly hwcap?: number;
}

/** An `ld.so.cache` as ldconfig writes it; 'old' has the old format in front of the new one. */
export function linkerCache(entries: readonly CacheEntry[], format: 'new' | 'old' = 'new'): Buffer {
  const table = Buffer.alloc(48 + 24 * entries.length);
  table.write('glibc-ld.so.cache1.1', 'latin1');
  table.writeUInt32LE(entries.length, 20);
  const texts: Buffer[] = [];
  let at = table.length;
  const place = (text: string): number => {
    const bytes = Buffer.from(`${text}\0`);
    texts.push(bytes);
    at += bytes.length;
    return at - bytes.length;
  };
  for (const [index, { soname, path, flags = 0x0303, hwcap = 0 }] of entries.entries()) {
    const row = 48 + 24 * index;
    table.writeInt32LE(flags, row);
    table.writeUInt32LE(place(soname), row + 4);
    table.writeUInt32LE(place(path), row + 8);
    table.writeBigUInt64LE(BigInt(hwcap), row + 16);
  }
  const cache = Buffer.concat([table, ...texts]);
  if (format === 'new') return cache;
  const old = Buffer.alloc(Math.ceil((16 + 12 * entries.length) / 8) * 8);
  old.write('ld.so-1.7.0', 'latin1');
  old.writeUInt32LE(entries.length, 12);
  return Buffer.concat([old, cache]);
}
