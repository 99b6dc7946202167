/**
 * Gets stored spans to where their source keeps what it fetches, a store for one:
 * held against their digests on the way, and not decoded, which costs more than
 * all the rest and is done when somebody reads them. What has a wrong digest is
 * not left there, where it would spoil the layer as a whole: it is fetched once
 * more, past whatever is kept, and kept when it is right.
 */
import { createHash, type Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { Urgency } from '../source/lanes.js';
import type { Lane, SourceKeeping } from '../source/range-source.js';
import type { Fetcher } from './fetcher.js';
import type { LayerSpans } from './layer-spans.js';
import type { Interval } from './plan.js';
import { digestBytes, digestMismatch, sameDigest } from './span-digest.js';
import type { Span, SpanTable } from './span-table.js';
import type { FailedSpan, FetchedAhead } from './span-warming.js';
import type { Wish } from './urgent-work.js';

/** One request: short where somebody else's must not wait behind it, as object stores like it where not. */
const REQUEST_BYTES: Readonly<Record<Lane, number>> = {
  demand: 8 * 1024 * 1024,
  prefetch: 8 * 1024 * 1024,
  background: 1024 * 1024,
};
/** Hashed in about a millisecond, then others get their turn. */
const SLICE_BYTES = 1024 * 1024;

/**
 * Undefined when the source would not keep what is fetched.
 *
 * @throws what fetching fails with
 */
export async function keepSpans(
  layer: LayerSpans,
  fetcher: Fetcher,
  spans: Interval,
  wish: Wish,
): Promise<FetchedAhead | undefined> {
  const { table, name, record } = layer;
  const { keeping } = fetcher;
  const { start, end } = storedRange(table, spans);
  const present = await keeping?.presentBytes(start, end - start);
  if (keeping === undefined || present === undefined) return undefined;
  const pass = new StoredPass(layer, fetcher, keeping, wish);
  const listed = Array.from({ length: spans.end - spans.first }, (_, at) => table.span(spans.first + at));
  const failures: FailedSpan[] = [];
  const release = keeping.hold();
  try {
    for (const { span } of await pass.wrongSpans(listed, { start, end }, 'kept')) {
      record.retried();
      const range = { start: span.compressedStart, end: span.compressedEnd };
      await keeping.forget(range.start, range.end - range.start);
      const [wrong] = await pass.wrongSpans([span], range, 'past');
      if (wrong !== undefined) {
        failures.push({ span: span.index, error: digestMismatch(name, span, wrong.found) });
      } else await pass.wrongSpans([span], range, 'kept');
    }
  } finally {
    release();
  }
  return { present, fetched: end - start - present, failures };
}

/**
 * Bytes of the layer that some spans stand for: what is in front of the first one of all and behind the last one belongs
 * to these, and a byte that neighbours share to the later one, so that all of them together are the layer.
 */
export function storedLength(table: SpanTable, { first, end }: Interval): number {
  const cut = (span: number): number =>
    span === 0 ? 0 : span === table.spanCount ? table.compressedSize : table.fetchStart(span);
  return cut(end) - cut(first);
}

/** The bytes of some spans; what is in front of the first one and behind the last one belongs to these. */
function storedRange(table: SpanTable, { first, end }: Interval): { start: number; end: number } {
  const start = first === 0 ? 0 : table.fetchStart(first);
  return { start, end: end === table.spanCount ? table.compressedSize : table.span(end - 1).compressedEnd };
}

interface WrongSpan {
  readonly span: Span;
  /** The digest that it has. */
  readonly found: Uint8Array;
}

class StoredPass {
  readonly #layer: LayerSpans;
  readonly #fetcher: Fetcher;
  readonly #keeping: SourceKeeping;
  readonly #wish: Wish;

  constructor(layer: LayerSpans, fetcher: Fetcher, keeping: SourceKeeping, wish: Wish) {
    this.#layer = layer;
    this.#fetcher = fetcher;
    this.#keeping = keeping;
    this.#wish = wish;
  }

  /** Reads a range with all of the spans, to be kept or past what is kept, and says which of them have another digest than the ztoc states. */
  async wrongSpans(
    spans: readonly Span[],
    { start, end }: { readonly start: number; readonly end: number },
    how: 'kept' | 'past',
  ): Promise<WrongSpan[]> {
    const { context } = this.#layer;
    const { signal, lane } = this.#wish;
    const hashes: Hash[] = spans.map(() => createHash('sha256'));
    const bytesAtOnce = REQUEST_BYTES[lane];
    let next = 0;
    for (let at = start; at < end; ) {
      const to = Math.min(end, (Math.floor(at / bytesAtOnce) + 1) * bytesAtOnce);
      const urgency = new Urgency(lane);
      const lease = await context.memory.acquire(to - at, { signal, urgency });
      try {
        const bytes =
          how === 'kept'
            ? await this.#fetcher.fetch(at, to, { signal, urgency })
            : await this.#keeping.readPast(at, to - at, { signal, lane });
        // Neighbours may share a byte, so that the last span of one piece can go on in the next.
        for (let each = next; each < spans.length; each++) {
          const { compressedStart, compressedEnd } = spans[each]!;
          if (compressedStart >= to) break;
          const part = bytes.subarray(Math.max(0, compressedStart - at), compressedEnd - at);
          await hashSlices(hashes[each]!, part);
          if (compressedEnd <= to && each === next) next++;
        }
      } finally {
        lease.release();
      }
      signal.throwIfAborted();
      at = to;
    }
    return spans.flatMap((span, each) => {
      const found = hashes[each]!.digest();
      return sameDigest(found, digestBytes(span.digest)) ? [] : [{ span, found }];
    });
  }
}

async function hashSlices(hash: Hash, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    hash.update(bytes.subarray(at, at + SLICE_BYTES));
    if (bytes.length - at > SLICE_BYTES) await setImmediate();
  }
}
