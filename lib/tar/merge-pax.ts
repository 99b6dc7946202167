/**
 * PAX records override the block's fields; an empty value does not, but stays a
 * record (Go's mergePAX).
 */
import type { SociError } from '../errors.js';
import { type HeaderBlock, headerError } from './header-block.js';
import { type Int64, parseDecimal } from './numeric.js';
import type { PaxRecords } from './pax.js';
import { parsePaxTime } from './time.js';

/**
 * A header's fields once its PAX records have had their say.
 *
 * @throws SociError ERR_SOCI_TAR_HEADER
 */
export function mergePax(header: HeaderBlock, pax: PaxRecords | undefined, offset: number): HeaderBlock {
  if (pax === undefined) return header;
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
