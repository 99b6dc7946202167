/**
 * SOCI indexes of images that are already resolved: what creating (v1) and
 * converting (v2) have in common. Layers are indexed a few at a time, a layer
 * that several images share only once, and what is odd about one layer never
 * fails its image.
 */

import type { OptionNames } from '../arguments.js';
import { checkChoice, checkInteger } from '../arguments.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { requireSha256 } from '../registry/digest.js';
import type { Repository } from '../registry/repository.js';
import { DEFAULT_SPAN_SIZE } from '../ztoc/build.js';
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';
import type { ZtocLimits } from '../ztoc/limits.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import { findIndex } from './find-index.js';
import type { IndexEventHandler, ZtocOrigin } from './index-event.js';
import { checkLayerChoice, LAYER_CHOICE_NAMES, type LayerChoice, type Skip } from './layer-choice.js';
import { type ExistingZtoc, isSkip, type LayerOutcome, layerZtoc } from './layer-ztoc.js';
import type { PlatformImage } from './platform-images.js';
import { type PrefetchArtifact, planPrefetch } from './prefetch-plan.js';
import {
  type EncodedSociIndex,
  encodeSociIndex,
  PREFETCH_TYPE,
  parseSociIndex,
  type SociIndexVersion,
  type ZtocDescriptor,
} from './soci-index.js';
import type { ZtocCache } from './ztoc-cache.js';

export interface BuildIndexOptions extends LayerChoice {
  /** Uncompressed bytes between checkpoints, > 0. Default 4 MiB. */
  readonly spanSize?: number | undefined;
  /** Recorded in ztocs and indexes, and so part of their digests. Default 'seekable-oci/<version>'. */
  readonly buildToolIdentifier?: string | undefined;
  /** 'xattr': note for each layer whether a mount has to serve extended attributes. Default none. */
  readonly optimizations?: readonly 'xattr'[] | undefined;
  /** Files that a runtime should fetch before they are asked for. */
  readonly prefetchFiles?: readonly string[] | undefined;
  /** Layers that are read and indexed at the same time. Default 3. */
  readonly concurrency?: number | undefined;
  /** Ztocs that this installation built earlier. */
  readonly cache?: ZtocCache | undefined;
  /** Build every ztoc, even one that the cache has. */
  readonly force?: boolean | undefined;
  /** Keep ztocs of the image's present index if they prove to describe their layers. */
  readonly reuse?: boolean | undefined;
  /** Digest of a SOCI index in the same repository whose ztocs are taken on trust, without reading the layers. */
  readonly ztocsFrom?: string | undefined;
  readonly limits?: Partial<ZtocLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: IndexEventHandler | undefined;
}

export const BUILD_INDEX_NAMES: OptionNames<BuildIndexOptions> = {
  ...LAYER_CHOICE_NAMES,
  spanSize: true,
  buildToolIdentifier: true,
  optimizations: true,
  prefetchFiles: true,
  concurrency: true,
  cache: true,
  force: true,
  reuse: true,
  ztocsFrom: true,
  limits: true,
  signal: true,
  onEvent: true,
};

export interface IndexedLayer {
  /** Place among the manifest's layers. */
  readonly position: number;
  readonly layer: Descriptor;
  readonly ztoc: Ztoc;
  readonly origin: ZtocOrigin;
}

export interface SkippedLayer extends Skip {
  readonly position: number;
  readonly layer: Descriptor;
}

export interface CreatedIndex extends EncodedSociIndex {
  readonly image: PlatformImage;
  readonly layers: readonly IndexedLayer[];
  readonly skipped: readonly SkippedLayer[];
  readonly prefetches: readonly PrefetchArtifact[];
  /** Files to prefetch that no indexed layer has. */
  readonly missingFiles: readonly string[];
}

/** An image without a single layer that could be indexed. */
export interface EmptyImage {
  readonly image: PlatformImage;
  readonly skipped: readonly SkippedLayer[];
}

export interface BuiltIndexes {
  /** In the order of the images. */
  readonly indexes: readonly CreatedIndex[];
  readonly empty: readonly EmptyImage[];
}

