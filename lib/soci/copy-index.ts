/**
 * Takes v1 indexes to where an image was copied: they refer to the image and are
 * no part of it, so tools that copy images leave them behind. Pushing an index
 * that was made in a layout is the same.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { requireSha256 } from '../registry/digest.js';
import type { OpenedLocation } from '../registry/image-location.js';
import { formatPlatform, type Platform } from '../registry/platform.js';
import { type Repository, requireWritable } from '../registry/repository.js';
import { ContentCopy } from './content-copy.js';
import { fetchIndex } from './index-candidates.js';
import type { IndexEventHandler } from './index-event.js';
import { type PlatformImage, resolveImages } from './platform-images.js';
import { SOCI_INDEX_TYPE } from './soci-index.js';

/** Of one image's indexes; more are somebody's mistake. */
const MAX_INDEXES = 32;

export interface CopyIndexOptions {
  /** Platforms whose indexes are copied; each must be there. Default: all. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Digest of the only index to copy. Default: all v1 indexes. */
  readonly index?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: IndexEventHandler | undefined;
}

const COPY_OPTIONS: OptionNames<CopyIndexOptions> = {
  platforms: true,
  index: true,
  signal: true,
  onEvent: true,
};

export interface CopiedIndex {
  readonly descriptor: Descriptor;
  readonly image: PlatformImage;
}

export interface CopyIndexResult {
  readonly copied: readonly CopiedIndex[];
  /** Images of the target without an index in the source. */
  readonly without: readonly PlatformImage[];
  /** Indexes that were not copied: malformed, or another image's. */
  readonly refused: readonly { readonly digest: string; readonly error: unknown }[];
}

/**
 * Copies from `source` the indexes of the image that `target` names. The image is in the target already, with the same
 * manifests; which image the source would name is of no importance.
 *
 * @throws SociError ERR_SOCI_REGISTRY_NOT_FOUND when the target has no such image, or the source not one index for
 *   it; ERR_SOCI_INDEX_MISMATCH when the index named is another image's; whatever a repository fails with.
 */
export async function copyIndex(
  source: OpenedLocation,
  target: OpenedLocation,
  options: CopyIndexOptions = {},
): Promise<CopyIndexResult> {
  checkOptions('copyIndex', options, COPY_OPTIONS);
  const { platforms, index, signal } = options;
  requireWritable(target.repository);
  const { images } = await resolveImages(target.repository, target.reference, { platforms, signal });
  const copy = new ContentCopy(source.repository, target.repository, options);
  const copied: CopiedIndex[] = [];
  const without: PlatformImage[] = [];
  const refused: { digest: string; error: unknown }[] = [];
  let failure: unknown;
  for (const image of images) {
    const before = copied.length;
    for (const digest of await indexesOf(source.repository, image, index, signal)) {
      try {
        const { descriptor, index: found } = await fetchIndex(
          source.repository,
          image,
          digest,
          'digest',
          signal,
        );
        if (found.version !== 'v1') throw partOfImage(source.repository, descriptor);
        await copy.tree(descriptor);
        copied.push({ descriptor, image });
      } catch (error) {
        if (!isUnfit(error)) throw error;
        failure = error;
        if (index === undefined) refused.push({ digest, error });
      }
    }
    if (copied.length === before) without.push(image);
  }
  if (copied.length === 0) throw failure ?? nothingFound(source.repository, images);
  await target.repository.commit({ signal });
  return { copied, without, refused };
}

async function indexesOf(
  repository: Repository,
  image: PlatformImage,
  index: string | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  if (index !== undefined) return [requireSha256(index, 'index')];
  const artifactType = SOCI_INDEX_TYPE.v1;
  const referrers = await repository.referrers(image.descriptor.digest, { artifactType, signal });
  return referrers.slice(0, MAX_INDEXES).map(({ digest }) => digest);
}

/** The index is not this image's, or none at all; the next one may be. */
function isUnfit(error: unknown): boolean {
  const codes = [
    'ERR_SOCI_INDEX_MISMATCH',
    'ERR_SOCI_INDEX_FORMAT',
    'ERR_SOCI_MANIFEST',
    'ERR_SOCI_REGISTRY_NOT_FOUND',
  ];
  return error instanceof SociError && codes.includes(error.code);
}

function partOfImage(source: Repository, { digest }: Descriptor): SociError {
  return new SociError(
    'ERR_SOCI_INDEX_MISMATCH',
    `${source.name}@${digest} is a v2 index, which is copied with its image`,
    { data: { digest } },
  );
}

function nothingFound(source: Repository, images: readonly PlatformImage[]): SociError {
  const list = images
    .map(({ descriptor, platform }) => (platform ? formatPlatform(platform) : descriptor.digest))
    .slice(0, 20);
  const digests = images.map(({ descriptor }) => descriptor.digest);
  return new SociError(
    'ERR_SOCI_REGISTRY_NOT_FOUND',
    `${source.name}: no SOCI index (v1) refers to the target's manifests (${list.join(', ')}); a v1 index belongs to exact manifest digests`,
    { data: { manifests: digests } },
  );
}
