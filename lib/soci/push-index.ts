/**
 * Stores indexes where clients find them: blobs first, the index last, so that
 * nobody ever sees an index whose ztocs are not there yet.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { isRefusal } from '../registry/registry-error.js';
import type { Repository } from '../registry/repository.js';
import { announced } from './announced-events.js';
import type { CreateIndexResult } from './create-index.js';
import { IndexBlobs } from './index-blobs.js';
import type { IndexEventHandler } from './index-event.js';
import { SOCI_INDEX_TYPE } from './soci-index.js';

export interface PushIndexOptions {
  /** Where to push. Default: where the image is. */
  readonly target?: Repository | undefined;
  /**
   * What to do for an image that has other v1 indexes: 'warn' says so (an 'index-exists' event) and pushes, 'skip'
   * says so and does not push, 'allow' does not look. Default 'warn', which also says that the registry did not let
   * itself be asked (401, 403), and pushes.
   */
  readonly existing?: 'warn' | 'skip' | 'allow' | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: IndexEventHandler | undefined;
}

export const PUSH_INDEX_NAMES: OptionNames<PushIndexOptions> = {
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
  checkOptions('pushIndex', options, PUSH_INDEX_NAMES);
  const { target = result.repository, signal, onEvent } = options;
  const blobs = new IndexBlobs(target, onEvent);
  const pushed: PushedIndex[] = [];
  for (const index of result.indexes) {
    const present = await presentIndexes(target, index.image.descriptor, options);
    pushed.push(
      await pushOne(target, index, present, options, async () => {
        await blobs.sendZtocs(
          index.layers.map(({ ztoc }) => ztoc),
          signal,
        );
        await blobs.sendRest(index.prefetches, signal);
      }),
    );
  }
  await target.commit({ signal });
  return pushed;
}

/** A manifest that refers to an image: an index, or a load order. */
export interface PushedDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly image: PlatformManifest;
}

/**
 * @param present The image's v1 indexes.
 * @param sendBlobs Sends what the index lists, or what of it was not sent before.
 */
export async function pushOne(
  target: Repository,
  { descriptor, image, bytes }: PushedDocument,
  present: readonly Descriptor[],
  { existing: policy = 'warn', signal, onEvent }: PushIndexOptions,
  sendBlobs: () => Promise<void>,
): Promise<PushedIndex> {
  const tell = announced(onEvent);
  const subject = image.descriptor;
  const others = present.filter(({ digest }) => digest !== descriptor.digest);
  if (others.length < present.length) {
    return { descriptor, subject, outcome: 'existed', existing: others };
  }
  if (others.length > 0) {
    const action = policy === 'skip' ? 'skipped' : 'pushed';
    tell({ type: 'index-exists', subject, existing: others, action });
    if (policy === 'skip') return { descriptor, subject, outcome: 'skipped', existing: others };
  }
  await sendBlobs();
  await target.pushManifest(bytes, descriptor.mediaType, { signal, listed: true });
  tell({ type: 'manifest-pushed', manifest: descriptor });
  return { descriptor, subject, outcome: 'pushed', existing: others };
}

/**
 * The v1 indexes of an image, none for `existing: 'allow'`. A repository that does not exist yet has none; a registry
 * that does not let itself be asked ends the work only where an answer decides whether to push ('skip').
 */
export async function presentIndexes(
  target: Repository,
  subject: Descriptor,
  { existing: policy = 'warn', signal, onEvent }: PushIndexOptions,
): Promise<readonly Descriptor[]> {
  if (policy === 'allow') return [];
  try {
    return await target.referrers(subject.digest, { artifactType: SOCI_INDEX_TYPE.v1, signal });
  } catch (error) {
    if (error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND') return [];
    if (policy !== 'warn' || !isRefusal(error)) throw error;
    announced(onEvent)({ type: 'existing-unknown', subject, error: error as SociError });
    return [];
  }
}
