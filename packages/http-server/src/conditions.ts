/**
 * Conditional and range requests of one representation: RFC 9110 sections 13
 * and 14, in the order of 13.2.2.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from './refusal.js';

export interface Validators {
  /** Strong, with its quotes. */
  readonly etag: string;
  readonly lastModified: Date | undefined;
}

/** Bytes `start` to `end`, `end` exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * True when the client's copy is good: 304.
 *
 * @throws Refusal 412
 */
export function isUnchanged(headers: IncomingHttpHeaders, { etag, lastModified }: Validators): boolean {
  const ifMatch = headers['if-match'];
  const ifUnmodifiedSince = dateOf(headers['if-unmodified-since']);
  if (ifMatch !== undefined) {
    if (!lists(ifMatch, etag, 'strongly')) throw new Refusal(412, 'it is another one');
  } else if (ifUnmodifiedSince !== undefined && isLater(lastModified, ifUnmodifiedSince)) {
    throw new Refusal(412, 'it was modified');
  }
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, etag, 'weakly');
  const ifModifiedSince = dateOf(headers['if-modified-since']);
  return (
    ifModifiedSince !== undefined && lastModified !== undefined && !isLater(lastModified, ifModifiedSince)
  );
}

/**
 * The range of `size` bytes that is asked for; undefined: all of them. Several ranges are answered with everything,
 * as are ranges of another version or in another form (14.2).
 *
 * @throws Refusal 416
 */
export function requestedRange(
  headers: IncomingHttpHeaders,
  size: number,
  { etag, lastModified }: Validators,
): ByteRange | undefined {
  const found = /^bytes[ \t]*=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(headers.range ?? '');
  if (!found) return undefined;
  const ifRange = headers['if-range'];
  if (typeof ifRange === 'string') {
    const same = ifRange.startsWith('"')
      ? ifRange.trim() === etag
      : lastModified !== undefined && dateOf(ifRange) === seconds(lastModified);
    if (!same) return undefined;
  }
  const [, first = '', last = ''] = found;
  if (first === '' && last === '') return undefined;
  const range =
    first === ''
      ? { start: Math.max(0, size - Number(last)), end: size }
      : { start: Number(first), end: last === '' ? size : Math.min(size, Number(last) + 1) };
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  if (range.start >= size) {
    throw new Refusal(416, `there are ${size} bytes`, { 'content-range': `bytes */${size}` });
  }
  return range;
}

/** Whether a list of entity tags has `etag`, or is `*`. */
function lists(list: string, etag: string, comparison: 'strongly' | 'weakly'): boolean {
  if (list.trim() === '*') return true;
  return Array.from(list.matchAll(/(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g)).some(
    ([, weak, tag]) => tag === etag && (weak === undefined || comparison === 'weakly'),
  );
}

/** HTTP's dates have no fractions of a second. */
const seconds = (date: Date): number => Math.floor(date.getTime() / 1000);

function isLater(date: Date | undefined, than: number): boolean {
  return date === undefined || seconds(date) > than;
}

function dateOf(text: string | undefined): number | undefined {
  const time = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : seconds(new Date(time));
}
