/** Version 1 indexes of an image: one per platform, to be pushed beside the image without changing it. */

import { checkOptions, type OptionNames } from '../arguments.js';
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
import { resolveImages } from './platform-images.js';

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

/**
 * Indexes the layers of an image, streaming them from where they are. Nothing is written: see pushIndex.
 *
 * @throws SociError ERR_SOCI_INDEX_EMPTY when no layer of any platform could be indexed; ERR_SOCI_PLATFORM;
 *   ERR_SOCI_DIGEST_MISMATCH for a layer whose bytes are not what the manifest says; ERR_SOCI_INVALID_ARGUMENT;
 *   ERR_SOCI_LIMIT; whatever the repository fails with.
 */
export async function createIndex(
  { repository, reference }: OpenedLocation,
  options: CreateIndexOptions = {},
): Promise<CreateIndexResult> {
  checkOptions('createIndex', options, CREATE_INDEX_NAMES);
  checkBuildOptions(options);
  const { platforms, signal } = options;
  const { images, absent } = await resolveImages(repository, reference, { platforms, signal });
  // One manifest may be listed for several platforms; its index would be the same.
  const unique = [...new Map(images.map(image => [image.descriptor.digest, image])).values()];
  const built = await buildIndexes(repository, repository, unique, 'v1', options);
  return { ...built, repository, absent };
}
