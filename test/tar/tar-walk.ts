/** Reads the headers of a whole tar in memory, without the native scanner: the parser says where the next one is. */
import type { TocEntry } from '../../lib/tar/entry.js';
import { TarHeaderParser } from '../../lib/tar/header-parser.js';

export function readEntries(tar: Uint8Array): TocEntry[] {
  const parser = new TarHeaderParser();
  const entries: TocEntry[] = [];
  while (parser.position < tar.length) {
    const offset = parser.position;
    const record = tar.subarray(offset, offset + parser.expectedLength);
    if (record.length === 512 && record.every(byte => byte === 0)) break;
    const found = parser.push({ offset, bytes: record });
    if (found !== undefined) entries.push(found.entry);
  }
  return entries;
}
