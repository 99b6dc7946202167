/**
 * Manifests and configs while an image is pulled: those that a target has already
 * are not asked for, and those that were read are not fetched a second time as
 * blobs.
 */
import { behindShelf, type ContentShelf } from '../registry/content-shelf.js';
import type { Repository } from '../registry/repository.js';
import type { PresentContent } from './pull-target.js';

/** Configs that are kept in memory, all together. */
const MAX_BYTES = 64 * 2 ** 20;

export class KeptDocuments implements ContentShelf {
  readonly #present: readonly PresentContent[];
  readonly #read = new Map<string, Uint8Array>();
  #bytes = 0;

  /** @param present what the targets have */
  constructor(present: readonly PresentContent[]) {
    this.#present = present;
  }

  /** `repository`, asked only for what is not known. It is closed by whoever opened it. */
  over(repository: Repository): Repository {
    return behindShelf(this, repository);
  }

  async read(
    digest: string,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const known = this.#read.get(digest);
    if (known !== undefined) return known.length <= limit ? known : undefined;
    for (const present of this.#present) {
      const bytes = await present.read(digest, limit, signal);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }

  async keep(digest: string, bytes: Uint8Array): Promise<void> {
    if (this.#bytes + bytes.length > MAX_BYTES) return;
    this.#bytes += bytes.length;
    this.#read.set(digest, bytes);
  }

  /** A blob that was read. */
  get(digest: string): Uint8Array | undefined {
    return this.#read.get(digest);
  }
}
