/**
 * The blobs that a target has from before, as files of a layout. None of them is
 * taken for what its name says: each is read and held against its digest before it
 * spares a download.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { digestAlgorithm, hashFor, isComputable } from '../registry/digest.js';
import { blobPath, type LayoutFiles } from '../registry/layout-files.js';
import { VerifiedSource } from '../registry/verified-source.js';
import type { RangeSource } from '../source/range-source.js';
import type { PresentContent } from './pull-target.js';

export class PresentBlobs implements PresentContent {
  readonly #files: Pick<LayoutFiles, 'size' | 'open'>;

  constructor(files: Pick<LayoutFiles, 'size' | 'open'>) {
    this.#files = files;
  }

  async has({ digest, size }: Descriptor, signal: AbortSignal): Promise<boolean> {
    if (!isComputable(digest) || (await this.#files.size(blobPath(digest), signal)) !== size) return false;
    return (await this.#digestOf(digest, signal)) === digest;
  }

  async read(
    digest: string,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    if (!isComputable(digest)) return undefined;
    const size = await this.#files.size(blobPath(digest), signal);
    if (size === undefined || size > limit) return undefined;
    const source = await this.#files.open(blobPath(digest), signal);
    try {
      const bytes = await source.read(0, size, { signal });
      const found = hashFor(digest, source.name).update(bytes).digest('hex');
      return `${digestAlgorithm(digest)}:${found}` === digest ? bytes : undefined;
    } finally {
      await source.close();
    }
  }

  async open(descriptor: Descriptor, signal: AbortSignal): Promise<RangeSource> {
    return new VerifiedSource(await this.#files.open(blobPath(descriptor.digest), signal), descriptor);
  }

  async #digestOf(digest: string, signal: AbortSignal): Promise<string | undefined> {
    const source = await this.#files.open(blobPath(digest), signal);
    const hash = hashFor(digest, source.name);
    try {
      for await (const chunk of source.stream({ signal })) hash.update(chunk);
      return `${digestAlgorithm(digest)}:${hash.digest('hex')}`;
    } catch (error) {
      // It was changed or taken away while it was read: it is not there, then.
      if (error instanceof SociError && !signal.aborted) return undefined;
      throw error;
    } finally {
      await source.close();
    }
  }
}
