/**
 * Whether an index that an image has already is the one that would be made for
 * it again. Then its ztocs, which are small, stand in for the layers, which
 * need not be read to find that there is nothing to do.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { Repository } from '../registry/repository.js';
import { DEFAULT_SPAN_SIZE } from '../ztoc/build.js';
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';
import type { BuildIndexOptions } from './build-indexes.js';
import { type FoundIndex, fetchIndex } from './index-candidates.js';
import { skipByDescriptor } from './layer-choice.js';
import type { PlatformImage } from './platform-images.js';
import type { ListedZtoc } from './ztoc-provider.js';

/** Of an image's indexes so many are looked at. */
const MAX_LOOKS = 4;

/**
 * The ztocs of the index among `present` that `options` would make anew, by the digest of their layer; none if there
 * is no such index, or if that cannot be told without the layers.
 */
export async function repeatedZtocs(
  repository: Repository,
  image: PlatformImage,
  present: readonly Descriptor[],
  options: BuildIndexOptions,
): Promise<ReadonlyMap<string, ListedZtoc>> {
  const { force, reuse, ztocsFrom, optimizations = [], prefetchFiles = [], signal } = options;
  // What these ask for depends on the bytes of the layers, or on another index.
  const depends =
    force || reuse || ztocsFrom !== undefined || optimizations.length + prefetchFiles.length > 0;
  if (depends) return new Map();
  for (const descriptor of present.slice(0, MAX_LOOKS)) {
    const found = await fetchIndex(repository, image, descriptor, 'referrer', signal).catch(notUsable);
    if (found === undefined || !isRepeated(found, image, options)) continue;
    return new Map(
      found.index.ztocs.map(ztoc => [ztoc.layerDigest, { descriptor: ztoc, repository, trust: 'found' }]),
    );
  }
  return new Map();
}

function isRepeated({ index, ztocs }: FoundIndex, image: PlatformImage, options: BuildIndexOptions): boolean {
  const { spanSize = DEFAULT_SPAN_SIZE, buildToolIdentifier = BUILD_TOOL_IDENTIFIER } = options;
  if (index.buildToolIdentifier !== buildToolIdentifier || index.prefetches.length > 0) return false;
  return image.manifest.layers.every((layer, position) => {
    const ztoc = ztocs[position];
    if (skipByDescriptor(layer, options) !== undefined) return ztoc === undefined;
    return ztoc !== undefined && ztoc.spanSize === spanSize && !ztoc.disableXattrs;
  });
}

function notUsable(error: unknown): undefined {
  if (!(error instanceof SociError)) throw error;
}
