/**
 * Manifests and small blobs that are asked for by digest, taken from where they
 * were kept, else fetched and kept. What a shelf gives has the digest that was
 * asked for; that is for the shelf to see to.
 */
import type { AbortableOptions } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';
import { isDigest } from './digest.js';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.js';
import {
  DEFAULT_MAX_BLOB_BYTES,
  type GetBlobOptions,
  type ManifestContent,
  type Repository,
} from './repository.js';

export interface ContentShelf {
  /** Undefined unless there is something of at most `limit` bytes with this digest. */
  read(digest: string, limit: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined>;
  /** Failing to keep it fails nothing. */
  keep(digest: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void>;
}

/** As `Repository.getBlob`. */
export async function getKeptBlob(
  shelf: ContentShelf,
  repository: Pick<Repository, 'getBlob'>,
  descriptor: Descriptor,
  options: GetBlobOptions = {},
): Promise<Uint8Array> {
  const { signal, maxBytes = DEFAULT_MAX_BLOB_BYTES } = options;
  const { digest, size } = descriptor;
  // Of what is too large the repository says so.
  const kept = size <= maxBytes ? await shelf.read(digest, size, signal) : undefined;
  if (kept?.length === size) return kept;
  const bytes = await repository.getBlob(descriptor, options);
  await shelf.keep(digest, bytes, signal);
  return bytes;
}

/**
 * As `Repository.getManifest`, of one that is known by its digest.
 *
 * @param known its digest, or all that is known of it
 */
export async function getKeptManifest(
  shelf: ContentShelf,
  repository: Pick<Repository, 'getManifest' | 'name'>,
  known: string | Descriptor,
  options: AbortableOptions = {},
): Promise<ManifestContent> {
  const { signal } = options;
  const wanted = typeof known === 'object' ? known : undefined;
  const digest = typeof known === 'object' ? known.digest : known;
  const bytes = await shelf.read(digest, MAX_MANIFEST_BYTES, signal);
  if (bytes !== undefined && (wanted?.size ?? bytes.length) === bytes.length) {
    const manifest = parseManifest(bytes, wanted?.mediaType, `${repository.name}@${digest}`);
    const { mediaType } = manifest;
    return { descriptor: wanted ?? { mediaType, digest, size: bytes.length }, bytes, manifest };
  }
  const content = await repository.getManifest(known, options);
  await shelf.keep(digest, content.bytes, signal);
  return content;
}

/** `repository`, asked only for what is not on the shelf. It is closed by whoever opened it. */
export function behindShelf(shelf: ContentShelf, repository: Repository): Repository {
  return overRepository(repository, {
    getBlob: (descriptor, options) => getKeptBlob(shelf, repository, descriptor, options),
    getManifest: async (reference, options) => {
      const isKnown = typeof reference === 'object' || (reference !== undefined && isDigest(reference));
      return isKnown
        ? await getKeptManifest(shelf, repository, reference, options)
        : await repository.getManifest(reference, options);
    },
  });
}

/** `repository` with some of its methods replaced. It is closed by whoever opened it. */
export function overRepository(repository: Repository, methods: Partial<Repository>): Repository {
  return new Proxy(repository, {
    get: (target, name) => {
      const value: unknown = Reflect.get(Object.hasOwn(methods, name) ? methods : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
