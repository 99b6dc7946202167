/**
 * Creating v1 indexes and pushing them in one go: each ztoc is sent as soon as
 * its layer is finished, so that no more of them are in memory than layers are
 * worked on. Indexes come last, when all that they list is there; what a failure
 * leaves behind is blobs that nothing refers to, which the next attempt finds.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { OpenedLocation } from '../registry/image-location.js';
import {
  type BuiltIndexes,
  buildIndexes,
  type CreatedIndex,
  checkBuildOptions,
  summaryOf,
  type ZtocSummary,
} from './build-indexes.js';
import { CREATE_INDEX_NAMES, type CreateIndexOptions, imagesToIndex } from './create-index.js';
import { IndexBlobs } from './index-blobs.js';
import {
  PUSH_INDEX_NAMES,
  type PushedIndex,
  type PushIndexOptions,
  presentIndexes,
  pushOne,
} from './push-index.js';

export interface PublishIndexOptions extends CreateIndexOptions, PushIndexOptions {
  /** Do everything but write. Default false. */
  readonly dryRun?: boolean | undefined;
}

const PUBLISH_OPTIONS: OptionNames<PublishIndexOptions> = {
  ...CREATE_INDEX_NAMES,
  ...PUSH_INDEX_NAMES,
  dryRun: true,
};

export interface PublishedIndex extends CreatedIndex<ZtocSummary> {
  /** As `pushIndex` says it; 'not pushed' in a dry run. */
  readonly outcome: PushedIndex['outcome'] | 'not pushed';
  /** Other v1 indexes of the image; empty when nobody looked. */
  readonly existing: readonly Descriptor[];
}

export interface PublishIndexResult extends BuiltIndexes<ZtocSummary> {
  readonly indexes: readonly PublishedIndex[];
  /** Images that are listed but that the repository does not have. */
  readonly absent: readonly Descriptor[];
}

/**
 * What `createIndex` and then `pushIndex` do, in constant memory.
 *
 * @throws SociError what those two throw; no index is pushed unless all could be built
 */
export async function publishIndex(
  { repository, reference }: OpenedLocation,
  options: PublishIndexOptions = {},
): Promise<PublishIndexResult> {
  checkOptions('publishIndex', options, PUBLISH_OPTIONS);
  checkBuildOptions(options);
  const { target = repository, existing: policy = 'warn', dryRun = false, signal, onEvent } = options;
  const { images, absent } = await imagesToIndex({ repository, reference }, options);
  const present = new Map<string, readonly Descriptor[]>();
  const wanted = new Set<string>();
  for (const { descriptor, manifest } of dryRun ? [] : images) {
    const found = await presentIndexes(target, descriptor, options);
    present.set(descriptor.digest, found);
    // Beside another index nothing is pushed, so its ztocs need not be sent.
    if (policy === 'skip' && found.length > 0) continue;
    for (const { digest } of manifest.layers) wanted.add(digest);
  }
  const blobs = new IndexBlobs(target, onEvent);
  const sources = { repository, layers: repository };
  const built = await buildIndexes(sources, images, 'v1', options, async (ztoc, layer, abort) => {
    if (wanted.has(layer.digest)) await blobs.sendZtoc(ztoc, abort);
    return summaryOf(ztoc);
  });
  const indexes: PublishedIndex[] = [];
  for (const index of built.indexes) {
    const found = present.get(index.image.descriptor.digest);
    if (found === undefined) {
      indexes.push({ ...index, outcome: 'not pushed', existing: [] });
      continue;
    }
    const { outcome, existing } = await pushOne(target, index, found, options, () =>
      blobs.sendRest(index.prefetches, signal),
    );
    indexes.push({ ...index, outcome, existing });
  }
  if (!dryRun) await target.commit({ signal });
  return { ...built, indexes, absent };
}
