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
import { type LargestSpan, largestSpan } from '../ztoc/largest-span.js';
import type { ZtocLimits } from '../ztoc/limits.js';
import type { Ztoc } from '../ztoc/ztoc.js';
import { announced } from './announced-events.js';
import type { IndexEventHandler, ZtocOrigin } from './index-event.js';
import { checkLayerChoice, LAYER_CHOICE_NAMES, type LayerChoice, type Skip } from './layer-choice.js';
import { layerZtoc } from './layer-ztoc.js';
import { listedZtocs } from './listed-ztocs.js';
import type { PlatformImage } from './platform-images.js';
import { spanRangeOf } from './prefetch-artifact.js';
import { type PrefetchArtifact, type PrefetchLayer, planPrefetch } from './prefetch-plan.js';
import {
  type EncodedSociIndex,
  encodeSociIndex,
  PREFETCH_TYPE,
  type SociIndexVersion,
  type ZtocDescriptor,
} from './soci-index.js';
import type { ZtocCache } from './ztoc-cache.js';
import { type ListedZtoc, ZtocProvider } from './ztoc-provider.js';

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
  /** No error if no layer of any image can be indexed: `indexes` is empty then. Default false. */
  readonly allowEmpty?: boolean | undefined;
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
  allowEmpty: true,
  limits: true,
  signal: true,
  onEvent: true,
};

/** What remains of a ztoc that has been sent to where its index will be. */
export interface ZtocSummary {
  readonly digest: string;
  /** Bytes of the ztoc. */
  readonly size: number;
  readonly spanSize: number;
  readonly spanCount: number;
  readonly entryCount: number;
  readonly largestSpan: LargestSpan;
}

export function summaryOf(ztoc: Ztoc): ZtocSummary {
  const { digest, bytes, spanSize, spanCount, entryCount } = ztoc;
  return { digest, size: bytes.length, spanSize, spanCount, entryCount, largestSpan: largestSpan(ztoc) };
}

/** `Z` is what is kept of the ztoc: all of it, or a `ZtocSummary`. */
export interface IndexedLayer<Z = Ztoc> {
  /** Place among the manifest's layers. */
  readonly position: number;
  readonly layer: Descriptor;
  readonly ztoc: Z;
  readonly origin: ZtocOrigin;
}

export interface SkippedLayer extends Skip {
  readonly position: number;
  readonly layer: Descriptor;
}

