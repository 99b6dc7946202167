/**
 * Builds the ztoc of a layer in one streaming pass: bulk bytes never enter
 * JavaScript's heap, and apart from the ztoc itself memory stays constant.
 */
import { checkInteger, checkOptions, type OptionNames } from '../arguments.js';
import type { EngineName } from '../binding.js';
import { invalidText } from '../errors.js';
import { BUILD_TOOL_IDENTIFIER } from './build-tool.js';
import { CODECS, type Compression, codecNamed } from './codec/codecs.js';
import type { SpanCodec } from './codec/span-codec.js';
import { encodeZtoc } from './encode.js';
import { EntryStore } from './entry-store.js';
import { type IndexPassResult, indexLayer } from './index-pass.js';
import type { LayerInput } from './layer-input.js';
import { resolveLimits, type ZtocLimits } from './limits.js';
import { ZTOC_VERSION } from './schema.js';
import { Ztoc } from './ztoc.js';

/** The reference's: 4 MiB of tar stream between checkpoints. */
export const DEFAULT_SPAN_SIZE: number = 4 * 2 ** 20;

export interface BuildZtocOptions {
  /** Uncompressed bytes between checkpoints, > 0; default 4 MiB. */
  readonly spanSize?: number | undefined;
  /** Default: by the layer's first bytes. */
  readonly compression?: Compression | undefined;
  /** Also compute the SHA-256 of the uncompressed stream. */
  readonly diffId?: boolean | undefined;
  /** Recorded in the ztoc, and so part of its digest; default 'seekable-oci/<version>'. */
  readonly buildToolIdentifier?: string | undefined;
  /** Default 'fast'; 'zlib' is the reference, and gives the same ztoc. */
  readonly engine?: EngineName | undefined;
  /** How many threads decode, 1 or more; default: those of the machine, and no more than 4 are used. */
  readonly threads?: number | undefined;
  readonly limits?: Partial<ZtocLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes of the layer that have been worked through so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

const BUILD_OPTIONS: OptionNames<BuildZtocOptions> = {
  spanSize: true,
  compression: true,
  diffId: true,
  buildToolIdentifier: true,
  engine: true,
  threads: true,
  limits: true,
  signal: true,
  onProgress: true,
};

export interface BuildZtocResult {
  readonly ztoc: Ztoc;
  /** SHA-256 of the layer, 'sha256:…'. */
  readonly layerDigest: string;
  /** Bytes of the layer. */
  readonly layerSize: number;
  /** SHA-256 of the uncompressed stream, 'sha256:…', if asked for. */
  readonly diffId: string | undefined;
}

/**
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT; ERR_SOCI_UNSUPPORTED_COMPRESSION;
 *   ERR_SOCI_TAR_UNSUPPORTED { entry, reason, typeflag, offset } for a layer
 *   that a ztoc cannot describe (skip it: it is still a good layer);
 *   ERR_SOCI_TAR_HEADER, ERR_SOCI_GZIP_HEADER, ERR_SOCI_GZIP_CHECKSUM,
 *   ERR_SOCI_DEFLATE_DATA, ERR_SOCI_LAYER_TRUNCATED and
 *   ERR_SOCI_LAYER_TRAILING_DATA for a broken one; ERR_SOCI_LIMIT; whatever the
 *   source fails with
 */
export async function buildZtoc(input: LayerInput, options: BuildZtocOptions = {}): Promise<BuildZtocResult> {
  checkOptions('buildZtoc', options, BUILD_OPTIONS);
  const limits = resolveLimits(options.limits);
  const spanSize = options.spanSize ?? DEFAULT_SPAN_SIZE;
  checkInteger('spanSize', spanSize, 1);
  const entries = new EntryStore(limits);
  const result = await indexLayer(input, {
    codec: options.compression === undefined ? undefined : requireCodec(options.compression),
    spanSize,
    diffId: options.diffId ?? false,
    engine: options.engine,
    threads: options.threads,
    limits,
    signal: options.signal,
    onProgress: options.onProgress,
    onEntry: ({ entry }) => entries.add(entry.fields),
  });
  return {
    ztoc: indexedZtoc(result, entries, {
      spanSize,
      limits,
      buildToolIdentifier: options.buildToolIdentifier,
    }),
    layerDigest: sha256(result.layerDigest),
    layerSize: result.compressedSize,
    diffId: result.diffId === undefined ? undefined : sha256(result.diffId),
  };
}

/** What a layer was indexed with. */
export interface IndexedWith extends Pick<BuildZtocOptions, 'buildToolIdentifier'> {
  readonly spanSize: number;
  readonly limits: ZtocLimits;
}

/** @internal The ztoc of a layer that was indexed. */
export function indexedZtoc(
  result: IndexPassResult,
  entries: EntryStore,
  { spanSize, limits, buildToolIdentifier = BUILD_TOOL_IDENTIFIER }: IndexedWith,
): Ztoc {
  const spanDigests = splitDigests(result.spanDigests);
  const bytes = encodeZtoc({
    version: ZTOC_VERSION,
    buildToolIdentifier,
    algorithm: result.codec.algorithm,
    compressedSize: result.compressedSize,
    uncompressedSize: result.tarEnd,
    maxSpanId: spanDigests.length - 1,
    spanDigests,
    checkpoints: result.codec.indexed(result, spanSize),
    entryCount: entries.length,
    entryBytes: entries.bytes,
    entryAt: index => entries.at(index),
  });
  return Ztoc.decode(bytes, { limits });
}

function requireCodec(compression: Compression): SpanCodec {
  const codec = codecNamed(compression);
  if (codec !== undefined) return codec;
  const names = CODECS.map(known => `'${known.compression}'`).join(' or ');
  throw invalidText('compression', names, String(compression));
}

/** @internal 32 bytes each, one after the other, as the indexer returns them. */
export function splitDigests(digests: Uint8Array): readonly string[] {
  return Array.from({ length: digests.length / 32 }, (_, i) => sha256(digests.subarray(32 * i, 32 * i + 32)));
}

/** @internal A digest as the indexer returns it, 'sha256:…'. */
export function sha256(digest: Uint8Array): string {
  return `sha256:${Buffer.from(digest).toString('hex')}`;
}
