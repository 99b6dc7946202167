/** A RangeSource over bytes that arrive piece by piece, as a test lets them, and says so. */
import { setImmediate as turn } from 'node:timers/promises';
import type { LinkEstimate } from '../../lib/source/link-estimate.js';
import { FilledSource, type ReadOptions, type SourceKeeping } from '../../lib/source/range-source.js';

export interface DrippedRead {
  readonly start: number;
  readonly end: number;
  readonly lane: ReadOptions['lane'];
  readonly signal: AbortSignal | undefined;
  /** How far it has come, in bytes of the object. */
  at: number;
}

export class DrippingSource extends FilledSource {
  readonly name = 'dripping layer';
  readonly reads: DrippedRead[] = [];
  link: LinkEstimate | undefined;
  /** Of one that keeps what it has given. */
  keeping: SourceKeeping | undefined;
  /** Bytes that arrive between two turns of the event loop. */
  pieceBytes = 10_000;
  /** Called before each piece; what it returns is waited for. */
  before: ((read: DrippedRead) => Promise<void> | undefined) | undefined;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  async readInto(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
    const { signal, lane, onBytes } = options;
    signal?.throwIfAborted();
    const end = offset + target.length;
    if (offset < 0 || target.length === 0 || end > this.size) throw new Error(`read of ${offset} to ${end}`);
    const read: DrippedRead = { start: offset, end, lane, signal, at: offset };
    this.reads.push(read);
    while (read.at < end) {
      await (this.before?.(read) ?? turn());
      signal?.throwIfAborted();
      const next = Math.min(end, read.at + this.pieceBytes);
      target.set(this.#bytes.subarray(read.at, next), read.at - offset);
      read.at = next;
      onBytes?.(target.subarray(0, next - offset));
    }
  }

  async close(): Promise<void> {}

  get ranges(): [number, number][] {
    return this.reads.map(({ start, end }) => [start, end]);
  }
}
