/**
 * The SOCI index of an image: the one that the caller names, else the one that
 * the manifest names (v2), else one that refers to the manifest (v1). The result
 * tells what was looked for and why something was not used, and "there is none"
 * differs from "could not ask".
 */

import { checkOptions, type OptionNames } from '../arguments.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import type { Repository } from '../registry/repository.js';
import type { AbortableOptions } from '../source/range-source.js';
import { ABORTABLE_NAMES } from '../source/range-source.js';
import {
  annotatedIndex,
  type FoundIndex,
  fetchIndex,
  firstReferringIndex,
  type IndexAttempt,
  referringIndexes,
} from './index-candidates.js';
import type { SociIndexVersion } from './soci-index.js';

export type { FoundIndex, IndexAttempt } from './index-candidates.js';

export interface FindIndexOptions {
  /** Use this index and look for no other. */
  readonly index?: string | undefined;
  /** What to look for, in this order. Default: v2, then v1. */
  readonly order?: readonly SociIndexVersion[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FIND_OPTIONS: OptionNames<FindIndexOptions> = { index: true, order: true, signal: true };

export type IndexSearch =
  | { readonly status: 'found'; readonly found: FoundIndex; readonly attempts: readonly IndexAttempt[] }
  /** 'unreachable': something could not be asked, so there may be an index. */
  | {
      readonly status: 'none' | 'unreachable';
      readonly found?: undefined;
      readonly attempts: readonly IndexAttempt[];
    };

/**
 * Looks for an index of `image`. Of several v1 indexes the first listed is taken, as the reference does, so that both
 * always take the same; one that cannot be used is passed over.
 *
 * @throws SociError for an index that the caller named: ERR_SOCI_REGISTRY_NOT_FOUND, ERR_SOCI_INDEX_FORMAT,
 *   ERR_SOCI_INDEX_MISMATCH, …. Otherwise failures are part of the result, and only an abort rejects.
 */
export async function findIndex(
  repository: Repository,
  image: PlatformManifest,
  options: FindIndexOptions = {},
): Promise<IndexSearch> {
  checkOptions('findIndex', options, FIND_OPTIONS);
  const { index: named, order = ['v2', 'v1'], signal } = options;
  signal?.throwIfAborted();
  if (named !== undefined) {
    const found = await fetchIndex(repository, image, named, 'digest', signal);
    return { status: 'found', found, attempts: [] };
  }
  const attempts: IndexAttempt[] = [];
  for (const version of order) {
    const find = version === 'v1' ? firstReferringIndex : annotatedIndex;
    const found = await find(repository, image, attempts, signal);
    if (found !== undefined) return { status: 'found', found, attempts };
  }
  const unreachable = attempts.some(({ outcome }) => outcome === 'unreachable');
  return { status: unreachable ? 'unreachable' : 'none', attempts };
}

export interface IndexList {
  /** All that could be used: the manifest's own (v2), then those that refer to it (v1). */
  readonly indexes: readonly FoundIndex[];
  /** What is not there, cannot be used or could not be asked. */
  readonly attempts: readonly IndexAttempt[];
}

/** Every index of `image`. Failures are part of the result, and only an abort rejects. */
export async function listIndexes(
  repository: Repository,
  image: PlatformManifest,
  options: AbortableOptions = {},
): Promise<IndexList> {
  checkOptions('listIndexes', options, ABORTABLE_NAMES);
  const { signal } = options;
  const attempts: IndexAttempt[] = [];
  const v2 = await annotatedIndex(repository, image, attempts, signal);
  const v1 = await referringIndexes(repository, image, attempts, signal);
  return { indexes: v2 === undefined ? v1 : [v2, ...v1], attempts };
}
