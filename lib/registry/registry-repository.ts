/** A repository of a registry, reached over the distribution API. */
import type { OptionNames } from '../arguments.js';
import { BegunWork } from '../async/begun-work.js';
import { invalidArgument, SociError } from '../errors.js';
import type { HttpReply } from '../source/http/message.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import { RegistryBlobSource } from './blob-source.js';
import { BlobUpload } from './blob-upload.js';
import type { Descriptor } from './descriptor.js';
import { hashFor, isDigest, requireDigest, requireSha256, sha256Digest, verifyContent } from './digest.js';
import type { Endpoint, HostCapability } from './endpoint.js';
import type { AskedEndpoint } from './endpoint-patience.js';
import { ForeignSource, namesUrls } from './foreign-source.js';
import { artifactTypeOf, MAX_MANIFEST_BYTES, parseManifest } from './manifest.js';
import { readManifestAnswer } from './manifest-answer.js';
import { essence, isIndexType, isManifestType, MANIFEST_ACCEPT, OCI_INDEX } from './media-types.js';
import { type ImageReference, isTag, referenceTarget } from './reference.js';
import { listReferrers, selectReferrers } from './referrers.js';
import {
  addReferrer,
  referrersTag,
  removeReferrer,
  taggedReferrers,
  withArtifactTypes,
} from './referrers-tag.js';
import { isRefusal, protocolError } from './registry-error.js';
import {
  type BlobContent,
  DEFAULT_MAX_BLOB_BYTES,
  type GetBlobOptions,
  type ManifestContent,
  type OpenBlobOptions,
  type PushBlobOptions,
  type PushManifestOptions,
  type PushResult,
  type ReferrersOptions,
  type Repository,
} from './repository.js';
import { repositoryScope } from './scope.js';
import { listTags } from './tag-list.js';
import type { RegistryCall, RegistryTransport } from './transport.js';
import { readVerified, VerifiedSource } from './verified-source.js';

export interface RegistryRepositoryOptions {
  /** Upload blobs in chunks of this many bytes. Default: in one piece. */
  readonly chunkSize?: number | undefined;
}

export const REPOSITORY_NAMES: OptionNames<RegistryRepositoryOptions> = { chunkSize: true };

export class RegistryRepository implements Repository {
  readonly name: string;
  readonly registry: string;
  readonly repository: string;
  readonly #transport: RegistryTransport;
  readonly #options: RegistryRepositoryOptions;
  /** What the registry has shown about its referrers API: asked once, then known. */
  #referrersApi: boolean | undefined;

  /** @param transport Shared by repositories; closed by who made it. */
  constructor(
    transport: RegistryTransport,
    reference: Pick<ImageReference, 'registry' | 'repository'>,
    options: RegistryRepositoryOptions = {},
  ) {
    const { chunkSize } = options;
    if (chunkSize !== undefined && (!Number.isSafeInteger(chunkSize) || chunkSize < 1)) {
      throw invalidArgument('chunkSize', 'a number of bytes from 1 on', chunkSize);
    }
    this.#transport = transport;
    this.#options = options;
    this.registry = reference.registry;
    this.repository = reference.repository;
    this.name = `${reference.registry}/${reference.repository}`;
  }

