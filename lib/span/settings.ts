/**
 * What may be spent on reading spans, and how they are decoded. The pool, the
 * memory and the temporary disk space are shared by every layer that is open, so
 * these are settings of a context and not of a layer.
 */
import { availableParallelism, tmpdir } from 'node:os';
import { checkChoice, checkInteger, checkOptions } from '../arguments.js';
import { DEFAULT_ENGINE, type EngineName } from '../binding.js';
import { invalidArgument } from '../errors.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export interface Settings {
  /**
   * Spans decoded at the same time. Default: min(cores, 4), the size of libuv's pool. The threads are the process's:
   * the default context says how many there are, another one how many of them it keeps busy at most.
   */
  readonly decodeConcurrency: number;
  /** Bytes of decoded spans kept for later reads; 0 keeps none. Default 128 MiB. */
  readonly cacheBytes: number;
  /** Bytes of cached spans and of spans being fetched or decoded, together. Default 256 MiB. */
  readonly memoryBytes: number;
  /**
   * A span larger than this, compressed or decoded, is not held in memory: its
   * compressed bytes go to a temporary file. Default 64 MiB. A layer keeps to
   * the value it was opened with.
   */
  readonly maxSpanBytes: number;
  /** Compressed bytes that neighbouring spans may add up to in one request. Default 16 MiB. */
  readonly maxRequestBytes: number;
  /** Requests that one read keeps under way. Default 4. */
  readonly readConcurrency: number;
  /**
   * Decoded bytes that are fetched ahead of one who reads a file from front to back, or files in the order of their
   * tar, in lane 'prefetch', and that a layer may have to be fetched to its end once 40 % of it have been asked for (any layer where a store keeps it). No
   * more than half of `cacheBytes` and a quarter of `memoryBytes`. 0 fetches nothing that was not asked for. Default
   * 32 MiB.
   */
  readonly maxReadAheadBytes: number;
  /**
   * Bytes that all requests together may bring per second that nobody waits for (of the lane 'background'). Default 0:
   * whatever the links bring while nobody waits.
   */
  readonly maxBytesPerSecond: number;
  /** Bytes that the temporary files of huge spans may take up. Default 16 GiB. */
  readonly tempBytes: number;
  /** Where temporary files go. Default: the system's directory for them. */
  readonly tempDirectory: string;
  /** What decodes spans. Default 'fast'; 'zlib' is the reference, and gives the same bytes. */
  readonly engine: EngineName;
}

/** The least value of each numeric setting; all are safe integers. */
const LEAST: Readonly<Record<Exclude<keyof Settings, 'tempDirectory' | 'engine'>, number>> = {
  decodeConcurrency: 1,
  cacheBytes: 0,
  memoryBytes: 0,
  maxSpanBytes: 1,
  maxRequestBytes: 1,
  readConcurrency: 1,
  maxReadAheadBytes: 0,
  maxBytesPerSecond: 0,
  tempBytes: 0,
};

export const DEFAULT_SETTINGS: Settings = {
  decodeConcurrency: Math.min(availableParallelism(), 4),
  cacheBytes: 128 * MIB,
  memoryBytes: 256 * MIB,
  maxSpanBytes: 64 * MIB,
  maxRequestBytes: 16 * MIB,
  readConcurrency: 4,
  maxReadAheadBytes: 32 * MIB,
  maxBytesPerSecond: 0,
  tempBytes: 16 * GIB,
  tempDirectory: tmpdir(),
  engine: DEFAULT_ENGINE,
};

/**
 * `settings` with the changes.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT for an unknown setting or a value out of its range
 */
export function changedSettings(settings: Settings, changes: Partial<Settings>): Settings {
  checkOptions('configure', changes, settings);
  for (const [name, value] of Object.entries(changes)) {
    if (name === 'tempDirectory') {
      if (typeof value !== 'string' || value === '')
        throw invalidArgument(name, 'the path of a directory', value);
      continue;
    }
    if (name === 'engine') {
      checkChoice(name, value, ['fast', 'zlib']);
      continue;
    }
    checkInteger(name, value, LEAST[name as keyof typeof LEAST]);
  }
  return { ...settings, ...changes };
}
