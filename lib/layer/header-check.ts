/**
 * The tar headers of the files that are read, held against the table of
 * contents: data are protected by span digests, but what a ztoc says of a name,
 * a size or a link only by this. Each entry is checked once; its header's bytes
 * are fetched with the data, in one plan.
 */
import { SociError } from '../errors.js';
import type { ReadPart } from '../span/read-part.js';
import { quoteByteString } from '../tar/byte-string.js';
import type { TocEntry } from '../tar/entry.js';
import { parseEntryHeader, verifyEntry } from '../tar/entry-header.js';

/** A header is at most a few blocks and extensions of 1 MiB each; anything beyond is no header. */
const MAX_HEADER_BYTES = 8 * 1024 * 1024;

/** Headers to be read and compared. */
export interface PendingHeaders {
  readonly parts: readonly ReadPart[];
  /** Call it once the parts are filled. @throws SociError ERR_SOCI_TAR_HEADER_MISMATCH */
  compare(): void;
}

export class HeaderCheck {
  readonly #checked = new Set<string>();
  readonly #enabled: boolean;

  constructor({ enabled }: { readonly enabled: boolean }) {
    this.#enabled = enabled;
  }

  /** What has not been checked yet of these entries. */
  pending(entries: readonly TocEntry[]): PendingHeaders {
    const unchecked = this.#enabled ? entries.filter(entry => !this.#checked.has(key(entry))) : [];
    const headers = new Map(unchecked.map(entry => [key(entry), { entry, part: headerPart(entry) }]));
    return {
      parts: [...headers.values()].map(({ part }) => part),
      compare: () => {
        for (const [id, { entry, part }] of headers) {
          compareHeader(entry, part);
          this.#checked.add(id);
        }
      },
    };
  }
}

function key(entry: TocEntry): string {
  return `${entry.headerOffset}:${entry.offset}`;
}

function headerPart(entry: TocEntry): ReadPart {
  const length = entry.offset - entry.headerOffset;
  if (length <= 0 || length > MAX_HEADER_BYTES) {
    throw mismatch(entry, `${length} bytes between the entry before and its data cannot be its header`);
  }
  return { start: entry.headerOffset, target: new Uint8Array(length) };
}

function compareHeader(entry: TocEntry, part: ReadPart): void {
  let found: TocEntry;
  try {
    found = parseEntryHeader(part.target, part.start);
  } catch (error) {
    if (!(error instanceof SociError)) throw error;
    throw mismatch(entry, error.message, error);
  }
  verifyEntry(entry, found);
}

function mismatch(entry: TocEntry, why: string, cause?: unknown): SociError {
  return new SociError(
    'ERR_SOCI_TAR_HEADER_MISMATCH',
    `no tar header for ${quoteByteString(entry.fields.name)} where the ztoc places it: ${why}`,
    { data: { entry: entry.name, headerOffset: entry.headerOffset, offset: entry.offset }, cause },
  );
}