  async resolve(reference?: string, options: AbortableOptions = {}): Promise<Descriptor> {
    const target = this.#target(reference);
    const answer = await this.#pull(isDigest(target) ? 'pull' : 'resolve', {
      method: 'HEAD',
      url: this.#manifestPath(target),
      headers: { accept: MANIFEST_ACCEPT },
      expect: [200],
      signal: options.signal,
    });
    await answer.discard();
    const mediaType = essence(answer.header('content-type'));
    const digest = answer.header('docker-content-digest') ?? (isDigest(target) ? target : undefined);
    const size = Number(answer.header('content-length') ?? Number.NaN);
    const known = isManifestType(mediaType) || isIndexType(mediaType);
    if (!known || digest === undefined || !isDigest(digest) || !Number.isSafeInteger(size) || size <= 0) {
      // Not every registry answers HEAD in full, and some have no Docker-Content-Digest: the bytes tell.
      return (await this.getManifest(target, options)).descriptor;
    }
    if (isDigest(target) && digest !== target) {
      throw protocolError(answer, `asked for ${target}, Docker-Content-Digest says ${digest}`);
    }
    return { mediaType, digest, size };
  }

  async getManifest(
    reference?: string | Descriptor,
    options: AbortableOptions = {},
  ): Promise<ManifestContent> {
    const wanted = typeof reference === 'object' ? reference : undefined;
    const target = wanted?.digest ?? this.#target(reference as string | undefined);
    if (isDigest(target)) hashFor(target, this.name);
    if (wanted !== undefined && wanted.size > MAX_MANIFEST_BYTES) {
      throw this.#tooLarge(wanted, MAX_MANIFEST_BYTES);
    }
    return await this.#eachEndpoint(
      isDigest(target) ? 'pull' : 'resolve',
      options.signal,
      async ({ endpoint, spent }) => {
        const answer = await this.#send(endpoint, {
          method: 'GET',
          url: this.#manifestPath(target),
          headers: { accept: MANIFEST_ACCEPT },
          expect: [200],
          spent,
          signal: options.signal,
        });
        return await readManifestAnswer(answer, this.name, target, wanted);
      },
    );
  }

  async hasBlob(digest: string, options: AbortableOptions = {}): Promise<boolean> {
    return await this.#blobExists(digest, 'pull', options.signal);
  }

  async getBlob(descriptor: Descriptor, options: GetBlobOptions = {}): Promise<Uint8Array> {
    const limit = options.maxBytes ?? DEFAULT_MAX_BLOB_BYTES;
    if (descriptor.size > limit) {
      throw this.#tooLarge(descriptor, limit);
    }
    return await this.#eachEndpoint('pull', options.signal, async ({ endpoint, spent }) => {
      const source = new RegistryBlobSource(this.#transport, this.#blob(descriptor), [endpoint], { spent });
      try {
        return await readVerified(source, descriptor, options.signal);
      } finally {
        await source.close();
      }
    });
  }

  async openBlob(descriptor: Descriptor, options: OpenBlobOptions = {}): Promise<RangeSource> {
    options.signal?.throwIfAborted();
    const endpoints = await this.#transport.configuredEndpoints(this.registry, 'pull');
    const { keepWhole } = options;
    const own = new RegistryBlobSource(this.#transport, this.#blob(descriptor), endpoints, { keepWhole });
    const source = namesUrls(descriptor)
      ? new ForeignSource(this.name, descriptor, own, this.#transport.foreign(endpoints.at(-1)))
      : own;
    return new VerifiedSource(source, descriptor);
  }

  async pushBlob(
    descriptor: Descriptor,
    content: BlobContent,
    options: PushBlobOptions = {},
  ): Promise<PushResult> {
    requireDigest(descriptor.digest, `${this.name}: blob`);
    const size = content instanceof Uint8Array ? content.length : content.size;
    if (size !== descriptor.size) {
      throw new SociError(
        'ERR_SOCI_DIGEST_MISMATCH',
        `${descriptor.digest}: expected ${descriptor.size} bytes, found ${size}`,
        {
          data: { digest: descriptor.digest, size: descriptor.size, received: size },
        },
      );
    }
    if (content instanceof Uint8Array) {
      verifyContent(content, descriptor.digest, descriptor.size, `${this.name}: blob`);
    }
    if (await this.#blobExists(descriptor.digest, 'push', options.signal)) {
      return 'existed';
    }
    const endpoint = await this.#pushEndpoint();
    const { chunkSize } = this.#options;
    return await new BlobUpload(this.#transport, endpoint, this.repository, descriptor, content, {
      ...options,
      chunkSize,
    }).run();
  }

  async pushManifest(
    bytes: Uint8Array,
    mediaType: string,
    options: PushManifestOptions = {},
  ): Promise<Descriptor> {
    const digest = sha256Digest(bytes);
    const manifest = parseManifest(bytes, mediaType, `${this.name}@${digest}`);
    const { subject } = manifest;
    const answer = await this.#put(options.tag ?? digest, bytes, mediaType, options.signal);
    const stored = answer.header('docker-content-digest');
    if (stored !== undefined && stored !== digest) {
      throw protocolError(answer, `stored as ${JSON.stringify(stored.slice(0, 100))}, expected ${digest}`);
    }
    const artifactType = artifactTypeOf(manifest);
    const descriptor: Descriptor = {
      mediaType,
      digest,
      size: bytes.length,
      ...(subject !== undefined && manifest.annotations !== undefined
        ? { annotations: manifest.annotations }
        : {}),
      ...(subject !== undefined && artifactType !== undefined ? { artifactType } : {}),
    };
    if (subject !== undefined && answer.header('oci-subject') !== undefined) {
      this.#referrersApi = true;
    } else if (subject !== undefined) {
      const access = this.#tagSchema(await this.#firstAsked(), subject.digest, options.signal);
      await addReferrer(access, descriptor, options.signal);
    }
    return descriptor;
  }

  async deleteManifest(digest: string, options: AbortableOptions = {}): Promise<void> {
    const { signal } = options;
    const { manifest } = await this.getManifest(requireSha256(digest, this.name), { signal });
    const asked = await this.#firstAsked();
    if (manifest.subject !== undefined) {
      // First from the list: whoever reads it meanwhile finds nothing that is gone.
      await removeReferrer(this.#tagSchema(asked, manifest.subject.digest, signal), digest);
    }
    const answer = await this.#send(asked.endpoint, {
      method: 'DELETE',
      url: this.#manifestPath(digest),
      scopes: [repositoryScope(this.repository, 'delete')],
      expect: [200, 202, 204],
      signal,
    });
    await answer.discard();
  }

  async listTags(options: AbortableOptions = {}): Promise<string[]> {
    return await this.#eachEndpoint('resolve', options.signal, asked =>
      listTags(this.#transport, asked, this.repository, options.signal),
    );
  }

  async referrers(digest: string, options: ReferrersOptions = {}): Promise<Descriptor[]> {
    requireSha256(digest, `${this.name}: subject`);
    return await this.#eachEndpoint('resolve', options.signal, async asked => {
      const { endpoint } = asked;
      const found = await this.#referrersAt(asked, digest, options);
      if (found.length === 0 && endpoint.mirror) {
        // Mirrors copy images, seldom what refers to them: only the registry's "none" is an answer.
        throw new SociError(
          'ERR_SOCI_REGISTRY_NOT_FOUND',
          `${endpoint.root.host}: no referrers of ${digest}`,
        );
      }
      return found;
    });
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #target(reference: string | undefined): string {
    const target = reference ?? referenceTarget({ registry: this.registry, repository: this.repository });
    if (!isDigest(target) && !isTag(target)) {
      throw new SociError(
        'ERR_SOCI_REFERENCE',
        `${this.name}: ${JSON.stringify(target.slice(0, 200))} is neither a tag nor a digest`,
      );
    }
    return target;
  }

  #manifestPath(target: string): string {
    return `${this.repository}/manifests/${target}`;
  }

  #blob(descriptor: Descriptor): ConstructorParameters<typeof RegistryBlobSource>[1] {
    const { registry, repository } = this;
    return {
      registry,
      repository,
      digest: requireDigest(descriptor.digest, this.name),
      size: descriptor.size,
    };
  }

  #tooLarge(descriptor: Descriptor, limit: number): SociError {
    return new SociError(
      'ERR_SOCI_LIMIT',
      `${this.name}@${descriptor.digest}: ${descriptor.size} bytes, more than the limit of ${limit}`,
      { data: { digest: descriptor.digest, size: descriptor.size, limit } },
    );
  }

  async #blobExists(
    digest: string,
    purpose: 'pull' | 'push',
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const call = {
      method: 'HEAD',
      url: `${this.repository}/blobs/${requireDigest(digest, this.name)}`,
      scopes: [repositoryScope(this.repository, purpose)],
      expect: [200],
      signal,
    } as const;
    try {
      const answer =
        purpose === 'push'
          ? await this.#send(await this.#pushEndpoint(), call)
          : await this.#pull('pull', call);
      await answer.discard();
      return true;
    } catch (error) {
      // Who may push a blob need not be allowed to ask for it, and the upload says so if it is not allowed either.
      if (isNotFound(error) || (purpose === 'push' && isRefusal(error))) return false;
      throw error;
    }
  }

  async #put(
    target: string,
    bytes: Uint8Array,
    mediaType: string,
    signal: AbortSignal | undefined,
  ): Promise<HttpReply> {
    const answer = await this.#send(await this.#pushEndpoint(), {
      method: 'PUT',
      url: this.#manifestPath(this.#target(target)),
      scopes: [repositoryScope(this.repository, 'push')],
      headers: { 'content-type': mediaType, 'content-length': String(bytes.length) },
      body: bytes,
      expect: [200, 201, 202, 204],
      signal,
    });
    await answer.discard();
    return answer;
  }

  #tagSchema(
    { endpoint, spent }: AskedEndpoint,
    digest: string,
    signal: AbortSignal | undefined,
  ): Parameters<typeof addReferrer>[0] {
    const tag = referrersTag(digest);
    return {
      read: async () => {
        try {
          const answer = await this.#send(endpoint, {
            method: 'GET',
            url: this.#manifestPath(tag),
            headers: { accept: OCI_INDEX },
            expect: [200],
            spent,
            signal,
          });
          const servedAs = essence(answer.header('content-type'));
          return taggedReferrers(await answer.bytes(MAX_MANIFEST_BYTES), servedAs, digest);
        } catch (error) {
          // Artifactory answers 403 for tags that are not there; whoever may not read at all has heard so before.
          if (isNotFound(error) || isRefusal(error)) return [];
          throw error;
        }
      },
      write: async index => {
        await this.#put(tag, index, OCI_INDEX, signal);
      },
    };
  }

  async #referrersAt(asked: AskedEndpoint, digest: string, options: ReferrersOptions): Promise<Descriptor[]> {
    const { endpoint } = asked;
    const { artifactType, signal } = options;
    const readTag = (abort: AbortSignal | undefined) => this.#tagSchema(asked, digest, abort).read();
    const tag = new BegunWork<'tag', readonly Descriptor[]>();
    // Whether there is an API is not known before its answer, which may say that the tag has to be asked.
    if (this.#referrersApi === undefined && !endpoint.mirror) tag.begin('tag', readTag);
    try {
      if (this.#referrersApi !== false || endpoint.mirror) {
        const found = await listReferrers(
          this.#transport,
          asked,
          this.repository,
          digest,
          artifactType,
          signal,
        );
        if (!endpoint.mirror) {
          this.#referrersApi = found !== undefined;
        }
        if (found !== undefined) {
          return found;
        }
      }
      const listed = await (tag.take('tag', signal) ?? readTag(signal));
      const named = artifactType === undefined ? listed : await withArtifactTypes(listed, this, signal);
      return selectReferrers(named, artifactType);
    } finally {
      tag.drop();
    }
  }

  async #pushEndpoint(): Promise<Endpoint> {
    const endpoints = await this.#transport.endpoints(this.registry, 'push');
    // What is pushed goes to the registry itself, if it may be pushed to: mirrors follow by themselves.
    return endpoints.at(-1)!;
  }

  async #firstAsked(): Promise<AskedEndpoint> {
    return { endpoint: await this.#pushEndpoint(), spent: 0 };
  }

  async #pull(
    capability: HostCapability,
    call: Omit<RegistryCall, 'repository' | 'scopes'>,
  ): Promise<HttpReply> {
    return await this.#eachEndpoint(capability, call.signal, ({ endpoint, spent }) =>
      this.#send(endpoint, { ...call, spent }),
    );
  }

  #send(
    endpoint: Endpoint,
    call: Omit<RegistryCall, 'repository' | 'scopes'> & { readonly scopes?: readonly string[] },
  ): Promise<HttpReply> {
    const scopes = call.scopes ?? [repositoryScope(this.repository, 'pull')];
    return this.#transport.send(endpoint, { ...call, scopes, repository: this.repository });
  }

  /** The first endpoint's result; the registry's own error when all fail. */
  async #eachEndpoint<T>(
    capability: HostCapability,
    signal: AbortSignal | undefined,
    ask: (asked: AskedEndpoint) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const endpoints = await this.#transport.endpoints(this.registry, capability);
    const patience = this.#transport.patience();
    let failure: { readonly of: Endpoint; readonly error: unknown } | undefined;
    for (const endpoint of endpoints) {
      if (failure !== undefined && !patience.isWorthAsking(endpoint)) continue;
      try {
        return await ask({ endpoint, spent: patience.spent });
      } catch (error) {
        signal?.throwIfAborted();
        this.#transport.failed(endpoint, error);
        if (failure?.of.mirror !== false) failure = { of: endpoint, error };
        patience.note(error);
      }
    }
    throw failure?.error;
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND';
}
