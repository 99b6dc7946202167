/** Version 1 indexes of an image: one per platform, to be pushed beside the image without changing it. */

import { checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { OpenedLocation } from '../registry/image-location.js';
import type { Platform } from '../registry/platform.js';
import type { Repository } from '../registry/repository.js';
import {
  BUILD_INDEX_NAMES,
  type BuildIndexOptions,
  type BuiltIndexes,
  buildIndexes,
  checkBuildOptions,
} from './build-indexes.js';
import { type ResolvedImages, resolveImages } from './platform-images.js';

export interface CreateIndexOptions extends BuildIndexOptions {
  /** Platforms to index; each must be there. Default: all that are. */
  readonly platforms?: readonly Platform[] | undefined;
}

export const CREATE_INDEX_NAMES: OptionNames<CreateIndexOptions> = { ...BUILD_INDEX_NAMES, platforms: true };

export interface CreateIndexResult extends BuiltIndexes {
  /** The image's repository, to which pushIndex pushes by default. */
  readonly repository: Repository;
  /** Images that are listed but that the repository does not have. */
  readonly absent: readonly Descriptor[];
}

/** Ztocs wait in memory until they are pushed; 80 GiB of layers at 4 MiB spans need 1 GiB. */
const MAX_ZTOC_BYTES = 2 ** 30;

/**
 * Indexes the layers of an image, streaming them from where they are. Nothing is written: see pushIndex. All ztocs
 * are in the result and so in memory; `publishIndex` sends each as it is made.
 *
 * @throws SociError ERR_SOCI_INDEX_EMPTY when no layer of any platform could be indexed; ERR_SOCI_PLATFORM;
 *   ERR_SOCI_DIGEST_MISMATCH for a layer whose bytes are not what the manifest says; ERR_SOCI_INVALID_ARGUMENT;
 *   ERR_SOCI_LIMIT, also for more than 1 GiB of ztocs; whatever the repository fails with.
 */
export async function createIndex(
  place: OpenedLocation,
  options: CreateIndexOptions = {},
): Promise<CreateIndexResult> {
  checkOptions('createIndex', options, CREATE_INDEX_NAMES);
  checkBuildOptions(options);
  const { repository } = place;
  const { images, absent } = await imagesToIndex(place, options);
  let total = 0;
  const sources = { repository, layers: repository };
  const built = await buildIndexes(sources, images, 'v1', options, async ztoc => {
    total += ztoc.bytes.length;
    if (total <= MAX_ZTOC_BYTES) return ztoc;
    const message = `${repository.name}: the ztocs of all layers need more than ${MAX_ZTOC_BYTES} bytes; choose larger spans or fewer platforms, or publish them as they are made`;
    throw new SociError('ERR_SOCI_LIMIT', message, { data: { limit: MAX_ZTOC_BYTES } });
  });
  return { ...built, repository, absent };
}

/** Each image once: one manifest may be listed for several platforms, and its index would be the same. */
export async function imagesToIndex(
  { repository, reference }: OpenedLocation,
  { platforms, signal }: CreateIndexOptions,
): Promise<Pick<ResolvedImages, 'images' | 'absent'>> {
  const { images, absent } = await resolveImages(repository, reference, { platforms, signal });
  return { images: [...new Map(images.map(image => [image.descriptor.digest, image])).values()], absent };
}
