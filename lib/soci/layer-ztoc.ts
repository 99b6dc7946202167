/**
 * The ztoc of one layer: from our cache, from an index that the caller trusts,
 * from one that only claims to fit (after proof), or built by streaming the
 * layer once. Whatever is read of a layer is compared with its digest.
 */
import { SociError, type SociErrorCode } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { Repository } from '../registry/repository.js';
import type { RangeSource } from '../source/range-source.js';
import { buildZtoc } from '../ztoc/build.js';
import type { ZtocLimits } from '../ztoc/limits.js';
import { verifyZtoc } from '../ztoc/verify.js';
import { Ztoc } from '../ztoc/ztoc.js';
import type { IndexEventHandler, ZtocOrigin } from './index-event.js';
import { type LayerChoice, type Skip, type SkipReason, skipByDescriptor } from './layer-choice.js';
import { loadZtoc } from './load-ztoc.js';
import type { ZtocDescriptor } from './soci-index.js';
import type { ZtocCache, ZtocKey } from './ztoc-cache.js';

export interface LayerZtoc {
  readonly ztoc: Ztoc;
  readonly origin: ZtocOrigin;
}

export type LayerOutcome = LayerZtoc | Skip;

/** A ztoc that exists already, and whether its word is taken. */
export interface ExistingZtoc {
  readonly descriptor: ZtocDescriptor;
  readonly repository: Repository;
  /** The caller named its index by digest; otherwise the layer is streamed to prove it. */
  readonly trusted: boolean;
}

export interface LayerZtocOptions extends LayerChoice {
  readonly spanSize: number;
  readonly buildToolIdentifier: string;
  readonly cache: ZtocCache | undefined;
  /** Take nothing from the cache. */
  readonly force: boolean;
  readonly limits: Partial<ZtocLimits> | undefined;
  readonly onEvent: IndexEventHandler;
}

/** Failures of building that are the layer's own, when its bytes are what the digest names. */
const LAYER_FAILURES: Readonly<Partial<Record<SociErrorCode, SkipReason>>> = {
  ERR_SOCI_UNSUPPORTED_COMPRESSION: 'unsupported',
  ERR_SOCI_TAR_UNSUPPORTED: 'indescribable',
  ERR_SOCI_LIMIT: 'indescribable',
  ERR_SOCI_TAR_HEADER: 'broken',
  ERR_SOCI_GZIP_HEADER: 'broken',
  ERR_SOCI_GZIP_CHECKSUM: 'broken',
  ERR_SOCI_DEFLATE_DATA: 'broken',
  ERR_SOCI_LAYER_TRUNCATED: 'broken',
  ERR_SOCI_LAYER_TRAILING_DATA: 'broken',
};

/** What a ztoc that was there already can fail with; some look like the layer's, until one is built. */
const ZTOC_FAILURES: ReadonlySet<string> = new Set([
  ...Object.keys(LAYER_FAILURES),
  'ERR_SOCI_ZTOC_FORMAT',
  'ERR_SOCI_ZTOC_INVALID',
  'ERR_SOCI_ZTOC_MISMATCH',
  'ERR_SOCI_DIGEST_MISMATCH',
  'ERR_SOCI_REGISTRY_NOT_FOUND',
]);

export function isSkip(outcome: LayerOutcome): outcome is Skip {
  return 'reason' in outcome;
}

/**
 * @param repository Where the layer is read.
 * @throws SociError ERR_SOCI_DIGEST_MISMATCH when the layer's bytes are not what its descriptor names;
 *   ERR_SOCI_ZTOC_… for a trusted ztoc that does not fit; whatever the repository fails with.
 */
export async function layerZtoc(
  repository: Pick<Repository, 'openBlob'>,
  layer: Descriptor,
  existing: ExistingZtoc | undefined,
  options: LayerZtocOptions,
  signal: AbortSignal,
): Promise<LayerOutcome> {
  const { onEvent } = options;
  const outcome =
    skipByDescriptor(layer, options) ??
    (await trusted(layer, existing, options, signal)) ??
    (await cached(layer, options, signal)) ??
    (await streamed(repository, layer, existing, options, signal));
  if (isSkip(outcome)) {
    onEvent({ type: 'layer-skipped', layer, ...outcome });
  } else {
    const { digest, bytes } = outcome.ztoc;
    onEvent({
      type: 'layer-done',
      layer,
      origin: outcome.origin,
      ztocDigest: digest,
      ztocSize: bytes.length,
    });
  }
  return outcome;
}

async function trusted(
  layer: Descriptor,
  existing: ExistingZtoc | undefined,
  { limits }: LayerZtocOptions,
  signal: AbortSignal,
): Promise<LayerZtoc | undefined> {
  if (existing?.trusted !== true) return undefined;
  const ztoc = await loadZtoc(existing.repository, existing.descriptor, layer, { limits, signal });
  return { ztoc, origin: 'named' };
}

