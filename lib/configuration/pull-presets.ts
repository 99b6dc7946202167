/**
 * How much a pull does at once, by name: `reference` is what the configuration file has by
 * default, made for a node whose containers come first; `fast` is what a machine can use
 * that has nothing better to do. Pure, so that the choice can be told and tested.
 */
import { checkInteger, checkOptions } from '../arguments.js';
import { type Configuration, defaultConfiguration } from './configuration.js';

const MIB = 2 ** 20;

export type PullLimits = Pick<
  Configuration['pullModes']['parallelPullUnpack'],
  | 'maxConcurrentDownloads'
  | 'maxConcurrentDownloadsPerImage'
  | 'concurrentDownloadChunkSize'
  | 'maxConcurrentUnpacks'
  | 'maxConcurrentUnpacksPerImage'
>;

export interface Machine {
  /** What may run at the same time, e.g. `availableParallelism()`. */
  readonly cores: number;
  /** Of the machine, or of the control group if that is less. */
  readonly memoryBytes: number;
}

/**
 * 16 requests of 8 MiB keep 1 Gbit/s busy over 20 ms, each more than a second, with 2 % of it spent on round trips,
 * and a long way where a single stream is held back by its window or by loss; the registry client learns how many a
 * host bears, so that more would only wait in line. What comes ahead of its turn lies in files, but in the page cache
 * first: a 16th of the memory is for that.
 */
const CHUNK = 8 * MIB;
const DOWNLOADS = { least: 2, most: 16 } as const;
/**
 * A core each: decoding, digests and the kernel's work on files are all the processor's. 32 MiB is a layer's windows,
 * table of contents and files under way. Beyond 16 the file system is what they wait for.
 */
const UNPACK_BYTES = 32 * MIB;
const UNPACKS = { least: 1, most: 16 } as const;
const MEMORY_SHARE = 1 / 16;

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function fastPullLimits(machine: Machine): PullLimits {
  checkOptions('fastPullLimits', machine, { cores: true, memoryBytes: true });
  const { cores, memoryBytes } = machine;
  checkInteger('cores', cores, 1);
  checkInteger('memoryBytes', memoryBytes, 1);
  const share = memoryBytes * MEMORY_SHARE;
  const downloads = within(DOWNLOADS, Math.floor(share / CHUNK));
  const unpacks = within(UNPACKS, Math.min(cores, Math.floor(share / UNPACK_BYTES)));
  return {
    // One image may use all that all may use: the memory is the machine's.
    maxConcurrentDownloads: downloads,
    maxConcurrentDownloadsPerImage: downloads,
    concurrentDownloadChunkSize: CHUNK,
    maxConcurrentUnpacks: unpacks,
    maxConcurrentUnpacksPerImage: unpacks,
  };
}

function referencePullLimits(): PullLimits {
  const {
    maxConcurrentDownloads,
    maxConcurrentDownloadsPerImage,
    concurrentDownloadChunkSize,
    maxConcurrentUnpacks,
    maxConcurrentUnpacksPerImage,
  } = defaultConfiguration().pullModes.parallelPullUnpack;
  return {
    maxConcurrentDownloads,
    maxConcurrentDownloadsPerImage,
    concurrentDownloadChunkSize,
    maxConcurrentUnpacks,
    maxConcurrentUnpacksPerImage,
  };
}

function within({ least, most }: { readonly least: number; readonly most: number }, value: number): number {
  return Math.min(most, Math.max(least, value));
}

/** By the names that `--preset` takes. */
export const PULL_PRESETS: Readonly<Record<'fast' | 'reference', (machine: Machine) => PullLimits>> = {
  fast: fastPullLimits,
  reference: referencePullLimits,
};
