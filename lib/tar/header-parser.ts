/**
 * The one parser of tars: turns raw header records into entries with the
 * semantics of Go's archive/tar Reader.Next, which header overrides which (PAX
 * over ustar, GNU long names over PAX). What it makes of what not everybody
 * reads is its policy. The records come from the native scanner while a ztoc is
 * built, from the few bytes before a file's data when its header is checked,
 * from a stream (tar-walk.ts), or from an archive that is read in place.
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
import { mergePax } from './merge-pax.js';
import { type Int64, lowUint32 } from './numeric.js';
import { describesSparseFile, type PaxRecords, parsePaxRecords } from './pax.js';
import { GO, type TarPolicy } from './policy.js';
import {
  type BadMap,
  badSparseMap,
  OldSparseMap,
  PaxSparseMap,
  SPARSE_KEYS,
  type SparseLayout,
  type SparseMapReader,
} from './sparse.js';
import { formatTime } from './time.js';

/** A header block of 512 bytes, the unpadded body of an 'x', 'g', 'L' or 'K' extension, or a piece of a sparse map. */
export interface TarRecord {
  /** Of its first byte, in the tar stream. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What a reader learns of one entry. */
export interface ParsedEntry {
  readonly entry: TocEntry;
  /** Of a sparse file: where its runs lie. `entry.size` is what the tar has of it, a map in front included. */
  readonly sparse: SparseLayout | undefined;
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
  readonly #policy: TarPolicy;
  /** Where the next record has to begin. */
  #position: number;
  #contentEnd: number;
  /** Where the headers of the entry under way begin. */
  #start: number;
  #extension: { readonly flag: string; readonly header: HeaderBlock; readonly offset: number } | undefined;
  #pax: PaxRecords | undefined;
  #longName = '';
  #longLink = '';
  /** A sparse file whose map goes on behind its header. */
  #open: { readonly fields: EntryFields; readonly map: SparseMapReader } | undefined;
  #previous: EntryFields | undefined;

  /** @param offset of the first header in the tar stream */
  constructor(offset = 0, policy: TarPolicy = GO) {
    this.#policy = policy;
    this.#position = offset;
    this.#contentEnd = offset;
    this.#start = offset;
  }

  /** Where the next record has to begin, in bytes of the tar stream. */
  get position(): number {
    return this.#position;
  }

  /** Where the contents end of what was read last; up to `position` nothing but padding follows. */
  get contentEnd(): number {
    return this.#contentEnd;
  }

