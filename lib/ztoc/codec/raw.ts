/**
 * Layers that are plain tars: a span is a slice of the layer, and decoding it
 * is checking its digest and copying it.
 */
import {
  createIndexer,
  decodeSpan,
  type EngineName,
  type IndexResult,
  type NativeIndexer,
} from '../../binding.js';
import { SociError } from '../../errors.js';
import { BLOCK_SIZE, hasHeaderChecksum, isZeroBlock } from '../../tar/header-block.js';
import type { ZtocLimits } from '../limits.js';
import type {
  Checkpoints,
  CodecIndexerOptions,
  LayerSizes,
  Span,
  SpanCodec,
  SpanStart,
  WholeSpan,
} from './span-codec.js';
import { decodeTarZinfo, encodeTarZinfo, type TarZinfo, tarSpanCount } from './tar-zinfo.js';

export const RAW: SpanCodec<'uncompressed'> = {
  compression: 'uncompressed',
  algorithm: 2,
  fromLayerStart: undefined,

  matches(head: Uint8Array): boolean {
    const block = head.subarray(0, BLOCK_SIZE);
    if (isZeroBlock(block)) return true; // an archive of nothing, or no byte at all
    return block.length === BLOCK_SIZE && hasHeaderChecksum(block);
  },

  decompress: chunks => chunks,

  createIndexer(options: CodecIndexerOptions, limits: ZtocLimits): NativeIndexer {
    return createIndexer({ ...options, compression: 'uncompressed', maxCheckpoints: limits.maxSpans });
  },

  indexed: ({ compressedSize: size }: IndexResult, spanSize: number) => encodeTarZinfo({ spanSize, size }),
  parse: (checkpoints: Uint8Array, sizes: LayerSizes) => new Slices(decodeTarZinfo(checkpoints), sizes),
};

class Slices implements Checkpoints {
  readonly spanSize: number;
  readonly count: number;
  readonly impliedFirst = false;
  readonly #zinfo: TarZinfo;
  readonly #sizes: LayerSizes;

  constructor(zinfo: TarZinfo, sizes: LayerSizes) {
    this.spanSize = zinfo.spanSize;
    this.count = tarSpanCount(zinfo);
    this.#zinfo = zinfo;
    this.#sizes = sizes;
  }

  verify(): void {
    const { compressedSize, uncompressedSize } = this.#sizes;
    const { size } = this.#zinfo;
    if (size === compressedSize && uncompressedSize <= size) return;
    const sizes = `${compressedSize} stored, ${uncompressedSize} of tar stream`;
    throw new SociError(
      'ERR_SOCI_ZTOC_INVALID',
      `the ztoc contradicts itself: an uncompressed layer of ${size} bytes, but ${sizes}`,
    );
  }

  encode(): Uint8Array {
    return encodeTarZinfo(this.#zinfo);
  }

  span(index: number, digest: string): Span {
    const { spanSize, size } = this.#zinfo;
    const last = index === this.count - 1;
    const start = index * spanSize;
    return {
      index,
      compressedStart: start,
      compressedEnd: last ? size : start + spanSize,
      uncompressedStart: start,
      uncompressedEnd: last ? Math.max(start, this.#sizes.uncompressedSize) : start + spanSize,
      digest,
      bits: 0,
    };
  }

  spanOf(offset: number): number {
    return Math.min(Math.floor(offset / this.spanSize), this.count - 1);
  }

  window(): undefined {}

  fetchStart(index: number): number {
    return index * this.spanSize;
  }

  start(_: number, engine: EngineName): SpanStart {
    const place = { codec: 'raw', engine, start: 'raw', bits: 0, window: undefined } as const;
    return {
      decode: (job: WholeSpan, options) => decodeSpan({ ...place, ...job }, options),
      open: undefined,
    };
  }

  rows(): undefined {}
}
