/**
 * Everything that depends on how a layer is compressed, behind one interface:
 * how a layer is recognised and indexed, what the ztoc stores of it
 * (`CompressionInfo.checkpoints`), where its spans begin, and how one is
 * decoded. A new compression is one file beside gzip.ts and one line in
 * codecs.ts; nothing else asks which one a layer has.
 */
import type {
  EngineName,
  IndexerOptions,
  IndexResult,
  NativeIndexer,
  NativeSpanDecoder,
  SpanJob,
} from '../../binding.js';
import type { ZtocLimits } from '../limits.js';

export interface Span {
  readonly index: number;
  /** Bytes of the layer, half-open. Includes the byte shared with the span before when bits > 0. */
  readonly compressedStart: number;
  readonly compressedEnd: number;
  /** Bytes of the tar stream, half-open; the last span may be empty. */
  readonly uncompressedStart: number;
  readonly uncompressedEnd: number;
  /** SHA-256 of the compressed range, 'sha256:…'. */
  readonly digest: string;
  /** High bits of the first byte that belong to this span; 0: it starts on a byte. */
  readonly bits: number;
}

/** Bytes of a layer as it is stored, and of the tar stream in it. */
export interface LayerSizes {
  readonly compressedSize: number;
  readonly uncompressedSize: number;
}

/** A decoder that stands at one place of a layer. */
export interface SpanStart {
  /** All of one span in one job, its digest checked first. */
  decode(job: WholeSpan, options: { readonly signal?: AbortSignal }): Promise<Uint8Array>;
  /** The same piece by piece; undefined: what is stored is what it decodes to. */
  readonly open: (() => NativeSpanDecoder) | undefined;
}

/** What is decoded, and into what. */
export type WholeSpan = Pick<SpanJob, 'input' | 'digest' | 'digestOffset' | 'output' | 'bulk'>;

/** What a ztoc says about where decoding can start: its checkpoints, parsed. */
export interface Checkpoints {
  /** Uncompressed bytes that were to lie between checkpoints. */
  readonly spanSize: number;
  readonly count: number;
  /** Checkpoint 0 is not stored, and where span 0 begins is only implied. */
  readonly impliedFirst: boolean;

  /** @throws SociError ERR_SOCI_ZTOC_INVALID when the checkpoints contradict themselves or the sizes */
  verify(): void;
  /** As the reference stores them. */
  encode(): Uint8Array;
  span(index: number, digest: string): Span;
  /** The span that holds byte `offset` of the tar stream; the last one for what lies beyond. */
  spanOf(offset: number): number;
  /** The stream's history that decoding span `index` needs, which no digest covers; undefined: none. */
  window(index: number): Uint8Array | undefined;
  /** Where the bytes begin that `start(index)` decodes from: before the span's own where it begins inside a header. */
  fetchStart(index: number): number;
  /** How span `index` is decoded from `fetchStart`. */
  start(index: number, engine: EngineName): SpanStart;
  /** Rows of (in, out, bits) for `IndexerOptions.checkpointsAt`; undefined: the span size says where spans are. */
  rows(): Float64Array | undefined;
}

/** What the indexer is asked for, apart from what the codec knows itself. */
export type CodecIndexerOptions = Omit<IndexerOptions, 'compression' | 'maxCheckpoints'>;

export interface SpanCodec<Name extends string = string> {
  /** What options and ztocs call it. */
  readonly compression: Name;
  /** Its value of CompressionAlgorithm in the ztoc. */
  readonly algorithm: number;
  /** A decoder at the layer's first byte, which needs nothing that the ztoc says; undefined: no span needs history. */
  readonly fromLayerStart: ((engine: EngineName) => NativeSpanDecoder) | undefined;

  /** @param head the layer's first 512 bytes or more, fewer only if it has no more */
  matches(head: Uint8Array): boolean;
  /** All of a layer as one stream. @param name of the layer, for messages */
  decompress(chunks: AsyncIterable<Uint8Array>, name: string): AsyncIterable<Uint8Array>;
  /** Of a whole layer, with no more checkpoints than the limits let a ztoc hold. */
  createIndexer(options: CodecIndexerOptions, limits: ZtocLimits): NativeIndexer;
  /** The `checkpoints` of a ztoc for what was indexed. */
  indexed(result: IndexResult, spanSize: number): Uint8Array;
  /** @throws SociError ERR_SOCI_ZTOC_FORMAT, ERR_SOCI_ZTOC_INVALID */
  parse(checkpoints: Uint8Array, sizes: LayerSizes): Checkpoints;
}
