/**
 * One entry of a layer's table of contents: what a ztoc's FileMetadata records
 * and what a tar's own headers say. Both sides come in this shape, so that one
 * can be held against the other. Strings are decoded when asked for: a layer may
 * have hundreds of thousands of entries, and most are never looked at.
 */
import { type InspectOptions, inspect } from 'node:util';
import { decodeByteString, fromByteString } from './byte-string.js';
import { GO_ZERO_TIME, parseTime } from './time.js';

export type EntryType = 'hardlink' | 'symlink' | 'dir' | 'reg' | 'char' | 'block' | 'fifo';

/** Key and value of one raw PAX record, as byte strings. */
export type PaxPair = readonly [key: string, value: string];

/** What is stored of an entry; strings are byte strings (byte-string.ts), pax is sorted by key. */
export interface EntryFields {
  readonly name: string;
  readonly type: EntryType;
  readonly offset: number;
  readonly size: number;
  readonly headerOffset: number;
  readonly linkname: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly uname: string;
  readonly gname: string;
  readonly modTime: string;
  readonly devmajor: number;
  readonly devminor: number;
  readonly pax: readonly PaxPair[];
}

/** What JSON and console.log show of an entry: text, U+FFFD where the bytes are not UTF-8; for exact bytes there are the raw fields. */
export interface TocEntryJson extends Omit<EntryFields, 'pax'> {
  readonly pax: Readonly<Record<string, string>>;
}

/** A raw PAX record of the entry's own 'x' header. */
export interface PaxRecord {
  /** UTF-8 decoded, U+FFFD where the bytes are not. */
  readonly key: string;
  readonly rawKey: Uint8Array;
  readonly value: Uint8Array;
}

export class TocEntry {
  /** The same fields, with byte strings for strings. */
  readonly fields: EntryFields;

  constructor(fields: EntryFields) {
    this.fields = fields;
  }

  /** As stored ('./usr/bin/x', a directory with its trailing '/'), UTF-8 decoded. */
  get name(): string {
    return decodeByteString(this.fields.name);
  }

  get rawName(): Uint8Array {
    return fromByteString(this.fields.name);
  }

  get type(): EntryType {
    return this.fields.type;
  }

  /** Where its data begin, in bytes of the uncompressed tar stream. */
  get offset(): number {
    return this.fields.offset;
  }

  /** Bytes of data; for types without data whatever the header's size field says. */
  get size(): number {
    return this.fields.size;
  }

  /** Where its first header block (extensions included) begins, in bytes of the uncompressed tar stream. */
  get headerOffset(): number {
    return this.fields.headerOffset;
  }

  /** The target of a link as stored, UTF-8 decoded; '' for other types, as a rule. */
  get linkname(): string {
    return decodeByteString(this.fields.linkname);
  }

  get rawLinkname(): Uint8Array {
    return fromByteString(this.fields.linkname);
  }

  /** The tar header's mode field: permission bits with 04000, 02000 and 01000, sometimes more. */
  get mode(): number {
    return this.fields.mode;
  }

  get uid(): number {
    return this.fields.uid;
  }

  get gid(): number {
    return this.fields.gid;
  }

  get uname(): string {
    return decodeByteString(this.fields.uname);
  }

  get gname(): string {
    return decodeByteString(this.fields.gname);
  }

  /** RFC 3339 with up to nine decimals; '' for a time outside the years 0000 to 9999. */
  get modTime(): string {
    return decodeByteString(this.fields.modTime);
  }

  /** modTime in milliseconds since 1970, with a fraction; what is no time reads as 0001-01-01, as in Go. */
  get mtimeMs(): number {
    const { seconds, nanoseconds } = parseTime(this.fields.modTime) ?? GO_ZERO_TIME;
    return seconds * 1000 + nanoseconds / 1e6;
  }

  get devmajor(): number {
    return this.fields.devmajor;
  }

  get devminor(): number {
    return this.fields.devminor;
  }

  /** All raw PAX records, sorted bytewise by key. */
  get pax(): readonly PaxRecord[] {
    return this.fields.pax.map(([key, value]) => ({
      key: decodeByteString(key),
      rawKey: fromByteString(key),
      value: fromByteString(value),
    }));
  }

  toJSON(): TocEntryJson {
    const { type, offset, size, headerOffset, mode, uid, gid, devmajor, devminor } = this.fields;
    const pax = this.fields.pax.map(
      ([key, value]) => [decodeByteString(key), decodeByteString(value)] as const,
    );
    return {
      name: this.name,
      type,
      offset,
      size,
      headerOffset,
      linkname: this.linkname,
      mode,
      uid,
      gid,
      uname: this.uname,
      gname: this.gname,
      modTime: this.modTime,
      devmajor,
      devminor,
      pax: Object.fromEntries(pax),
    };
  }

  [inspect.custom](depth: number, options: InspectOptions): string {
    if (depth < 0) return '[TocEntry]';
    return `TocEntry ${inspect(this.toJSON(), { ...options, depth })}`;
  }
}

/** Bytewise by key, the order in which a ztoc stores the records. */
export function sortPaxPairs(pairs: Iterable<PaxPair>): readonly PaxPair[] {
  return [...pairs].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Where the next header would begin if this entry's size were that of its data, as ztoc readers compute it. */
export function nextHeaderOffset(entry: { readonly offset: number; readonly size: number }): number {
  return Math.ceil((entry.offset + entry.size) / 512) * 512;
}
