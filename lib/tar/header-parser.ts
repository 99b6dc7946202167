/**
 * Turns a tar's raw header records into entries with the semantics of Go's
 * archive/tar Reader.Next: which header overrides which (PAX over ustar, GNU
 * long names over PAX), and what a ztoc cannot describe. The records come from
 * the native scanner while a ztoc is built, or from the few bytes before a
 * file's data when its header is checked.
 */
import { SociError } from '../errors.js';
import { decodeByteString, quoteByteString, toByteString } from './byte-string.js';
import {
  type EntryFields,
  type EntryType,
  nextHeaderOffset,
  type PaxPair,
  sortPaxPairs,
  TocEntry,
} from './entry.js';
import { BLOCK_SIZE, type HeaderBlock, headerError, parseHeaderBlock } from './header-block.js';
import { type Int64, lowUint32, parseDecimal } from './numeric.js';
import { describesSparseFile, type PaxRecords, parsePaxRecords } from './pax.js';
import { formatTime, parsePaxTime } from './time.js';

/** A header block of 512 bytes, or the unpadded body of an 'x', 'g', 'L' or 'K' extension. */
export interface TarRecord {
  /** Of its first byte, in the tar stream. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Why a well-formed entry has no place in a ztoc. */
export type UnsupportedReason = 'global-pax' | 'sparse' | 'header-size' | 'type-flag' | 'number-range';

/** Go's limit on the body of an extension. */
const MAX_EXTENSION_SIZE = 1 << 20;

const TYPES: ReadonlyMap<string, EntryType> = new Map([
  ['0', 'reg'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'char'],
  ['4', 'block'],
  ['5', 'dir'],
  ['6', 'fifo'],
]);

const EXTENSIONS: ReadonlySet<string> = new Set(['x', 'g', 'L', 'K']);

/** No records follow these that belong to the entry, whatever the size field says. */
const HEADER_ONLY: ReadonlySet<string> = new Set(['1', '2', '3', '4', '5', '6']);

export class TarHeaderParser {
  /** Where the next record has to begin. */
  #position: number;
  /** Where the headers of the entry under way begin. */
  #start: number;
  #extension: { readonly flag: string; readonly header: HeaderBlock; readonly offset: number } | undefined;
  #pax: PaxRecords | undefined;
  #longName = '';
  #longLink = '';
  #previous: EntryFields | undefined;

  /** @param offset of the first header in the tar stream */
  constructor(offset = 0) {
    this.#position = offset;
    this.#start = offset;
  }

  /** Where the next record has to begin, in bytes of the tar stream. */
  get position(): number {
    return this.#position;
  }

  /** Length in bytes of the record that is due. */
  get expectedLength(): number {
    return this.#extension === undefined ? BLOCK_SIZE : Number(this.#extension.header.size);
  }

  /**
   * Takes the next record, in order; returns the entry that it completes.
   *
   * @throws SociError ERR_SOCI_TAR_HEADER for what Go's reader refuses,
   *   ERR_SOCI_TAR_UNSUPPORTED with { entry, reason, typeflag, offset } for what
   *   it reads but a ztoc cannot describe
   */
  push(record: TarRecord): TocEntry | undefined {
    if (record.offset !== this.#position || record.bytes.length !== this.expectedLength) {
      throw headerError(
        record.offset,
        `${record.bytes.length} bytes where ${this.expectedLength} were due at offset ${this.#position}`,
        { expected: this.#position },
      );
    }
    if (this.#extension !== undefined) {
      this.#finishExtension(this.#extension.flag, this.#extension.header, record.bytes);
      return undefined;
    }
    const header = parseHeaderBlock(record.bytes, record.offset);
    const flag = String.fromCharCode(header.typeflag);
    this.#position += BLOCK_SIZE;
    if (EXTENSIONS.has(flag)) {
      this.#beginExtension(flag, header, record.offset);
      return undefined;
    }
    return this.#finishEntry(flag, header, record.offset);
  }

  #beginExtension(flag: string, header: HeaderBlock, offset: number): void {
    if (header.size < 0 || header.size > MAX_EXTENSION_SIZE) {
      const kind = flag === 'x' || flag === 'g' ? 'PAX header' : 'GNU long name';
      throw headerError(offset, `a ${kind} of ${header.size} bytes, at most ${MAX_EXTENSION_SIZE} are read`);
    }
    this.#extension = { flag, header, offset };
    if (header.size === 0) this.#finishExtension(flag, header, new Uint8Array(0));
  }

  #finishExtension(flag: string, header: HeaderBlock, body: Uint8Array): void {
    const bodyOffset = this.#position;
    this.#extension = undefined;
    this.#position += Math.ceil(body.length / BLOCK_SIZE) * BLOCK_SIZE;
    if (flag === 'L' || flag === 'K') {
      const nul = body.indexOf(0);
      const name = toByteString(body, 0, nul < 0 ? body.length : nul);
      if (flag === 'L') this.#longName = name;
      else this.#longLink = name;
      return;
    }
    const records = parsePaxRecords(body);
    if ('reason' in records) {
      throw headerError(bodyOffset + records.at, `PAX header: ${records.reason}`);
    }
    if (flag === 'g') {
      throw unsupported('global-pax', header.name, 'g', this.#start, 'a global PAX header');
    }
    this.#pax = records; // each 'x' replaces the former
  }

