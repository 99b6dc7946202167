/**
 * The regular files of a tar archive and where their bytes are, so that an OCI
 * archive is read in place: only headers are read.
 */
import { SociError } from '../errors.js';
import type { RangeSource } from '../source/range-source.js';
import { decodeByteString } from '../tar/byte-string.js';
import { isZeroBlock } from '../tar/header-block.js';
import { type ParsedEntry, TarHeaderParser } from '../tar/header-parser.js';
import { ARCHIVE } from '../tar/policy.js';

export interface ArchiveMember {
  /** Of the content, in bytes of the archive. */
  readonly offset: number;
  readonly size: number;
}

const MAX_RECORDS = 200_000;

/** `./blobs/sha256/x` and `blobs/sha256/x` are one name. */
function cleanName(name: string): string {
  return name
    .split('/')
    .filter(part => part !== '' && part !== '.')
    .join('/');
}

/**
 * Walks the headers of `archive`.
 *
 * @throws SociError ERR_SOCI_LAYOUT when it is not a tar archive or is cut short; ERR_SOCI_LIMIT
 */
export async function indexArchive(
  archive: RangeSource,
  signal?: AbortSignal,
): Promise<Map<string, ArchiveMember>> {
  const fail = (detail: string, offset: number, cause?: unknown): SociError =>
    new SociError('ERR_SOCI_LAYOUT', `${archive.name}: ${detail} at offset ${offset}`, {
      data: { name: archive.name, offset },
      cause,
    });
  const members = new Map<string, ArchiveMember>();
  const parser = new TarHeaderParser(0, ARCHIVE);
  for (let count = 0; parser.position + parser.expectedLength <= archive.size; count++) {
    const offset = parser.position;
    const bytes = await archive.read(offset, parser.expectedLength, { signal });
    if (parser.expectsHeader && isZeroBlock(bytes)) return members;
    if (count >= MAX_RECORDS) {
      throw new SociError('ERR_SOCI_LIMIT', `${archive.name}: more than ${MAX_RECORDS} headers`, {
        data: { limit: MAX_RECORDS },
      });
    }
    let found: ParsedEntry | undefined;
    try {
      found = parser.push({ offset, bytes });
    } catch (error) {
      throw fail(whatIsWrong(error, bytes, offset), offset, error);
    }
    if (parser.contentEnd > archive.size)
      throw fail('a member reaches beyond the end of the archive', offset);
    // Blobs with holes are nobody's.
    if (found?.entry.type === 'reg' && found.sparse === undefined) {
      const { fields } = found.entry;
      members.set(cleanName(decodeByteString(fields.name)), { offset: fields.offset, size: fields.size });
    }
  }
  // Some writers leave out the two zero blocks at the end, but none stops within a block.
  if (parser.position !== archive.size || !parser.expectsHeader) {
    throw fail('the archive is cut short', parser.position);
  }
  return members;
}

function whatIsWrong(error: unknown, bytes: Uint8Array, offset: number): string {
  if (offset === 0 && bytes[0] === 0x1f && bytes[1] === 0x8b) {
    return 'a compressed archive cannot be read in place; gunzip it first: gzip data';
  }
  const checksum = error instanceof SociError && error.data['field'] === 'checksum';
  return checksum ? 'no tar header' : error instanceof Error ? error.message : String(error);
}