function keyOf(layer: Descriptor, { spanSize, buildToolIdentifier }: LayerZtocOptions): ZtocKey {
  return { layerDigest: layer.digest, spanSize, buildToolIdentifier };
}

async function cached(
  layer: Descriptor,
  options: LayerZtocOptions,
  signal: AbortSignal,
): Promise<LayerZtoc | undefined> {
  const { cache, force, limits, spanSize, buildToolIdentifier } = options;
  const bytes = force ? undefined : await cache?.get(keyOf(layer, options), { signal });
  if (bytes === undefined) return undefined;
  try {
    const ztoc = Ztoc.decode(bytes, { limits });
    const fits =
      ztoc.compressedSize === layer.size &&
      ztoc.spanSize === spanSize &&
      ztoc.buildToolIdentifier === buildToolIdentifier;
    return fits ? { ztoc, origin: 'cached' } : undefined;
  } catch {
    return undefined;
  }
}

async function streamed(
  repository: Pick<Repository, 'openBlob'>,
  layer: Descriptor,
  existing: ExistingZtoc | undefined,
  options: LayerZtocOptions,
  signal: AbortSignal,
): Promise<LayerOutcome> {
  options.onEvent({ type: 'layer-started', layer });
  let source: RangeSource | undefined;
  try {
    source = await repository.openBlob(layer, { signal });
    return (
      (await verified(source, layer, existing, options, signal)) ??
      (await built(source, layer, options, signal))
    );
  } catch (error) {
    const skip =
      foreignLayerIsMissing(layer, error) ?? (source && (await layerIsToBlame(source, error, signal)));
    if (skip === undefined) throw error;
    return skip;
  } finally {
    await source?.close();
  }
}

async function verified(
  source: RangeSource,
  layer: Descriptor,
  existing: ExistingZtoc | undefined,
  options: LayerZtocOptions,
  signal: AbortSignal,
): Promise<LayerZtoc | undefined> {
  if (existing === undefined) return undefined;
  const { descriptor, repository } = existing;
  let ztoc: Ztoc;
  try {
    ztoc = await loadZtoc(repository, descriptor, layer, { limits: options.limits, signal });
    await verifyZtoc(source, ztoc, { signal, onProgress: progressOf(layer, options) });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SociError) || !ZTOC_FAILURES.has(error.code)) throw error;
    options.onEvent({ type: 'ztoc-refused', layer, ztocDigest: descriptor.digest, error });
    return undefined;
  }
  return { ztoc, origin: 'verified' };
}

async function built(
  source: RangeSource,
  layer: Descriptor,
  options: LayerZtocOptions,
  signal: AbortSignal,
): Promise<LayerZtoc> {
  const { spanSize, buildToolIdentifier, limits, cache } = options;
  const { ztoc, layerDigest } = await buildZtoc(source, {
    spanSize,
    buildToolIdentifier,
    limits,
    signal,
    onProgress: progressOf(layer, options),
  });
  if (layerDigest !== layer.digest) {
    throw new SociError(
      'ERR_SOCI_DIGEST_MISMATCH',
      `${source.name}: expected ${layer.digest}, found ${layerDigest}`,
      {
        data: { digest: layer.digest, found: layerDigest },
      },
    );
  }
  try {
    await cache?.put(keyOf(layer, options), ztoc.bytes, { signal });
  } catch (error) {
    signal.throwIfAborted();
    options.onEvent({ type: 'cache-failed', layer, error: error as Error });
  }
  return { ztoc, origin: 'built' };
}

function progressOf(layer: Descriptor, { onEvent }: LayerZtocOptions): (bytes: number) => void {
  return bytes => onEvent({ type: 'layer-progress', layer, bytes });
}

/** Layers that name URLs of their own are not pushed with the image. */
function foreignLayerIsMissing(layer: Descriptor, error: unknown): Skip | undefined {
  const foreign = layer.urls !== undefined && layer.urls.length > 0;
  const missing = error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND';
  return foreign && missing
    ? { reason: 'not-distributed', message: 'a foreign layer that is not stored with the image' }
    : undefined;
}

/**
 * A skip when the layer itself is odd. Bytes damaged on their way look the same, so the layer is read to its end:
 *
 * @throws SociError ERR_SOCI_DIGEST_MISMATCH when they are not the layer's.
 */
async function layerIsToBlame(
  source: RangeSource,
  error: unknown,
  signal: AbortSignal,
): Promise<Skip | undefined> {
  signal.throwIfAborted();
  if (!(error instanceof SociError)) return undefined;
  const reason = LAYER_FAILURES[error.code as SociErrorCode];
  if (reason === undefined) return undefined;
  for await (const _chunk of source.stream({ signal })) signal.throwIfAborted();
  const zstd = reason === 'unsupported' && error.data['found'] === 'zstd';
  return { reason: zstd ? 'zstd' : reason, message: error.message };
}