  #finishEntry(flag: string, header: HeaderBlock, offset: number): TocEntry {
    if (header.size < 0 && !HEADER_ONLY.has(flag)) {
      throw headerError(offset, `its size is negative: ${header.size}`, { field: 'size' });
    }
    const merged = mergePax(header, this.#pax, offset);
    const name = this.#longName !== '' ? this.#longName : merged.name;
    const linkname = this.#longLink !== '' ? this.#longLink : merged.linkname;
    const finalFlag = flag !== '\0' ? flag : name.endsWith('/') ? '5' : '0';
    const start = this.#start;
    const type = TYPES.get(finalFlag);
    if (type === undefined) {
      const reason = finalFlag === 'S' ? 'sparse' : 'type-flag';
      const what = finalFlag === 'S' ? 'a GNU sparse file' : `of unknown type ${JSON.stringify(finalFlag)}`;
      throw unsupported(reason, name, finalFlag, start, what);
    }
    if (this.#pax !== undefined && describesSparseFile(this.#pax)) {
      throw unsupported('sparse', name, finalFlag, start, 'a GNU sparse file in PAX form');
    }
    const headerOnly = HEADER_ONLY.has(finalFlag);
    if (merged.size < 0) {
      if (!headerOnly) throw headerError(offset, `its size is negative: ${merged.size}`, { field: 'size' });
      throw unsupported(
        'header-size',
        name,
        finalFlag,
        start,
        `a ${type} with a size of ${merged.size} bytes`,
      );
    }
    const dataOffset = this.#position;
    const number = (field: string, value: Int64, limit: number): number => {
      if (typeof value === 'number' && value <= limit) return value;
      throw unsupported(
        'number-range',
        name,
        finalFlag,
        start,
        `an entry whose ${field} ${value} is out of range`,
      );
    };
    const fields: EntryFields = {
      name,
      type,
      offset: dataOffset,
      size: number('size', merged.size, Number.MAX_SAFE_INTEGER - dataOffset - BLOCK_SIZE),
      headerOffset: start,
      linkname,
      mode: number('mode', merged.mode, Number.MAX_SAFE_INTEGER),
      uid: lowUint32(merged.uid),
      gid: lowUint32(merged.gid),
      uname: merged.uname,
      gname: merged.gname,
      modTime: formatTime(merged.mtime, merged.nanoseconds),
      devmajor: number('devmajor', merged.devmajor, Number.MAX_SAFE_INTEGER),
      devminor: number('devminor', merged.devminor, Number.MAX_SAFE_INTEGER),
      pax: this.#pax === undefined ? NO_PAX : sortPaxPairs(this.#pax),
    };
    this.#checkPrevious(start);
    this.#previous = fields;
    this.#position = headerOnly ? dataOffset : nextHeaderOffset(fields);
    this.#start = this.#position;
    this.#pax = undefined;
    this.#longName = '';
    this.#longLink = '';
    return new TocEntry(fields);
  }

  /** Readers of a ztoc know where a header begins only from the size of the entry before it. */
  #checkPrevious(start: number): void {
    const previous = this.#previous;
    if (previous === undefined || nextHeaderOffset(previous) === start) return;
    const what = `a ${previous.type} with a size of ${previous.size} bytes, none of which follow`;
    const flag = [...TYPES].find(([, type]) => type === previous.type)?.[0] ?? '';
    throw unsupported('header-size', previous.name, flag, previous.headerOffset, what);
  }
}

const NO_PAX: readonly PaxPair[] = [];

type Merged = HeaderBlock & { readonly nanoseconds: number };

/** PAX records override the block's fields; an empty value does not, but stays a record (Go's mergePAX). */
function mergePax(header: HeaderBlock, pax: PaxRecords | undefined, offset: number): Merged {
  if (pax === undefined) return { ...header, nanoseconds: 0 };
  const bad = (key: string, kind: string): SociError => {
    const found = JSON.stringify((pax.get(key) ?? '').slice(0, 64));
    return headerError(offset, `its PAX record ${key} is not a ${kind}: ${found}`, { field: key });
  };
  const text = (key: string, fallback: string): string => pax.get(key) || fallback;
  const integer = (key: string, fallback: Int64): Int64 => {
    const value = pax.get(key);
    if (!value) return fallback;
    const parsed = parseDecimal(value);
    if (parsed === undefined) throw bad(key, 'number');
    return parsed;
  };
  const time = (key: string): { seconds: Int64; nanoseconds: number } | undefined => {
    const value = pax.get(key);
    if (!value) return undefined;
    const parsed = parsePaxTime(value);
    if (parsed === undefined) throw bad(key, 'time');
    return parsed;
  };
  time('atime');
  time('ctime');
  const mtime = time('mtime');
  return {
    ...header,
    name: text('path', header.name),
    linkname: text('linkpath', header.linkname),
    uname: text('uname', header.uname),
    gname: text('gname', header.gname),
    uid: integer('uid', header.uid),
    gid: integer('gid', header.gid),
    size: integer('size', header.size),
    mtime: mtime?.seconds ?? header.mtime,
    nanoseconds: mtime?.nanoseconds ?? 0,
  };
}

function unsupported(
  reason: UnsupportedReason,
  name: string,
  typeflag: string,
  offset: number,
  what: string,
): SociError {
  const entry = decodeByteString(name);
  return new SociError(
    'ERR_SOCI_TAR_UNSUPPORTED',
    `a ztoc cannot describe ${quoteByteString(name)} at offset ${offset} of the tar stream: ${what}`,
    { data: { entry, reason, typeflag, offset } },
  );
}
