/**
 * The only importer of the native addon. Everything above sees this typed
 * interface; native failures arrive as SociError with the caller's stack.
 */
// NOTE: contract only, the addon's author completes this file.

export type EngineName = 'zlib';

export interface IndexerOptions {
  readonly compression: 'gzip' | 'uncompressed';
  /** Uncompressed bytes between checkpoints, > 0. */
  readonly spanSize: number;
  /** Also hash the uncompressed stream. */
  readonly diffId: boolean;
  readonly engine: EngineName;
  /** Cap on checkpoints kept (each holds a 32 KiB window). */
  readonly maxCheckpoints: number;
  /**
   * Instead of the rule "a block start more than spanSize after the last
   * checkpoint", take a checkpoint exactly at these positions (verify).
   * Rows of (in, out, bits), ascending in `in`.
   */
  readonly checkpointsAt?: Float64Array;
}

/** What one feed did. */
export interface FeedResult {
  /** Bytes of the chunk consumed: fewer than given when 4 MiB of output ended the job. */
  readonly consumed: number;
  /** Uncompressed bytes seen in total so far. */
  readonly produced: number;
  /**
   * Tar header records found, concatenated: { uint64 LE offset of the record's
   * first byte in the tar stream, uint32 LE length, bytes }. A record is one
   * 512-byte header block, or the unpadded body of an x/g/L/K extension.
   */
  readonly headers: Uint8Array | undefined;
}

export interface IndexResult {
  /** Bytes of the layer. */
  readonly compressedSize: number;
  /** Bytes of the tar stream, trailing padding included. */
  readonly uncompressedSize: number;
  /** Where Go's tar reader stops: after two zero blocks, or at the stream's end. */
  readonly tarEnd: number;
  /** SHA-256 of the layer, 32 bytes. */
  readonly layerDigest: Uint8Array;
  /** SHA-256 of the uncompressed stream, 32 bytes, if asked for. */
  readonly diffId: Uint8Array | undefined;
  /** gzip: the v2 zinfo blob. uncompressed: undefined. */
  readonly zinfo: Uint8Array | undefined;
  /** SHA-256 of every span's compressed range, 32 bytes each. */
  readonly spanDigests: Uint8Array;
}

export interface NativeIndexer {
  /** At most 1 MiB of input per call; calls do not overlap. */
  feed(chunk: Uint8Array): Promise<FeedResult>;
  feedSync(chunk: Uint8Array): FeedResult;
  finish(): Promise<IndexResult>;
  finishSync(): IndexResult;
  /** Makes the feed under way, and every later call, fail with ABORTED. */
  abort(): void;
}

export interface SpanDecoderOptions {
  readonly engine: EngineName;
  /** 'raw': inside a member, at a checkpoint. 'gzip': before a member's header. */
  readonly start: 'raw' | 'gzip';
  /** Unused high bits of the input's first byte that belong to the span; 0: the span starts on a byte. */
  readonly bits: number;
  /** 32768 bytes, oldest first. */
  readonly window: Uint8Array | undefined;
}

export interface DecodeResult {
  readonly consumed: number;
  readonly produced: number;
  /** The stream's last member ended and no input is left. */
  readonly ended: boolean;
}

/** Decodes one span piece by piece: `run` goes on where the last one stopped. */
export interface NativeSpanDecoder {
  /** Discards `skip` bytes of output first, then fills `output`; stops when it is full or the input is used up. */
  run(input: Uint8Array, output: Uint8Array, skip: number): Promise<DecodeResult>;
  runSync(input: Uint8Array, output: Uint8Array, skip: number): DecodeResult;
  abort(): void;
}

export interface SpanJob extends SpanDecoderOptions {
  /** The span's whole compressed bytes. */
  readonly input: Uint8Array;
  /** Expected SHA-256 of `input` from `digestOffset` on, checked before decoding; undefined: not checked. */
  readonly digest: Uint8Array | undefined;
  readonly digestOffset: number;
  /** Filled completely, or the job fails with SPAN_LENGTH. */
  readonly output: Uint8Array;
}
