/**
 * The maps of GNU tar's sparse files: which runs of bytes the archive has, the
 * rest being holes. The old format has them in binary in the header and in
 * blocks behind it, PAX 0.0 and 0.1 in a record, PAX 1.0 in front of the data
 * (GNU tar manual, "Storing Sparse Files").
 */
import { SociError } from '../errors.js';
import { decodeByteString, quoteByteString } from './byte-string.js';
import type { EntryFields } from './entry.js';
import { BLOCK_SIZE } from './header-block.js';
import { parseDecimal, parseNumeric } from './numeric.js';
import type { PaxRecords } from './pax.js';

/** One run of data: `length` bytes at `offset` of the file. */
export interface SparseRun {
  readonly offset: number;
  readonly length: number;
}

/** What the headers say, not held against anything yet. */
export interface SparseLayout {
  readonly runs: readonly SparseRun[];
  /** Bytes of the file; NaN or negative where the headers hold no number. */
  readonly size: number;
  /** Where the runs' bytes begin in the tar stream, one after the other. */
  readonly dataOffset: number;
  readonly dataSize: number;
}

/** Runs of one sparse file: 16 GiB in pieces of 64 KiB, each with a hole behind it. */
const MAX_RUNS = 262_144;
/** The map of a PAX 1.0 sparse file: two decimal numbers of up to 19 digits for each run. */
const MAX_MAP_BYTES = MAX_RUNS * 40;

export const SPARSE_KEYS = 'GNU.sparse.';

/** GNU tar's old sparse header: four runs, whether more blocks of them follow, and the file's real size. */
const OLD_HEADER = { runs: 386, runCount: 4, extended: 482 } as const;
const OLD_REAL_SIZE = [483, 495] as const;
/** A block of 21 more runs. */
const OLD_BLOCK = { runs: 0, runCount: 21, extended: 504 } as const;

/** Makes the error for a map that is wrong. */
export type BadMap = (reason: string) => SociError;

/** Reads one map from as many pieces of the stream as it takes. */
export interface SparseMapReader {
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes of the stream that come next and are the map's; 0: it is complete. */
  readonly due: number;
  readonly runs: readonly SparseRun[];
  /** Whether the pieces are the beginning of the entry's data, or stand in front of it. */
  readonly inData: boolean;
  /** Bytes of the entry's data that are the map. */
  readonly mapSize: number;
  push(piece: Uint8Array): void;
}

export class OldSparseMap implements SparseMapReader {
  readonly runs: SparseRun[] = [];
  readonly size: number;
  readonly inData = false;
  readonly mapSize = 0;
  readonly #bad: BadMap;
  due = 0;

  /** @param header the entry's own block */
  constructor(header: Uint8Array, bad: BadMap) {
    this.#bad = bad;
    this.size = Number(parseNumeric(header, ...OLD_REAL_SIZE) ?? -1);
    this.#read(header, OLD_HEADER);
  }

  push(block: Uint8Array): void {
    this.#read(block, OLD_BLOCK);
  }

  #read(block: Uint8Array, layout: typeof OLD_HEADER | typeof OLD_BLOCK): void {
    const end = layout.runs + 24 * layout.runCount;
    for (let at: number = layout.runs; at < end && block[at] !== 0; at += 24) {
      addRun(this.runs, parseNumeric(block, at, at + 12), parseNumeric(block, at + 12, at + 24), this.#bad);
    }
    this.due = block[layout.extended] === 1 ? BLOCK_SIZE : 0;
  }
}

/** PAX 0.0 and 0.1 (whose records `parsePaxRecords` makes one), complete at once, and 1.0. */
export class PaxSparseMap implements SparseMapReader {
  readonly inData = true;
  readonly size: number;
  readonly runs: SparseRun[] = [];
  readonly #dataSize: number;
  readonly #bad: BadMap;
  #text = '';
  due = 0;
  mapSize = 0;

  /** @param dataSize bytes of the entry's data, the map of PAX 1.0 included */
  constructor(records: PaxRecords, dataSize: number, bad: BadMap) {
    this.#dataSize = dataSize;
    this.#bad = bad;
    const size = records.get('GNU.sparse.realsize') ?? records.get('GNU.sparse.size');
    this.size = size === undefined ? dataSize : Number(parseDecimal(size) ?? -1);
    if (records.get('GNU.sparse.major') === '1') {
      if (dataSize < BLOCK_SIZE) throw bad('it has no map');
      this.due = BLOCK_SIZE;
    } else {
      const map = records.get('GNU.sparse.map') ?? '';
      this.#addRuns(map === '' ? [] : map.split(','));
    }
  }

  /** A count and that many pairs, one decimal number a line, filled up to a whole block. */
  push(piece: Uint8Array): void {
    this.mapSize += piece.length;
    this.#text += Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1');
    // What follows the last newline is not a whole number yet, or padding.
    const numbers = this.#text.split('\n').slice(0, -1);
    const count = numbers.length === 0 ? Number.NaN : Number(numbers[0]);
    if (numbers.length > 0 && !(Number.isSafeInteger(count) && count >= 0 && count <= MAX_RUNS)) {
      throw this.#bad(`its count of runs is ${JSON.stringify((numbers[0] ?? '').slice(0, 32))}`);
    }
    if (numbers.length < 1 + 2 * count || Number.isNaN(count)) {
      const more = this.mapSize + BLOCK_SIZE <= Math.min(this.#dataSize, MAX_MAP_BYTES);
      if (!more) throw this.#bad('it does not end');
      // The whole map is looked at again with the next piece, so pieces grow with it.
      const left = Math.floor((this.#dataSize - this.mapSize) / BLOCK_SIZE) * BLOCK_SIZE;
      this.due = Math.min(left, this.mapSize);
      return;
    }
    const map = numbers.slice(0, 1 + 2 * count);
    this.#addRuns(map.slice(1));
    const used = map.reduce((sum, line) => sum + line.length + 1, 0);
    this.mapSize = Math.ceil(used / BLOCK_SIZE) * BLOCK_SIZE;
    this.due = 0;
    this.#text = '';
  }

  #addRuns(numbers: readonly string[]): void {
    if (numbers.length % 2 !== 0) throw this.#bad('it is an odd count of numbers');
    for (let i = 0; i < numbers.length; i += 2) {
      const [from, length] = [parseDecimal(numbers[i] as string), parseDecimal(numbers[i + 1] as string)];
      addRun(this.runs, from, length, this.#bad);
    }
  }
}

function addRun(
  runs: SparseRun[],
  offset: number | bigint | undefined,
  length: number | bigint | undefined,
  bad: BadMap,
): void {
  if (offset === undefined || length === undefined) throw bad('a run is no pair of numbers');
  runs.push({ offset: Number(offset), length: Number(length) });
  if (runs.length > MAX_RUNS) {
    throw new SociError('ERR_SOCI_LIMIT', `a sparse file of more than ${MAX_RUNS} runs`, {
      data: { limit: MAX_RUNS },
    });
  }
}

export function badSparseMap(fields: EntryFields, reason: string): SociError {
  return new SociError(
    'ERR_SOCI_TAR_HEADER',
    `the sparse map of ${quoteByteString(fields.name)} at offset ${fields.headerOffset} of the tar stream: ${reason}`,
    { data: { entry: decodeByteString(fields.name), offset: fields.headerOffset } },
  );
}
