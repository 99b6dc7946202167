/**
 * One entry's own headers held against what a ztoc says of it: a ztoc and its
 * layer come from different hands, and a table of contents that lies about names,
 * owners or modes is found out when the file's header passes by.
 */
import { SociError } from '../errors.js';
import { quoteByteString } from './byte-string.js';
import type { EntryFields, PaxPair, TocEntry } from './entry.js';
import { headerError } from './header-block.js';
import { TarHeaderParser } from './header-parser.js';
import { GO_ZERO_TIME, parseTime } from './time.js';

/** The first field in which two entries differ, with both values in printable form. */
export interface EntryDifference {
  readonly field: keyof EntryFields;
  readonly expected: string | number;
  readonly found: string | number;
}

/**
 * Reads the entry whose headers are `bytes`, all of them: the stream's bytes
 * from its header offset to its data offset.
 *
 * @throws SociError ERR_SOCI_TAR_HEADER, also when the headers are longer or
 *   shorter than `bytes`; ERR_SOCI_TAR_UNSUPPORTED as TarHeaderParser does
 */
export function parseEntryHeader(bytes: Uint8Array, headerOffset: number): TocEntry {
  const parser = new TarHeaderParser(headerOffset);
  const dataOffset = headerOffset + bytes.length;
  let entry: TocEntry | undefined;
  while (entry === undefined) {
    const offset = parser.position;
    const start = offset - headerOffset;
    const end = start + parser.expectedLength;
    if (end > bytes.length) {
      throw headerError(headerOffset, `it goes on past offset ${dataOffset}, where the data should begin`);
    }
    entry = parser.push({ offset, bytes: bytes.subarray(start, end) })?.entry;
  }
  if (entry.offset !== dataOffset) {
    throw headerError(headerOffset, `its data begin at offset ${entry.offset}, expected ${dataOffset}`);
  }
  return entry;
}

/** Times are compared as instants (the reference writes its builder's zone), PAX records as sets. */
export function compareEntry(expected: TocEntry, found: TocEntry): EntryDifference | undefined {
  const a = expected.fields;
  const b = found.fields;
  for (const field of PLAIN_FIELDS) {
    if (a[field] !== b[field]) return { field, expected: printable(a[field]), found: printable(b[field]) };
  }
  if (!sameTime(a.modTime, b.modTime)) return { field: 'modTime', expected: a.modTime, found: b.modTime };
  const pax = firstPaxDifference(a.pax, b.pax);
  return pax === undefined ? undefined : { field: 'pax', ...pax };
}

/** compareEntry as an error: ERR_SOCI_TAR_HEADER_MISMATCH naming the entry and the field. */
export function verifyEntry(expected: TocEntry, found: TocEntry): void {
  const difference = compareEntry(expected, found);
  if (difference === undefined) return;
  const { field } = difference;
  throw new SociError(
    'ERR_SOCI_TAR_HEADER_MISMATCH',
    `the tar header of ${quoteByteString(expected.fields.name)} at offset ${expected.headerOffset} of the tar stream does not ` +
      `match the ztoc: ${field} is ${difference.found}, the ztoc says ${difference.expected}`,
    { data: { entry: expected.name, offset: expected.headerOffset, ...difference } },
  );
}

const PLAIN_FIELDS = [
  'name',
  'type',
  'headerOffset',
  'offset',
  'size',
  'linkname',
  'mode',
  'uid',
  'gid',
  'uname',
  'gname',
  'devmajor',
  'devminor',
] as const satisfies readonly (keyof EntryFields)[];

function sameTime(a: string, b: string): boolean {
  if (a === b) return true;
  const left = parseTime(a) ?? GO_ZERO_TIME;
  const right = parseTime(b) ?? GO_ZERO_TIME;
  return left.seconds === right.seconds && left.nanoseconds === right.nanoseconds;
}

function firstPaxDifference(
  a: readonly PaxPair[],
  b: readonly PaxPair[],
): { expected: string; found: string } | undefined {
  const left = new Map(a);
  const right = new Map(b);
  for (const key of [...left.keys(), ...right.keys()]) {
    const expected = left.get(key);
    const found = right.get(key);
    if (expected !== found) return { expected: showPax(key, expected), found: showPax(key, found) };
  }
  return undefined;
}

function showPax(key: string, value: string | undefined): string {
  return value === undefined ? `no record ${quoteByteString(key)}` : quoteByteString(`${key}=${value}`);
}

function printable(value: string | number): string | number {
  return typeof value === 'number' ? value : quoteByteString(value);
}
