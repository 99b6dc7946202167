/**
 * A span too large for memory: igzip -0 writes a whole layer as one deflate
 * block, old ztocs put a multi-member layer into span 0. Its compressed bytes
 * are hashed on their way into a temporary file; only when the digest is right
 * are they decoded, in blocks. The decoder stays where the last read ended, so
 * that reading on does not begin again from the span's start.
 */
import { createHash } from 'node:crypto';
import { KeyedWork } from '../async/keyed-work.js';
import { SharedOnce } from '../async/once.js';
import { Turns } from '../async/turns.js';
import type { TemporaryFile } from '../files/temporary-file.js';
import { memoryBudget } from './memory-budget.js';
import { settings, temporarySpace } from './settings.js';
import { type InputFeed, SLICE_BYTES, SlicedDecoder } from './sliced-decoder.js';
import { spanCache, spanKey } from './span-cache.js';
import { inSpan } from './span-decoding.js';
import { digestBytes, digestMismatch, sameDigest } from './span-digest.js';
import type { LoaderOwner } from './span-loader.js';
import { decodedLength, type Span } from './span-table.js';
import { checkNextWindow, WINDOW_BYTES, windowAfter } from './windows.js';

/** Decoded bytes that are kept and handed on together. */
export const BLOCK_BYTES = SLICE_BYTES;

/** One request on the way to the temporary file. */
const CHUNK_BYTES = 4 * 1024 * 1024;

export class HugeSpan {
  readonly #owner: LoaderOwner;
  readonly #span: Span;
  readonly #blocks = new KeyedWork<number, Uint8Array>();
  /** Decoding goes one block at a time. */
  readonly #turns = new Turns();
  readonly #file = new SharedOnce<TemporaryFile>(
    signal => this.#download(signal),
    file => file.close(),
  );
  #decoder: SlicedDecoder | undefined;
  /** The last 32 KiB in front of the decoder. */
  #window: Uint8Array = new Uint8Array(WINDOW_BYTES);

  constructor(owner: LoaderOwner, span: Span) {
    this.#owner = owner;
    this.#span = span;
  }

  /** The requests that fetching `bytes` of a huge span takes. */
  static requests(bytes: number): number {
    return Math.ceil(bytes / CHUNK_BYTES);
  }

  /** Whether the compressed bytes are at hand, or on their way. */
  get present(): boolean {
    return this.#file.begun;
  }

  /** Block `block` of the span: `BLOCK_BYTES` of the tar stream, the last one less. Not to be changed. */
  async block(block: number, signal: AbortSignal): Promise<Uint8Array> {
    const key = spanKey(this.#owner.id, this.#span.index, block);
    const cached = spanCache.get(key);
    if (cached !== undefined) {
      this.#owner.counters.cacheHits++;
      return cached;
    }
    return this.#blocks.join(block, signal, async workSignal => {
      const bytes = await this.#turns.run(() => this.#decodeBlock(block, workSignal));
      spanCache.set(key, bytes);
      return bytes;
    });
  }

  /** The verified compressed bytes, from `fetchStart` on. */
  async compressed(signal: AbortSignal): Promise<TemporaryFile> {
    return this.#file.get(signal);
  }

  /** Gives the temporary file back, once nothing uses it any more. */
  async close(): Promise<void> {
    await this.#blocks.finished();
    await this.#file.finished();
    await this.#file.value?.close();
  }

  async #decodeBlock(block: number, signal: AbortSignal): Promise<Uint8Array> {
    const { table, name, counters } = this.#owner;
    const file = await this.compressed(signal);
    const start = block * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, decodedLength(this.#span) - start);
    const place = table.spanStart(this.#span.index, settings().engine);
    if (place === undefined) return file.read(start, length);
    if (this.#decoder === undefined || this.#decoder.position > start) {
      this.#decoder = new SlicedDecoder(place, fileFeed(file));
      this.#window = table.window(this.#span.index) ?? new Uint8Array(WINDOW_BYTES);
    }
    const decoder = this.#decoder;
    try {
      const skipped = new Uint8Array(decoder.position < start ? BLOCK_BYTES : 0);
      while (decoder.position < start) {
        signal.throwIfAborted();
        await this.#fill(decoder, skipped);
      }
      const bytes = new Uint8Array(length);
      await this.#fill(decoder, bytes);
      await this.#owner.checkBlock(this.#span, block, bytes);
      if (start + length === decodedLength(this.#span)) {
        checkNextWindow(table, name, this.#span.index, this.#window, new Uint8Array(0));
      }
      counters.decodedSpans++;
      counters.decodedBytes += length;
      return bytes;
    } catch (error) {
      // Stopped between two blocks by an abort, the decoder is still good.
      if (!signal.aborted || error !== signal.reason) this.#decoder = undefined;
      throw inSpan(name, this.#span, error);
    }
  }

  /** Never stops inside a block, so that the decoder always stands between two. */
  async #fill(decoder: SlicedDecoder, bytes: Uint8Array): Promise<void> {
    await decoder.fill(bytes, 0, new AbortController().signal);
    this.#window = new Uint8Array(windowAfter(this.#window, bytes));
  }

  /** Fetches the span into a temporary file; once more when the digest is wrong. */
  async #download(signal: AbortSignal): Promise<TemporaryFile> {
    const { table, name, counters } = this.#owner;
    const start = table.fetchStart(this.#span.index);
    const lease = await memoryBudget.acquire(2 * CHUNK_BYTES, signal);
    let file: TemporaryFile | undefined;
    try {
      file = await temporarySpace.create(this.#span.compressedEnd - start);
      const expected = digestBytes(this.#span.digest);
      let found = await this.#downloadInto(file, start, signal);
      if (!sameDigest(found, expected)) {
        counters.digestRetries++;
        found = await this.#downloadInto(file, start, signal);
      }
      if (!sameDigest(found, expected)) throw digestMismatch(name, this.#span, found);
      return file;
    } catch (error) {
      await file?.close();
      throw error;
    } finally {
      lease.release();
    }
  }

  /** One pass; the next chunk is on its way while this one is hashed and written. */
  async #downloadInto(file: TemporaryFile, start: number, signal: AbortSignal): Promise<Uint8Array> {
    const { fetcher } = this.#owner;
    const end = start + file.size;
    const hash = createHash('sha256');
    const fetchAt = (at: number): Promise<Uint8Array> =>
      fetcher.fetch(at, Math.min(at + CHUNK_BYTES, end), signal);
    let next = fetchAt(start);
    for (let at = start; at < end; ) {
      const chunk = await next;
      const after = at + chunk.length;
      if (after < end) {
        next = fetchAt(after);
        next.catch(() => {});
      }
      hash.update(chunk.subarray(Math.max(0, this.#span.compressedStart - at)));
      await file.write(chunk, at - start);
      at = after;
    }
    return hash.digest();
  }
}

/** A feed of a whole temporary file. */
export function fileFeed(file: TemporaryFile, from = 0): InputFeed {
  let at = from;
  return async () => {
    if (at >= file.size) return undefined;
    const bytes = await file.read(at, Math.min(SLICE_BYTES, file.size - at));
    at += bytes.length;
    return bytes;
  };
}
