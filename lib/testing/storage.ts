/** Where the in-process registry keeps things: in memory here, in OCI layouts in layout-storage.ts. */
import { createHash } from 'node:crypto';

export interface StoredManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** An entry of a referrers answer. */
export interface StoredReferrer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface RegistryStorage {
  blobSize(repository: string, digest: string): Promise<number | undefined>;
  /** Bytes [start, end) of a blob that exists. */
  readBlob(repository: string, digest: string, start: number, end: number): AsyncIterable<Uint8Array>;
  /** The digest was verified by the caller. */
  writeBlob(repository: string, digest: string, bytes: Uint8Array): Promise<void>;
  /** @param reference Tag or digest. */
  manifest(repository: string, reference: string): Promise<StoredManifest | undefined>;
  writeManifest(repository: string, manifest: StoredManifest, tag: string | undefined): Promise<void>;
  deleteManifest(repository: string, reference: string): Promise<boolean>;
  /** Undefined when there is no such repository. */
  tags(repository: string): Promise<string[] | undefined>;
  referrers(repository: string, subject: string): Promise<StoredReferrer[]>;
}

interface MemoryRepository {
  readonly blobs: Map<string, Uint8Array>;
  readonly manifests: Map<string, StoredManifest>;
  readonly tags: Map<string, string>;
}

interface ManifestDocument {
  readonly artifactType?: string;
  readonly config?: { readonly mediaType?: string };
  readonly subject?: { readonly digest?: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/** How a referrers answer describes `manifest`, if its subject is `subject`. */
export function referrerOf(manifest: StoredManifest, subject: string): StoredReferrer | undefined {
  const document = JSON.parse(Buffer.from(manifest.bytes).toString()) as ManifestDocument;
  if (document.subject?.digest !== subject) {
    return undefined;
  }
  const artifactType = document.artifactType ?? document.config?.mediaType;
  return {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(document.annotations === undefined ? {} : { annotations: document.annotations }),
  };
}

export class MemoryStorage implements RegistryStorage {
  readonly #repositories = new Map<string, MemoryRepository>();

  async blobSize(repository: string, digest: string): Promise<number | undefined> {
    return this.#repositories.get(repository)?.blobs.get(digest)?.length;
  }

  async *readBlob(
    repository: string,
    digest: string,
    start: number,
    end: number,
  ): AsyncGenerator<Uint8Array> {
    const bytes = this.#repositories.get(repository)?.blobs.get(digest) ?? new Uint8Array();
    for (let at = start; at < end; at += 65536) {
      yield bytes.subarray(at, Math.min(at + 65536, end));
    }
  }

  async writeBlob(repository: string, digest: string, bytes: Uint8Array): Promise<void> {
    this.#open(repository).blobs.set(digest, bytes);
  }

  async manifest(repository: string, reference: string): Promise<StoredManifest | undefined> {
    const found = this.#repositories.get(repository);
    return found?.manifests.get(found.tags.get(reference) ?? reference);
  }

  async writeManifest(repository: string, manifest: StoredManifest, tag: string | undefined): Promise<void> {
    const target = this.#open(repository);
    target.manifests.set(manifest.digest, manifest);
    if (tag !== undefined) {
      target.tags.set(tag, manifest.digest);
    }
  }

  async deleteManifest(repository: string, reference: string): Promise<boolean> {
    const found = this.#repositories.get(repository);
    return found?.tags.delete(reference) === true || found?.manifests.delete(reference) === true;
  }

  async tags(repository: string): Promise<string[] | undefined> {
    const tags = this.#repositories.get(repository)?.tags;
    return tags === undefined ? undefined : [...tags.keys()].sort();
  }

  async referrers(repository: string, subject: string): Promise<StoredReferrer[]> {
    const manifests = this.#repositories.get(repository)?.manifests.values() ?? [];
    return [...manifests].flatMap(manifest => referrerOf(manifest, subject) ?? []);
  }

  #open(repository: string): MemoryRepository {
    let found = this.#repositories.get(repository);
    if (found === undefined) {
      found = { blobs: new Map(), manifests: new Map(), tags: new Map() };
      this.#repositories.set(repository, found);
    }
    return found;
  }
}

/** The digest of `bytes` under the algorithm of `digest`; undefined when it is not one that Node knows. */
export function digestLike(digest: string, bytes: Uint8Array): string | undefined {
  const algorithm = digest.split(':', 1)[0]!;
  return /^sha(256|384|512)$/.test(algorithm)
    ? `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
    : undefined;
}
