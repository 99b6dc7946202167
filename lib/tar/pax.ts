/**
 * The body of a PAX extended header ('x' or 'g'): records of
 * "LENGTH KEY=VALUE\n" (POSIX.1-2017 "pax Extended Header"), with the checks of
 * Go's parsePAX. Keys and values are byte strings.
 */
import { toByteString } from './byte-string.js';
import { parseDecimal } from './numeric.js';

export type PaxRecords = ReadonlyMap<string, string>;

/** Why a body is not a PAX header: `at` is the offset of the bad record in the body. */
export interface PaxProblem {
  readonly at: number;
  readonly reason: string;
}

/** Keys whose values end up in C strings: a NUL inside would cut them short. */
const TEXT_KEYS: ReadonlySet<string> = new Set(['path', 'linkpath', 'uname', 'gname']);

export function parsePaxRecords(body: Uint8Array): PaxRecords | PaxProblem {
  const text = toByteString(body);
  const records = new Map<string, string>();
  const sparseMap: string[] = [];
  let at = 0;
  while (at < text.length) {
    const space = text.indexOf(' ', at);
    const length = space < 0 ? undefined : parseDecimal(text.slice(at, space));
    if (length === undefined) return { at, reason: 'a record does not begin with its length and a space' };
    const end = at + Number(length);
    if (length < 5 || end > text.length || end <= space + 1) {
      return { at, reason: `a record claims to be ${length} bytes of ${text.length - at}` };
    }
    if (text[end - 1] !== '\n')
      return { at, reason: `a record of ${length} bytes does not end in a newline` };
    const equals = text.indexOf('=', space + 1);
    if (equals < 0 || equals >= end - 1) return { at, reason: 'a record has no "="' };
    const key = text.slice(space + 1, equals);
    const value = text.slice(equals + 1, end - 1);
    if (key === '') return { at, reason: 'a record has an empty key' };
    if ((TEXT_KEYS.has(key) ? value : key).includes('\0')) {
      return { at, reason: `the record ${JSON.stringify(key)} contains a NUL` };
    }
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      // GNU sparse 0.0 repeats these two in turn, which PAX does not allow; Go folds them into the map of 0.1.
      const expected = sparseMap.length % 2 === 0 ? 'GNU.sparse.offset' : 'GNU.sparse.numbytes';
      if (key !== expected || value.includes(','))
        return { at, reason: 'the GNU sparse map is out of order' };
      sparseMap.push(value);
    } else {
      records.set(key, value);
    }
    at = end;
  }
  if (sparseMap.length > 0) records.set('GNU.sparse.map', sparseMap.join(','));
  return records;
}

/** Whether Go would read the file as one of GNU tar's sparse formats 0.0, 0.1 or 1.0. */
export function describesSparseFile(records: PaxRecords): boolean {
  const major = records.get('GNU.sparse.major') ?? '';
  const minor = records.get('GNU.sparse.minor') ?? '';
  if (major === '0') return minor === '0' || minor === '1';
  if (major === '1') return minor === '0';
  return major === '' && minor === '' && (records.get('GNU.sparse.map') ?? '') !== '';
}
