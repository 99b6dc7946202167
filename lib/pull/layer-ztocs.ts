/**
 * The ztocs by which layers of an image are decoded on all cores while they are
 * pulled: those of its SOCI index, or such as this installation has built before.
 * That there is none costs a layer nothing but that. One that is made on the way
 * is kept for whoever comes next.
 */
import { SharedOnce } from '../async/once.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { layerCompression } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';
import { findIndex, type IndexSearch } from '../soci/find-index.js';
import type { ZtocCache } from '../soci/ztoc-cache.js';
import { type ProviderEvents, ZtocProvider } from '../soci/ztoc-provider.js';
import { DEFAULT_SPAN_SIZE } from '../ztoc/build.js';
import { BUILD_TOOL_IDENTIFIER } from '../ztoc/build-tool.js';
import type { Ztoc } from '../ztoc/ztoc.js';

/** How a layer is decoded, and why. */
export interface LayerWay {
  readonly ztoc: Ztoc | undefined;
  /** Where that is from; undefined when there is none. */
  readonly origin: 'index' | 'cache' | undefined;
  readonly why: string;
}

/** What is refused is passed over, and what cannot be kept is built again. */
const QUIET: ProviderEvents = { onProgress: () => {}, onRefused: () => {}, onCacheFailed: () => {} };

export interface LayerZtocsOptions {
  /** Of ztocs that were built; undefined: none is kept. */
  readonly cache: ZtocCache | undefined;
  /** Of the image; undefined: one is looked for, false: none is used. */
  readonly index: string | false | undefined;
}

export class LayerZtocs {
  readonly #repository: Repository;
  readonly #cache: ZtocCache | undefined;
  readonly #provider: ZtocProvider;
  readonly #keeping: Promise<void>[] = [];
  readonly #search: SharedOnce<IndexSearch | undefined>;

  /**
   * @param image whose index is looked for; undefined: none is
   */
  constructor(
    repository: Repository,
    image: PlatformManifest | undefined,
    { cache, index }: LayerZtocsOptions,
  ) {
    this.#repository = repository;
    this.#cache = cache;
    this.#provider = new ZtocProvider({ cache, limits: undefined });
    this.#search = new SharedOnce(async signal =>
      image === undefined || index === false
        ? undefined
        : await findIndex(repository, image, { index, signal }),
    );
  }

  /** Whether a ztoc that is made on the way is of use to anybody. */
  get keeps(): boolean {
    return this.#cache !== undefined;
  }

  /** @param position of the layer in the image. @throws what the registry fails with; the signal's reason */
  async of(layer: Descriptor, position: number, signal: AbortSignal): Promise<LayerWay> {
    const none = { ztoc: undefined, origin: undefined };
    if (layerCompression(layer.mediaType) !== 'gzip') return { ...none, why: 'it is not gzip' };
    const built = await this.#provider.cached(layer, signal);
    if (built !== undefined) {
      return { ztoc: built.ztoc, origin: 'cache', why: 'by spans: its ztoc was built before' };
    }
    const found = (await this.#search.get(signal))?.found;
    const descriptor = found?.ztocs[position];
    if (descriptor === undefined) {
      const why = found === undefined ? 'there is no SOCI index' : 'the SOCI index has no ztoc for it';
      return { ...none, why: `as one stream: ${why}` };
    }
    const listed = { descriptor, repository: this.#repository, trust: 'found' } as const;
    const given = await this.#provider.listed(layer, listed, QUIET, signal);
    return given === undefined
      ? { ...none, why: `as one stream: the ztoc ${descriptor.digest} cannot be used` }
      : { ztoc: given.ztoc, origin: 'index', why: 'by spans: the SOCI index has its ztoc' };
  }

  /** Keeps what was made of a layer on the way; a full disk costs the next one its time, not this one its image. */
  keep(layer: Descriptor, ztoc: Ztoc): void {
    const key = {
      layerDigest: layer.digest,
      spanSize: DEFAULT_SPAN_SIZE,
      buildToolIdentifier: BUILD_TOOL_IDENTIFIER,
    };
    const kept = this.#cache?.put(key, ztoc.bytes).catch(() => {});
    if (kept !== undefined) this.#keeping.push(kept);
  }

  /** Settles when what was made is kept. */
  async kept(): Promise<void> {
    await Promise.all(this.#keeping);
  }
}
