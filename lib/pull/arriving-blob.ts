/**
 * A blob that is being downloaded once, for any number of targets. Who keeps up
 * with the download gets its bytes out of memory; who does not reads them where
 * they are kept, so that nobody holds up anybody.
 */
import { abortable } from '../async/abortable.js';
import { SociError } from '../errors.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import { PULL_LANE } from './blob-download.js';

/** Read at a time of what is kept. */
const CHUNK_BYTES = 1024 * 1024;

export class ArrivingBlob {
  readonly #source: RangeSource;
  /** The last bytes that came. */
  #latest: { readonly start: number; readonly bytes: Uint8Array } = { start: 0, bytes: new Uint8Array(0) };
  #outcome: 'arriving' | 'there' | { readonly error: unknown } = 'arriving';
  readonly #waiting = new Set<() => void>();

  /** @param source which keeps what is downloaded */
  constructor(source: RangeSource) {
    this.#source = source;
  }

  /** The next bytes have come. */
  pass(bytes: Uint8Array): void {
    this.#latest = { start: this.#end, bytes };
    this.#wake();
  }

  /** All have come, and are the blob. */
  proved(): void {
    this.#outcome = 'there';
    this.#wake();
  }

  /** No more will come. */
  failed(error: unknown): void {
    this.#outcome = { error };
    this.#wake();
  }

  async *stream({ signal }: AbortableOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; ; ) {
      signal?.throwIfAborted();
      const outcome = this.#outcome;
      if (typeof outcome === 'object') throw outcome.error;
      if (outcome === 'there' && at === this.#source.size) return;
      const chunk = at < this.#end ? await this.#from(at, signal) : undefined;
      if (chunk === undefined) {
        await abortable(new Promise<void>(resolve => this.#waiting.add(resolve)), signal);
        continue;
      }
      yield chunk;
      at += chunk.length;
    }
  }

  get #end(): number {
    return this.#latest.start + this.#latest.bytes.length;
  }

  /** Undefined for what has come and is neither in memory any more nor kept yet. */
  async #from(at: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const { start, bytes } = this.#latest;
    if (at >= start) return bytes.subarray(at - start);
    const length = Math.min(CHUNK_BYTES, this.#end - at);
    const present = (await this.#source.keeping?.presentBytes(at, length)) ?? 0;
    if (present === length) return await this.#source.read(at, length, { signal, lane: PULL_LANE });
    // What is on its way to the disk would be fetched a second time, and nobody would hold that against the digest.
    if (this.#outcome === 'arriving') return undefined;
    throw new SociError(
      'ERR_SOCI_STORE',
      `${this.#source.name}: ${length - present} bytes from ${at} on were fetched and are not kept any more; pull again`,
      { data: { offset: at, length, present } },
    );
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
