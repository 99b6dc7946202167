/**
 * Fetching parts of an image, or all of it, before anybody asks for them: into its
 * store if it has one, else into the cache of decoded spans. What can be told
 * about it, and what it tells.
 */
import type { OptionNames } from '../arguments.js';
import type { SociError } from '../errors.js';
import type { AbortableOptions } from '../source/range-source.js';
import { type PrefetchPlaces, PrefetchRun } from './prefetch-run.js';
import {
  type OmittedPath,
  type PrefetchedImage,
  type PrefetchTarget,
  wantedSpans,
} from './prefetch-target.js';

export interface PrefetchProgress {
  /** Of the lowest layer with this digest. */
  readonly layer: number;
  readonly digest: string;
  /** Bytes of the layer that are dealt with, of `size` that are wanted. */
  readonly bytes: number;
  readonly size: number;
}

export interface PrefetchOptions extends AbortableOptions {
  readonly onProgress?: ((progress: PrefetchProgress) => void) | undefined;
  /** Of what has to be fetched. Default: what the link gives. */
  readonly maxBytesPerSecond?: number | undefined;
}

export const PREFETCH_NAMES: OptionNames<PrefetchOptions> = {
  signal: true,
  onProgress: true,
  maxBytesPerSecond: true,
};

/** What became of one layer, in bytes of the layer as it is stored: `size` is the sum of the other four. */
export interface PrefetchedLayer {
  /** Of the lowest layer with this digest. */
  readonly layer: number;
  readonly layerDigest: string;
  /** Wanted. */
  readonly size: number;
  /** Were there already, or on their way for somebody else. */
  readonly present: number;
  readonly fetched: number;
  readonly failed: number;
  /** Left out, as the store or the cache has no room for them. */
  readonly left: number;
  /** That it decodes to the tar which the config states, found out when all of it is in the store by `'all'`. */
  readonly diffId: 'proved' | undefined;
}

/**
 * Neighbouring spans that could not be had, or all of a layer that is not what it should be; without any, a prefetch
 * artifact that cannot be used.
 */
export interface PrefetchFailure {
  readonly layer: number;
  readonly layerDigest: string;
  readonly firstSpan: number;
  /** Exclusive. */
  readonly endSpan: number;
  /** Of the first of them, the last time. */
  readonly error: SociError;
}

export interface PrefetchReport {
  /** Where what was fetched is now. */
  readonly into: 'store' | 'cache';
  /** Layers of which something is wanted, in the order in which it is. */
  readonly layers: readonly PrefetchedLayer[];
  /** At most 1000. */
  readonly failures: readonly PrefetchFailure[];
  /** Paths that nothing is fetched for. */
  readonly omitted: readonly OmittedPath[];
}

/** @throws the signal's reason; what is no SociError */
export async function prefetch(
  image: PrefetchedImage,
  target: PrefetchTarget,
  places: PrefetchPlaces,
  options: PrefetchOptions & { readonly signal: AbortSignal },
): Promise<PrefetchReport> {
  const { steps, omitted, unusable } = await wantedSpans(image, target, options.signal);
  const run = new PrefetchRun(image.layers, places, options);
  for (const { layerDigest, error } of unusable) run.failed(layerDigest, { first: 0, end: 0 }, error);
  await run.fetch(steps);
  if (target === 'all') await run.proveDiffIds();
  return { ...run.report(), omitted };
}
