/**
 * The regular files of a tar archive and where their bytes are, so that an OCI
 * or docker archive is read in place: only headers are read. Links to files of
 * the archive are files too.
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
/** From link to link; real archives have one. */
const MAX_HOPS = 8;

/** The name of a member as the index has it: `./blobs/sha256/x` and `blobs/sha256/x` are one. */
export function cleanName(name: string): string {
  return name
    .split('/')
    .filter(part => part !== '' && part !== '.')
    .join('/');
}

/** What the link `name` means in the archive; undefined when that is outside of it. */
function linkTarget(name: string, link: string, type: 'hardlink' | 'symlink'): string | undefined {
  if (type === 'hardlink') return cleanName(link);
  if (link.startsWith('/')) return undefined;
  const parts = name.split('/').slice(0, -1);
  for (const part of cleanName(link).split('/')) {
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

/**
 * `docker save` before version 25 wrote a layer that several images share once, and links to it; hard links are what
 * tar makes of blobs that a layout has under two names.
 */
function addLinked(members: Map<string, ArchiveMember>, links: ReadonlyMap<string, string>): void {
  for (const name of links.keys()) {
    let target: string | undefined = name;
    for (let hops = 0; hops < MAX_HOPS && target !== undefined && !members.has(target); hops++) {
      target = links.get(target);
    }
    const member = target === undefined ? undefined : members.get(target);
    if (member !== undefined) members.set(name, member);
  }
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
  const links = new Map<string, string>();
  const parser = new TarHeaderParser(0, ARCHIVE);
  for (let count = 0; parser.position + parser.expectedLength <= archive.size; count++) {
    const offset = parser.position;
    const bytes = await archive.read(offset, parser.expectedLength, { signal });
    if (parser.expectsHeader && isZeroBlock(bytes)) {
      addLinked(members, links);
      return members;
    }
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
    if (found === undefined) continue;
    const { fields } = found.entry;
    const name = cleanName(decodeByteString(fields.name));
    // The last one of a name counts, as for tar. Blobs with holes are nobody's.
    links.delete(name);
    members.delete(name);
    if (fields.type === 'reg' && found.sparse === undefined) {
      members.set(name, { offset: fields.offset, size: fields.size });
    } else if (fields.type === 'hardlink' || fields.type === 'symlink') {
      const target = linkTarget(name, decodeByteString(fields.linkname), fields.type);
      if (target !== undefined) links.set(name, target);
    }
  }
  // Some writers leave out the two zero blocks at the end, but none stops within a block.
  if (parser.position !== archive.size || !parser.expectsHeader) {
    throw fail('the archive is cut short', parser.position);
  }
  addLinked(members, links);
  return members;
}

function whatIsWrong(error: unknown, bytes: Uint8Array, offset: number): string {
  if (offset === 0 && bytes[0] === 0x1f && bytes[1] === 0x8b) {
    return 'a compressed archive cannot be read in place; gunzip it first: gzip data';
  }
  const checksum = error instanceof SociError && error.data['field'] === 'checksum';
  return checksum ? 'no tar header' : error instanceof Error ? error.message : String(error);
}