const DEFAULT_CONCURRENCY = 3;
/** Ztocs wait in memory until they are pushed; 80 GiB of layers at 4 MiB spans need 1 GiB. */
const MAX_ZTOC_BYTES = 2 ** 30;
const NO_EXISTING: ReadonlyMap<string, ExistingZtoc> = new Map();

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT, ERR_SOCI_DIGEST_INVALID */
export function checkBuildOptions(options: BuildIndexOptions): void {
  checkLayerChoice(options);
  const {
    spanSize = DEFAULT_SPAN_SIZE,
    concurrency = DEFAULT_CONCURRENCY,
    optimizations,
    ztocsFrom,
  } = options;
  checkInteger('spanSize', spanSize, 1);
  checkInteger('concurrency', concurrency, 1);
  for (const optimization of optimizations ?? []) checkChoice('optimizations', optimization, ['xattr']);
  if (ztocsFrom !== undefined) requireSha256(ztocsFrom, 'ztocsFrom');
}

/**
 * @param repository Where the images and their present indexes are.
 * @param layers Where their layers are read.
 * @throws SociError ERR_SOCI_INDEX_EMPTY when not one layer of all images could be indexed; ERR_SOCI_DIGEST_MISMATCH;
 *   ERR_SOCI_LIMIT; whatever the repository fails with.
 */
export async function buildIndexes(
  repository: Repository,
  layers: Pick<Repository, 'openBlob'>,
  images: readonly PlatformImage[],
  version: SociIndexVersion,
  options: BuildIndexOptions,
): Promise<BuiltIndexes> {
  const { signal, concurrency = DEFAULT_CONCURRENCY } = options;
  const existing = await existingZtocs(repository, images, options);
  const unique = new Map<string, Descriptor>();
  for (const layer of images.flatMap(({ manifest }) => manifest.layers)) {
    // A prefetch artifact beside real layers is not even worth a message.
    if (layer.mediaType !== PREFETCH_TYPE) unique.set(keyOf(layer), layer);
  }
  let total = 0;
  const outcomes = new Map<string, LayerOutcome>();
  await runBounded([...unique], concurrency, signal, async ([key, layer], abort) => {
    const outcome = await layerZtoc(layers, layer, existing.get(layer.digest), layerOptions(options), abort);
    outcomes.set(key, outcome);
    if (!isSkip(outcome)) total += outcome.ztoc.bytes.length;
    if (total > MAX_ZTOC_BYTES) {
      const message = `${repository.name}: the ztocs of all layers need more than ${MAX_ZTOC_BYTES} bytes; choose larger spans or fewer platforms`;
      throw new SociError('ERR_SOCI_LIMIT', message, { data: { limit: MAX_ZTOC_BYTES } });
    }
  });
  const indexes: CreatedIndex[] = [];
  const empty: EmptyImage[] = [];
  for (const image of images) {
    const assembled = assemble(image, outcomes, version, options);
    if ('bytes' in assembled) indexes.push(assembled);
    else empty.push(assembled);
  }
  if (indexes.length === 0) throw nothingToIndex(repository, empty);
  return { indexes, empty };
}

/** One blob may be listed under several types, and the type decides too. */
function keyOf({ digest, size, mediaType }: Descriptor): string {
  return `${digest} ${size} ${mediaType}`;
}

function layerOptions(options: BuildIndexOptions): Parameters<typeof layerZtoc>[3] {
  return {
    ...options,
    spanSize: options.spanSize ?? DEFAULT_SPAN_SIZE,
    buildToolIdentifier: options.buildToolIdentifier ?? BUILD_TOOL_IDENTIFIER,
    cache: options.cache,
    force: options.force ?? false,
    limits: options.limits,
    onEvent: options.onEvent ?? (() => {}),
  };
}

