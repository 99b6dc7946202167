/**
 * Creating v1 indexes and pushing them in one go: each ztoc is sent as soon as
 * its layer is finished, so that no more of them are in memory than layers are
 * worked on. Indexes come last, when all that they list is there; what a failure
 * leaves behind is blobs that nothing refers to, which the next attempt finds.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { OpenedLocation } from '../registry/image-location.js';
import { requireWritable } from '../registry/repository.js';
import { announced } from './announced-events.js';
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
import type { PlatformImage } from './platform-images.js';
import {
  PUSH_INDEX_NAMES,
  type PushedIndex,
  type PushIndexOptions,
  presentIndexes,
  pushOne,
} from './push-index.js';
import { repeatedZtocs } from './repeated-index.js';
import type { ListedZtoc } from './ztoc-provider.js';

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

/** An image beside whose indexes no other was to be pushed (`existing: 'skip'`): nothing was read or built for it. */
export interface SkippedImage {
  readonly image: PlatformImage;
  readonly existing: readonly Descriptor[];
}

export interface PublishIndexResult extends BuiltIndexes<ZtocSummary> {
  readonly indexes: readonly PublishedIndex[];
  readonly skipped: readonly SkippedImage[];
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
  if (!dryRun) requireWritable(target);
  const { images, absent } = await imagesToIndex({ repository, reference }, options);
  const present = new Map<string, readonly Descriptor[]>();
  const wanted: PlatformImage[] = [];
  const repeated = new Map<string, ListedZtoc>();
  const left: SkippedImage[] = [];
  for (const image of images) {
    const found = dryRun ? [] : await presentIndexes(target, image.descriptor, options);
    present.set(image.descriptor.digest, found);
    // Beside another index nothing is pushed, so its layers need not even be read.
    if (policy === 'skip' && found.length > 0) {
      left.push({ image, existing: found });
      announced(onEvent)({
        type: 'index-exists',
        subject: image.descriptor,
        existing: found,
        action: 'skipped',
      });
      continue;
    }
    wanted.push(image);
    for (const [digest, ztoc] of await repeatedZtocs(target, image, found, options))
      repeated.set(digest, ztoc);
  }
  if (wanted.length === 0 && left.length > 0) return { indexes: [], empty: [], absent, skipped: left };
  const blobs = new IndexBlobs(target, onEvent);
  const build = (known: ReadonlyMap<string, ListedZtoc>): Promise<BuiltIndexes<ZtocSummary>> => {
    const sources = { repository, layers: repository, repeated: known };
    const allowEmpty = options.allowEmpty === true || left.length > 0;
    return buildIndexes(sources, wanted, 'v1', { ...options, allowEmpty }, async (ztoc, _layer, abort) => {
      if (!dryRun) await blobs.sendZtoc(ztoc, abort);
      return summaryOf(ztoc);
    });
  };
  let built = await build(repeated);
  // What was taken on trust may only say that nothing is to be done: a new index is made of the layers.
  const trusted = built.indexes.filter(({ layers }) =>
    layers.some(({ ztoc }) => taken(ztoc.digest, repeated)),
  );
  const isPresent = ({ descriptor, image }: CreatedIndex<ZtocSummary>): boolean =>
    present.get(image.descriptor.digest)?.some(({ digest }) => digest === descriptor.digest) === true;
  if (!trusted.every(isPresent)) built = await build(new Map());
  const indexes: PublishedIndex[] = [];
  for (const index of built.indexes) {
    if (dryRun) {
      indexes.push({ ...index, outcome: 'not pushed', existing: [] });
      continue;
    }
    const found = present.get(index.image.descriptor.digest)!;
    const { outcome, existing } = await pushOne(target, index, found, options, () =>
      blobs.sendRest(index.prefetches, signal),
    );
    indexes.push({ ...index, outcome, existing });
  }
  if (!dryRun) await target.commit({ signal });
  return { ...built, indexes, absent, skipped: left };
}

function taken(digest: string, repeated: ReadonlyMap<string, ListedZtoc>): boolean {
  return [...repeated.values()].some(({ descriptor }) => descriptor.digest === digest);
}
