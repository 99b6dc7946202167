/**
 * A span too large for memory: igzip -0 writes a whole layer as one deflate
 * block, old ztocs put a multi-member layer into span 0. Its compressed bytes
 * are hashed on their way into a temporary file; only when the digest is right
 * are they decoded, in blocks, as far as somebody reads. The decoder stays where
 * the last read ended, and what it has passed is kept as far as there is room, so
 * that no read begins again from the span's start.
 */
import { createHash } from 'node:crypto';
import { SharedOnce } from '../async/once.js';
import { Turns } from '../async/turns.js';
import type { TemporaryFile } from '../files/temporary-file.js';
import type { ByteSpan } from '../source/byte-range.js';
import { Urgency, type Work } from '../source/lanes.js';
import { BOUNDARY_BYTES, requestPieces } from '../source/request-pieces.js';
import type { Fetcher, FetchOptions } from './fetcher.js';
import { KeptBlocks } from './kept-blocks.js';
import type { LayerSpans } from './layer-spans.js';
import { type InputFeed, SLICE_BYTES, SlicedDecoder } from './sliced-decoder.js';
import { inSpan } from './span-decoding.js';
import { decodedLength, type Span } from './span-table.js';
import { UrgentWork, type Wish } from './urgent-work.js';
import { requireDigest, verifiedFetch } from './verified-fetch.js';
import { checkNextWindow, WINDOW_BYTES, windowAfter } from './windows.js';

/** Decoded bytes that are kept and handed on together. */
export const BLOCK_BYTES = SLICE_BYTES;

/** One request on the way to the temporary file ends at a multiple of this. */
const CHUNK_BYTES = BOUNDARY_BYTES / 2;

/** The requests that fetching the bytes [start, end) of a huge span takes. */
export function hugeRequests(start: number, end: number): number {
  return requestPieces(start, end, CHUNK_BYTES).length;
}

/** The huge spans of one layer that have been read so far. */
export class HugeSpans {
  readonly #layer: LayerSpans;
  readonly #fetcher: Fetcher;
  readonly #spans = new Map<number, HugeSpan>();

  constructor(layer: LayerSpans, fetcher: Fetcher) {
    this.#layer = layer;
    this.#fetcher = fetcher;
  }

  get(index: number): HugeSpan {
    let huge = this.#spans.get(index);
    if (huge === undefined) {
      huge = new HugeSpan(this.#layer, this.#fetcher, this.#layer.table.span(index));
      this.#spans.set(index, huge);
    }
    return huge;
  }

  /** Whether the compressed bytes of a span are at hand, or on their way. */
  isPresent(index: number): boolean {
    return this.#spans.get(index)?.present ?? false;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#spans.values()].map(span => span.close()));
  }
}

export class HugeSpan {
  readonly #layer: LayerSpans;
  readonly #fetcher: Fetcher;
  readonly #span: Span;
  readonly #blocks = new UrgentWork<number, Uint8Array>();
  /** Decoding goes one block at a time. */
  readonly #turns = new Turns();
  readonly #file: SharedOnce<TemporaryFile>;
  /** Of the download: that of the most urgent of those who ever waited for it. */
  readonly #urgency = new Urgency('background');
  readonly #kept: KeptBlocks;
  #decoder: SlicedDecoder | undefined;
  /** The last 32 KiB in front of the decoder. */
  #window: Uint8Array = new Uint8Array(WINDOW_BYTES);

  constructor(layer: LayerSpans, fetcher: Fetcher, span: Span) {
    this.#layer = layer;
    this.#fetcher = fetcher;
    this.#span = span;
    this.#kept = new KeptBlocks(layer.context.temporary);
    this.#file = new SharedOnce(
      signal => this.#download(signal),
      file => file.close(),
    );
  }

  get present(): boolean {
    return this.#file.begun;
  }

