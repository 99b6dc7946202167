/**
 * Fetching parts of an image, or all of it, before anybody asks for them: into its
 * store if it has one, else into the cache of decoded spans. What can be told
 * about it, and what it tells.
 */
import { checkInteger, checkOptions, type OptionNames } from '../arguments.js';
import type { SociError } from '../errors.js';
import type { AbortableOptions } from '../source/range-source.js';
import type { ImageParts } from './image-parts.js';
import type { ImageTrees } from './image-trees.js';
import { PrefetchRun } from './prefetch-run.js';
import { checkTarget, type OmittedPath, type PrefetchTarget, wantedSpans } from './prefetch-target.js';

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

const PREFETCH_NAMES: OptionNames<PrefetchOptions> = {
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

/** Those of one image, which nobody has to wait for: closing the image does. */
export class ImagePrefetches {
  readonly #parts: ImageParts;
  readonly #trees: ImageTrees;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(parts: ImageParts, trees: ImageTrees) {
    this.#parts = parts;
    this.#trees = trees;
  }

  /** As `Image.prefetch`. */
  begin(target: PrefetchTarget, options: PrefetchOptions): Promise<PrefetchReport> {
    const work = this.#prefetch(target, options);
    // Whoever does not wait for it need not hear that closing the image has ended it.
    work.catch(() => {});
    this.#underWay.add(work);
    void Promise.allSettled([work]).then(() => this.#underWay.delete(work));
    return work;
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  async #prefetch(target: PrefetchTarget, options: PrefetchOptions): Promise<PrefetchReport> {
    checkOptions('prefetch', options, PREFETCH_NAMES);
    checkTarget(target);
    const { maxBytesPerSecond } = options;
    if (maxBytesPerSecond !== undefined) checkInteger('maxBytesPerSecond', maxBytesPerSecond, 1);
    return await this.#trees.with(options, async (tree, signal) => {
      const { layers, repository } = this.#parts;
      const { steps, omitted, unusable } = await wantedSpans({ tree, layers, repository }, target, signal);
      const run = new PrefetchRun(layers, this.#parts, { ...options, signal });
      for (const { layerDigest, error } of unusable) run.failed(layerDigest, { first: 0, end: 0 }, error);
      await run.fetch(steps);
      if (target === 'all') await run.proveDiffIds();
      return { ...run.report(), omitted };
    });
  }
}
