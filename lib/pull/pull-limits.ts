/**
 * How much a pull does at once, by the names and the defaults of the parallel
 * pull mode of the reference's configuration file (max_concurrent_downloads, …).
 */
import { checkInteger, checkOptions } from '../arguments.js';
import { invalidValues } from '../errors.js';

export interface PullLimits {
  /** Requests for blobs under way, of all pulls that share a context; 0 and less: no limit. Default -1. */
  readonly maxConcurrentDownloads: number;
  /**
   * Requests for blobs of one image under way; 0 and less: no limit. Default 3, or `maxConcurrentDownloads` if that is
   * less.
   */
  readonly maxConcurrentDownloadsPerImage: number;
  /**
   * Bytes of a layer that are asked for in one request, from 64 KiB to 8 MiB: what is outside of that is taken for the
   * nearer of the two. 0: all of it in one. Default 0.
   */
  readonly concurrentDownloadChunkSize: number;
}

/** Those that are given; undefined is as good as not given. */
export type PullLimitOptions = { readonly [Name in keyof PullLimits]?: PullLimits[Name] | undefined };

export const DEFAULT_PULL_LIMITS: PullLimits = {
  maxConcurrentDownloads: -1,
  maxConcurrentDownloadsPerImage: 3,
  concurrentDownloadChunkSize: 0,
};

const LEAST = -(2 ** 31);

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT, as for limits of which the one for an image is above that for all */
export function pullLimits(overrides: PullLimitOptions = {}): PullLimits {
  checkOptions('limits', overrides, DEFAULT_PULL_LIMITS);
  const {
    maxConcurrentDownloads = DEFAULT_PULL_LIMITS.maxConcurrentDownloads,
    concurrentDownloadChunkSize = DEFAULT_PULL_LIMITS.concurrentDownloadChunkSize,
    maxConcurrentDownloadsPerImage = perImage(maxConcurrentDownloads),
  } = overrides;
  checkInteger('limits.maxConcurrentDownloads', maxConcurrentDownloads, LEAST);
  checkInteger('limits.maxConcurrentDownloadsPerImage', maxConcurrentDownloadsPerImage, LEAST);
  checkInteger('limits.concurrentDownloadChunkSize', concurrentDownloadChunkSize, 0);
  if (maxConcurrentDownloads > 0 && maxConcurrentDownloadsPerImage > maxConcurrentDownloads) {
    throw invalidValues('limits', 'no more downloads for one image than for all', {
      maxConcurrentDownloads,
      maxConcurrentDownloadsPerImage,
    });
  }
  return { maxConcurrentDownloads, maxConcurrentDownloadsPerImage, concurrentDownloadChunkSize };
}

function perImage(all: number): number {
  const usual = DEFAULT_PULL_LIMITS.maxConcurrentDownloadsPerImage;
  return all > 0 ? Math.min(usual, all) : usual;
}