  /** Length in bytes of the record that is due. */
  get expectedLength(): number {
    if (this.#open !== undefined) return this.#open.map.due;
    return this.#extension === undefined ? BLOCK_SIZE : Number(this.#extension.header.size);
  }

  /** Whether a header block is due, where the zeros that end an archive may stand instead. */
  get expectsHeader(): boolean {
    return this.#open === undefined && this.#extension === undefined;
  }

  /** Whether a piece of a sparse map is due that lies in the data of its file. */
  get mapInData(): boolean {
    return this.#open?.map.inData === true;
  }

  /**
   * Takes the next record, in order; returns the entry that it completes.
   *
   * @throws SociError ERR_SOCI_TAR_HEADER for what Go's reader refuses,
   *   ERR_SOCI_TAR_UNSUPPORTED with { entry, reason, typeflag, offset } for what
   *   it reads but the policy does not
   */
  push(record: TarRecord): ParsedEntry | undefined {
    if (record.offset !== this.#position || record.bytes.length !== this.expectedLength) {
      throw headerError(
        record.offset,
        `${record.bytes.length} bytes where ${this.expectedLength} were due at offset ${this.#position}`,
        { expected: this.#position },
      );
    }
    if (this.#open !== undefined) return this.#continueMap(this.#open, record.bytes);
    if (this.#extension !== undefined) {
      this.#finishExtension(this.#extension.flag, this.#extension.header, record.bytes);
      return undefined;
    }
    const header = parseHeaderBlock(record.bytes, record.offset);
    const flag = String.fromCharCode(header.typeflag);
    this.#position += BLOCK_SIZE;
    this.#contentEnd = this.#position;
    if (EXTENSIONS.has(flag)) {
      this.#beginExtension(flag, header, record.offset);
      return undefined;
    }
    return this.#finishEntry(flag, header, record);
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
    this.#contentEnd = bodyOffset + body.length;
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
    if (flag === 'g' && this.#policy.globalPax === 'skip') {
      this.#forgetExtensions();
      return;
    }
    if (flag === 'g') {
      throw unsupported('global-pax', header.name, 'g', this.#start, 'a global PAX header');
    }
    this.#pax = records; // each 'x' replaces the former
  }

  #finishEntry(flag: string, header: HeaderBlock, { bytes, offset }: TarRecord): ParsedEntry | undefined {
    if (header.size < 0 && !HEADER_ONLY.has(flag)) {
      throw headerError(offset, `its size is negative: ${header.size}`, { field: 'size' });
    }
    const pax = this.#pax;
    const merged = mergePax(header, pax, offset);
    const name = this.#longName !== '' ? this.#longName : merged.name;
    const finalFlag = flag !== '\0' ? flag : name.endsWith('/') ? '5' : '0';
    const refuse: Refuse = (reason, what) => unsupported(reason, name, finalFlag, this.#start, what);
    const type = typeOf(finalFlag, this.#policy);
    if (type === undefined && this.#policy.unknownTypes === 'skip') {
      this.#skipEntry(merged, offset);
      return undefined;
    }
    if (type === undefined) {
      if (finalFlag === 'S') throw refuse('sparse', 'a GNU sparse file');
      throw refuse('type-flag', `of unknown type ${JSON.stringify(finalFlag)}`);
    }
    const sparse = pax !== undefined && describesSparseFile(pax);
    if (sparse && this.#policy.sparse === 'refuse') throw refuse('sparse', 'a GNU sparse file in PAX form');
    const fields = this.#fieldsOf(merged, { type, name, offset }, refuse);
    this.#checkPrevious(this.#start);
    if (finalFlag === 'S') return this.#openMap(fields, bad => new OldSparseMap(bytes, bad));
    if (sparse && type === 'reg') {
      const renamed = { ...fields, name: pax.get('GNU.sparse.name') || name };
      return this.#openMap(renamed, bad => new PaxSparseMap(pax, fields.size, bad));
    }
    return this.#complete(fields, undefined);
  }

  #fieldsOf(
    merged: HeaderBlock,
    { type, name, offset }: { readonly type: EntryType; readonly name: string; readonly offset: number },
    refuse: Refuse,
  ): EntryFields {
    const dataless = type !== 'reg';
    const size = dataless && this.#policy.dataless === 'zero' ? 0 : merged.size;
    if (size < 0) {
      if (!dataless) throw headerError(offset, `its size is negative: ${size}`, { field: 'size' });
      throw refuse('header-size', `a ${type} with a size of ${size} bytes`);
    }
    const dataOffset = this.#position;
    const number = (field: string, value: Int64, limit: number): number => {
      if (typeof value === 'number' && value <= limit) return value;
      throw refuse('number-range', `an entry whose ${field} ${value} is out of range`);
    };
    return {
      name,
      type,
      offset: dataOffset,
      size: number('size', size, Number.MAX_SAFE_INTEGER - dataOffset - BLOCK_SIZE),
      headerOffset: this.#start,
      linkname: this.#longLink !== '' ? this.#longLink : merged.linkname,
      mode: number('mode', merged.mode, Number.MAX_SAFE_INTEGER),
      uid: lowUint32(merged.uid),
      gid: lowUint32(merged.gid),
      uname: merged.uname,
      gname: merged.gname,
      modTime: formatTime(merged.mtime, merged.nanoseconds),
      devmajor: number('devmajor', merged.devmajor, Number.MAX_SAFE_INTEGER),
      devminor: number('devminor', merged.devminor, Number.MAX_SAFE_INTEGER),
      pax: this.#pax === undefined ? NO_PAX : this.#paxPairs(this.#pax, type),
    };
  }

  /** Without what was acted on: the records of sparse files, and a size that was not taken. */
  #paxPairs(pax: PaxRecords, type: EntryType): readonly PaxPair[] {
    const { sparse, dataless: sizes } = this.#policy;
    if (sparse === 'refuse' && sizes === 'stated') return sortPaxPairs(pax);
    const kept = [...pax].filter(
      ([key]) =>
        !(sparse === 'read' && key.startsWith(SPARSE_KEYS)) &&
        !(sizes === 'zero' && type !== 'reg' && key === 'size'),
    );
    return sortPaxPairs(kept);
  }

  #openMap(fields: EntryFields, begin: (bad: BadMap) => SparseMapReader): ParsedEntry | undefined {
    const map = begin(reason => badSparseMap(fields, reason));
    if (map.due === 0) return this.#complete(fields, map);
    this.#open = { fields, map };
    return undefined;
  }

  #continueMap(
    { fields, map }: { fields: EntryFields; map: SparseMapReader },
    piece: Uint8Array,
  ): ParsedEntry | undefined {
    map.push(piece);
    this.#position += piece.length;
    this.#contentEnd = this.#position;
    if (map.due > 0) return undefined;
    this.#open = undefined;
    return this.#complete(map.inData ? fields : { ...fields, offset: this.#position }, map);
  }

  #complete(fields: EntryFields, map: SparseMapReader | undefined): ParsedEntry {
    this.#previous = fields;
    const dataless = fields.type !== 'reg';
    this.#contentEnd = dataless ? fields.offset : fields.offset + fields.size;
    this.#position = dataless ? fields.offset : nextHeaderOffset(fields);
    this.#start = this.#position;
    this.#forgetExtensions();
    const sparse =
      map === undefined
        ? undefined
        : {
            runs: map.runs,
            size: map.size,
            dataOffset: fields.offset + map.mapSize,
            dataSize: fields.size - map.mapSize,
          };
    return { entry: new TocEntry(fields), sparse };
  }

  #skipEntry({ size }: HeaderBlock, offset: number): void {
    const dataOffset = this.#position;
    if (typeof size !== 'number' || size < 0 || size > Number.MAX_SAFE_INTEGER - dataOffset - BLOCK_SIZE) {
      throw headerError(offset, `its size is out of range: ${size}`, { field: 'size' });
    }
    this.#contentEnd = dataOffset + size;
    this.#position = nextHeaderOffset({ offset: dataOffset, size });
    this.#start = this.#position;
    this.#forgetExtensions();
  }

  #forgetExtensions(): void {
    this.#pax = undefined;
    this.#longName = '';
    this.#longLink = '';
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

type Refuse = (reason: UnsupportedReason, what: string) => SociError;

function typeOf(flag: string, policy: TarPolicy): EntryType | undefined {
  if (flag === '7' && policy.contiguous === 'regular') return 'reg';
  if (flag === 'S' && policy.sparse === 'read') return 'reg';
  return TYPES.get(flag);
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
