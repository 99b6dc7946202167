/**
 * One layer of an image, opened when something needs it: with the ztoc of the
 * index, with one that was built before, by building one, or by unpacking what
 * no ztoc can describe. Positions of the image that have the same layer share it.
 */

import { SharedOnce } from '../async/once.js';
import { SociError } from '../errors.js';
import { type LayerContent, LayerEntries, type LayerEntriesOptions } from '../layer/layer-entries.js';
import { publish } from '../observe/channels.js';
import { openUnpacked, type UnpackOptions, unpackLayer } from '../plain/unpack.js';
import type { UnpackBudget } from '../plain/unpack-budget.js';
import type { Descriptor } from '../registry/descriptor.js';
import { layerCompression } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';
import { loadZtoc } from '../soci/load-ztoc.js';
import type { ZtocDescriptor } from '../soci/soci-index.js';
import type { ZtocCache } from '../soci/ztoc-cache.js';
import type { RangeSource } from '../source/range-source.js';
import { buildZtoc, DEFAULT_SPAN_SIZE } from '../ztoc/build.js';
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';
import { Ztoc } from '../ztoc/ztoc.js';
import type { ImageLimits, ImageProgress, MissingZtoc } from './image-options.js';

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

/** Where a layer's bytes come from, by the ztoc: of an index; built now or before; of the plain tar that it was unpacked to. */
export type LayerOrigin = 'index' | 'cache' | 'built' | 'unpacked';

interface FoundContent extends LayerContent {
  readonly origin: LayerOrigin;
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
  /** Why there is no ztoc. */
  readonly reason: string | undefined;
}

/** A ztoc that cannot be used, as opposed to a repository that cannot be asked. */
const UNUSABLE_ZTOC: ReadonlySet<string> = new Set([
  'ERR_SOCI_ZTOC_FORMAT',
  'ERR_SOCI_ZTOC_INVALID',
  'ERR_SOCI_ZTOC_MISMATCH',
  'ERR_SOCI_DIGEST_MISMATCH',
  'ERR_SOCI_LIMIT',
  'ERR_SOCI_REGISTRY_NOT_FOUND',
]);

export class ImageLayer {
  readonly description: LayerDescription;
  readonly #options: ImageLayerOptions;
  readonly #data: SharedOnce<OpenedLayer>;
  #reason: string | undefined;

  constructor(description: LayerDescription, options: ImageLayerOptions) {
    this.description = description;
    this.#options = options;
    this.#reason = description.reason;
    this.#data = new SharedOnce(
      async signal => openedLayer(await this.#open(signal), options),
      layer => void closeLayer(layer),
    );
  }

  /** The layer, once it has been opened. */
  get opened(): OpenedLayer | undefined {
    return this.#data.value;
  }

  /** Why the ztoc of an index is not used, or that there is none. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** @throws SociError ERR_SOCI_NO_ZTOC unless layers without one are built; what building or fetching fails with */
  open(signal: AbortSignal | undefined): Promise<OpenedLayer> {
    return this.#data.get(signal);
  }

