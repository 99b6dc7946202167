/**
 * The stored bytes of spans that are near to each other, got together: fetched
 * into memory, where each span's are used as soon as they are there, or, where the
 * layer is a file that can be lent, read by the very jobs that decode them, so
 * that script touches none of them.
 */
import { SociError } from '../errors.js';
import { ArrivedBytes } from '../source/arrived-bytes.js';
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
  /** Settles when all stored bytes are there, or can be read by jobs. */
  begin(work: Work): Promise<void>;
  /** Resolves when those of `span` are there; undefined: not before all are. */
  arrival(span: Span): Promise<void> | undefined;
  decode(span: Span, options: SpanDecodingOptions): Promise<Uint8Array>;
  /** Those of any span of it, once all are there; undefined where script never has them. */
  stored(span: Span): Uint8Array | undefined;
  /** Nothing of it is under way any more. */
  end(): void;
}

/** @param spans ascending, at least one @param memory for a request; what a source writes late may spoil it */
export function storedRun(
  layer: LayerSpans,
  fetcher: Fetcher,
  spans: readonly [Span, ...Span[]],
  memory: ReusedMemory | undefined,
): StoredRun {
  const last = spans.at(-1) as Span;
  const { start, end } = runRange(layer.table, spans[0].index, last.index + 1);
  const oneJobEach = spans.every(isOneJob);
  const place = { layer, fetcher, start, end };
  if (oneJobEach && fetcher.lend !== undefined) return new LentRun(place, fetcher.lend);
  // A longer span is read again after its digest was checked, when a source that writes late could change it.
  if (!oneJobEach) return new FetchedRun(place, undefined, 'together');
  return new FetchedRun(place, memory, layer.context.planning.overlaps ? 'one by one' : 'together');
}

interface Place {
  readonly layer: LayerSpans;
  readonly fetcher: Fetcher;
  readonly start: number;
  readonly end: number;
}

/** A span of which bytes are missing. */
interface Awaited {
  readonly start: number;
  readonly end: number;
  readonly come: () => void;
}

class FetchedRun implements StoredRun {
  readonly #place: Place;
  readonly #memory: ReusedMemory | undefined;
  readonly #use: 'together' | 'one by one';
  readonly #arrived = new ArrivedBytes();
  readonly #awaited = new Set<Awaited>();
  /** From the run's start on, as far as bytes are there. */
  #bytes: Uint8Array | undefined;
  #complete = false;

  constructor(place: Place, memory: ReusedMemory | undefined, use: 'together' | 'one by one') {
    this.#place = place;
    this.#memory = memory;
    this.#use = use;
  }

  get length(): number {
    return this.#place.end - this.#place.start;
  }

  async begin({ signal, urgency }: Work): Promise<void> {
    const { fetcher, start, end } = this.#place;
    const onBytes = this.#use === 'one by one' ? this.#onBytes : undefined;
    const options = { signal, urgency, memory: this.#memory, onBytes };
    this.#bytes = await fetcher.fetch(start, end, options);
    this.#complete = true;
  }

  arrival(span: Span): Promise<void> | undefined {
    // With the last one's bytes the request ends, and what is wrong with it is known.
    if (this.#use === 'together' || span.compressedEnd === this.#place.end) return undefined;
    const start = this.#place.layer.table.fetchStart(span.index);
    return new Promise(come => {
      const awaited = { start, end: span.compressedEnd, come };
      if (this.#has(awaited)) come();
      else this.#awaited.add(awaited);
    });
  }

  decode(span: Span, options: SpanDecodingOptions): Promise<Uint8Array> {
    return decodeWholeSpan(this.#place.layer, span, this.stored(span), options);
  }

  stored(span: Span): Uint8Array {
    const { layer, start } = this.#place;
    const bytes = this.#bytes as Uint8Array;
    return bytes.subarray(layer.table.fetchStart(span.index) - start, span.compressedEnd - start);
  }

  end(): void {
    // What of a failed fetch is still to come may be written later.
    if (this.#complete) this.#memory?.giveBack(this.#bytes as Uint8Array);
  }

  readonly #onBytes = (memory: Uint8Array, start: number, end: number): void => {
    // A source that tells too late tells nothing new.
    if (this.#complete) return;
    this.#bytes = memory;
    this.#arrived.add(start, end);
    for (const awaited of this.#awaited) {
      if (!this.#has(awaited)) continue;
      this.#awaited.delete(awaited);
      awaited.come();
    }
  };

  #has({ start, end }: Awaited): boolean {
    return this.#arrived.endFrom(start) >= end;
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

  arrival(): undefined {
    return undefined;
  }

  stored(): undefined {
    return undefined;
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
