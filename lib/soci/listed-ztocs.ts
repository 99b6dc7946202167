/** Ztocs that need not be built, because an index lists them: by the digest of their layer. */
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { Repository } from '../registry/repository.js';
import { DEFAULT_SPAN_SIZE } from '../ztoc/build.js';
import { findIndex } from './find-index.js';
import type { PlatformImage } from './platform-images.js';
import { parseSociIndex, type ZtocDescriptor } from './soci-index.js';
import type { ListedZtoc } from './ztoc-provider.js';

export interface ListedZtocsOptions {
  /** Digest of a SOCI index in the same repository whose ztocs are taken on trust, without reading the layers. */
  readonly ztocsFrom?: string | undefined;
  /** Keep ztocs of the image's present index if they prove to describe their layers. */
  readonly reuse?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly spanSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const SEARCHES = 3;

/** @throws SociError ERR_SOCI_INDEX_MISMATCH for a named index of another image; what fetching indexes fails with */
export async function listedZtocs(
  repository: Repository,
  images: readonly PlatformImage[],
  options: ListedZtocsOptions,
): Promise<ReadonlyMap<string, ListedZtoc>> {
  const { ztocsFrom, reuse, force, spanSize = DEFAULT_SPAN_SIZE, signal } = options;
  const wanted = new Set(images.flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest)));
  const take = (
    ztocs: readonly ZtocDescriptor[],
    trust: ListedZtoc['trust'],
  ): ReadonlyMap<string, ListedZtoc> =>
    new Map(
      ztocs
        .filter(({ layerDigest }) => wanted.has(layerDigest))
        .map(descriptor => [descriptor.layerDigest, { descriptor, repository, trust }]),
    );
  if (ztocsFrom !== undefined) {
    const { bytes } = await repository.getManifest(ztocsFrom, { signal });
    const where = `${repository.name}@${ztocsFrom}`;
    const named = take(parseSociIndex(bytes, where).ztocs, 'named');
    if (named.size > 0) return named;
    throw new SociError(
      'ERR_SOCI_INDEX_MISMATCH',
      `${where}: none of its ztocs is for a layer of the image`,
      { data: { where } },
    );
  }
  if (reuse !== true || force === true) return new Map();
  const searches = await runBounded(images, SEARCHES, signal, (image, abort) =>
    findIndex(repository, image, { signal: abort }),
  );
  const ztocs = searches.flatMap(({ found }) => found?.index.ztocs ?? []);
  return take(
    // The reference before 0.12 does not note the span size in its indexes; the ztoc itself has it.
    ztocs.filter(ztoc => ztoc.spanSize === undefined || ztoc.spanSize === spanSize),
    'unproved',
  );
}
