/**
 * One layer of an image, opened when something needs it: with the ztoc of the
 * index, with one that was built before, by building one, or by unpacking what
 * no ztoc can describe. Positions of the image that have the same layer share it.
 */

import { SharedOnce } from '../async/once.js';
import { SociError } from '../errors.js';
import { type LayerContent, LayerEntries, type LayerEntriesOptions } from '../layer/layer-entries.js';
import { publish } from '../observe/channels.js';
import { emptyTar } from '../plain/empty-tar.js';
import { isUnpackable, openUnpacked, type UnpackOptions, unpackLayer } from '../plain/unpack.js';
import type { UnpackBudget } from '../plain/unpack-budget.js';
import type { Descriptor } from '../registry/descriptor.js';
import { isLayerType, layerCompression } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';
import type { ZtocOrigin } from '../soci/index-event.js';
import type { PrefetchDescriptor, ZtocDescriptor } from '../soci/soci-index.js';
import type { ZtocCache } from '../soci/ztoc-cache.js';
import {
  type ListedZtoc,
  type ProvidedZtoc,
  type ProviderEvents,
  ZtocProvider,
} from '../soci/ztoc-provider.js';
import type { RangeSource } from '../source/range-source.js';
import {
  newCounters,
  newLaneStats,
  type ReadStats,
  statsWithoutFetches,
  sumOfStats,
} from '../span/read-stats.js';
import type { ImageLimits, ImageProgress, MissingZtoc } from './image-options.js';

/** A layer of an image, as far as it is known by now. */
export interface ImageLayerInfo {
  readonly descriptor: Descriptor;
  /** Digest of the plain tar; undefined when the image has no config that says it. */
  readonly diffId: string | undefined;
  /** The ztoc of the index. */
  readonly ztoc: ZtocDescriptor | undefined;
  /** How the layer was opened: with the index's ztoc, one built before or now, unpacked; 'not-a-layer'; undefined: not yet. */
  readonly opened: LayerOrigin | undefined;
  /** Why there is no ztoc, why the one that there is was not used, or which bytes of the layer are not read. */
  readonly reason: string | undefined;
  /** What reading the layer has cost so far. */
  readonly stats: ReadStats;
}

/** That are opened at the same time, of one image: mostly small requests, sometimes the building of a ztoc. */
export const LAYERS_AT_ONCE = 6;

export interface ImageLayerOptions extends LayerEntriesOptions {
  readonly repository: Repository;
  readonly missingZtoc: MissingZtoc;
  readonly cache: ZtocCache;
  /** For unpacked layers. */
  readonly folder: string | undefined;
  readonly limits: ImageLimits;
  /** Shared by the image's layers. */
  readonly budget: UnpackBudget;
  /** The caller named the index, so a ztoc of it that cannot be used is an error whatever `missingZtoc` says. */
  readonly indexNamed: boolean;
  readonly onProgress: ((progress: ImageProgress) => void) | undefined;
}

/**
 * Where a layer's table of contents comes from: a ztoc's origin, or the plain tar that it was unpacked to. What is no
 * file-system layer ('not-a-layer') has no files and is not fetched.
 */
export type LayerOrigin = ZtocOrigin | 'unpacked' | 'not-a-layer';

interface FoundContent extends LayerContent {
  readonly origin: LayerOrigin;
}

/** A layer's ztoc, or that there is none without reading the layer. */
interface PresentZtoc {
  readonly ztoc: ProvidedZtoc | undefined;
}

/** A layer whose files can be read. */
export interface OpenedLayer {
  readonly origin: LayerOrigin;
  readonly entries: LayerEntries;
  readonly source: RangeSource;
}

/** What the manifest, the config and the index say of a layer. */
export interface LayerDescription {
  /** Its lowest place in the image. */
  readonly position: number;
  readonly descriptor: Descriptor;
  readonly diffId: string | undefined;
  readonly ztoc: ZtocDescriptor | undefined;
  /** Which of the ztoc's spans should be fetched first. */
  readonly prefetch: PrefetchDescriptor | undefined;
  /** Why there is no ztoc. */
  readonly reason: string | undefined;
}

