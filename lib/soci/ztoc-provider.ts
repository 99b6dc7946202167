/**
 * Where the ztoc of a layer comes from, for those who read an image and for
 * those who index it: an index, what this installation has built before, or the
 * layer itself, streamed once. That no ztoc can describe a layer is an answer
 * too; what is done about it is for the caller to say.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { digestAlgorithm } from '../registry/digest.js';
import type { Repository } from '../registry/repository.js';
import type { RangeSource } from '../source/range-source.js';
import { buildZtoc, DEFAULT_SPAN_SIZE } from '../ztoc/build.js';
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';
import type { ZtocLimits } from '../ztoc/limits.js';
import { verifyZtoc } from '../ztoc/verify.js';
import { Ztoc } from '../ztoc/ztoc.js';
import type { ZtocOrigin } from './index-event.js';
import type { Skip } from './layer-choice.js';
import { loadZtoc } from './load-ztoc.js';
import type { ZtocDescriptor } from './soci-index.js';
import type { ZtocCache, ZtocKey } from './ztoc-cache.js';
import { isDisprovedZtoc, isUnusableZtoc, layerFailure } from './ztoc-failures.js';

/** A ztoc that an index lists. */
export interface ListedZtoc {
  readonly descriptor: ZtocDescriptor;
  readonly repository: Repository;
  /**
   * 'named': the caller named its index, so it is taken at its word, or nothing is. 'found': taken at its word, and
   * passed over when it cannot be used. 'unproved': used once it has proved to describe the layer.
   */
  readonly trust: 'named' | 'found' | 'unproved';
}

export interface ProvidedZtoc {
  readonly ztoc: Ztoc;
  readonly origin: ZtocOrigin;
}

/** No ztoc can describe the layer, if its bytes are what its digest names. */
export interface NoZtoc extends Skip {
  readonly error: SociError;
}

/** What happens on the way, for one layer. */
export interface ProviderEvents {
  /** Bytes of the layer read so far; a second pass starts from 0 again. */
  readonly onProgress: (bytes: number) => void;
  /** A listed ztoc is not used. */
  readonly onRefused: (error: SociError) => void;
  /** What was built could not be kept; nothing else is wrong. */
  readonly onCacheFailed: (error: Error) => void;
}

export interface ZtocProviderOptions {
  readonly spanSize?: number | undefined;
  readonly buildToolIdentifier?: string | undefined;
  readonly cache: ZtocCache | undefined;
  readonly limits: Partial<ZtocLimits> | undefined;
}

export class ZtocProvider {
  readonly #spanSize: number;
  readonly #tool: string;
  readonly #cache: ZtocCache | undefined;
  readonly #limits: Partial<ZtocLimits> | undefined;

  constructor(options: ZtocProviderOptions) {
    this.#spanSize = options.spanSize ?? DEFAULT_SPAN_SIZE;
    this.#tool = options.buildToolIdentifier ?? BUILD_TOOL_IDENTIFIER;
    this.#cache = options.cache;
    this.#limits = options.limits;
  }

  /**
   * That of an index which is taken at its word.
   *
   * @throws SociError what `loadZtoc` throws, when it is 'named' or the repository fails
   */
  async listed(
    layer: Descriptor,
    listed: ListedZtoc | undefined,
    events: ProviderEvents,
    signal: AbortSignal,
  ): Promise<ProvidedZtoc | undefined> {
    if (listed === undefined || listed.trust === 'unproved') return undefined;
    const { descriptor, repository, trust } = listed;
    try {
      const ztoc = await loadZtoc(repository, descriptor, layer, { limits: this.#limits, signal });
      return { ztoc, origin: 'index' };
    } catch (error) {
      signal.throwIfAborted();
      if (trust === 'named' || !isUnusableZtoc(error)) throw error;
      events.onRefused(error);
      return undefined;
    }
  }

  /** One that was built before. A cache is not to be trusted with more than bytes: what does not fit is built again. */
  async cached(layer: Descriptor, signal: AbortSignal): Promise<ProvidedZtoc | undefined> {
    const bytes = await this.#cache?.get(this.#keyOf(layer), { signal });
    if (bytes === undefined) return undefined;
    try {
      const ztoc = Ztoc.decode(bytes, { limits: this.#limits });
      const fits =
        ztoc.compressedSize === layer.size &&
        ztoc.spanSize === this.#spanSize &&
        ztoc.buildToolIdentifier === this.#tool;
      return fits ? { ztoc, origin: 'cache' } : undefined;
    } catch (error) {
      if (error instanceof SociError) return undefined;
      throw error;
    }
  }

  /**
   * From the layer's bytes: a listed one that proves to describe them, else one that is built, and kept.
   *
   * @param source of the layer; its `stream()` compares it with its digest
   * @throws SociError ERR_SOCI_DIGEST_MISMATCH; what the source fails with
   */
  async fromLayer(
    source: RangeSource,
    layer: Descriptor,
    listed: ListedZtoc | undefined,
    events: ProviderEvents,
    signal: AbortSignal,
  ): Promise<ProvidedZtoc | NoZtoc> {
    const proved = await this.#proved(source, layer, listed, events, signal);
    if (proved !== undefined) return proved;
    let ztoc: Ztoc;
    try {
      ztoc = await this.#build(source, layer, events, signal);
    } catch (error) {
      signal.throwIfAborted();
      const reason = layerFailure(error);
      if (reason === undefined) throw error;
      return { reason, message: (error as SociError).message, error: error as SociError };
    }
    try {
      await this.#cache?.put(this.#keyOf(layer), ztoc.bytes, { signal });
    } catch (error) {
      // A full disk costs the next process its time, not this one its ztoc.
      signal.throwIfAborted();
      events.onCacheFailed(error as Error);
    }
    return { ztoc, origin: 'built' };
  }

  async #proved(
    source: RangeSource,
    layer: Descriptor,
    listed: ListedZtoc | undefined,
    { onProgress, onRefused }: ProviderEvents,
    signal: AbortSignal,
  ): Promise<ProvidedZtoc | undefined> {
    if (listed?.trust !== 'unproved') return undefined;
    const { descriptor, repository } = listed;
    try {
      const ztoc = await loadZtoc(repository, descriptor, layer, { limits: this.#limits, signal });
      if (ztoc.spanSize !== this.#spanSize) return undefined;
      await verifyZtoc(source, ztoc, { signal, onProgress });
      return { ztoc, origin: 'verified' };
    } catch (error) {
      signal.throwIfAborted();
      if (!isDisprovedZtoc(error)) throw error;
      onRefused(error);
      return undefined;
    }
  }

  async #build(
    source: RangeSource,
    layer: Descriptor,
    { onProgress }: ProviderEvents,
    signal: AbortSignal,
  ): Promise<Ztoc> {
    const { ztoc, layerDigest } = await buildZtoc(source, {
      spanSize: this.#spanSize,
      buildToolIdentifier: this.#tool,
      limits: this.#limits,
      signal,
      onProgress,
    });
    // The indexer computes SHA-256; other digests have been compared by the source's stream.
    if (layerDigest === layer.digest || digestAlgorithm(layer.digest) !== 'sha256') return ztoc;
    throw new SociError(
      'ERR_SOCI_DIGEST_MISMATCH',
      `${source.name}: expected ${layer.digest}, found ${layerDigest}`,
      { data: { digest: layer.digest, found: layerDigest } },
    );
  }

  #keyOf(layer: Descriptor): ZtocKey {
    return { layerDigest: layer.digest, spanSize: this.#spanSize, buildToolIdentifier: this.#tool };
  }
}
