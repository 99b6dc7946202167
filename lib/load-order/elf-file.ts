/**
 * What the kernel and the dynamic linker take from an ELF file (System V ABI,
 * chapters 4 and 5): which parts of it are mapped, which interpreter it names,
 * which libraries it needs and where it wants them looked for. Symbols, sections
 * and relocations are nobody's business here. Every number is the file's own word,
 * so all of them are bounded, and what contradicts itself is no ELF file.
 */

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
const DT_SONAME = 14;
const DT_RPATH = 15;
const DT_RUNPATH = 29;
const ET_EXEC = 2;
const ET_DYN = 3;

const HEADER_BYTES = 64;
/** Of a real file it is a dozen. */
const MAX_SEGMENTS = 256;
/** Bytes of the dynamic section: entries of 16 bytes, some tens of a real library. */
const MAX_DYNAMIC_BYTES = 256 * 1024;
const MAX_NEEDED = 512;
/** As PATH_MAX; search paths are lists of them. */
const MAX_NAME_BYTES = 4096;
const MAX_SEARCH_PATH_BYTES = 16 * 1024;

/** Bytes [start, start + length), or fewer where the file ends. */
export type ReadBytes = (start: number, length: number) => Promise<Buffer>;

/** What must agree between a program and its libraries. */
export interface ElfKind {
  /** Bits of an address. */
  readonly bits: 32 | 64;
  readonly littleEndian: boolean;
  /** e_machine, e.g. 62 for x86-64. */
  readonly machine: number;
}

/** Bytes [start, end) of the file that are mapped. */
export interface ElfSegment {
  readonly start: number;
  readonly end: number;
}

export interface ElfFile extends ElfKind {
  /** Ascending, headers included, touching ones joined. */
  readonly segments: readonly ElfSegment[];
  /** PT_INTERP: the dynamic linker. */
  readonly interpreter: string | undefined;
  readonly needed: readonly string[];
  readonly soname: string | undefined;
  /** Lists of directories, as they are written. */
  readonly rpath: string | undefined;
  readonly runpath: string | undefined;
}

