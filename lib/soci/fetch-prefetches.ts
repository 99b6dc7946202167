/**
 * What a SOCI index wants to be fetched first of one layer: its prefetch artifact,
 * fetched and read. One that cannot be used is told, since it is advice, and the
 * layer is read without it.
 */
import { SociError } from '../errors.js';
import { MAX_MANIFEST_BYTES } from '../registry/manifest.js';
import type { Repository } from '../registry/repository.js';
import type { AbortableOptions } from '../source/range-source.js';
import { parsePrefetchArtifact, type SpanRange } from './prefetch-artifact.js';
import { prefetchBlob } from './prefetch-plan.js';
import type { PrefetchDescriptor } from './soci-index.js';

export interface FetchedPrefetches {
  readonly ranges: readonly SpanRange[];
  /** Why there are none. */
  readonly error?: SociError;
}

/**
 * @param spanCount Of the layer.
 * @throws the signal's reason
 */
export async function fetchPrefetches(
  repository: Repository,
  artifact: PrefetchDescriptor,
  spanCount: number,
  { signal }: AbortableOptions,
): Promise<FetchedPrefetches> {
  const where = `${repository.name}@${artifact.digest}`;
  try {
    const bytes = await repository.getBlob(prefetchBlob(artifact), { signal, maxBytes: MAX_MANIFEST_BYTES });
    return { ranges: parsePrefetchArtifact(bytes, spanCount, where) };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SociError) return { ranges: [], error };
    throw error;
  }
}
