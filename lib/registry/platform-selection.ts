/**
 * From whatever a reference names to the manifest of one platform: through
 * indexes, and through indexes in indexes as far as is reasonable.
 */

import { checkOptions } from '../arguments.js';
import { SociError } from '../errors.js';
import type { AbortableOptions } from '../source/range-source.js';
import { ABORTABLE_NAMES } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';
import type { ImageManifest } from './manifest.js';
import { isIndexType, isManifestType } from './media-types.js';
import { bestPlatformMatch, formatPlatform, type Platform } from './platform.js';
import type { ManifestContent, Repository } from './repository.js';

const MAX_DEPTH = 4;
const MAX_MANIFESTS = 1000;
/** Of all indexes of one tree, which are kept as the parents of what they list. */
const MAX_DOCUMENT_BYTES = 64 * 2 ** 20;

export interface PlatformManifest extends ManifestContent {
  readonly manifest: ImageManifest;
}

/** An image manifest of an index, with the descriptor that led to it. */
export interface ImageEntry {
  readonly descriptor: Descriptor;
  /** The index that lists it. */
  readonly parent: ManifestContent;
}

function isImage({ mediaType, artifactType, platform, annotations }: Descriptor): boolean {
  // Attestations have the platform unknown/unknown, SOCI indexes an artifactType beside the platform of their image;
  // older tools drop artifactType when they copy an image, but not annotations.
  return (
    isManifestType(mediaType) &&
    artifactType === undefined &&
    platform?.os !== 'unknown' &&
    annotations?.['vnd.docker.reference.type'] === undefined &&
    annotations?.['com.amazon.soci.image-manifest-digest'] === undefined
  );
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
    if (isImage(descriptor)) {
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
 * The manifest for `platform`. Without a platform the index must have one image only. A manifest without an
 * index is taken as it is: its platform is in its config.
 *
 * @throws SociError ERR_SOCI_PLATFORM when no image fits; `data.platforms` lists those that there are.
 */
export async function selectManifest(
  repository: Repository,
  content: ManifestContent,
  platform: Platform | undefined,
  options: AbortableOptions = {},
): Promise<PlatformManifest> {
  checkOptions('selectManifest', options, ABORTABLE_NAMES);
  if (content.manifest.kind === 'manifest') {
    return content as PlatformManifest;
  }
  const images = (await listImages(repository, content, options)).map(({ descriptor }) => descriptor);
  const only = images.length === 1 && images[0]!.platform === undefined ? images[0] : undefined;
  const chosen =
    platform === undefined && images.length === 1
      ? images[0]
      : (only ?? (platform && bestPlatformMatch(platform, images)));
  if (chosen === undefined) {
    const platforms = images.flatMap(image =>
      image.platform === undefined ? [] : [formatPlatform(image.platform)],
    );
    const wanted = platform === undefined ? 'choose a platform' : `no image for ${formatPlatform(platform)}`;
    throw new SociError(
      'ERR_SOCI_PLATFORM',
      `${repository.name}@${content.descriptor.digest}: ${wanted}; it has ${platforms.slice(0, 20).join(', ') || 'no images'}`,
      { data: { platforms } },
    );
  }
  return (await repository.getManifest(chosen, options)) as PlatformManifest;
}
