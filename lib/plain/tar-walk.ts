/**
 * Walks the tar streams that a ztoc cannot describe and finds their entries all
 * the same, with what Go's archive/tar (and so containerd's unpacking) makes of
 * them: global PAX headers mean nothing, types without data have none whatever
 * their size field says, and sparse files are files with holes.
 *
 * Each entry's headers are put into a form that TarHeaderParser takes, so that
 * every other rule is the one that it has.
 */
import { SociError } from '../errors.js';
import { SparseMap, type SparseRun } from '../layer/sparse-map.js';
import { decodeByteString, fromByteString, quoteByteString } from '../tar/byte-string.js';
import type { EntryFields } from '../tar/entry.js';
import { BLOCK_SIZE, headerError, parseHeaderBlock } from '../tar/header-block.js';
import { TarHeaderParser } from '../tar/header-parser.js';
import { parseDecimal, parseNumeric } from '../tar/numeric.js';
import { describesSparseFile, type PaxRecords, parsePaxRecords } from '../tar/pax.js';

export interface WalkedEntry {
  /** `offset` and `size` are those of the data in the tar; 0 bytes for types without data. */
  readonly fields: EntryFields;
  /** Of a sparse file. */
  readonly sparse: SparseMap | undefined;
}

/** As in TarHeaderParser: Go's limit on the body of an extension. */
const MAX_EXTENSION_SIZE = 1 << 20;
/** Runs of one sparse file: 16 GiB in pieces of 64 KiB, each with a hole behind it. */
const MAX_RUNS = 262_144;
/** The map of a PAX 1.0 sparse file: two decimal numbers of up to 19 digits for each run. */
const MAX_MAP_BYTES = MAX_RUNS * 40;

const SPARSE_KEYS = 'GNU.sparse.';
const HEADER_ONLY = new Set(['1', '2', '3', '4', '5', '6']);

const FIELD = { size: [124, 136], checksum: [148, 156], typeflag: 156 } as const;
/** GNU tar's old sparse header: four runs, whether more blocks of them follow, and the file's real size. */
const OLD_SPARSE = { runs: 386, runCount: 4, extended: 482, realSize: [483, 495] } as const;
/** A block of 21 more runs. */
const OLD_SPARSE_BLOCK = { runs: 0, runCount: 21, extended: 504 } as const;

/** Headers read for the entry under way. */
interface Pending {
  readonly start: number;
  longName: Uint8Array | undefined;
  longLink: Uint8Array | undefined;
  pax: PaxRecords | undefined;
}

/** The entry under way, whose sparse map is not complete yet. */
interface OpenEntry {
  readonly fields: EntryFields;
  readonly runs: SparseRun[];
  readonly realSize: number;
  /** Bytes of the tar that hold data, the map of a PAX 1.0 file included. */
  readonly dataSize: number;
  mapSize: number;
}

type Expecting = 'header' | 'zero-block' | 'extension' | 'old-sparse' | 'sparse-map' | 'end';

export class TarWalk {
  readonly #onEntry: (entry: WalkedEntry) => void;
  /** Of the next byte that will be pushed. */
  #position = 0;
  #expecting: Expecting = 'header';
  #gathered: Uint8Array[] = [];
  #needed: number = BLOCK_SIZE;
  /** Bytes of contents and padding to step over before what is expected; the padding may be missing at the end. */
  #skip = 0;
  #padding = 0;
  #extension = '';
  #pending: Pending = noHeaders(0);
  #open: OpenEntry | undefined;
  #map = '';
  #end: number | undefined;

  constructor(onEntry: (entry: WalkedEntry) => void) {
    this.#onEntry = onEntry;
  }

  /** @throws SociError ERR_SOCI_TAR_HEADER, ERR_SOCI_TAR_UNSUPPORTED for types that nothing can unpack */
  push(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#skip > 0 || this.#expecting === 'end') {
        const skipped = this.#expecting === 'end' ? rest.length : Math.min(this.#skip, rest.length);
        this.#skip -= Math.min(this.#skip, skipped);
        this.#position += skipped;
        rest = rest.subarray(skipped);
        continue;
      }
      const taken = rest.subarray(0, this.#needed);
      rest = rest.subarray(taken.length);
      this.#position += taken.length;
      this.#needed -= taken.length;
      // Kept across calls only when it is incomplete, and then as a copy: the producer may reuse its chunk.
      this.#gathered.push(this.#needed > 0 ? new Uint8Array(taken) : taken);
      if (this.#needed === 0) this.#handle(this.#takeGathered());
    }
  }

