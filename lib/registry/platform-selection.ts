/**
 * From whatever a reference names to the manifest of one platform: through
 * indexes, and through indexes in indexes as far as is reasonable.
 */

import { checkOptions } from '../arguments.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { AbortableOptions } from '../source/range-source.js';
import { ABORTABLE_NAMES } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';
import { isImage, isImageEntry, type PlatformManifest } from './image-entry.js';
import { platformAndConfig, platformError } from './image-platform.js';
import { isIndexType } from './media-types.js';
import { bestPlatformMatch, formatPlatform, hostPlatform, type Platform, platformRank } from './platform.js';
import type { ManifestContent, Repository } from './repository.js';

const MAX_DEPTH = 4;
const MAX_MANIFESTS = 1000;
/** Entries without a platform whose manifests and configs are fetched for it. */
const MAX_SILENT = 250;
const CONCURRENCY = 4;
/** Of all types in an index without images, a message names so many. */
const MAX_TYPES = 5;
/** Of all indexes of one tree, which are kept as the parents of what they list. */
const MAX_DOCUMENT_BYTES = 64 * 2 ** 20;

/** An image manifest of an index, with the descriptor that led to it. */
export interface ImageEntry {
  readonly descriptor: Descriptor;
  /** The index that lists it. */
  readonly parent: ManifestContent;
}

/**
 * The image manifests of `index` in order, nested indexes resolved, attestations and artifacts left out.
 *
 * @throws SociError ERR_SOCI_LIMIT when indexes are nested deeper than 4, or list more than 1000 images or indexes, or
 *   are larger than 64 MiB together.
 */
export async function listImages(
  repository: Repository,
  index: ManifestContent,
  options: AbortableOptions = {},
): Promise<ImageEntry[]> {
  checkOptions('listImages', options, ABORTABLE_NAMES);
  return await collectImages(repository, index, options, 1, { indexes: 0, bytes: 0 });
}