  /** Block `block` of the span: `BLOCK_BYTES` of the tar stream, the last one less. Not to be changed. */
  async block(block: number, wish: Wish): Promise<Uint8Array> {
    const { context, record } = this.#layer;
    const key = this.#layer.key(this.#span.index, block);
    const cached = context.cache.get(key);
    if (cached !== undefined) {
      record.hit(this.#span.index, cached.length, wish.lane);
      return cached;
    }
    return this.#blocks.join(block, wish, async work => {
      const bytes = await this.#turns.run(() => this.#decodeBlock(block, work));
      context.cache.set(key, bytes);
      return bytes;
    });
  }

  /** The verified compressed bytes, from `fetchStart` on. */
  async compressed({ signal, urgency }: Work): Promise<TemporaryFile> {
    const follow = (): void => this.#urgency.raise(urgency.lane);
    const unwatch = urgency.watch(follow);
    follow();
    try {
      return await this.#file.get(signal);
    } finally {
      unwatch();
    }
  }

  /** Gives the temporary file back, once nothing uses it any more. */
  async close(): Promise<void> {
    await this.#blocks.finished();
    await this.#file.finished();
    await this.#file.value?.close();
    await this.#kept.close();
  }

  async #decodeBlock(block: number, work: Work): Promise<Uint8Array> {
    const { table, name, record, context, proven } = this.#layer;
    const span = this.#span;
    const { signal, urgency } = work;
    const file = await this.compressed(work);
    const began = performance.now();
    const start = block * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, decodedLength(span) - start);
    const { open } = table.spanStart(span.index, context.settings.engine);
    if (open === undefined) return file.read(start, length);
    const kept = await this.#kept.read(start, length);
    if (kept !== undefined) {
      // What was only passed over has not been held against what the layer holds.
      await proven?.check(name, span.index, block, kept);
      record.hit(span.index, length, urgency.lane);
      return kept;
    }
    if (this.#decoder === undefined || this.#decoder.position > start) {
      this.#decoder = new SlicedDecoder(context.decoding, open(), fileFeed(file));
      this.#window = table.window(span.index) ?? new Uint8Array(WINDOW_BYTES);
    }
    const decoder = this.#decoder;
    try {
      const skipped = new Uint8Array(decoder.position < start ? BLOCK_BYTES : 0);
      while (decoder.position < start) {
        signal.throwIfAborted();
        await this.#fill(decoder, skipped, urgency);
        await this.#kept.keep(decoder.position - skipped.length, skipped);
      }
      const bytes = new Uint8Array(length);
      await this.#fill(decoder, bytes, urgency);
      await proven?.check(name, span.index, block, bytes);
      await this.#kept.keep(start, bytes);
      if (start + length === decodedLength(span)) {
        checkNextWindow(table, name, span.index, this.#window, new Uint8Array(0));
      }
      record.decoded(span.index, length, began, urgency.lane);
      return bytes;
    } catch (error) {
      // Stopped between two blocks by an abort, the decoder is still good.
      if (!signal.aborted || error !== signal.reason) this.#decoder = undefined;
      throw inSpan(name, span, error);
    }
  }

  /** Never stops inside a block, so that the decoder always stands between two. */
  async #fill(decoder: SlicedDecoder, bytes: Uint8Array, urgency: Urgency): Promise<void> {
    await decoder.fill(bytes, { signal: new AbortController().signal, urgency });
    this.#window = new Uint8Array(windowAfter(this.#window, bytes));
  }

  /** Fetches the span into a temporary file. */
  async #download(signal: AbortSignal): Promise<TemporaryFile> {
    const { table, name, record, context } = this.#layer;
    const start = table.fetchStart(this.#span.index);
    const lease = await context.memory.acquire(2 * CHUNK_BYTES, { signal, urgency: this.#urgency });
    let file: TemporaryFile | undefined;
    try {
      const download = await context.temporary.create(this.#span.compressedEnd - start);
      file = download;
      await verifiedFetch(record, async which => {
        const wish = { signal, fresh: which === 'second' };
        requireDigest(name, this.#span, await this.#downloadInto(download, start, wish));
      });
      const { index } = this.#span;
      record.use.fetched({ first: index, end: index + 1 }, this.#urgency.lane);
      return file;
    } catch (error) {
      await file?.close();
      throw error;
    } finally {
      lease.release();
    }
  }

  /** One pass; the next chunk is on its way while this one is hashed and written. */
  async #downloadInto(
    file: TemporaryFile,
    start: number,
    wish: Pick<FetchOptions, 'signal' | 'fresh'>,
  ): Promise<Uint8Array> {
    const end = start + file.size;
    const hash = createHash('sha256');
    const pieces = requestPieces(start, end, CHUNK_BYTES);
    const fetchPiece = (piece: ByteSpan): Promise<Uint8Array> =>
      this.#fetcher.fetch(piece.start, piece.end, { ...wish, urgency: this.#urgency });
    let next: Promise<Uint8Array> | undefined;
    for (const [position, piece] of pieces.entries()) {
      const chunk = await (next ?? fetchPiece(piece));
      const after = pieces[position + 1];
      next = after && fetchPiece(after);
      next?.catch(() => {});
      hash.update(chunk.subarray(Math.max(0, this.#span.compressedStart - piece.start)));
      await file.write(chunk, piece.start - start);
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