  /** Where the archive ends in the stream. @throws SociError ERR_SOCI_LAYER_TRUNCATED */
  finish(): number {
    if (this.#end !== undefined) return this.#end;
    const between = this.#expecting === 'header' || this.#expecting === 'zero-block';
    if (between && this.#gathered.length === 0 && this.#skip <= this.#padding) return this.#position;
    throw new SociError(
      'ERR_SOCI_LAYER_TRUNCATED',
      `the tar stream ends at byte ${this.#position}, in the middle of an entry`,
      { data: { offset: this.#position } },
    );
  }

  #takeGathered(): Uint8Array {
    const [first = new Uint8Array(0), ...others] = this.#gathered;
    this.#gathered = [];
    return others.length === 0 ? first : Buffer.concat([first, ...others]);
  }

  #expect(what: Expecting, bytes: number): void {
    this.#expecting = what;
    this.#needed = bytes;
  }

  #handle(bytes: Uint8Array): void {
    if (this.#expecting === 'extension') this.#extensionBody(bytes);
    else if (this.#expecting === 'old-sparse') this.#oldSparseRuns(bytes, OLD_SPARSE_BLOCK);
    else if (this.#expecting === 'sparse-map') this.#sparseMap(bytes);
    else this.#header(bytes);
  }

  #header(block: Uint8Array): void {
    const offset = this.#position - BLOCK_SIZE;
    if (block.every(byte => byte === 0)) {
      if (this.#expecting === 'zero-block') this.#end = this.#position;
      this.#expect(this.#expecting === 'zero-block' ? 'end' : 'zero-block', BLOCK_SIZE);
      return;
    }
    // Throws what a lone block of zeros is.
    if (this.#expecting === 'zero-block') parseHeaderBlock(new Uint8Array(BLOCK_SIZE), offset - BLOCK_SIZE);
    const header = parseHeaderBlock(block, offset);
    const flag = String.fromCharCode(header.typeflag);
    if ('xgLK'.includes(flag)) {
      if (header.size < 0 || header.size > MAX_EXTENSION_SIZE) {
        throw headerError(
          offset,
          `an extension of ${header.size} bytes, at most ${MAX_EXTENSION_SIZE} are read`,
        );
      }
      this.#extension = flag;
      const size = Number(header.size);
      if (size === 0) this.#extensionBody(new Uint8Array(0));
      else this.#expect('extension', size);
      return;
    }
    this.#entry(block, flag, offset);
  }

  #extensionBody(body: Uint8Array): void {
    const bodyOffset = this.#position - body.length;
    this.#stepOver(0, body.length);
    this.#expect('header', BLOCK_SIZE);
    if (this.#extension === 'L') this.#pending.longName = new Uint8Array(body);
    else if (this.#extension === 'K') this.#pending.longLink = new Uint8Array(body);
    else if (this.#extension === 'x') this.#pending.pax = paxOf(body, bodyOffset);
    // An entry of its own for Go's reader, so what came before it is gone; containerd ignores it.
    else this.#pending = noHeaders(this.#pending.start);
  }

  #entry(block: Uint8Array, flag: string, offset: number): void {
    const { pax, start } = this.#pending;
    const oldSparse = flag === 'S';
    const parsed = this.#parse(block, oldSparse || flag === '7' ? '0' : flag, start);
    const dataSize = parsed.type === 'reg' ? parsed.size : 0;
    const place = { headerOffset: start, offset: this.#position, size: dataSize };
    const fields: EntryFields = { ...parsed, ...place };
    this.#pending = noHeaders(start);
    const open = { fields, runs: [], dataSize, mapSize: 0 };
    if (oldSparse) {
      const realSize = Number(parseNumeric(block, ...OLD_SPARSE.realSize) ?? -1);
      this.#open = { ...open, realSize };
      this.#oldSparseRuns(block, OLD_SPARSE);
    } else if (pax !== undefined && parsed.type === 'reg' && describesSparseFile(pax)) {
      const name = pax.get('GNU.sparse.name') || parsed.name;
      this.#open = { ...open, fields: { ...fields, name }, realSize: realSizeOf(pax, dataSize) };
      this.#paxSparseMap(pax, offset);
    } else {
      this.#complete(fields, undefined);
    }
  }

  /** In the header itself, or (GNU.sparse.major=1) in front of the data. */
  #paxSparseMap(pax: PaxRecords, offset: number): void {
    const open = this.#open as OpenEntry;
    if (pax.get('GNU.sparse.major') !== '1') {
      this.#addRuns((pax.get('GNU.sparse.map') ?? '').split(','), offset);
      this.#completeSparse();
      return;
    }
    this.#map = '';
    if (open.dataSize < BLOCK_SIZE) throw this.#badMap('it has no map');
    this.#expect('sparse-map', BLOCK_SIZE);
  }

  /** The entry as TarHeaderParser reads it, from headers without what it refuses. */
  #parse(block: Uint8Array, flag: string, start: number): EntryFields {
    const { longName, longLink, pax } = this.#pending;
    const headerOnly = HEADER_ONLY.has(flag);
    const parser = new TarHeaderParser(start);
    const push = (bytes: Uint8Array) => parser.push({ offset: parser.position, bytes });
    const extend = (typeflag: string, body: Uint8Array): void => {
      if (body.length === 0) return;
      push(extensionHeader(typeflag, body.length));
      push(body);
    };
    if (longName !== undefined) extend('L', longName);
    if (longLink !== undefined) extend('K', longLink);
    if (pax !== undefined) extend('x', plainPax(pax, headerOnly));
    const plain = new Uint8Array(block);
    plain[FIELD.typeflag] = flag.charCodeAt(0);
    if (headerOnly) plain.fill(0, ...FIELD.size);
    const entry = push(withChecksum(plain));
    if (entry === undefined) throw headerError(start, 'it describes no entry');
    return entry.fields;
  }

  #oldSparseRuns(
    block: Uint8Array,
    layout: { readonly runs: number; readonly runCount: number; readonly extended: number },
  ): void {
    const open = this.#open as OpenEntry;
    for (let at = layout.runs; at < layout.runs + 24 * layout.runCount && block[at] !== 0; at += 24) {
      const offset = parseNumeric(block, at, at + 12);
      const length = parseNumeric(block, at + 12, at + 24);
      if (offset === undefined || length === undefined) throw this.#badMap('a run is no pair of numbers');
      this.#addRun(open.runs, Number(offset), Number(length));
    }
    if (block[layout.extended] === 1) {
      this.#expect('old-sparse', BLOCK_SIZE);
      return;
    }
    this.#open = { ...open, fields: { ...open.fields, offset: this.#position } };
    this.#completeSparse();
  }

  /** Blocks of the map of a PAX 1.0 sparse file: a count and that many pairs, one decimal number a line. */
  #sparseMap(block: Uint8Array): void {
    const open = this.#open as OpenEntry;
    open.mapSize += block.length;
    this.#map += Buffer.from(block).toString('latin1');
    const lines = this.#map.split('\n');
    // What follows the last newline is not a whole number yet, or padding.
    const numbers = lines.slice(0, -1);
    const count = numbers.length === 0 ? Number.NaN : Number(numbers[0]);
    if (numbers.length > 0 && !(Number.isSafeInteger(count) && count >= 0 && count <= MAX_RUNS)) {
      throw this.#badMap(`its count of runs is ${JSON.stringify((numbers[0] ?? '').slice(0, 32))}`);
    }
    if (numbers.length < 1 + 2 * count || Number.isNaN(count)) {
      const more = open.mapSize + BLOCK_SIZE <= Math.min(open.dataSize, MAX_MAP_BYTES);
      if (!more) throw this.#badMap('it does not end');
      // The whole map is looked at again with the next piece, so pieces grow with it.
      const left = Math.floor((open.dataSize - open.mapSize) / BLOCK_SIZE) * BLOCK_SIZE;
      this.#expect('sparse-map', Math.min(left, open.mapSize));
      return;
    }
    this.#addRuns(numbers.slice(1, 1 + 2 * count), open.fields.offset);
    const used = numbers.slice(0, 1 + 2 * count).reduce((sum, line) => sum + line.length + 1, 0);
    const read = open.mapSize;
    open.mapSize = Math.ceil(used / BLOCK_SIZE) * BLOCK_SIZE;
    this.#completeSparse(read);
  }

  #addRuns(numbers: readonly string[], offset: number): void {
    const { runs } = this.#open as OpenEntry;
    const given = numbers.length === 1 && numbers[0] === '' ? [] : numbers;
    if (given.length % 2 !== 0) throw headerError(offset, 'a sparse map of an odd count of numbers');
    for (let i = 0; i < given.length; i += 2) {
      const [from, length] = [parseDecimal(given[i] as string), parseDecimal(given[i + 1] as string)];
      if (from === undefined || length === undefined) throw this.#badMap('a run is no pair of numbers');
      this.#addRun(runs, Number(from), Number(length));
    }
  }

  #addRun(runs: SparseRun[], offset: number, length: number): void {
    runs.push({ offset, length });
    if (runs.length > MAX_RUNS) {
      throw new SociError('ERR_SOCI_LIMIT', `a sparse file of more than ${MAX_RUNS} runs`, {
        data: { limit: MAX_RUNS },
      });
    }
  }

  /** @param read Bytes of the data that have been read already. */
  #completeSparse(read = 0): void {
    const { fields, runs, realSize, dataSize, mapSize } = this.#open as OpenEntry;
    const sparse = Number.isSafeInteger(realSize)
      ? SparseMap.of(runs, realSize, fields.offset + mapSize, dataSize - mapSize)
      : `its size is ${realSize}`;
    if (typeof sparse === 'string') throw this.#badMap(sparse);
    this.#open = undefined;
    this.#complete(fields, sparse, read);
  }

