/**
 * The table of contents of a decoded ztoc: checked once, then read in place. Per
 * entry it keeps where it is and its type; all else stays in the ztoc's bytes until
 * somebody asks, so that 100,000 files cost half a megabyte and not a few hundred.
 */
import { SociError } from '../errors.js';
import { decodeByteString, quoteByteString } from '../tar/byte-string.js';
import { ByteView } from '../tar/byte-view.js';
import {
  type EntryFields,
  type EntryType,
  nextHeaderOffset,
  type PaxPair,
  sortPaxPairs,
} from '../tar/entry.js';
import { BLOCK_SIZE } from '../tar/header-block.js';
import type { FlatBuffer } from './flatbuffer-table.js';
import { checkLimit, type ZtocLimits } from './limits.js';
import { ENTRY_TYPES, Slot } from './schema.js';

/** Strings of an entry that go through the checks alike. */
const STRING_SLOTS: readonly number[] = [
  Slot.entry.name,
  Slot.entry.type,
  Slot.entry.linkname,
  Slot.entry.uname,
  Slot.entry.gname,
  Slot.entry.modTime,
];

/**
 * Strings and vectors may be shared in a flatbuffer, but honest ones do not
 * unfold to more than this many times their size; hostile ones would be
 * quadratic in memory, and in time for vectors of PAX records. Names are what
 * lookups keep, and only entries of one name could share theirs.
 */
const MAX_UNFOLDING = 8;
const MAX_NAME_UNFOLDING = 1;

/** Bytes of a PAX record that shares nothing: its place in the vector and its table. */
const MIN_PAX_RECORD = 16;

/** "5 k=\n": what the shortest record takes in a PAX header, of which four bytes are neither key nor value. */
const MIN_PAX_TEXT = 5;
const PAX_FRAMING = 4;

export class Toc {
  readonly length: number;
  readonly #buffer: FlatBuffer;
  readonly #tables: Uint32Array;
  readonly #types: Uint8Array;
  /** The string under check. */
  readonly #stored = new ByteView();

