/**
 * A layer of which much has been asked for is fetched to its end, in large
 * requests that wait for nobody's reads: what is left of it will probably be asked
 * for too, and a request for each bit of it costs more. Only where what comes is
 * not lost again: a store keeps the stored bytes, or memory can hold all that they
 * decode to. It fails nothing, and is not tried again when it fails: what is
 * damaged on its way to a store must not spoil there what was read and right.
 */
import { runBounded } from '../async/bounded-tasks.js';
import type { Fetcher } from './fetcher.js';
import type { LayerSpans } from './layer-spans.js';
import type { Interval } from './plan.js';
import { keepSpans } from './span-keeping.js';

/** Of a layer's bytes that have been asked for, from which on the rest is worth having. */
const SHARE = 0.4;
/** The next request is on its way while one is answered. */
const REQUESTS_AT_ONCE = 2;

export class RestOfLayer {
  readonly #layer: LayerSpans;
  readonly #fetcher: Fetcher;
  #begun = false;

  constructor(layer: LayerSpans, fetcher: Fetcher) {
    this.#layer = layer;
    this.#fetcher = fetcher;
  }

  /**
   * Whether to begin with the read that comes now, which is so once: then call `keep`, or decode all of the layer, by
   * what it says.
   */
  due(): 'keep' | 'decode' | undefined {
    const { table, context, record } = this.#layer;
    const { maxReadAheadBytes, cacheBytes } = context.settings;
    if (this.#begun || maxReadAheadBytes === 0 || !this.#fetcher.requested) return undefined;
    if (record.use.readBytes <= SHARE * table.compressedSize) return undefined;
    this.#begun = true;
    if (this.#fetcher.keeping?.willKeep() === true) return 'keep';
    // Half of what is kept of all layers: others are read too.
    return table.uncompressedSize <= Math.min(maxReadAheadBytes, cacheBytes / 2) ? 'decode' : undefined;
  }

  /** Has the source keep all of the layer. */
  async keep(signal: AbortSignal): Promise<void> {
    await runBounded(halves(this.#layer.table.spanCount), REQUESTS_AT_ONCE, signal, (spans, abort) =>
      keepSpans(this.#layer, this.#fetcher, spans, { signal: abort, lane: 'prefetch' }),
    );
  }
}

/** Each of them is fetched request by request. */
function halves(spanCount: number): Interval[] {
  const middle = Math.ceil(spanCount / 2);
  return [
    { first: 0, end: middle },
    { first: middle, end: spanCount },
  ].filter(({ first, end }) => first < end);
}
