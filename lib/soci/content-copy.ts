/**
 * Copies manifests with everything below them from one repository to another,
 * each blob once, mounted instead of uploaded where both are in one registry.
 */

import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { ImageManifest } from '../registry/manifest.js';
import { isIndexType, isManifestType } from '../registry/media-types.js';
import { RegistryRepository } from '../registry/registry-repository.js';
import type { ManifestContent, Repository } from '../registry/repository.js';
import { announced } from './announced-events.js';
import type { IndexEventHandler } from './index-event.js';

const MAX_DEPTH = 4;
const CONCURRENCY = 3;

export interface ContentCopyOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: IndexEventHandler | undefined;
}

export class ContentCopy {
  readonly #source: Repository;
  readonly #target: Repository;
  readonly #signal: AbortSignal | undefined;
  readonly #onEvent: IndexEventHandler;
  readonly #mountFrom: readonly string[];
  readonly #same: boolean;
  readonly #done = new Set<string>();

  constructor(source: Repository, target: Repository, options: ContentCopyOptions = {}) {
    this.#source = source;
    this.#target = target;
    this.#signal = options.signal;
    this.#onEvent = announced(options.onEvent);
    const registries = source instanceof RegistryRepository && target instanceof RegistryRepository;
    this.#same = source === target || source.name === target.name;
    this.#mountFrom = registries && source.registry === target.registry ? [source.repository] : [];
  }

  /** The blobs of image manifests. Foreign layers, which have URLs of their own, may be missing. */
  async blobsOf(manifests: readonly ImageManifest[]): Promise<void> {
    await this.#blobs(manifests.flatMap(({ config, layers }) => [config, ...layers]));
  }

  /**
   * What a descriptor names, with everything below it, byte for byte.
   *
   * @returns false when the source does not have it.
   */
  async tree(descriptor: Descriptor, depth = 1): Promise<boolean> {
    const signal = this.#signal;
    if (this.#same || this.#done.has(descriptor.digest)) return true;
    if (depth > MAX_DEPTH) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${this.#source.name}: image indexes nested deeper than ${MAX_DEPTH}`,
        {
          data: { limit: MAX_DEPTH },
        },
      );
    }
    let content: ManifestContent;
    try {
      if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) {
        // An image index may list anything; what is no manifest is stored as a blob.
        await this.#blobs([descriptor]);
        return true;
      }
      content = await this.#source.getManifest(descriptor, { signal });
    } catch (error) {
      if (error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND') return false;
      throw error;
    }
    const { manifest, bytes } = content;
    if (manifest.kind === 'manifest') await this.blobsOf([manifest]);
    else for (const child of manifest.manifests) await this.tree(child, depth + 1);
    this.#done.add(descriptor.digest);
    await this.push(bytes, descriptor);
    return true;
  }

  /** Stores a document whose parts are there. */
  async push(
    bytes: Uint8Array,
    { mediaType }: Descriptor,
    where: { readonly tag?: string; readonly listed?: boolean } = {},
  ): Promise<Descriptor> {
    const signal = this.#signal;
    const manifest = await this.#target.pushManifest(bytes, mediaType, { signal, ...where });
    this.#onEvent({
      type: 'manifest-pushed',
      manifest,
      ...(where.tag === undefined ? {} : { tag: where.tag }),
    });
    return manifest;
  }

  async #blobs(blobs: readonly Descriptor[]): Promise<void> {
    if (this.#same) return;
    const missing = blobs.filter(({ digest }) => !this.#done.has(digest));
    const unique = [...new Map(missing.map(blob => [blob.digest, blob])).values()];
    await runBounded(unique, CONCURRENCY, this.#signal, (blob, signal) => this.#blob(blob, signal));
  }

  async #blob(blob: Descriptor, signal: AbortSignal): Promise<void> {
    const foreign = blob.urls !== undefined && blob.urls.length > 0;
    if (foreign && !(await this.#source.hasBlob(blob.digest, { signal }))) return;
    const source = await this.#source.openBlob(blob, { signal });
    try {
      const result = await this.#target.pushBlob(blob, source, {
        signal,
        mountFrom: this.#mountFrom,
        onProgress: bytes => this.#onEvent({ type: 'blob-progress', blob, bytes }),
      });
      this.#done.add(blob.digest);
      this.#onEvent({ type: 'blob-pushed', blob, result });
    } finally {
      await source.close();
    }
  }
}
