/**
 * An OCI layout, in a folder or in an archive, as a Repository. A referrer is an
 * index.json entry with an artifactType and no name; it is found by reading the
 * entries' manifests and comparing their subjects, as the reference does.
 */
import { SociError } from '../errors.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';
import { isDigest, requireDigest, requireSha256, sha256Digest, verifyContent } from './digest.js';
import { DOCKER_ARCHIVE_MANIFEST } from './docker-manifest.js';
import { type ForeignAccess, ForeignSource, namesUrls, notFoundAnywhere } from './foreign-source.js';
import { blobPath, type LayoutFiles } from './layout-files.js';
import { isNamed, LayoutIndex, refName } from './layout-index.js';
import { composeIndex } from './layout-platforms.js';
import { artifactTypeOf, MAX_MANIFEST_BYTES, parseManifest } from './manifest.js';
import { isIndexType, isManifestType, OCI_INDEX } from './media-types.js';
import { selectReferrers } from './referrers.js';
import { referrersTag, removeReferrer, withArtifactTypes } from './referrers-tag.js';
import {
  type BlobContent,
  DEFAULT_MAX_BLOB_BYTES,
  type GetBlobOptions,
  type ManifestContent,
  type PushBlobOptions,
  type PushManifestOptions,
  type PushResult,
  type ReferrersOptions,
  type Repository,
} from './repository.js';
import { readVerified, VerifiedSource } from './verified-source.js';

/** Entries whose manifests are read in search of a subject. */
const MAX_SCANNED = 10_000;

export class LayoutRepository implements Repository {
  readonly name: string;
  readonly readOnly: string | undefined;
  readonly #files: LayoutFiles;
  readonly #index: LayoutIndex;
  readonly #foreign: (() => ForeignAccess) | undefined;
  /** By digest: indexes that no file has. */
  readonly #composed = new Map<string, ManifestContent>();

  /** @param foreign The way to URLs of layers that the layout does not have; without it they are only named. */
  constructor(files: LayoutFiles, foreign?: () => ForeignAccess) {
    this.#files = files;
    this.#foreign = foreign;
    this.#index = new LayoutIndex(files);
    this.name = files.name;
    this.readOnly = files.readOnly;
  }