export class ImageLayer {
  readonly description: LayerDescription;
  readonly #options: ImageLayerOptions;
  readonly #data: SharedOnce<OpenedLayer>;
  readonly #present: SharedOnce<PresentZtoc>;
  readonly #provider: ZtocProvider;
  readonly #events: ProviderEvents;
  #reason: string | undefined;
  /** Reads of all of the layer, to build its ztoc or to unpack it. */
  readonly #whole = { requests: 0, fetchedBytes: 0 };
  /** Of the read under way; each begins at 0 again. */
  #arrived = Number.POSITIVE_INFINITY;

  constructor(description: LayerDescription, options: ImageLayerOptions) {
    this.description = description;
    this.#options = options;
    this.#reason = description.reason;
    const { cache, limits } = options;
    this.#provider = new ZtocProvider({ cache, limits: limits.ztoc });
    this.#events = {
      onProgress: bytes => this.#progress('build', bytes),
      onRefused: error => {
        this.#reason = error.message;
      },
      onCacheFailed: () => {},
    };
    this.#present = new SharedOnce(async signal => ({ ztoc: await this.#findZtoc(signal) }));
    this.#data = new SharedOnce(
      async signal => openedLayer(await this.#open(signal), options),
      layer => void closeLayer(layer),
    );
  }

  /** The layer, once it has been opened. */
  get opened(): OpenedLayer | undefined {
    return this.#data.value;
  }

  /** What reading the layer has cost so far, as a whole and span by span. */
  get stats(): ReadStats {
    const stats = this.opened?.entries.stats ?? newCounters();
    const { requests, fetchedBytes } = this.#whole;
    const none = newCounters();
    const demand = { ...newLaneStats(), requests, fetchedBytes, plannedBytes: fetchedBytes };
    const whole = { ...none, requests, fetchedBytes, lanes: { ...none.lanes, demand } };
    return sumOfStats(this.isUnpacked ? statsWithoutFetches(stats) : stats, whole);
  }

  /** Its files are read from a plain tar on this machine, which is no request and fetches nothing. */
  get isUnpacked(): boolean {
    return this.opened?.origin === 'unpacked';
  }

  /** Why the ztoc of an index is not used, or that there is none. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Bytes of the layer that are read before a file can be found in it: none, or all. Fetches the ztoc, nothing more. */
  async bytesToOpen(signal: AbortSignal): Promise<number> {
    if (this.#data.value !== undefined || !isLayerType(this.description.descriptor.mediaType)) return 0;
    const { ztoc } = await this.#present.get(signal);
    if (ztoc !== undefined) return 0;
    const { descriptor, diffId } = this.description;
    const unpacked = diffId && (await openUnpacked(this.#unpacking(diffId, signal)));
    if (!unpacked) return descriptor.size;
    await unpacked.source.close();
    return 0;
  }

  /** @throws SociError ERR_SOCI_NO_ZTOC unless layers without one are built; what building or fetching fails with */
  open(signal: AbortSignal | undefined): Promise<OpenedLayer> {
    return this.#data.get(signal);
  }

  async close(): Promise<void> {
    await this.#present.finished();
    await this.#data.finished();
    if (this.#data.value !== undefined) await closeLayer(this.#data.value);
  }

  async #open(signal: AbortSignal): Promise<FoundContent> {
    const { repository } = this.#options;
    const { descriptor, diffId } = this.description;
    if (!isLayerType(descriptor.mediaType)) {
      return { ...emptyTar(`${repository.name}@${descriptor.digest}`), origin: 'not-a-layer' };
    }
    const { ztoc } = await this.#present.get(signal);
    if (ztoc !== undefined) return { ...ztoc, source: await this.#openBlob(signal) };
    const unpacked = diffId && (await openUnpacked(this.#unpacking(diffId, signal)));
    if (unpacked) return { ...unpacked, origin: 'unpacked' };
    return await this.#fromLayer(signal);
  }

  /** What can be had without reading the layer. */
  async #findZtoc(signal: AbortSignal): Promise<ProvidedZtoc | undefined> {
    const { repository, missingZtoc: policy } = this.#options;
    const { descriptor } = this.description;
    const listed = await this.#provider.listed(descriptor, this.#listed(), this.#events, signal);
    if (listed === undefined && policy !== 'build') {
      throw missingZtoc(repository.name, this.description, this.#reason);
    }
    return listed ?? (await this.#provider.cached(descriptor, signal));
  }

  /** The index's ztoc, at its word. Where nothing else would do, or the caller named it, a bad one is an error. */
  #listed(): ListedZtoc | undefined {
    const { repository, missingZtoc, indexNamed } = this.#options;
    const { ztoc } = this.description;
    const trust = indexNamed || missingZtoc !== 'build' ? 'named' : 'found';
    return ztoc && { descriptor: ztoc, repository, trust };
  }

  /** Reads the whole layer: builds its ztoc, or unpacks it. */
  async #fromLayer(signal: AbortSignal): Promise<FoundContent> {
    const { descriptor, diffId } = this.description;
    const source = await this.#openBlob(signal);
    let content: FoundContent | undefined;
    let end: number | undefined;
    try {
      if (layerCompression(descriptor.mediaType) !== 'zstd') {
        const built = await this.#provider.fromLayer(source, descriptor, undefined, this.#events, signal);
        if ('ztoc' in built) {
          content = { ...built, source };
          return content;
        }
        if (!isUnpackable(built)) throw built.error;
        this.#reason = built.message;
        if (built.error.code === 'ERR_SOCI_LAYER_TRAILING_DATA') end = built.error.data['offset'] as number;
      }
      if (diffId === undefined) {
        throw new SociError(
          'ERR_SOCI_MANIFEST',
          `${source.name} has to be unpacked, but there is no config that says to what (rootfs.diff_ids)`,
          { data: { digest: descriptor.digest } },
        );
      }
      return { ...(await unpackLayer(source, this.#unpacking(diffId, signal, end))), origin: 'unpacked' };
    } finally {
      if (content === undefined) await source.close();
    }
  }

  #openBlob(signal: AbortSignal): Promise<RangeSource> {
    const { repository, context } = this.#options;
    const onProgress = (bytes: number): void => this.#progress('download', bytes);
    const keepWhole = { space: context.temporary, onProgress };
    return repository.openBlob(this.description.descriptor, { signal, keepWhole });
  }

  /** @param end of the gzip stream, when other bytes follow */
  #unpacking(diffId: string, signal: AbortSignal, end?: number): UnpackOptions {
    const { descriptor } = this.description;
    const { folder, limits, budget, context } = this.#options;
    return {
      diffId,
      folder,
      temporary: context.temporary,
      budget,
      limits: limits.ztoc,
      end,
      signal,
      onTrailing: offset => {
        const bytes = descriptor.size - offset;
        this.#reason = `the last ${bytes} bytes of ${descriptor.digest} are no zstd frame and are not read`;
      },
      onProgress: bytes => this.#progress('unpack', bytes),
    };
  }

  #progress(phase: ImageProgress['phase'], bytes: number): void {
    const { position, descriptor } = this.description;
    const { digest, size } = descriptor;
    if (bytes < this.#arrived) {
      this.#whole.requests += 1;
      this.#arrived = 0;
    }
    this.#whole.fetchedBytes += bytes - this.#arrived;
    this.#arrived = bytes;
    publish('seekable-oci:progress', () => ({ phase, digest, bytes, size }));
    this.#options.onProgress?.({ phase, layer: position, digest, bytes, size });
  }
}

function openedLayer(content: FoundContent, options: LayerEntriesOptions): OpenedLayer {
  const { origin, source } = content;
  const { verifyWindows, context } = options;
  // An unpacked tar's table was read from the headers themselves, and says less than a header can.
  const verifyHeaders = options.verifyHeaders && origin !== 'unpacked';
  return { origin, source, entries: new LayerEntries(content, { verifyHeaders, verifyWindows, context }) };
}

async function closeLayer({ entries, source }: OpenedLayer): Promise<void> {
  await entries.close();
  await source.close();
}

export function missingZtoc(
  repository: string,
  { position, descriptor }: LayerDescription,
  reason: string | undefined,
): SociError {
  return new SociError(
    'ERR_SOCI_NO_ZTOC',
    `${repository}: layer ${position} (${descriptor.digest}, ${descriptor.size} bytes) has no ztoc: ${reason}`,
    { data: { layer: position, digest: descriptor.digest, size: descriptor.size, reason } },
  );
}
