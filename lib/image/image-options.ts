/** What opening an image can be told, with the defaults of what bounds it. */

import type { OptionNames } from '../arguments.js';
import { checkInteger, checkOptions } from '../arguments.js';
import type { Platform } from '../registry/platform.js';
import { REGISTRY_NAMES, type RegistryOptions, type RegistryTransport } from '../registry/transport.js';
import type { SociIndexVersion } from '../soci/soci-index.js';
import type { ZtocCache } from '../soci/ztoc-cache.js';
import { ABORTABLE_NAMES, type AbortableOptions } from '../source/range-source.js';
import type { ReadContext } from '../span/read-context.js';
import type { WindowVerification } from '../span/reader.js';
import type { Store } from '../store/store.js';
import { DEFAULT_MAX_NAMES } from '../tree/build-tree.js';
import type { Semantics } from '../tree/layer-note.js';
import type { ZtocLimits } from '../ztoc/limits.js';

/**
 * What becomes of layers that the index has no ztoc for (or that have no index). 'build': the layer is streamed
 * once, when it is first needed, and its ztoc kept in the cache. 'error': whatever would need the layer throws
 * ERR_SOCI_NO_ZTOC. 'fail': opening the image does. In no case is a layer left out.
 */
export type MissingZtoc = 'build' | 'error' | 'fail';

/** When the ztocs of an index are fetched. */
export type ZtocLoading = 'when-needed' | 'at-once';

export interface ImageLimits {
  /** Layers of the image. Default 1000. */
  readonly maxLayers: number;
  /** Names in all layers together. Default 4,000,000. */
  readonly maxNames: number;
  /** Bytes of the ztocs of all layers together. Default 1 GiB. */
  readonly maxZtocBytes: number;
  /** Bytes that all layers together may unpack to, as far as they have to be unpacked. Default 32 GiB. */
  readonly maxUnpackedBytes: number;
  /** For each ztoc. */
  readonly ztoc: Partial<ZtocLimits>;
}

export const DEFAULT_IMAGE_LIMITS: ImageLimits = {
  maxLayers: 1000,
  maxNames: DEFAULT_MAX_NAMES,
  maxZtocBytes: 2 ** 30,
  maxUnpackedBytes: 32 * 2 ** 30,
  ztoc: {},
};

/** Work on a layer that takes as long as reading all of it. */
export interface ImageProgress {
  /**
   * Building its ztoc, unpacking it because it can have none, or downloading it because the server ignores Range
   * requests.
   */
  readonly phase: 'build' | 'unpack' | 'download';
  /** Of the lowest layer with this digest. */
  readonly layer: number;
  readonly digest: string;
  /** Bytes of the layer read so far, of `size`. */
  readonly bytes: number;
  readonly size: number;
}

/** The signal ends the opening; an image that is open is ended by `close`. */
export interface OpenImageOptions extends AbortableOptions, RegistryOptions {
  /** E.g. 'linux/arm64'. Default: the host's, else the only one that there is. */
  readonly platform?: Platform | string | undefined;
  /** Position of the only layer to read, the lowest being 0; whiteouts are files then. Default: all, merged. */
  readonly onlyLayer?: number | undefined;
  /** The digest of the SOCI index to use; false: none. Default: whatever `findIndex` finds. */
  readonly index?: string | false | undefined;
  /** What to look for, in this order. Default: v2, then v1. */
  readonly indexOrder?: readonly SociIndexVersion[] | undefined;
  /** Default 'build'. */
  readonly missingZtoc?: MissingZtoc | undefined;
  /**
   * 'at-once': ztocs are fetched as soon as the index names them, beside the config, which saves a round trip to
   * whoever opens the image to read files. Default 'when-needed': for the first question about files.
   */
  readonly ztocs?: ZtocLoading | undefined;
  /** For ztocs that are built. Default: in the store, else in `cacheDirectory`, else in the memory of this process. */
  readonly cache?: ZtocCache | undefined;
  /**
   * Folder for ztocs that are built, layers that are unpacked, and manifests, indexes and ztocs of registries: kept
   * for the next time. It is made; one that cannot be used is an error.
   */
  readonly cacheDirectory?: string | undefined;
  /** When more is kept, the least recently used goes as the image is closed. Default 10 GiB. */
  readonly maxCacheBytes?: number | undefined;
  /**
   * Where what registries send is kept: manifests, indexes, ztocs and layers, as far as they are read. `cacheDirectory`
   * is for unpacked layers only then. It stays open when the image is closed. Default: that of `context`.
   */
  readonly store?: Store | undefined;
  /** Read what the store has and send no request; what is missing is ERR_SOCI_OFFLINE. Default false. */
  readonly offline?: boolean | undefined;
  /** Compare the tar header of every file that is opened with the ztoc. Default true. */
  readonly verifyHeaders?: boolean | undefined;
  /** Default 'neighbours'. */
  readonly verifyWindows?: WindowVerification | undefined;
  /**
   * 'overlay': what a container sees, as overlay runtimes put layers on top of each other; 'spec': what the OCI image
   * specification says where the two differ (see `Image.notes`). Default 'overlay'.
   */
  readonly semantics?: Semantics | undefined;
  readonly limits?: Partial<ImageLimits> | undefined;
  /** Whose memory, threads, decoded spans and temporary space reading shares. Default: the default context. */
  readonly context?: ReadContext | undefined;
  readonly onProgress?: ((progress: ImageProgress) => void) | undefined;
  /** Connections shared with others and not closed with the image; the registry options go unused then. */
  readonly transport?: RegistryTransport | undefined;
}

export const OPEN_IMAGE_NAMES: OptionNames<OpenImageOptions> = {
  ...ABORTABLE_NAMES,
  ...REGISTRY_NAMES,
  platform: true,
  onlyLayer: true,
  index: true,
  indexOrder: true,
  missingZtoc: true,
  ztocs: true,
  cache: true,
  cacheDirectory: true,
  maxCacheBytes: true,
  store: true,
  offline: true,
  verifyHeaders: true,
  verifyWindows: true,
  semantics: true,
  limits: true,
  onProgress: true,
  transport: true,
  context: true,
};

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
export function imageLimits(overrides: Partial<ImageLimits> | undefined): ImageLimits {
  const limits = { ...DEFAULT_IMAGE_LIMITS, ...overrides };
  checkOptions('limits', overrides ?? {}, DEFAULT_IMAGE_LIMITS);
  for (const name of ['maxLayers', 'maxNames', 'maxZtocBytes', 'maxUnpackedBytes'] as const) {
    checkInteger(`limits.${name}`, limits[name], 1);
  }
  return limits;
}
