/** A RangeSource over bytes that records every read and lets a test delay it, damage it or make it fail. */
import type { GivenSource } from '../../lib/source/given-source.js';
import type { Lane, ReadOptions } from '../../lib/source/range-source.js';
import { defaultContext } from '../../lib/span/read-context.js';

export interface SourceRead {
  readonly start: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
  readonly lane: Lane | undefined;
}

export class CountingSource implements GivenSource {
  readonly name = 'layer under test';
  readonly reads: SourceRead[] = [];
  closed = 0;
  /** Called for each read; what it returns arrives instead of the bytes. */
  intercept: ((read: SourceRead, bytes: Uint8Array) => Promise<Uint8Array> | Uint8Array) | undefined;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  async read(offset: number, length: number, options: ReadOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    if (offset < 0 || length <= 0 || offset + length > this.size)
      throw new Error(`read of ${offset}+${length}`);
    const read = { start: offset, end: offset + length, signal: options.signal, lane: options.lane };
    this.reads.push(read);
    const bytes = new Uint8Array(this.#bytes.subarray(offset, offset + length));
    return this.intercept === undefined ? bytes : this.intercept(read, bytes);
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(this.#bytes);
  }

  async close(): Promise<void> {
    this.closed++;
  }

  get ranges(): [number, number][] {
    return this.reads.map(({ start, end }) => [start, end]);
  }
}

/** A promise with its ends in hand. */
export function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>(resolve => {
    open = resolve;
  });
  return { opened, open };
}

/** Spans are found by their content: what an earlier reader decoded would be there for the next one. */
export function forgetSpans(): void {
  defaultContext.cache.clear();
}
