/**
 * Layers that are one or more gzip members (RFC 1952): spans begin at DEFLATE
 * blocks, in the middle of a byte if need be, and need the 32 KiB before them.
 */
import {
  createIndexer,
  createSpanDecoder,
  decodeSpan,
  type EngineName,
  type IndexResult,
  type NativeIndexer,
  type SpanDecoderOptions,
} from '../../binding.js';
import type { ZtocLimits } from '../limits.js';
import { gunzip } from './gunzip.js';
import { CHECKPOINT_SIZE, GzipZinfo } from './gzip-zinfo.js';
import type {
  Checkpoints,
  CodecIndexerOptions,
  LayerSizes,
  Span,
  SpanCodec,
  SpanStart,
  WholeSpan,
} from './span-codec.js';

export const GZIP: SpanCodec<'gzip'> = {
  compression: 'gzip',
  algorithm: 1,
  fromLayerStart: engine => createSpanDecoder(beforeHeader(engine)),
  matches: head => head[0] === 0x1f && head[1] === 0x8b,

  decompress: gunzip,

  createIndexer(options: CodecIndexerOptions, limits: ZtocLimits): NativeIndexer {
    const fitting = Math.floor(limits.maxZtocBytes / CHECKPOINT_SIZE);
    const maxCheckpoints = Math.min(limits.maxSpans, fitting);
    return createIndexer({ ...options, compression: 'gzip', maxCheckpoints });
  },

  indexed: ({ zinfo }: IndexResult) => zinfo as Uint8Array,
  parse: (checkpoints: Uint8Array, sizes: LayerSizes) => new GzipCheckpoints(checkpoints, sizes),
};

class GzipCheckpoints implements Checkpoints {
  readonly #zinfo: GzipZinfo;
  readonly #sizes: LayerSizes;

  constructor(blob: Uint8Array, sizes: LayerSizes) {
    this.#zinfo = new GzipZinfo(blob);
    this.#sizes = sizes;
  }

  get spanSize(): number {
    return this.#zinfo.spanSize;
  }

  get count(): number {
    return this.#zinfo.count;
  }

  get impliedFirst(): boolean {
    return this.#zinfo.impliedFirst;
  }

  verify(): void {
    this.#zinfo.verify(this.#sizes.compressedSize, this.#sizes.uncompressedSize);
  }

  encode(): Uint8Array {
    return this.#zinfo.blob;
  }

  span(index: number, digest: string): Span {
    const zinfo = this.#zinfo;
    const last = index === zinfo.count - 1;
    const bits = zinfo.bits(index);
    const start = zinfo.out(index);
    return {
      index,
      compressedStart: zinfo.in(index) - (bits === 0 ? 0 : 1),
      compressedEnd: last ? this.#sizes.compressedSize : zinfo.in(index + 1),
      uncompressedStart: start,
      uncompressedEnd: last ? Math.max(start, this.#sizes.uncompressedSize) : zinfo.out(index + 1),
      digest,
      bits,
    };
  }

  spanOf(offset: number): number {
    return this.#zinfo.spanOf(offset);
  }

  window(index: number): Uint8Array {
    return this.#zinfo.window(index);
  }

  /**
   * A version-1 blob implies a first checkpoint at byte 10, but a header with a
   * file name is longer than that; so the header is fetched too and parsed. The
   * span's digest covers the bytes from byte 10 on all the same.
   */
  fetchStart(index: number): number {
    if (index === 0 && this.#zinfo.impliedFirst) return 0;
    return this.#zinfo.in(index) - (this.#zinfo.bits(index) === 0 ? 0 : 1);
  }

  start(index: number, engine: EngineName): SpanStart {
    if (index === 0 && this.#zinfo.impliedFirst) return startAt(beforeHeader(engine));
    return startAt({
      engine,
      start: 'raw',
      bits: this.#zinfo.bits(index),
      window: this.#zinfo.window(index),
    });
  }

  rows(): Float64Array {
    const { count } = this.#zinfo;
    const rows = new Float64Array(3 * count);
    for (let i = 0; i < count; i += 1) {
      rows.set([this.#zinfo.in(i), this.#zinfo.out(i), this.#zinfo.bits(i)], 3 * i);
    }
    return rows;
  }
}

function beforeHeader(engine: EngineName): SpanDecoderOptions {
  return { engine, start: 'gzip', bits: 0, window: undefined };
}

function startAt(place: SpanDecoderOptions): SpanStart {
  return {
    decode: (job: WholeSpan, options) => decodeSpan({ ...place, ...job, codec: 'gzip' }, options),
    open: () => createSpanDecoder(place),
  };
}