  /**
   * Entries come out ordered by offset, whatever their order in the file.
   *
   * @param toc position of the TOC table
   * @param end bytes of the tar stream
   * @throws SociError ERR_SOCI_ZTOC_FORMAT, ERR_SOCI_ZTOC_INVALID, ERR_SOCI_LIMIT
   */
  constructor(buffer: FlatBuffer, toc: number | undefined, end: number, limits: ZtocLimits) {
    const metadata = toc === undefined ? { start: 0, length: 0 } : buffer.vector(toc, Slot.toc.metadata, 4);
    checkLimit(limits, 'maxEntries', metadata.length, 'entries in the ztoc');
    this.length = metadata.length;
    this.#buffer = buffer;
    this.#tables = new Uint32Array(this.length);
    this.#types = new Uint8Array(this.length);
    for (let i = 0; i < this.length; i += 1) {
      this.#tables[i] = buffer.table(metadata.start + 4 * i, 'entry', i);
    }
    this.#sort();
    let unfolded = 0;
    let names = 0;
    let header = 0;
    for (let i = 0; i < this.length; i += 1) {
      const place = { offset: this.offset(i), size: this.size(i) };
      this.#checkPlace(i, header, place, end, limits);
      unfolded += this.#checkFields(i, place.offset - header);
      header = nextHeaderOffset(place);
      names += buffer.vectorLength(this.#tables[i] as number, Slot.entry.name, 1);
      const { length } = buffer.bytes;
      if (unfolded > length * MAX_UNFOLDING || names > length * MAX_NAME_UNFOLDING) {
        throw invalid(`its strings overlap so much that ${i + 1} entries hold ${unfolded} bytes`, {
          index: i,
        });
      }
    }
  }

  fields(index: number): EntryFields {
    return new StoredFields(this, this.#buffer, this.#tables[index] as number, index);
  }

  /** Where the data of an entry begin, in bytes of the tar stream. */
  offset(index: number): number {
    return this.#buffer.int64(this.#tables[index] as number, Slot.entry.offset);
  }

  size(index: number): number {
    return this.#buffer.int64(this.#tables[index] as number, Slot.entry.size);
  }

  type(index: number): EntryType {
    return ENTRY_TYPES[this.#types[index] as number] as EntryType;
  }

  /** Moves a view to the stored name of an entry. */
  viewName(index: number, view: ByteView): void {
    this.#buffer.viewString(this.#tables[index] as number, Slot.entry.name, view);
  }

  /** Moves a view to the stored time of an entry. */
  viewTime(index: number, view: ByteView): void {
    this.#buffer.viewString(this.#tables[index] as number, Slot.entry.modTime, view);
  }

  /** The stored name of an entry, as a byte string. */
  name(index: number): string {
    return this.#buffer.byteString(this.#tables[index] as number, Slot.entry.name);
  }

  headerOffset(index: number): number {
    if (index === 0) return 0;
    return nextHeaderOffset({ offset: this.offset(index - 1), size: this.size(index - 1) });
  }

  #sort(): void {
    if (this.#isSorted()) return;
    const offsets = Float64Array.from(this.#tables, (_, i) => this.offset(i));
    const order = new Uint32Array(this.length).map((_, i) => i);
    order.sort((a, b) => (offsets[a] as number) - (offsets[b] as number) || a - b);
    this.#tables.set(order.map(i => this.#tables[i] as number));
  }

  #isSorted(): boolean {
    let before = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.length; i += 1) {
      const offset = this.offset(i);
      if (offset < before) return false;
      before = offset;
    }
    return true;
  }

  /** The rule of upstream's ErrInvalidTOCEntry: every entry begins after the one before ends, and inside the stream. */
  #checkPlace(
    index: number,
    headerOffset: number,
    place: Pick<EntryFields, 'offset' | 'size'>,
    end: number,
    limits: ZtocLimits,
  ): void {
    const { offset, size } = place;
    const table = this.#tables[index] as number;
    const type = this.#storedType(table);
    this.#types[index] = type;
    if (type < 0) {
      const storedType = this.#buffer.byteString(table, Slot.entry.type);
      const reason = `is of unknown type ${JSON.stringify(storedType.slice(0, 64))}`;
      throw this.#misplaced(index, headerOffset, place, reason);
    }
    if (size < 0) throw this.#misplaced(index, headerOffset, place, `has a size of ${size}`);
    if (offset < headerOffset + BLOCK_SIZE || offset % BLOCK_SIZE !== 0) {
      const reason = `overlaps the one before it: its data begin at ${offset} and its header not before ${headerOffset}`;
      throw this.#misplaced(index, headerOffset, place, reason);
    }
    if (offset - headerOffset > limits.maxHeaderBytes) {
      checkLimit(limits, 'maxHeaderBytes', offset - headerOffset, `bytes of headers before entry ${index}`);
    }
    // Types without data may carry a size, which says nothing about the stream.
    const dataEnd = offset + (ENTRY_TYPES[type] === 'reg' ? size : 0);
    if (dataEnd > end) {
      const reason = `ends at ${dataEnd}, beyond the tar stream's ${end} bytes`;
      throw this.#misplaced(index, headerOffset, place, reason);
    }
  }

  #misplaced(
    index: number,
    headerOffset: number,
    { offset, size }: Pick<EntryFields, 'offset' | 'size'>,
    reason: string,
  ): SociError {
    const name = this.name(index);
    const data = { index, entry: decodeByteString(name), offset, size, headerOffset };
    return invalid(`entry ${index} (${quoteByteString(name)}) ${reason}`, data);
  }

