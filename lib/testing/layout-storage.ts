/** Serves OCI layouts, one per repository, from where they are on disk. What is pushed is written to them. */
import { resolve } from 'node:path';

import { SociError } from '../errors.js';
import { DirectoryFiles } from '../registry/layout-files.js';
import { LayoutRepository } from '../registry/layout-repository.js';
import { OCTET_STREAM } from '../registry/media-types.js';
import type { RegistryStorage, StoredManifest, StoredReferrer } from './storage.js';

async function unlessMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (
      error instanceof SociError &&
      ['ERR_SOCI_REGISTRY_NOT_FOUND', 'ERR_SOCI_LAYOUT'].includes(error.code)
    ) {
      return undefined;
    }
    throw error;
  }
}

interface Served {
  readonly files: DirectoryFiles;
  readonly layout: LayoutRepository;
}

export class LayoutStorage implements RegistryStorage {
  readonly #layouts: ReadonlyMap<string, Served>;

  /** @param directories Folder of the layout by repository; other repositories do not exist. */
  constructor(directories: Readonly<Record<string, string>>) {
    this.#layouts = new Map(
      Object.entries(directories).map(([repository, directory]) => {
        const files = new DirectoryFiles(resolve(directory), `oci:${directory}`);
        return [repository, { files, layout: new LayoutRepository(files) }];
      }),
    );
  }

  async blobSize(repository: string, digest: string): Promise<number | undefined> {
    return /^sha256:[a-f0-9]{64}$/.test(digest)
      ? await this.#layouts.get(repository)?.files.size(`blobs/${digest.replace(':', '/')}`)
      : undefined;
  }

  async *readBlob(
    repository: string,
    digest: string,
    start: number,
    end: number,
  ): AsyncGenerator<Uint8Array> {
    const source = await this.#served(repository).files.open(`blobs/${digest.replace(':', '/')}`);
    try {
      for (let at = start; at < end; at += 1024 * 1024) {
        yield await source.read(at, Math.min(1024 * 1024, end - at));
      }
    } finally {
      await source.close();
    }
  }

  async writeBlob(repository: string, digest: string, bytes: Uint8Array): Promise<void> {
    const descriptor = { mediaType: OCTET_STREAM, digest, size: bytes.length };
    await this.#served(repository).layout.pushBlob(descriptor, bytes);
  }

  async manifest(repository: string, reference: string): Promise<StoredManifest | undefined> {
    const layout = this.#layouts.get(repository)?.layout;
    const found = layout && (await unlessMissing(layout.getManifest(reference)));
    return (
      found && { digest: found.descriptor.digest, mediaType: found.descriptor.mediaType, bytes: found.bytes }
    );
  }

  async writeManifest(repository: string, manifest: StoredManifest, tag: string | undefined): Promise<void> {
    const { bytes, mediaType } = manifest;
    await this.#served(repository).layout.pushManifest(bytes, mediaType, tag === undefined ? {} : { tag });
  }

  async deleteManifest(): Promise<boolean> {
    return false;
  }

  async tags(repository: string): Promise<string[] | undefined> {
    const layout = this.#layouts.get(repository)?.layout;
    return layout && ((await unlessMissing(layout.listTags())) ?? []);
  }

  async referrers(repository: string, subject: string): Promise<StoredReferrer[]> {
    const layout = this.#layouts.get(repository)?.layout;
    return (layout && (await unlessMissing(layout.referrers(subject)))) ?? [];
  }

  #served(repository: string): Served {
    const served = this.#layouts.get(repository);
    if (served === undefined) {
      throw new SociError('ERR_SOCI_REGISTRY_NOT_FOUND', `no layout is served as ${repository}`);
    }
    return served;
  }
}