  async resolve(reference?: string, options: AbortableOptions = {}): Promise<Descriptor> {
    const { signal } = options;
    if (reference !== undefined && isDigest(reference)) {
      const composed = this.#composed.get(reference);
      if (composed !== undefined) return composed.descriptor;
      // A layout that is being written has blobs before it has an index.json.
      const listed = (await this.#index.read(signal)) ?? [];
      return listed.find(({ digest }) => digest === reference) ?? (await this.#describe(reference, signal));
    }
    const entries = await this.#entries(signal);
    // Referrers are listed beside the images, but are none.
    const matching = entries.filter(entry =>
      reference === undefined
        ? entry.artifactType === undefined || refName(entry) !== undefined
        : isNamed(entry, reference),
    );
    const [first, ...others] = matching;
    if (first === undefined) {
      throw this.#notFound(
        reference === undefined ? 'it lists no image' : `no image is named ${JSON.stringify(reference)}`,
        entries,
      );
    }
    if (others.some(({ digest }) => digest !== first.digest)) {
      const composed = await composeIndex(this, matching, signal);
      if (composed !== undefined) {
        this.#composed.set(composed.descriptor.digest, composed);
        return composed.descriptor;
      }
      throw this.#notFound(`${matching.length} images could be meant`, entries);
    }
    return first;
  }

  async getManifest(
    reference?: string | Descriptor,
    options: AbortableOptions = {},
  ): Promise<ManifestContent> {
    const { signal } = options;
    const descriptor = typeof reference === 'object' ? reference : await this.resolve(reference, options);
    const composed = this.#composed.get(descriptor.digest);
    if (composed !== undefined) return composed;
    const bytes = await this.getBlob(descriptor, { signal, maxBytes: MAX_MANIFEST_BYTES });
    const manifest = parseManifest(bytes, descriptor.mediaType, `${this.name}@${descriptor.digest}`);
    return { descriptor, bytes, manifest };
  }

  async hasBlob(digest: string, options: AbortableOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    return (await this.#files.size(this.#path(digest), options.signal)) !== undefined;
  }

  async getBlob(descriptor: Descriptor, options: GetBlobOptions = {}): Promise<Uint8Array> {
    const limit = options.maxBytes ?? DEFAULT_MAX_BLOB_BYTES;
    if (descriptor.size > limit) {
      throw new SociError(
        'ERR_SOCI_LIMIT',
        `${this.name}@${descriptor.digest}: ${descriptor.size} bytes, more than the limit of ${limit}`,
        {
          data: { digest: descriptor.digest, size: descriptor.size, limit },
        },
      );
    }
    const source = await this.openBlob(descriptor, options);
    try {
      return await readVerified(source, descriptor, options.signal);
    } finally {
      await source.close();
    }
  }

  async openBlob(descriptor: Descriptor, options: AbortableOptions = {}): Promise<RangeSource> {
    options.signal?.throwIfAborted();
    const path = this.#path(descriptor.digest);
    const size = await this.#files.size(path, options.signal);
    if (size === undefined && namesUrls(descriptor)) {
      const access = this.#foreign?.();
      if (access === undefined) throw notFoundAnywhere(this.name, descriptor, []);
      return new VerifiedSource(new ForeignSource(this.name, descriptor, undefined, access), descriptor);
    }
    if (size === undefined) {
      throw new SociError('ERR_SOCI_REGISTRY_NOT_FOUND', `${this.name}: no blob ${descriptor.digest}`, {
        data: { digest: descriptor.digest },
      });
    }
    if (size !== descriptor.size) {
      throw new SociError(
        'ERR_SOCI_DIGEST_MISMATCH',
        `${this.name}@${descriptor.digest}: expected ${descriptor.size} bytes, found ${size}`,
        {
          data: { digest: descriptor.digest, size: descriptor.size, received: size },
        },
      );
    }
    return new VerifiedSource(await this.#files.open(path, options.signal), descriptor);
  }

  async pushBlob(
    descriptor: Descriptor,
    content: BlobContent,
    options: PushBlobOptions = {},
  ): Promise<PushResult> {
    const { signal, onProgress } = options;
    const path = this.#path(descriptor.digest);
    signal?.throwIfAborted();
    if ((await this.#files.size(path, signal)) === descriptor.size) {
      return 'existed';
    }
    if (content instanceof Uint8Array) {
      verifyContent(content, descriptor.digest, descriptor.size, `${this.name}: blob`);
    }
    const chunks =
      content instanceof Uint8Array ? [content] : new VerifiedSource(content, descriptor).stream({ signal });
    await this.#files.write(path, counted(chunks, onProgress), signal);
    return 'uploaded';
  }

  async pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    options: PushManifestOptions = {},
  ): Promise<Descriptor> {
    const { signal, tag, listed } = options;
    const digest = sha256Digest(bytes);
    const manifest = parseManifest(bytes, mediaType, `${this.name}@${digest}`);
    const artifactType = manifest.subject === undefined ? undefined : artifactTypeOf(manifest);
    const descriptor: Descriptor = {
      mediaType,
      digest,
      size: bytes.length,
      ...(artifactType === undefined ? {} : { artifactType }),
    };
    await this.pushBlob(descriptor, bytes, { signal });
    if (tag !== undefined || listed === true || manifest.subject !== undefined) {
      await this.#index.add(descriptor, tag, signal);
    }
    return descriptor;
  }

  /** The entry goes, the blob stays: as nothing counts references, something else may need it. */
  async deleteManifest(digest: string, options: AbortableOptions = {}): Promise<void> {
    const { signal } = options;
    const { manifest } = await this.getManifest(digest, { signal });
    await this.#index.remove(digest, signal);
    const { subject } = manifest;
    if (subject === undefined) return;
    // skopeo copies the list of referrers under its tag.
    const tag = referrersTag(subject.digest);
    const list = (await this.#entries(signal)).find(entry => refName(entry) === tag);
    const listed = list && (await this.#parseListed(list, signal));
    if (listed?.kind !== 'index') return;
    const write = async (index: Uint8Array) =>
      void (await this.pushManifest(index, OCI_INDEX, { tag, signal }));
    await removeReferrer({ read: async () => listed.manifests, write }, digest);
  }

  async listTags(options: AbortableOptions = {}): Promise<string[]> {
    const entries = await this.#entries(options.signal);
    return [...new Set(entries.flatMap(entry => refName(entry) ?? []))].sort();
  }

  async referrers(digest: string, options: ReferrersOptions = {}): Promise<Descriptor[]> {
    requireSha256(digest, `${this.name}: subject`);
    const entries = await this.#entries(options.signal);
    const found: Descriptor[] = [];
    for (const entry of entries.slice(0, MAX_SCANNED)) {
      const known = isManifestType(entry.mediaType) || isIndexType(entry.mediaType);
      if (!known || entry.size > MAX_MANIFEST_BYTES || !(await this.hasBlob(entry.digest, options))) {
        continue;
      }
      const manifest = await this.#parseListed(entry, options.signal);
      if (manifest?.subject?.digest === digest) {
        const artifactType = artifactTypeOf(manifest);
        const { annotations } = manifest;
        found.push({
          mediaType: entry.mediaType,
          digest: entry.digest,
          size: entry.size,
          ...(annotations === undefined ? {} : { annotations }),
          ...(artifactType === undefined ? {} : { artifactType }),
        });
      } else if (manifest?.kind === 'index' && refName(entry) === referrersTag(digest)) {
        found.push(...(await withArtifactTypes(manifest.manifests, this, options.signal)));
      }
    }
    return selectReferrers(found, options.artifactType);
  }

  async commit(options: AbortableOptions = {}): Promise<void> {
    await this.#files.commit(options.signal);
  }

  async close(): Promise<void> {
    await this.#files.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #path(digest: string): string {
    return blobPath(requireDigest(digest, this.name));
  }

  async #entries(signal: AbortSignal | undefined): Promise<readonly Descriptor[]> {
    signal?.throwIfAborted();
    const entries = await this.#index.read(signal);
    if (entries === undefined) {
      const isDocker = (await this.#files.size(DOCKER_ARCHIVE_MANIFEST, signal)) !== undefined;
      const hint = isDocker ? '; it looks like what docker save writes, which is docker-archive:FILE' : '';
      const message = `${this.name}: no OCI layout there (no index.json)${hint}`;
      throw new SociError('ERR_SOCI_LAYOUT', message, { data: { name: this.name } });
    }
    return entries;
  }

  /** Undefined for a document of a kind that we do not know: it refers to nothing that matters here. */
  async #parseListed(
    entry: Descriptor,
    signal: AbortSignal | undefined,
  ): Promise<ManifestContent['manifest'] | undefined> {
    try {
      return (await this.getManifest(entry, { signal })).manifest;
    } catch (error) {
      if (error instanceof SociError && error.code === 'ERR_SOCI_MANIFEST') {
        return undefined;
      }
      throw error;
    }
  }

  /** The descriptor of a manifest that only its parents name. */
  async #describe(digest: string, signal: AbortSignal | undefined): Promise<Descriptor> {
    const size = await this.#files.size(this.#path(digest), signal);
    if (size === undefined || size > MAX_MANIFEST_BYTES) {
      throw this.#notFound(`no manifest ${digest}`, []);
    }
    const unknown = { mediaType: 'application/octet-stream', digest, size };
    const bytes = await this.getBlob(unknown, { signal });
    return { ...unknown, mediaType: parseManifest(bytes, undefined, `${this.name}@${digest}`).mediaType };
  }

  #notFound(reason: string, entries: readonly Descriptor[]): SociError {
    const names = [...new Set(entries.flatMap(entry => refName(entry) ?? []))].sort();
    const choice =
      names.length === 0 ? '' : `; it has ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`;
    return new SociError('ERR_SOCI_REGISTRY_NOT_FOUND', `${this.name}: ${reason}${choice}`, {
      data: { name: this.name, tags: names.slice(0, 100) },
    });
  }
}

async function* counted(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of chunks) {
    yield chunk;
    sent += chunk.length;
    onProgress?.(sent);
  }
}