/** @param seen Of the whole tree: indexes without images cost requests too, and all of them memory. */
async function collectImages(
  repository: Repository,
  index: ManifestContent,
  options: AbortableOptions,
  depth: number,
  seen: { indexes: number; bytes: number },
): Promise<ImageEntry[]> {
  const { manifest } = index;
  const entries: ImageEntry[] = [];
  for (const descriptor of manifest.kind === 'index' ? manifest.manifests : []) {
    if (isImageEntry(descriptor)) {
      entries.push({ descriptor, parent: index });
    } else if (isIndexType(descriptor.mediaType) && descriptor.artifactType === undefined) {
      if (depth === MAX_DEPTH) {
        throw new SociError(
          'ERR_SOCI_LIMIT',
          `${repository.name}: image indexes nested deeper than ${MAX_DEPTH}`,
          {
            data: { limit: MAX_DEPTH },
          },
        );
      }
      seen.indexes++;
      seen.bytes += descriptor.size;
      if (seen.bytes > MAX_DOCUMENT_BYTES) {
        throw new SociError(
          'ERR_SOCI_LIMIT',
          `${repository.name}: image indexes of more than ${MAX_DOCUMENT_BYTES} bytes in one index`,
          { data: { limit: MAX_DOCUMENT_BYTES } },
        );
      }
      const nested = await repository.getManifest(descriptor, options);
      entries.push(...(await collectImages(repository, nested, options, depth + 1, seen)));
    }
    if (entries.length > MAX_MANIFESTS || seen.indexes > MAX_MANIFESTS) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${repository.name}: more than ${MAX_MANIFESTS} images or indexes in one index`,
        {
          data: { limit: MAX_MANIFESTS },
        },
      );
    }
  }
  return entries;
}

/**
 * The manifest for `platform`, as its descriptor has it, else its config (which costs requests only where no
 * descriptor fits exactly). Without a platform the index must have one image only.
 *
 * @throws SociError ERR_SOCI_PLATFORM when no image fits; `data.platforms` lists those that there are. ERR_SOCI_LIMIT
 *   for more than 250 entries without a platform.
 */
export async function selectManifest(
  repository: Repository,
  content: ManifestContent,
  platform: Platform | undefined,
  options: AbortableOptions = {},
): Promise<PlatformManifest> {
  checkOptions('selectManifest', options, ABORTABLE_NAMES);
  return await selectFor(repository, content, platform, options);
}

export interface SelectionOptions extends AbortableOptions {
  /** Told which image of an index it is, before its manifest is asked for. */
  readonly onChosen?: ((image: Descriptor) => void) | undefined;
}

/** @internal `selectManifest` that can be watched. */
export async function selectFor(
  repository: Repository,
  content: ManifestContent,
  platform: Platform | undefined,
  options: SelectionOptions,
): Promise<PlatformManifest> {
  const { signal } = options;
  if (content.manifest.kind === 'manifest') {
    const single = content as PlatformManifest;
    return platform === undefined ? single : await checked(repository, single, undefined, platform, signal);
  }
  const images = await imagesOf(repository, content, options.signal);
  const [first] = images;
  if (
    first !== undefined &&
    images.length === 1 &&
    (platform === undefined || first.platform === undefined)
  ) {
    const only = await chosenImage(repository, first, options);
    return platform === undefined ? only : await checked(repository, only, first, platform, signal);
  }
  const where = `${repository.name}@${content.descriptor.digest}`;
  if (platform === undefined) throw noneChosen(where, 'choose a platform', images);
  return await bestImage(repository, where, images, platform, options);
}

/** As `selectManifest` for this machine's platform, but an image that is the only one is taken whatever it is for. */
export async function selectForHost(
  repository: Repository,
  content: ManifestContent,
  options: SelectionOptions = {},
): Promise<PlatformManifest> {
  if (content.manifest.kind === 'manifest') return content as PlatformManifest;
  const images = await imagesOf(repository, content, options.signal);
  const [first] = images;
  if (first !== undefined && images.length === 1) {
    return await chosenImage(repository, first, options);
  }
  const where = `${repository.name}@${content.descriptor.digest}`;
  return await bestImage(repository, where, images, hostPlatform(), options);
}

/** @throws SociError ERR_SOCI_PLATFORM when there are none: referrers, attestations and signatures have indexes too */
async function imagesOf(
  repository: Repository,
  content: ManifestContent,
  signal: AbortSignal | undefined,
): Promise<Descriptor[]> {
  const images = (await listImages(repository, content, { signal })).map(({ descriptor }) => descriptor);
  if (images.length > 0) return images;
  const listed = content.manifest.kind === 'index' ? content.manifest.manifests : [];
  const types = [...new Set(listed.map(({ artifactType, mediaType }) => artifactType ?? mediaType))];
  const kinds = types.length === 0 ? '' : `: ${types.slice(0, MAX_TYPES).join(', ')}`;
  const found = `an index of ${listed.length} entries that are none${kinds}`;
  throw platformError(
    `${repository.name}@${content.descriptor.digest}`,
    `expected images, found ${found}`,
    [],
  );
}

/** An image whose platform nobody says contradicts none. */
async function checked(
  repository: Repository,
  image: PlatformManifest,
  entry: Descriptor | undefined,
  wanted: Platform,
  signal: AbortSignal | undefined,
): Promise<PlatformManifest> {
  const { manifest, descriptor } = image;
  const listed = entry ?? descriptor;
  const { platform: offered, document } = await platformAndConfig(
    repository,
    listed,
    manifest.config,
    signal,
  );
  if (offered === undefined || platformRank(wanted, offered) !== undefined) {
    return { ...image, configDocument: document };
  }
  const detail = `no image for ${formatPlatform(wanted)}`;
  throw platformError(`${repository.name}@${descriptor.digest}`, detail, [offered]);
}

async function bestImage(
  repository: Repository,
  where: string,
  images: readonly Descriptor[],
  wanted: Platform,
  options: SelectionOptions,
): Promise<PlatformManifest> {
  const stated = bestPlatformMatch(wanted, images);
  if (stated?.platform !== undefined && platformRank(wanted, stated.platform) === 0) {
    return await chosenImage(repository, stated, options);
  }
  const known = await withPlatforms(repository, images, options.signal);
  const best = bestPlatformMatch(wanted, known);
  if (best === undefined) throw noneChosen(where, `no image for ${formatPlatform(wanted)}`, known);
  return best.content ?? (await chosenImage(repository, best.descriptor, options));
}

async function chosenImage(
  repository: Repository,
  image: Descriptor,
  { signal, onChosen }: SelectionOptions,
): Promise<PlatformManifest> {
  onChosen?.(image);
  return (await repository.getManifest(image, { signal })) as PlatformManifest;
}

interface KnownImage {
  readonly descriptor: Descriptor;
  readonly platform: Platform | undefined;
  /** As far as it had to be fetched. */
  readonly content: PlatformManifest | undefined;
}

/** The images in order, those without a platform with that of their configs; artifacts among these are left out. */
async function withPlatforms(
  repository: Repository,
  images: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<KnownImage[]> {
  const silent = images.filter(({ platform }) => platform === undefined);
  const bytes = silent.reduce((sum, { size }) => sum + size, 0);
  if (silent.length > MAX_SILENT || bytes > MAX_DOCUMENT_BYTES) {
    throw new SociError(
      'ERR_SOCI_LIMIT',
      `${repository.name}: ${silent.length} images of ${bytes} bytes without a platform in one index, at most ${MAX_SILENT} of ${MAX_DOCUMENT_BYTES} bytes are looked at; name one by its digest`,
      { data: { limit: MAX_SILENT, found: silent.length } },
    );
  }
  const known = await runBounded(images, CONCURRENCY, signal, async (descriptor, abort) => {
    const { platform } = descriptor;
    if (platform !== undefined) return { descriptor, platform, content: undefined };
    const content = await fetchListed(repository, descriptor, abort);
    if (content === undefined || !isImage(content)) return undefined;
    const { config } = content.manifest;
    const found = await platformAndConfig(repository, undefined, config, abort);
    return { descriptor, platform: found.platform, content: { ...content, configDocument: found.document } };
  });
  return known.filter(image => image !== undefined);
}

/** Undefined for one that is not there: a layout may hold some images of its index only. */
async function fetchListed(
  repository: Repository,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<ManifestContent | undefined> {
  try {
    return await repository.getManifest(descriptor, { signal });
  } catch (error) {
    if (error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND') return undefined;
    throw error;
  }
}

function noneChosen(
  where: string,
  wanted: string,
  images: readonly { readonly platform?: Platform | undefined }[],
): SociError {
  const offered = images.flatMap(({ platform }) => platform ?? []);
  return platformError(where, wanted, offered);
}