interface ProgramHeader {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Undefined for what is no executable or shared ELF file. */
export async function readElf(read: ReadBytes, size: number): Promise<ElfFile | undefined> {
  const kind = elfKind(await read(0, HEADER_BYTES));
  if (kind === undefined) return undefined;
  const fields = new Fields(kind);
  const table = fields.programTable(await read(0, HEADER_BYTES));
  if (table === undefined) return undefined;
  const bytes = await read(table.offset, table.count * table.entrySize);
  if (bytes.length < table.count * table.entrySize) return undefined;
  const headers = Array.from({ length: table.count }, (_, at) =>
    fields.programHeader(bytes.subarray(at * table.entrySize, (at + 1) * table.entrySize)),
  );
  const loaded = headers.filter(({ type }) => type === PT_LOAD);
  if (headers.some(({ offset, size: length }) => offset + length > Number.MAX_SAFE_INTEGER)) return undefined;
  const interp = headers.find(({ type }) => type === PT_INTERP);
  const dynamic = headers.find(({ type }) => type === PT_DYNAMIC);
  const ends = table.offset + bytes.length;
  return {
    ...kind,
    segments: mapped([{ offset: 0, size: ends }, ...loaded], size),
    interpreter: interp && (await textAt(read, interp.offset, Math.min(interp.size, MAX_NAME_BYTES))),
    ...(await linkage(read, fields, loaded, dynamic)),
  };
}

/** What kind of ELF file begins so; undefined for none that could be loaded. */
export function elfKind(header: Uint8Array): ElfKind | undefined {
  const bytes = Buffer.from(header.buffer, header.byteOffset, header.byteLength);
  if (bytes.length < 20 || bytes.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const [bits, order] = [bytes[4], bytes[5]];
  if ((bits !== 1 && bits !== 2) || (order !== 1 && order !== 2)) return undefined;
  const littleEndian = order === 1;
  const half = (at: number): number => (littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const type = half(16);
  if (type !== ET_EXEC && type !== ET_DYN) return undefined;
  return { bits: bits === 1 ? 32 : 64, littleEndian, machine: half(18) };
}

interface Linkage {
  readonly needed: readonly string[];
  readonly soname: string | undefined;
  readonly rpath: string | undefined;
  readonly runpath: string | undefined;
}

const STATIC: Linkage = { needed: [], soname: undefined, rpath: undefined, runpath: undefined };

/** What the dynamic section says; a file without one, or with one that leads nowhere, needs nothing. */
async function linkage(
  read: ReadBytes,
  fields: Fields,
  loaded: readonly ProgramHeader[],
  dynamic: ProgramHeader | undefined,
): Promise<Linkage> {
  if (dynamic === undefined) return STATIC;
  const bytes = await read(dynamic.offset, Math.min(dynamic.size, MAX_DYNAMIC_BYTES));
  const entries = [...fields.dynamicEntries(bytes)];
  const table = entries.find(({ tag }) => tag === DT_STRTAB);
  const segment = loaded.find(
    ({ address, size }) => table !== undefined && address <= table.value && table.value < address + size,
  );
  if (table === undefined || segment === undefined) return STATIC;
  const strings = segment.offset + table.value - segment.address;
  const texts = async (wanted: number, most: number, bytes: number): Promise<string[]> => {
    const offsets = entries.filter(({ tag }) => tag === wanted).slice(0, most);
    const found: string[] = [];
    for (const { value } of offsets) {
      const text = await textAt(read, strings + value, bytes);
      if (text !== undefined && text !== '') found.push(text);
    }
    return found;
  };
  const [soname] = await texts(DT_SONAME, 1, MAX_NAME_BYTES);
  const [rpath] = await texts(DT_RPATH, 1, MAX_SEARCH_PATH_BYTES);
  const [runpath] = await texts(DT_RUNPATH, 1, MAX_SEARCH_PATH_BYTES);
  return { needed: await texts(DT_NEEDED, MAX_NEEDED, MAX_NAME_BYTES), soname, rpath, runpath };
}

/** A text that ends with a NUL within `most` bytes; undefined where none does. */
async function textAt(read: ReadBytes, start: number, most: number): Promise<string | undefined> {
  if (!Number.isSafeInteger(start + most)) return undefined;
  const bytes = await read(start, most);
  const end = bytes.indexOf(0);
  return end < 0 ? undefined : bytes.toString('utf8', 0, end);
}

/** Parts of the file that are mapped, in whole as far as the file goes. */
function mapped(parts: readonly Pick<ProgramHeader, 'offset' | 'size'>[], fileSize: number): ElfSegment[] {
  const joined: ElfSegment[] = [];
  for (const { offset, size } of [...parts].sort((a, b) => a.offset - b.offset)) {
    const end = Math.min(fileSize, offset + size);
    const last = joined.at(-1);
    if (offset >= end) continue;
    if (last === undefined || offset > last.end) joined.push({ start: offset, end });
    else joined[joined.length - 1] = { start: last.start, end: Math.max(last.end, end) };
  }
  return joined;
}

/** Reads fields where the class of a file has them, in its byte order. */
class Fields {
  readonly #wide: boolean;
  readonly #little: boolean;

  constructor({ bits, littleEndian }: ElfKind) {
    this.#wide = bits === 64;
    this.#little = littleEndian;
  }

  programTable(header: Buffer): { offset: number; entrySize: number; count: number } | undefined {
    if (header.length < (this.#wide ? 64 : 52)) return undefined;
    const offset = this.#wide ? this.#address(header, 32) : this.#word(header, 28);
    const entrySize = this.#half(header, this.#wide ? 54 : 42);
    const count = this.#half(header, this.#wide ? 56 : 44);
    const expected = this.#wide ? 56 : 32;
    if (entrySize !== expected || count === 0 || count > MAX_SEGMENTS) return undefined;
    return Number.isSafeInteger(offset + count * entrySize) ? { offset, entrySize, count } : undefined;
  }

  programHeader(bytes: Buffer): ProgramHeader {
    const type = this.#word(bytes, 0);
    return this.#wide
      ? {
          type,
          offset: this.#address(bytes, 8),
          address: this.#address(bytes, 16),
          size: this.#address(bytes, 32),
        }
      : { type, offset: this.#word(bytes, 4), address: this.#word(bytes, 8), size: this.#word(bytes, 16) };
  }

  *dynamicEntries(
    bytes: Buffer,
  ): Generator<{ readonly tag: number; readonly value: number }, void, undefined> {
    const width = this.#wide ? 8 : 4;
    for (let at = 0; at + 2 * width <= bytes.length; at += 2 * width) {
      const tag = this.#address(bytes, at);
      if (tag === DT_NULL) return;
      yield { tag, value: this.#address(bytes, at + width) };
    }
  }

  #half(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }

  #word(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }

  /** As wide as the class; what is no safe integer is larger than any file. */
  #address(bytes: Buffer, at: number): number {
    if (!this.#wide) return this.#word(bytes, at);
    return Number(this.#little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  }
}