/** Ztocs that need not be built, by layer digest. */
async function existingZtocs(
  repository: Repository,
  images: readonly PlatformImage[],
  options: BuildIndexOptions,
): Promise<ReadonlyMap<string, ExistingZtoc>> {
  const { ztocsFrom, reuse, force, spanSize = DEFAULT_SPAN_SIZE, signal } = options;
  const wanted = new Set(images.flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest)));
  const take = (ztocs: readonly ZtocDescriptor[], trusted: boolean): ReadonlyMap<string, ExistingZtoc> =>
    new Map(
      ztocs
        .filter(({ layerDigest }) => wanted.has(layerDigest))
        .map(descriptor => [descriptor.layerDigest, { descriptor, repository, trusted }]),
    );
  if (ztocsFrom !== undefined) {
    const { bytes } = await repository.getManifest(ztocsFrom, { signal });
    const where = `${repository.name}@${ztocsFrom}`;
    const named = take(parseSociIndex(bytes, where).ztocs, true);
    if (named.size > 0) return named;
    throw new SociError(
      'ERR_SOCI_INDEX_MISMATCH',
      `${where}: none of its ztocs is for a layer of the image`,
      {
        data: { where },
      },
    );
  }
  if (reuse !== true || force === true) return NO_EXISTING;
  const searches = await runBounded(images, DEFAULT_CONCURRENCY, signal, (image, abort) =>
    findIndex(repository, image, { signal: abort }),
  );
  const ztocs = searches.flatMap(({ found }) => found?.index.ztocs ?? []);
  return take(
    ztocs.filter(ztoc => ztoc.spanSize === spanSize),
    false,
  );
}

function assemble(
  image: PlatformImage,
  outcomes: ReadonlyMap<string, LayerOutcome>,
  version: SociIndexVersion,
  options: BuildIndexOptions,
): CreatedIndex | EmptyImage {
  const layers: IndexedLayer[] = [];
  const skipped: SkippedLayer[] = [];
  for (const [position, layer] of image.manifest.layers.entries()) {
    const outcome = outcomes.get(keyOf(layer));
    if (outcome === undefined) continue;
    if (isSkip(outcome)) skipped.push({ position, layer, ...outcome });
    else layers.push({ position, layer, ...outcome });
  }
  if (layers.length === 0) return { image, skipped };
  const { artifacts: prefetches, missing } = planPrefetch(layers, options.prefetchFiles ?? []);
  for (const path of missing) {
    options.onEvent?.({ type: 'prefetch-missing', image: image.descriptor, path });
  }
  const { mediaType, digest, size } = image.descriptor;
  const encoded = encodeSociIndex({
    version,
    ztocs: layers.map(({ layer, ztoc }) => ({
      digest: ztoc.digest,
      size: ztoc.bytes.length,
      layerDigest: layer.digest,
      layerMediaType: layer.mediaType,
      spanSize: ztoc.spanSize,
      disableXattrs: options.optimizations?.includes('xattr') === true && !hasExtendedAttributes(ztoc),
    })),
    prefetches: prefetches.map(({ bytes: _, ...descriptor }) => descriptor),
    subject: version === 'v1' ? { mediaType, digest, size } : undefined,
    buildToolIdentifier: options.buildToolIdentifier ?? BUILD_TOOL_IDENTIFIER,
  });
  return { ...encoded, image, layers, skipped, prefetches, missingFiles: missing };
}

/** Opaque directories count: overlayfs keeps their mark in an extended attribute. */
function hasExtendedAttributes(ztoc: Ztoc): boolean {
  for (const { name, pax } of ztoc.entries()) {
    if (name.endsWith('.wh..wh..opq') || pax.some(({ key }) => key.startsWith('SCHILY.xattr.'))) return true;
  }
  return false;
}

function nothingToIndex(repository: Repository, empty: readonly EmptyImage[]): SociError {
  const counts = new Map<string, number>();
  for (const { reason } of empty.flatMap(({ skipped }) => skipped)) {
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const reasons = [...counts].map(([reason, count]) => `${count} ${reason}`).join(', ');
  const skipped = empty.flatMap(image =>
    image.skipped.map(({ layer, reason }) => ({ digest: layer.digest, reason })),
  );
  return new SociError(
    'ERR_SOCI_INDEX_EMPTY',
    `${repository.name}: no layer gets a ztoc, so there is nothing to index (${reasons || 'the image has no layers'})`,
    { data: { skipped: skipped.slice(0, 1000) } },
  );
}
