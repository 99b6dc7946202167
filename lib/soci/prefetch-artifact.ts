/**
 * The prefetch artifact: span ranges of one layer that a runtime should fetch
 * before they are asked for. Both ends of a range are inclusive, as the format
 * has them.
 */
import { SociError } from '../errors.js';
import { MAX_MANIFEST_BYTES } from '../registry/manifest.js';
import type { Ztoc } from '../ztoc/ztoc.js';

const VERSION = '1.0';

/** Spans first…last of a layer, both included. */
export interface SpanRange {
  readonly first: number;
  readonly last: number;
}

/** Sorts ranges and joins those that overlap or touch. */
export function normalizeSpanRanges(ranges: readonly SpanRange[]): SpanRange[] {
  const joined: SpanRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const previous = joined.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      joined[joined.length - 1] = { first: previous.first, last: Math.max(previous.last, range.last) };
    } else {
      joined.push(range);
    }
  }
  return joined;
}

/**
 * The spans of a file as the reference records them: up to the span at
 * offset + size, which is one too many for a file that ends on a boundary, but
 * decides the artifact's digest. Links are not followed. Undefined when the
 * layer has no such path.
 */
export function spanRangeOf(ztoc: Ztoc, path: string): SpanRange | undefined {
  const entry = ztoc.locate(path);
  if (entry === undefined || ztoc.spanCount === 0) return undefined;
  const first = ztoc.spanOf(entry.offset);
  return { first, last: Math.max(first, ztoc.spanOf(entry.offset + entry.size)) };
}

/** The canonical bytes of an artifact. The ranges need not be normalised; there must be at least one. */
export function encodePrefetchArtifact(ranges: readonly SpanRange[]): Uint8Array {
  const spans = normalizeSpanRanges(ranges).map(({ first, last }) => ({ start_span: first, end_span: last }));
  return Buffer.from(JSON.stringify({ version: VERSION, prefetch_spans: spans }));
}

function malformed(where: string, detail: string): SociError {
  return new SociError('ERR_SOCI_INDEX_FORMAT', `${where}: ${detail}`, { data: { where } });
}

function isSpan(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/**
 * Reads an artifact for a layer of `spanCount` spans; ranges that reach beyond
 * the last span are clamped to it, so a hostile end costs nothing.
 *
 * @throws SociError ERR_SOCI_INDEX_FORMAT
 */
export function parsePrefetchArtifact(bytes: Uint8Array, spanCount: number, where: string): SpanRange[] {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw malformed(where, `expected at most ${MAX_MANIFEST_BYTES} bytes, found ${bytes.length}`);
  }
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new SociError('ERR_SOCI_INDEX_FORMAT', `${where}: not JSON`, { data: { where }, cause });
  }
  const { version, prefetch_spans: spans } = (document ?? {}) as Record<string, unknown>;
  if (version !== VERSION) {
    throw malformed(where, `expected version "${VERSION}", found ${JSON.stringify(version)?.slice(0, 100)}`);
  }
  if (!Array.isArray(spans) || spans.length === 0) throw malformed(where, 'expected at least one span range');
  const ranges = spans.map((span: unknown, index) => {
    const { start_span: first, end_span: last } = (span ?? {}) as Record<string, unknown>;
    if (!isSpan(first) || !isSpan(last) || last < first) {
      throw malformed(where, `prefetch_spans[${index}]: expected start_span <= end_span`);
    }
    return { first, last: Math.min(last, spanCount - 1) };
  });
  return normalizeSpanRanges(ranges.filter(range => range.first < spanCount));
}
