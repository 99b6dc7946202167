/**
 * How much a prefetch may bring. In a store it must not push out what it has
 * just brought; in the cache of decoded spans, what nobody has named takes free
 * room only, and what was named no more than the cache can hold at once.
 */
import type { Interval } from '../span/plan.js';
import type { ReadContext } from '../span/read-context.js';
import { ENTRY_BYTES } from '../span/span-cache.js';
import { decodedLength, type SpanTable } from '../span/span-table.js';
import type { Store } from '../store/store.js';
import type { LoadStep } from './load-plan.js';

/** A store that is full goes down to this part of its bound. */
const PART_OF_STORE = 7 / 8;

/** Room that is held for a piece. */
export interface HeldRoom {
  /** 'brought': what it was held for is there. 'nothing': the room is free again. */
  end(outcome: 'brought' | 'nothing'): void;
}

export class PrefetchRoom {
  readonly #context: ReadContext;
  #inStore: number;
  #inCache: number;
  /** Decoded bytes of what is on its way to the cache. */
  #coming = 0;

  constructor(context: ReadContext, store: Store | undefined) {
    this.#context = context;
    this.#inStore = (store?.maxBytes ?? 0) * PART_OF_STORE;
    this.#inCache = this.#cacheBytes;
  }

  /** Room for `bytes` in the store; undefined when it has none. */
  inStore(bytes: number): HeldRoom | undefined {
    if (bytes > this.#inStore) return undefined;
    this.#inStore -= bytes;
    return {
      end: outcome => {
        if (outcome === 'nothing') this.#inStore += bytes;
      },
    };
  }

  /** Room for spans in the cache; undefined when it has none. */
  inCache(table: SpanTable, spans: Interval, lane: LoadStep['lane']): HeldRoom | undefined {
    let bytes = 0;
    for (let span = spans.first; span < spans.end; span++)
      bytes += decodedLength(table.span(span)) + ENTRY_BYTES;
    const free = this.#cacheBytes - this.#context.cache.size - this.#coming;
    if (bytes > (lane === 'background' ? free : this.#inCache)) return undefined;
    this.#inCache -= bytes;
    this.#coming += bytes;
    return {
      end: outcome => {
        this.#coming -= bytes;
        if (outcome === 'nothing') this.#inCache += bytes;
      },
    };
  }

  /** Half of the memory, so that what is on its way fits beside it. */
  get #cacheBytes(): number {
    const { cacheBytes, memoryBytes } = this.#context.settings;
    return Math.min(cacheBytes, memoryBytes / 2);
  }
}
