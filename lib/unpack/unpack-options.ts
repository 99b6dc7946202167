/** What unpacking an image can be told, with the defaults. */
import { availableParallelism } from 'node:os';
import { checkChoice, checkInteger, checkOptions, type OptionNames } from '../arguments.js';
import { invalidArgument } from '../errors.js';
import type { AbortableOptions } from '../source/range-source.js';
import { defaultContext, type ReadContext } from '../span/read-context.js';
import type { Semantics } from '../tree/layer-note.js';
import { DEFAULT_SPAN_SIZE } from '../ztoc/build.js';
import { isPrivileged } from './executors.js';
import { IdMap, type IdRange } from './id-map.js';
import type { Owners } from './inode-attributes.js';
import type { LayerProgress, LayerToUnpack, LazyLayer, ZtocWanted } from './layer-pass.js';
import { resolveUnpackLimits, UnpackBounds, type UnpackLimits } from './unpack-limits.js';
import type { UnpackedLayerSummary } from './unpack-result.js';

/** 'merged': one file system. 'overlay': a directory for each layer, to be put on top of each other by overlayfs. */
export type UnpackTarget = 'merged' | 'overlay';

export interface UnpackImageOptions extends AbortableOptions {
  /** The lowest first; a function gives one when it is its turn. */
  readonly layers: readonly (LayerToUnpack | LazyLayer)[];
  readonly target: UnpackTarget;
  /** Nothing, or an empty directory. It is there when all is done, and not before. */
  readonly directory: string;
  /** Whose rules put layers on top of each other. Default 'overlay', which a container sees. */
  readonly semantics?: Semantics | undefined;
  /** Owners on this machine; an id that no range has is ERR_SOCI_ID_UNMAPPED. Default: they are what they are. */
  readonly uidMap?: readonly IdRange[] | undefined;
  readonly gidMap?: readonly IdRange[] | undefined;
  /** Set owners, and with them set-id bits. Default true; what only root may set is counted in `skipped`. */
  readonly owners?: boolean | undefined;
  /** Make ztocs of gzip and plain layers on the way. Default: with spans of 4 MiB; false makes none. */
  readonly ztocs?: Partial<ZtocWanted> | false | undefined;
  readonly limits?: Partial<UnpackLimits> | undefined;
  /** Also survive a power cut: all is on the disk before it takes its place. Default false. */
  readonly sync?: boolean | undefined;
  /** Layers unpacked at the same time, of the target 'overlay'. Default: the cores of the machine, 4 at most. */
  readonly concurrency?: number | undefined;
  /** Bytes of tars that may wait to be written, of all layers together. Default 64 MiB. */
  readonly heldBytes?: number | undefined;
  readonly context?: ReadContext | undefined;
  readonly onProgress?: ((progress: UnpackProgress) => void) | undefined;
  /** A layer has been worked through, and its source is not needed any more. */
  readonly onUnpacked?: ((layer: number, summary: UnpackedLayerSummary) => void) | undefined;
  /** Called when all is written and proved, with where it is before it takes its place: a failure keeps it from that. */
  readonly beforeCommit?: ((partial: string) => Promise<void>) | undefined;
}

export interface UnpackProgress extends LayerProgress {
  /** Position of the layer. */
  readonly layer: number;
}

const OPTION_NAMES: OptionNames<UnpackImageOptions> = {
  layers: true,
  target: true,
  directory: true,
  semantics: true,
  uidMap: true,
  gidMap: true,
  owners: true,
  ztocs: true,
  limits: true,
  sync: true,
  concurrency: true,
  heldBytes: true,
  context: true,
  onProgress: true,
  onUnpacked: true,
  beforeCommit: true,
  signal: true,
};
const LAYER_NAMES: OptionNames<LayerToUnpack> = { content: true, ztoc: true, digest: true, diffId: true };
const ZTOC_NAMES: OptionNames<ZtocWanted> = { spanSize: true, buildToolIdentifier: true };
/** A layer's position is a uint16. */
const MAX_LAYERS = 65_535;

/** The same, with nothing left open. */
export interface UnpackSettings {
  readonly directory: string;
  readonly semantics: Semantics;
  readonly owners: Owners;
  readonly setsOwners: boolean;
  readonly privileged: boolean;
  readonly ztoc: ZtocWanted | undefined;
  readonly bounds: UnpackBounds;
  readonly sync: boolean;
  readonly concurrency: number;
  readonly heldBytes: number | undefined;
  readonly context: ReadContext;
  readonly onProgress: (progress: UnpackProgress) => void;
  readonly onUnpacked: (layer: number, summary: UnpackedLayerSummary) => void;
  readonly beforeCommit: (partial: string) => Promise<void>;
}

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function resolveUnpackOptions(options: UnpackImageOptions): UnpackSettings {
  checkOptions('unpackImage', options, OPTION_NAMES);
  const { layers, target, directory, semantics = 'overlay', owners = true, ztocs = {} } = options;
  const { sync = false, concurrency = Math.min(availableParallelism(), 4), heldBytes } = options;
  if (!Array.isArray(layers)) throw invalidArgument('layers', 'a list of layers', layers);
  if (layers.length > MAX_LAYERS)
    throw invalidArgument('layers', `at most ${MAX_LAYERS} layers`, layers.length);
  for (const layer of layers) {
    if (typeof layer !== 'function') checkOptions('a layer of unpackImage', layer, LAYER_NAMES);
  }
  checkChoice('target', target, ['merged', 'overlay']);
  if (typeof directory !== 'string' || directory === '')
    throw invalidArgument('directory', 'a path', directory);
  checkChoice('semantics', semantics, ['overlay', 'spec']);
  checkInteger('concurrency', concurrency, 1);
  if (heldBytes !== undefined) checkInteger('heldBytes', heldBytes, 1);
  return {
    directory,
    semantics,
    owners: { uids: new IdMap('uidMap', options.uidMap), gids: new IdMap('gidMap', options.gidMap) },
    setsOwners: owners,
    privileged: isPrivileged(),
    ztoc: ztocs === false ? undefined : resolveZtoc(ztocs),
    bounds: new UnpackBounds(resolveUnpackLimits(options.limits)),
    sync,
    concurrency,
    heldBytes,
    context: options.context ?? defaultContext,
    onProgress: options.onProgress ?? (() => {}),
    onUnpacked: options.onUnpacked ?? (() => {}),
    beforeCommit: options.beforeCommit ?? (async () => {}),
  };
}

function resolveZtoc(wanted: Partial<ZtocWanted>): ZtocWanted {
  checkOptions('ztocs', wanted, ZTOC_NAMES);
  const { spanSize = DEFAULT_SPAN_SIZE, buildToolIdentifier } = wanted;
  checkInteger('ztocs.spanSize', spanSize, 1);
  return { spanSize, buildToolIdentifier };
}
