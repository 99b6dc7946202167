/**
 * The entries of a layer that is being indexed, kept as bytes until its ztoc is
 * written: that goes from the last entry to the first. Objects would take several
 * times the memory, and their strings hold on to the headers they were cut from:
 * a few hundred kilobytes of gzip can unpack to gigabytes of names.
 */
import { toByteString } from '../tar/byte-string.js';
import type { ByteView } from '../tar/byte-view.js';
import type { EntryFields, EntryType } from '../tar/entry.js';
import type { WrittenEntry } from './encode.js';
import { checkLimit, type ZtocLimits } from './limits.js';
import { ENTRY_TYPES } from './schema.js';

const CHUNK_SIZE = 1 << 20;

/** Layout: the numbers as float64, the count of PAX records and the type as uint32, strings with their length in front. */
const NUMBERS = ['offset', 'size', 'headerOffset', 'mode', 'uid', 'gid', 'devmajor', 'devminor'] as const;
const STRINGS = ['name', 'linkname', 'uname', 'gname', 'modTime'] as const;
const FIXED_SIZE = 8 * NUMBERS.length + 4 + 4;

const EMPTY = new Uint8Array(0);
const NO_PAX: readonly [] = [];

export class EntryStore {
  readonly #limits: ZtocLimits;
  readonly #chunks: Buffer[] = [];
  /** Where each entry lies: its chunk and its offset there, alternately. */
  readonly #places: number[] = [];
  #end = 0;
  #bytes = 0;
  /** The entry that was added last, which is mostly the one that is asked for. */
  #last: EntryFields | undefined;

  constructor(limits: ZtocLimits) {
    this.#limits = limits;
  }

  get length(): number {
    return this.#places.length / 2;
  }

  /** A table of contents that grows: the same as `length`. */
  get entryCount(): number {
    return this.length;
  }

  /** What the entries take here; a ztoc takes somewhat more. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws SociError ERR_SOCI_LIMIT when the ztoc is sure to exceed maxEntries or maxZtocBytes */
  add(fields: EntryFields): void {
    let size = FIXED_SIZE;
    for (const field of STRINGS) size += 4 + fields[field].length;
    for (const [key, value] of fields.pax) size += 8 + key.length + value.length;
    this.#bytes += size;
    checkLimit(this.#limits, 'maxEntries', this.length + 1, 'entries in the layer');
    // A flatbuffer needs more than this for the same entry.
    checkLimit(this.#limits, 'maxZtocBytes', this.#bytes, 'bytes of entries in the layer');
    this.#last = fields;
    const chunk = this.#room(size);
    this.#places.push(this.#chunks.length - 1, this.#end);
    let at = this.#end;
    for (const field of NUMBERS) at = chunk.writeDoubleLE(fields[field], at);
    at = chunk.writeUInt32LE(fields.pax.length, at);
    at = chunk.writeUInt32LE(ENTRY_TYPES.indexOf(fields.type), at);
    for (const field of STRINGS) at = writeText(chunk, fields[field], at);
    for (const [key, value] of fields.pax) at = writeText(chunk, value, writeText(chunk, key, at));
    this.#end = at;
  }

  /** Its texts are views of what is kept here. */
  at(index: number): WrittenEntry {
    const chunk = this.#chunks[this.#places[2 * index] as number] as Buffer;
    let at = this.#places[2 * index + 1] as number;
    const number = (): number => {
      at += 8;
      return chunk.readDoubleLE(at - 8);
    };
    const uint32 = (): number => {
      at += 4;
      return chunk.readUInt32LE(at - 4);
    };
    const text = (): Uint8Array => {
      const length = uint32();
      if (length === 0) return EMPTY;
      at += length;
      return new Uint8Array(chunk.buffer, chunk.byteOffset + at - length, length);
    };
    const [offset, size, headerOffset, mode] = [number(), number(), number(), number()];
    const [uid, gid, devmajor, devminor] = [number(), number(), number(), number()];
    const paxCount = uint32();
    const type = ENTRY_TYPES[uint32()] as EntryType;
    const [name, linkname, uname, gname, modTime] = [text(), text(), text(), text(), text()];
    const pax = paxCount === 0 ? NO_PAX : Array.from({ length: paxCount }, () => [text(), text()] as const);
    const owner = { uid, gid, uname, gname };
    const device = { devmajor, devminor };
    return { name, type, offset, size, headerOffset, linkname, mode, modTime, ...owner, ...device, pax };
  }

  typeOf(index: number): EntryType {
    const chunk = this.#chunks[this.#places[2 * index] as number] as Buffer;
    const at = this.#places[2 * index + 1] as number;
    return ENTRY_TYPES[chunk.readUInt32LE(at + FIXED_SIZE - 4)] as EntryType;
  }

  /** Moves a view to the name of an entry. */
  viewName(index: number, view: ByteView): void {
    const chunk = this.#chunks[this.#places[2 * index] as number] as Buffer;
    const at = (this.#places[2 * index + 1] as number) + FIXED_SIZE;
    view.set(chunk, at + 4, at + 4 + chunk.readUInt32LE(at));
  }

  /** An entry as it was added. */
  fields(index: number): EntryFields {
    if (index === this.length - 1 && this.#last !== undefined) return this.#last;
    const { name, linkname, uname, gname, modTime, pax, ...numbers } = this.at(index);
    return {
      ...numbers,
      name: textOf(name),
      linkname: textOf(linkname),
      uname: textOf(uname),
      gname: textOf(gname),
      modTime: textOf(modTime),
      pax: pax.map(([key, value]) => [textOf(key), textOf(value)]),
    };
  }

  /** The chunk that has `size` bytes of room from #end on. */
  #room(size: number): Buffer {
    const last = this.#chunks.at(-1);
    if (last !== undefined && this.#end + size <= last.length) return last;
    const chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_SIZE, size));
    this.#chunks.push(chunk);
    this.#end = 0;
    return chunk;
  }
}

function writeText(chunk: Buffer, text: string, at: number): number {
  const start = chunk.writeUInt32LE(text.length, at);
  return text === '' ? start : start + chunk.write(text, start, 'latin1');
}

function textOf(text: WrittenEntry['name']): string {
  return typeof text === 'string' ? text : toByteString(text);
}
