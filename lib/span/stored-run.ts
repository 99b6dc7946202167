/**
 * The stored bytes of neighbouring spans, got together: with one request into
 * memory or, where the layer is a file that can be lent, by the very jobs that
 * decode them, so that script touches none of them.
 */
import { SociError } from '../errors.js';
import type { Work } from '../source/lanes.js';
import type { FileLender } from '../source/lent-file.js';
import type { Fetcher } from './fetcher.js';
import type { LayerSpans } from './layer-spans.js';
import { runRange } from './plan.js';
import type { ReusedMemory } from './reused-memory.js';
import { decodeSpanInFile, decodeWholeSpan, isOneJob, type SpanDecodingOptions } from './span-decoding.js';
import type { Span } from './span-table.js';

export interface StoredRun {
  /** Bytes of the layer. */
  readonly length: number;
  /** What comes before the first span can be decoded. */
  begin(work: Work): Promise<void>;
  decode(span: Span, options: SpanDecodingOptions): Promise<Uint8Array>;
  /** Nothing of it is under way any more. */
  end(): void;
}

/** @param spans neighbours, at least one @param memory for a request; what a source writes late may spoil it */
export function storedRun(
  layer: LayerSpans,
  fetcher: Fetcher,
  spans: readonly [Span, ...Span[]],
  memory: ReusedMemory | undefined,
): StoredRun {
  const { index } = spans[0];
  const { start, end } = runRange(layer.table, index, index + spans.length);
  const oneJobEach = spans.every(isOneJob);
  const place = { layer, fetcher, start, end };
  if (oneJobEach && fetcher.lend !== undefined) return new LentRun(place, fetcher.lend);
  // A longer span is read again after its digest was checked, when a source that writes late could change it.
  return new FetchedRun(place, oneJobEach ? memory : undefined);
}

interface Place {
  readonly layer: LayerSpans;
  readonly fetcher: Fetcher;
  readonly start: number;
  readonly end: number;
}

class FetchedRun implements StoredRun {
  readonly #place: Place;
  readonly #memory: ReusedMemory | undefined;
  #bytes: Uint8Array | undefined;

  constructor(place: Place, memory: ReusedMemory | undefined) {
    this.#place = place;
    this.#memory = memory;
  }

  get length(): number {
    return this.#place.end - this.#place.start;
  }

  async begin({ signal, urgency }: Work): Promise<void> {
    const { fetcher, start, end } = this.#place;
    this.#bytes = await fetcher.fetch(start, end, { signal, urgency, memory: this.#memory });
  }

  decode(span: Span, options: SpanDecodingOptions): Promise<Uint8Array> {
    const { layer, start } = this.#place;
    const bytes = this.#bytes as Uint8Array;
    const input = bytes.subarray(layer.table.fetchStart(span.index) - start, span.compressedEnd - start);
    return decodeWholeSpan(layer, span, input, options);
  }

  end(): void {
    if (this.#bytes !== undefined) this.#memory?.giveBack(this.#bytes);
  }
}

class LentRun implements StoredRun {
  readonly #place: Place;
  readonly #lend: FileLender;
  #over: ((outcome: 'fetched' | 'failed') => void) | undefined;
  #outcome: 'fetched' | 'failed' = 'fetched';

  constructor(place: Place, lend: FileLender) {
    this.#place = place;
    this.#lend = lend;
  }

  get length(): number {
    return this.#place.end - this.#place.start;
  }

  async begin({ urgency }: Work): Promise<void> {
    const { fetcher, start, end } = this.#place;
    this.#over = fetcher.countRead(start, end, urgency.lane);
  }

  async decode(span: Span, options: SpanDecodingOptions): Promise<Uint8Array> {
    try {
      return await decodeSpanInFile(this.#place.layer, span, this.#lend, options);
    } catch (error) {
      if (isOfReading(error)) this.#outcome = 'failed';
      throw error;
    }
  }

  end(): void {
    this.#over?.(this.#outcome);
  }
}

/** Whether the bytes did not arrive, as against: are not what they should be. */
function isOfReading(error: unknown): boolean {
  return !(error instanceof SociError) || /^ERR_SOCI_(SOURCE_.*|CLOSED)$/.test(error.code);
}
