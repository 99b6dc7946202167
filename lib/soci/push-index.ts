/**
 * Stores indexes where clients find them: blobs first, the index last, so that
 * nobody ever sees an index whose ztocs are not there yet.
 */

import { checkOptions, type OptionNames } from '../arguments.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { sha256Digest } from '../registry/digest.js';
import { OCTET_STREAM } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';
import type { CreatedIndex } from './build-indexes.js';
import type { CreateIndexResult } from './create-index.js';
import type { IndexEventHandler } from './index-event.js';
import { prefetchBlob } from './prefetch-plan.js';
import { EMPTY_CONFIG, SOCI_INDEX_TYPE } from './soci-index.js';

const CONCURRENCY = 4;

export interface PushIndexOptions {
  /** Where to push. Default: where the image is. */
  readonly target?: Repository | undefined;
  /**
   * What to do for an image that has other v1 indexes: 'warn' says so (an 'index-exists' event) and pushes, 'skip'
   * says so and does not push, 'allow' does not look. Default 'warn'.
   */
  readonly existing?: 'warn' | 'skip' | 'allow' | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: IndexEventHandler | undefined;
}

const PUSH_OPTIONS: OptionNames<PushIndexOptions> = {
  target: true,
  existing: true,
  signal: true,
  onEvent: true,
};

export interface PushedIndex {
  readonly descriptor: Descriptor;
  /** The image manifest that it belongs to. */
  readonly subject: Descriptor;
  /** 'existed': this very index is there already. */
  readonly outcome: 'pushed' | 'existed' | 'skipped';
  /** Other v1 indexes of the image; empty when nobody looked. */
  readonly existing: readonly Descriptor[];
}

/** @throws SociError whatever the repository fails with. */
export async function pushIndex(
  result: CreateIndexResult,
  options: PushIndexOptions = {},
): Promise<readonly PushedIndex[]> {
  checkOptions('pushIndex', options, PUSH_OPTIONS);
  const { target = result.repository, signal } = options;
  const pushed: PushedIndex[] = [];
  for (const index of result.indexes) pushed.push(await pushOne(target, index, options));
  await target.commit({ signal });
  return pushed;
}

async function pushOne(
  target: Repository,
  index: CreatedIndex,
  options: PushIndexOptions,
): Promise<PushedIndex> {
  const { existing: policy = 'warn', signal, onEvent } = options;
  const { descriptor, image } = index;
  const subject = image.descriptor;
  const referrers = policy === 'allow' ? [] : await presentIndexes(target, subject, signal);
  const others = referrers.filter(({ digest }) => digest !== descriptor.digest);
  if (others.length < referrers.length) {
    return { descriptor, subject, outcome: 'existed', existing: others };
  }
  if (others.length > 0) {
    const action = policy === 'skip' ? 'skipped' : 'pushed';
    onEvent?.({ type: 'index-exists', subject, existing: others, action });
    if (policy === 'skip') return { descriptor, subject, outcome: 'skipped', existing: others };
  }
  await pushIndexBlobs(target, [index], options);
  await target.pushManifest(index.bytes, descriptor.mediaType, { signal, listed: true });
  onEvent?.({ type: 'manifest-pushed', manifest: descriptor });
  return { descriptor, subject, outcome: 'pushed', existing: others };
}

/** The v1 indexes of an image; a repository that does not exist yet has none. */
async function presentIndexes(
  target: Repository,
  subject: Descriptor,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  try {
    return await target.referrers(subject.digest, { artifactType: SOCI_INDEX_TYPE.v1, signal });
  } catch (error) {
    if (error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND') return [];
    throw error;
  }
}

/** Everything that `indexes` list: the empty config, ztocs and prefetch artifacts, each once. */
export async function pushIndexBlobs(
  target: Repository,
  indexes: readonly CreatedIndex[],
  options: Pick<PushIndexOptions, 'signal' | 'onEvent'>,
): Promise<void> {
  const config = { mediaType: OCTET_STREAM, digest: sha256Digest(EMPTY_CONFIG), size: EMPTY_CONFIG.length };
  const blobs = new Map<string, readonly [Descriptor, Uint8Array]>([[config.digest, [config, EMPTY_CONFIG]]]);
  for (const { layers, prefetches } of indexes) {
    for (const { ztoc } of layers) {
      const blob = { mediaType: OCTET_STREAM, digest: ztoc.digest, size: ztoc.bytes.length };
      blobs.set(ztoc.digest, [blob, ztoc.bytes]);
    }
    for (const prefetch of prefetches) blobs.set(prefetch.digest, [prefetchBlob(prefetch), prefetch.bytes]);
  }
  await runBounded([...blobs.values()], CONCURRENCY, options.signal, async ([blob, bytes], signal) => {
    const onProgress = (sent: number): void =>
      options.onEvent?.({ type: 'blob-progress', blob, bytes: sent });
    const result = await target.pushBlob(blob, bytes, { signal, onProgress });
    options.onEvent?.({ type: 'blob-pushed', blob, result });
  });
}