  /** Place of an entry's type in ENTRY_TYPES, -1 when it is none; no string is made for it. */
  #storedType(table: number): number {
    const stored = this.#stored;
    this.#buffer.viewString(table, Slot.entry.type, stored);
    for (let type = 0; type < ENTRY_TYPES.length; type += 1) {
      if (isText(stored, ENTRY_TYPES[type] as EntryType)) return type;
    }
    return -1;
  }

  /**
   * Reads everything that fields() reads later, so that nothing can fail then; returns the bytes of its strings. There
   * may be a million entries, and few readers want to know of more than some of them: nothing is made but what is
   * returned.
   *
   * @param headerBytes All of them were read out of the entry's headers, which take up so many bytes of the tar stream.
   */
  #checkFields(index: number, headerBytes: number): number {
    const buffer = this.#buffer;
    const table = this.#tables[index] as number;
    const { mode, uid, gid, devmajor, devminor, xattrs, modTime, type } = Slot.entry;
    buffer.int64(table, mode);
    buffer.int64(table, devmajor);
    buffer.int64(table, devminor);
    buffer.uint32(table, uid);
    buffer.uint32(table, gid);
    let bytes = 0;
    for (let i = 0; i < STRING_SLOTS.length; i += 1) {
      bytes += buffer.vectorLength(table, STRING_SLOTS[i] as number, 1);
    }
    const timeLength = buffer.vectorLength(table, modTime, 1);
    if (timeLength > 64)
      throw invalid(`the time of entry ${index} is a text of ${timeLength} bytes`, { index });
    const names = bytes - timeLength - buffer.vectorLength(table, type, 1);
    if (names > headerBytes) throw unfit(index, 'names', names, headerBytes);
    if (buffer.vectorLength(table, xattrs, 4) === 0) return bytes;
    return bytes + this.#checkPax(index, headerBytes);
  }

  /** The bytes of an entry's PAX records. */
  #checkPax(index: number, headerBytes: number): number {
    const buffer = this.#buffer;
    const { start, length } = buffer.vector(this.#tables[index] as number, Slot.entry.xattrs, 4);
    const least = length * MIN_PAX_TEXT;
    if (least > headerBytes) throw unfit(index, 'PAX records', least, headerBytes);
    let bytes = 0;
    for (let k = 0; k < length; k += 1) {
      const record = buffer.table(start + 4 * k, 'a PAX record');
      bytes += buffer.vectorLength(record, Slot.xattr.key, 1);
      bytes += buffer.vectorLength(record, Slot.xattr.value, 1);
    }
    const text = bytes + length * PAX_FRAMING;
    if (text > headerBytes) throw unfit(index, 'PAX records', text, headerBytes);
    return bytes + length * MIN_PAX_RECORD;
  }
}

/** Most entries have none. */
const NO_PAIRS: readonly PaxPair[] = [];

/** Fields read from the ztoc's bytes at the moment they are asked for. */
class StoredFields implements EntryFields {
  readonly #toc: Toc;
  readonly #buffer: FlatBuffer;
  readonly #table: number;
  readonly #index: number;

  constructor(toc: Toc, buffer: FlatBuffer, table: number, index: number) {
    this.#toc = toc;
    this.#buffer = buffer;
    this.#table = table;
    this.#index = index;
  }

  get type(): EntryType {
    return this.#toc.type(this.#index);
  }

  get offset(): number {
    return this.#toc.offset(this.#index);
  }

  get size(): number {
    return this.#toc.size(this.#index);
  }

  get headerOffset(): number {
    return this.#toc.headerOffset(this.#index);
  }

  get name(): string {
    return this.#buffer.byteString(this.#table, Slot.entry.name);
  }

  get linkname(): string {
    return this.#buffer.byteString(this.#table, Slot.entry.linkname);
  }

  get mode(): number {
    return this.#buffer.int64(this.#table, Slot.entry.mode);
  }

  get uid(): number {
    return this.#buffer.uint32(this.#table, Slot.entry.uid);
  }

  get gid(): number {
    return this.#buffer.uint32(this.#table, Slot.entry.gid);
  }

  get uname(): string {
    return this.#buffer.byteString(this.#table, Slot.entry.uname);
  }

  get gname(): string {
    return this.#buffer.byteString(this.#table, Slot.entry.gname);
  }

  get modTime(): string {
    return this.#buffer.byteString(this.#table, Slot.entry.modTime);
  }

  get devmajor(): number {
    return this.#buffer.int64(this.#table, Slot.entry.devmajor);
  }

  get devminor(): number {
    return this.#buffer.int64(this.#table, Slot.entry.devminor);
  }

  /** As in Go's map, the last of several equal keys holds. */
  get pax(): readonly PaxPair[] {
    const records = this.#buffer.vector(this.#table, Slot.entry.xattrs, 4);
    if (records.length === 0) return NO_PAIRS;
    const pairs = new Map<string, string>();
    for (let k = 0; k < records.length; k += 1) {
      const record = this.#buffer.table(records.start + 4 * k, 'a PAX record');
      const key = this.#buffer.byteString(record, Slot.xattr.key);
      pairs.set(key, this.#buffer.byteString(record, Slot.xattr.value));
    }
    return sortPaxPairs(pairs);
  }
}

function invalid(reason: string, data: Record<string, unknown>): SociError {
  return new SociError('ERR_SOCI_ZTOC_INVALID', `the ztoc contradicts itself: ${reason}`, { data });
}

function unfit(index: number, what: string, found: number, headerBytes: number): SociError {
  const reason = `the ${what} of entry ${index} need ${found} bytes of headers, there are ${headerBytes}`;
  return invalid(reason, { index });
}

function isText({ bytes, start, end }: ByteView, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i += 1) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}