  async close(): Promise<void> {
    await this.#data.finished();
    if (this.#data.value !== undefined) await closeLayer(this.#data.value);
  }

  async #open(signal: AbortSignal): Promise<FoundContent> {
    const { repository } = this.#options;
    const { descriptor } = this.description;
    const ztoc = await this.#fromIndex(signal);
    if (ztoc !== undefined) {
      const source = await repository.openBlob(descriptor, { signal });
      return { ztoc, source, origin: 'index' };
    }
    if (this.#options.missingZtoc !== 'build')
      throw missingZtoc(repository.name, this.description, this.#reason);
    return (await this.#fromCache(signal)) ?? (await this.#fromLayer(signal));
  }

  async #fromIndex(signal: AbortSignal): Promise<Ztoc | undefined> {
    const { repository, limits, missingZtoc, indexNamed } = this.#options;
    const { ztoc, descriptor } = this.description;
    if (ztoc === undefined) return undefined;
    try {
      return await loadZtoc(repository, ztoc, descriptor, { limits: limits.ztoc, signal });
    } catch (error) {
      signal.throwIfAborted();
      const unusable = error instanceof SociError && UNUSABLE_ZTOC.has(error.code);
      if (!unusable || indexNamed || missingZtoc !== 'build') throw error;
      this.#reason = error.message;
      return undefined;
    }
  }

  async #fromCache(signal: AbortSignal): Promise<FoundContent | undefined> {
    const { cache, limits, repository } = this.#options;
    const { descriptor, diffId } = this.description;
    const bytes = await cache.get(this.#cacheKey(), { signal });
    const ztoc = bytes === undefined ? undefined : decodeCached(bytes, limits, descriptor.size);
    if (ztoc !== undefined) {
      const source = await repository.openBlob(descriptor, { signal });
      return { ztoc, source, origin: 'cache' };
    }
    if (diffId === undefined) return undefined;
    const unpacked = await openUnpacked(this.#unpacking(diffId, signal));
    return unpacked && { ...unpacked, origin: 'unpacked' };
  }

  /** Reads the whole layer: builds its ztoc, or unpacks it. */
  async #fromLayer(signal: AbortSignal): Promise<FoundContent> {
    const { repository } = this.#options;
    const { descriptor, diffId } = this.description;
    const source = await repository.openBlob(descriptor, { signal });
    let content: FoundContent | undefined;
    try {
      if (layerCompression(descriptor.mediaType) !== 'zstd') content = await this.#build(source, signal);
      if (content !== undefined) return content;
      if (diffId === undefined) {
        throw new SociError(
          'ERR_SOCI_MANIFEST',
          `${source.name} has to be unpacked, but there is no config that says to what (rootfs.diff_ids)`,
          { data: { digest: descriptor.digest } },
        );
      }
      return { ...(await unpackLayer(source, this.#unpacking(diffId, signal))), origin: 'unpacked' };
    } finally {
      if (content === undefined) await source.close();
    }
  }

  /** Undefined for a layer that no ztoc can describe. */
  async #build(source: RangeSource, signal: AbortSignal): Promise<FoundContent | undefined> {
    const { cache, limits } = this.#options;
    let ztoc: Ztoc;
    try {
      // The source's stream has compared the layer with its digest when it ends.
      const onProgress = (bytes: number): void => this.#progress('build', bytes);
      ({ ztoc } = await buildZtoc(source, { limits: limits.ztoc, signal, onProgress }));
    } catch (error) {
      signal.throwIfAborted();
      if (!isIndescribable(error)) throw error;
      this.#reason = error.message;
      return undefined;
    }
    try {
      await cache.put(this.#cacheKey(), ztoc.bytes, { signal });
    } catch {
      // A full disk costs the next process its time, not this one its ztoc.
      signal.throwIfAborted();
    }
    return { ztoc, source, origin: 'built' };
  }

  #cacheKey() {
    return {
      layerDigest: this.description.descriptor.digest,
      spanSize: DEFAULT_SPAN_SIZE,
      buildToolIdentifier: BUILD_TOOL_IDENTIFIER,
    };
  }

  #unpacking(diffId: string, signal: AbortSignal): UnpackOptions {
    const { folder, limits, budget, context } = this.#options;
    return {
      diffId,
      folder,
      temporary: context.temporary,
      budget,
      limits: limits.ztoc,
      signal,
      onProgress: bytes => this.#progress('unpack', bytes),
    };
  }

  #progress(phase: ImageProgress['phase'], bytes: number): void {
    const { position, descriptor } = this.description;
    const { digest, size } = descriptor;
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

/** A cache is not to be trusted with more than bytes: what does not fit is built again. */
function decodeCached(bytes: Uint8Array, limits: ImageLimits, layerSize: number): Ztoc | undefined {
  try {
    const ztoc = Ztoc.decode(bytes, { limits: limits.ztoc });
    return ztoc.compressedSize === layerSize ? ztoc : undefined;
  } catch (error) {
    if (error instanceof SociError) return undefined;
    throw error;
  }
}

/** A good layer all the same, as opposed to a broken one. */
function isIndescribable(error: unknown): error is SociError {
  if (!(error instanceof SociError)) return false;
  if (error.code === 'ERR_SOCI_TAR_UNSUPPORTED') return true;
  // A zstd stream may begin with frames to skip, which look like nothing that is known.
  const found = error.code === 'ERR_SOCI_UNSUPPORTED_COMPRESSION' ? error.data['found'] : undefined;
  return found === 'zstd' || found === 'unknown';
}