  #complete(fields: EntryFields, sparse: SparseMap | undefined, read = 0): void {
    this.#onEntry({ fields, sparse });
    this.#stepOver(fields.size - read, fields.size);
    this.#pending = noHeaders(this.#position + this.#skip);
    this.#expect('header', BLOCK_SIZE);
  }

  /** @param left of `size` bytes, which are followed by zeros up to a whole block. */
  #stepOver(left: number, size: number): void {
    this.#padding = (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE;
    this.#skip = left + this.#padding;
  }

  #badMap(reason: string): SociError {
    const { fields } = this.#open as OpenEntry;
    return new SociError(
      'ERR_SOCI_TAR_HEADER',
      `the sparse map of ${quoteByteString(fields.name)} at offset ${fields.headerOffset} of the tar stream: ${reason}`,
      { data: { entry: decodeByteString(fields.name), offset: fields.headerOffset } },
    );
  }
}

function noHeaders(start: number): Pending {
  return { start, longName: undefined, longLink: undefined, pax: undefined };
}

function paxOf(body: Uint8Array, bodyOffset: number): PaxRecords {
  const records = parsePaxRecords(body);
  if ('reason' in records) throw headerError(bodyOffset + records.at, `PAX header: ${records.reason}`);
  return records;
}

function realSizeOf(pax: PaxRecords, dataSize: number): number {
  const text = pax.get('GNU.sparse.realsize') ?? pax.get('GNU.sparse.size');
  return text === undefined ? dataSize : Number(parseDecimal(text) ?? -1);
}

/** Without the records of sparse files, and without the size of an entry that has no data. */
function plainPax(pax: PaxRecords, headerOnly: boolean): Uint8Array {
  let text = '';
  for (const [key, value] of pax) {
    if (key.startsWith(SPARSE_KEYS) || (headerOnly && key === 'size')) continue;
    const rest = ` ${key}=${value}\n`;
    // The length counts its own digits.
    let length = rest.length + 1;
    while (String(length).length + rest.length > length) length += 1;
    text += `${length}${rest}`;
  }
  return fromByteString(text);
}

function extensionHeader(typeflag: string, size: number): Uint8Array {
  const block = new Uint8Array(BLOCK_SIZE);
  block.set(Buffer.from(size.toString(8).padStart(11, '0')), FIELD.size[0]);
  block[FIELD.typeflag] = typeflag.charCodeAt(0);
  return withChecksum(block);
}

function withChecksum(block: Uint8Array): Uint8Array {
  block.fill(0x20, ...FIELD.checksum);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), FIELD.checksum[0]);
  return block;
}
