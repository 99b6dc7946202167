/**
 * Which spans of a layer were fetched, in which lane, and which of them anybody
 * has asked for: what was fetched in vain, and whether so much of a layer is
 * wanted that the rest of it probably will be.
 */

import { LANES } from '../source/lanes.js';
import type { Lane } from '../source/range-source.js';
import type { Interval } from './plan.js';
import { compressedLength, type SpanTable } from './span-table.js';

/** Of a span's byte: somebody has asked for it, … */
const ASKED = 4;
/** …not only one who passed over it. */
const READ = 8;
/** And 1 + the place of the lane that it was fetched in first; 0: it was not. */
const LANE = 3;

export class SpanUse {
  readonly #table: SpanTable;
  readonly #wasted: Record<Lane, number> = { demand: 0, prefetch: 0, background: 0 };
  #spans: Uint8Array | undefined;
  #readBytes = 0;

  constructor(table: SpanTable) {
    this.#table = table;
  }

  /** Compressed bytes of spans that somebody has read. Passes do not count: they leave nothing for later reads. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** Compressed bytes of spans that were fetched in a lane and that nobody has asked for so far. */
  wasted(lane: Lane): number {
    return this.#wasted[lane];
  }

  /** Somebody asks for spans. */
  asked({ first, end }: Interval, by: 'read' | 'pass'): void {
    const spans = this.#all();
    const marks = by === 'read' ? ASKED | READ : ASKED;
    for (let index = first; index < end; index++) {
      const state = spans[index] as number;
      if ((state & marks) === marks) continue;
      spans[index] = state | marks;
      const bytes = compressedLength(this.#table.span(index));
      if (by === 'read') this.#readBytes += bytes;
      const lane = LANES[(state & LANE) - 1];
      if (lane !== undefined && (state & ASKED) === 0) this.#wasted[lane] -= bytes;
    }
  }

  /** The stored bytes of spans have come. */
  fetched({ first, end }: Interval, lane: Lane): void {
    const spans = this.#all();
    for (let index = first; index < end; index++) {
      const state = spans[index] as number;
      if ((state & LANE) !== 0) continue;
      spans[index] = state | (1 + LANES.indexOf(lane));
      if ((state & ASKED) === 0) this.#wasted[lane] += compressedLength(this.#table.span(index));
    }
  }

  #all(): Uint8Array {
    this.#spans ??= new Uint8Array(this.#table.spanCount);
    return this.#spans;
  }
}