export interface CreatedIndex<Z = Ztoc> extends EncodedSociIndex {
  readonly image: PlatformImage;
  readonly layers: readonly IndexedLayer<Z>[];
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

export interface BuiltIndexes<Z = Ztoc> {
  /** In the order of the images. */
  readonly indexes: readonly CreatedIndex<Z>[];
  readonly empty: readonly EmptyImage[];
}

const DEFAULT_CONCURRENCY = 3;

/** Where images are, and where their layers are read. */
export interface IndexSources {
  readonly repository: Repository;
  readonly layers: Pick<Repository, 'openBlob'>;
  /** Ztocs of indexes that would only be made again, by the digest of their layer. */
  readonly repeated?: ReadonlyMap<string, ListedZtoc>;
}

/**
 * Called with each ztoc as soon as it is there, once for each layer; what it returns is all that is kept of it. The
 * work on the next layer begins when it has settled, so as many ztocs are in memory as layers are worked on.
 */
export type FinishZtoc<Z> = (ztoc: Ztoc, layer: Descriptor, signal: AbortSignal) => Promise<Z>;

/** A layer with what assembling indexes has to know of its ztoc. */
interface FinishedLayer<Z> extends PrefetchLayer {
  readonly descriptor: ZtocDescriptor;
  readonly kept: Z;
  readonly origin: ZtocOrigin;
}

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
 * @throws SociError ERR_SOCI_INDEX_EMPTY when not one layer of all images could be indexed; ERR_SOCI_DIGEST_MISMATCH;
 *   ERR_SOCI_LIMIT; whatever the repository or `finish` fails with.
 */
export async function buildIndexes<Z>(
  { repository, layers, repeated = new Map() }: IndexSources,
  images: readonly PlatformImage[],
  version: SociIndexVersion,
  options: BuildIndexOptions,
  finish: FinishZtoc<Z>,
): Promise<BuiltIndexes<Z>> {
  const { signal, concurrency = DEFAULT_CONCURRENCY, force = false } = options;
  const onEvent = announced(options.onEvent);
  const listed = new Map([...repeated, ...(await listedZtocs(repository, images, options))]);
  const unique = new Map<string, Descriptor>();
  for (const layer of images.flatMap(({ manifest }) => manifest.layers)) {
    // A prefetch artifact beside real layers is not even worth a message.
    if (layer.mediaType !== PREFETCH_TYPE) unique.set(keyOf(layer), layer);
  }
  const { spanSize, buildToolIdentifier, cache, limits } = options;
  const provider = new ZtocProvider({ spanSize, buildToolIdentifier, cache, limits });
  const perLayer = { provider, choice: options, force, onEvent };
  const outcomes = new Map<string, FinishedLayer<Z> | Skip>();
  await runBounded([...unique], concurrency, signal, async ([key, layer], abort) => {
    const outcome = await layerZtoc(layers, layer, listed.get(layer.digest), perLayer, abort);
    if ('reason' in outcome) {
      outcomes.set(key, outcome);
      return;
    }
    const described = describe(layer, outcome.ztoc, options);
    const kept = await finish(outcome.ztoc, layer, abort);
    outcomes.set(key, { ...described, kept, origin: outcome.origin });
  });
  const indexes: CreatedIndex<Z>[] = [];
  const empty: EmptyImage[] = [];
  for (const image of images) {
    const assembled = assemble(image, outcomes, version, options);
    if ('bytes' in assembled) indexes.push(assembled);
    else empty.push(assembled);
  }
  if (indexes.length === 0 && options.allowEmpty !== true) throw nothingToIndex(repository, empty);
  return { indexes, empty };
}

/** One blob may be listed under several types, and the type decides too. */
function keyOf({ digest, size, mediaType }: Descriptor): string {
  return `${digest} ${size} ${mediaType}`;
}

/** All that an index says of a layer, so that its ztoc need not be kept. */
function describe(
  layer: Descriptor,
  ztoc: Ztoc,
  options: BuildIndexOptions,
): PrefetchLayer & { descriptor: ZtocDescriptor } {
  const { optimizations, prefetchFiles = [] } = options;
  const descriptor = {
    digest: ztoc.digest,
    size: ztoc.bytes.length,
    layerDigest: layer.digest,
    layerMediaType: layer.mediaType,
    spanSize: ztoc.spanSize,
    disableXattrs: optimizations?.includes('xattr') === true && !hasExtendedAttributes(ztoc),
  };
  return { layer, descriptor, ranges: prefetchFiles.map(path => spanRangeOf(ztoc, path)) };
}

function assemble<Z>(
  image: PlatformImage,
  outcomes: ReadonlyMap<string, FinishedLayer<Z> | Skip>,
  version: SociIndexVersion,
  options: BuildIndexOptions,
): CreatedIndex<Z> | EmptyImage {
  const finished: FinishedLayer<Z>[] = [];
  const layers: IndexedLayer<Z>[] = [];
  const skipped: SkippedLayer[] = [];
  for (const [position, layer] of image.manifest.layers.entries()) {
    const outcome = outcomes.get(keyOf(layer));
    if (outcome === undefined) continue;
    if ('reason' in outcome) {
      skipped.push({ position, layer, ...outcome });
      continue;
    }
    finished.push(outcome);
    layers.push({ position, layer, ztoc: outcome.kept, origin: outcome.origin });
  }
  if (layers.length === 0) return { image, skipped };
  const { artifacts: prefetches, missing } = planPrefetch(finished, options.prefetchFiles ?? []);
  const onEvent = announced(options.onEvent);
  for (const path of missing) {
    onEvent({ type: 'prefetch-missing', image: image.descriptor, path });
  }
  const { mediaType, digest, size } = image.descriptor;
  const encoded = encodeSociIndex({
    version,
    ztocs: finished.map(({ descriptor }) => descriptor),
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
  const advice = counts.has('too-small')
    ? '; --min-layer-size (minLayerSize) says how small is too small, --allow-empty (allowEmpty) makes this no error'
    : '';
  const skipped = empty.flatMap(image =>
    image.skipped.map(({ layer, reason }) => ({ digest: layer.digest, reason })),
  );
  return new SociError(
    'ERR_SOCI_INDEX_EMPTY',
    `${repository.name}: no layer gets a ztoc, so there is nothing to index (${reasons || 'the image has no layers'})${advice}`,
    { data: { skipped: skipped.slice(0, 1000) } },
  );
}
