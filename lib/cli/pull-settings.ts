/**
 * What a pull is told by its command line: how much at once and how files are
 * written, out of a preset or the configuration file, and of options that have the
 * names of its keys and go before both.
 */
import { availableParallelism, totalmem } from 'node:os';
import { readConfiguration } from '../configuration/configuration.js';
import { PULL_PRESETS } from '../configuration/pull-presets.js';
import { parseSize } from '../configuration/size-text.js';
import type { IdRange, PullLimitOptions, TreeOptions } from '../index.js';
import { checkDecompressor } from '../plain/decompressor-check.js';
import {
  type Invocation,
  type OptionTable,
  optionList,
  optionNumber,
  optionText,
  UsageError,
} from './command.js';

export interface PullSettings {
  readonly limits: PullLimitOptions;
  readonly unpack: TreeOptions;
  /** Compressed layers that were unpacked do not stay in the store. */
  readonly discard: boolean;
  /** What the configuration file says in vain. */
  readonly warnings: readonly string[];
}

const INTEGER = /^-?\d{1,9}$/;

export const PULL_SETTINGS: OptionTable = {
  config: {
    type: 'string',
    value: 'FILE',
    help: 'a configuration file: its parallel_pull_unpack says what the options below do not',
  },
  preset: {
    type: 'string',
    value: 'NAME',
    help: "how much at once: 'fast', what this machine can use (default), or 'reference', the file's defaults",
  },
  'max-concurrent-downloads': {
    type: 'string',
    value: 'N',
    help: 'requests for blobs under way; 0 and less: no limit',
  },
  'max-concurrent-downloads-per-image': { type: 'string', value: 'N', help: 'the same, of one image' },
  'concurrent-download-chunk-size': {
    type: 'string',
    value: 'SIZE',
    help: 'ask for layers in pieces of SIZE (e.g. 8mb); 0: in one',
  },
  'max-concurrent-unpacks': {
    type: 'string',
    value: 'N',
    help: 'layers that are unpacked at once; 0 and less: no limit',
  },
  'max-concurrent-unpacks-per-image': {
    type: 'string',
    value: 'N',
    help: 'the same, of one image; those of rootfs: are always one after the other',
  },
  'discard-unpacked-layers': {
    type: 'boolean',
    help: 'do not leave compressed layers in --store once they are unpacked',
  },
  'no-same-owner': { type: 'boolean', help: 'leave files to whoever runs this; set-id bits go with it' },
  'uid-map': {
    type: 'string',
    multiple: true,
    value: 'C:H:N',
    help: 'N users of the image from C on are those from H on of this machine',
  },
  'gid-map': { type: 'string', multiple: true, value: 'C:H:N', help: 'the same for groups' },
};

/** @throws UsageError; SociError ERR_SOCI_CONFIGURATION */
export async function pullSettings(invocation: Invocation): Promise<PullSettings> {
  const file = optionText(invocation, 'config');
  const preset = optionText(invocation, 'preset') ?? (file === undefined ? 'fast' : undefined);
  if (preset !== undefined && !(preset === 'fast' || preset === 'reference')) {
    throw new UsageError(`--preset: expected 'fast' or 'reference', received '${preset}'`);
  }
  const configuration =
    file === undefined ? undefined : await readConfiguration(file, { signal: invocation.signal });
  const given = configuration?.pullModes.parallelPullUnpack;
  const machine = { cores: availableParallelism(), memoryBytes: totalmem() };
  const basis = preset === undefined ? given : PULL_PRESETS[preset](machine);
  const { decompressStreams = {}, discardUnpackedLayers = false } = given ?? {};
  return {
    limits: limitsOf(invocation, basis),
    unpack: {
      owners: invocation.options['no-same-owner'] !== true,
      uidMap: idMap(invocation, 'uid-map'),
      gidMap: idMap(invocation, 'gid-map'),
      decompressors: await decompressorsOf(decompressStreams),
    },
    discard: discardUnpackedLayers || invocation.options['discard-unpacked-layers'] === true,
    warnings: configuration?.warnings ?? [],
  };
}

/** What is said of all is not exceeded by what is not said of one image. */
function limitsOf(invocation: Invocation, basis: PullLimitOptions | undefined): PullLimitOptions {
  const number = (name: string): number | undefined => optionNumber(invocation, name, INTEGER);
  const both = (all: string, one: string, ofAll: number | undefined, ofOne: number | undefined) => {
    const chosen = number(all) ?? ofAll;
    const own = number(one);
    const bounded =
      ofOne !== undefined && chosen !== undefined && chosen > 0 && (ofOne <= 0 || ofOne > chosen);
    return { all: chosen, one: own ?? (bounded ? chosen : ofOne) };
  };
  const downloads = both(
    'max-concurrent-downloads',
    'max-concurrent-downloads-per-image',
    basis?.maxConcurrentDownloads,
    basis?.maxConcurrentDownloadsPerImage,
  );
  const unpacks = both(
    'max-concurrent-unpacks',
    'max-concurrent-unpacks-per-image',
    basis?.maxConcurrentUnpacks,
    basis?.maxConcurrentUnpacksPerImage,
  );
  const chunk = optionText(invocation, 'concurrent-download-chunk-size');
  return {
    maxConcurrentDownloads: downloads.all,
    maxConcurrentDownloadsPerImage: downloads.one,
    maxConcurrentUnpacks: unpacks.all,
    maxConcurrentUnpacksPerImage: unpacks.one,
    concurrentDownloadChunkSize: chunk === undefined ? basis?.concurrentDownloadChunkSize : chunkSize(chunk),
  };
}

/** As the configuration file has sizes. @throws UsageError */
function chunkSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new UsageError(
    `--concurrent-download-chunk-size: expected a size (8mb, 512kb; 0: all of a layer), received '${text}'`,
  );
}

/** @throws UsageError */
function idMap(invocation: Invocation, name: string): readonly IdRange[] | undefined {
  const texts = optionList(invocation, name);
  if (texts.length === 0) return undefined;
  return texts.map(text => {
    const [, container, host, size] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
    if (size === undefined)
      throw new UsageError(`--${name}: expected CONTAINER:HOST:SIZE, received '${text}'`);
    return { container: Number(container), host: Number(host), size: Number(size) };
  });
}

type Streams = Readonly<Record<string, { readonly path: string; readonly args: readonly string[] }>>;

async function decompressorsOf(streams: Streams): Promise<TreeOptions['decompressors']> {
  const checked = await Promise.all(
    Object.entries(streams).map(
      async ([name, tool]) => [name, await checkDecompressor(`decompress_streams.${name}`, tool)] as const,
    ),
  );
  return Object.fromEntries(checked.filter(([name]) => name === 'gzip' || name === 'zstd'));
}
