/**
 * How much a pull does at once, by the names and the defaults of the parallel
 * pull mode of the configuration file (max_concurrent_downloads, …). Numbers of 0
 * and less are no limit; chunks are of 64 KiB to 8 MiB, what is outside of that
 * being taken for the nearer of the two, and 0 is all of a layer.
 */
import { checkInteger, checkOptions } from '../arguments.js';
import type { PullLimits } from '../configuration/pull-presets.js';
import { invalidValues } from '../errors.js';

/** Those that are given; undefined is as good as not given. */
export type PullLimitOptions = { readonly [Name in keyof PullLimits]?: PullLimits[Name] | undefined };

export const DEFAULT_PULL_LIMITS: PullLimits = {
  maxConcurrentDownloads: -1,
  maxConcurrentDownloadsPerImage: 3,
  concurrentDownloadChunkSize: 0,
  maxConcurrentUnpacks: -1,
  maxConcurrentUnpacksPerImage: 1,
};

const LEAST = -(2 ** 31);

/**
 * One for an image that is not given is no more than that for all.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT, as for limits of which the one for an image is above that for all
 */
export function pullLimits(overrides: PullLimitOptions = {}): PullLimits {
  checkOptions('limits', overrides, DEFAULT_PULL_LIMITS);
  const { concurrentDownloadChunkSize = DEFAULT_PULL_LIMITS.concurrentDownloadChunkSize } = overrides;
  checkInteger('limits.concurrentDownloadChunkSize', concurrentDownloadChunkSize, 0);
  return {
    concurrentDownloadChunkSize,
    ...limitsOf(overrides, 'maxConcurrentDownloads', 'maxConcurrentDownloadsPerImage'),
    ...limitsOf(overrides, 'maxConcurrentUnpacks', 'maxConcurrentUnpacksPerImage'),
  };
}

type LimitName = Exclude<keyof PullLimits, 'concurrentDownloadChunkSize'>;

function limitsOf<All extends LimitName, One extends LimitName>(
  overrides: PullLimitOptions,
  all: All,
  one: One,
): Record<All | One, number> {
  const ofAll = overrides[all] ?? DEFAULT_PULL_LIMITS[all];
  const usual = DEFAULT_PULL_LIMITS[one];
  const ofOne = overrides[one] ?? (ofAll > 0 ? Math.min(usual, ofAll) : usual);
  checkInteger(`limits.${all}`, ofAll, LEAST);
  checkInteger(`limits.${one}`, ofOne, LEAST);
  if (ofAll > 0 && ofOne > ofAll) {
    throw invalidValues('limits', 'no more for one image than for all', { [all]: ofAll, [one]: ofOne });
  }
  return { [all]: ofAll, [one]: ofOne } as Record<All | One, number>;
}
