/** Manifests, tags and referrers of the in-process registry. */
import { emptyReply, errorReply, jsonReply, type RegistryRequest, type Reply } from './reply.js';
import { digestLike, type RegistryStorage } from './storage.js';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const MAX_MANIFEST = 4 * 1024 * 1024;

interface Document {
  readonly mediaType?: string;
  readonly manifests?: readonly { readonly digest: string }[];
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string; readonly urls?: readonly string[] }[];
  readonly subject?: { readonly digest: string };
}

export interface ManifestRouteOptions {
  readonly referrers: boolean;
  readonly pageSize: number;
}

export class ManifestRoutes {
  readonly #storage: RegistryStorage;
  readonly #options: ManifestRouteOptions;

  constructor(storage: RegistryStorage, options: ManifestRouteOptions) {
    this.#storage = storage;
    this.#options = options;
  }

  async read(repository: string, reference: string): Promise<Reply> {
    const manifest = await this.#storage.manifest(repository, reference);
    if (manifest === undefined) {
      return errorReply(404, 'MANIFEST_UNKNOWN', 'manifest unknown to registry');
    }
    return {
      status: 200,
      headers: {
        'content-type': manifest.mediaType,
        'content-length': String(manifest.bytes.length),
        'docker-content-digest': manifest.digest,
      },
      body: manifest.bytes,
    };
  }

  async write(request: RegistryRequest, repository: string, reference: string): Promise<Reply> {
    if (request.body.length > MAX_MANIFEST) {
      return errorReply(413, 'SIZE_INVALID', 'manifest too large');
    }
    let document: Document;
    try {
      document = JSON.parse(Buffer.from(request.body).toString()) as Document;
    } catch {
      return errorReply(400, 'MANIFEST_INVALID', 'manifest is not JSON');
    }
    const isDigest = reference.includes(':');
    const digest = digestLike(isDigest ? reference : 'sha256:', request.body) ?? '';
    if (isDigest && digest !== reference) {
      return errorReply(400, 'DIGEST_INVALID', 'provided digest did not match manifest');
    }
    const missing = await this.#missing(repository, document);
    if (missing !== undefined) {
      return errorReply(404, 'MANIFEST_BLOB_UNKNOWN', `manifest references unknown content ${missing}`);
    }
    const mediaType = request.headers['content-type'] ?? document.mediaType ?? OCI_MANIFEST;
    await this.#storage.writeManifest(
      repository,
      { digest, mediaType, bytes: request.body },
      isDigest ? undefined : reference,
    );
    const subject = document.subject?.digest;
    return emptyReply(201, {
      location: `/v2/${repository}/manifests/${digest}`,
      'docker-content-digest': digest,
      ...(subject !== undefined && this.#options.referrers ? { 'oci-subject': subject } : {}),
    });
  }

  async remove(repository: string, reference: string): Promise<Reply> {
    return (await this.#storage.deleteManifest(repository, reference))
      ? emptyReply(202)
      : errorReply(404, 'MANIFEST_UNKNOWN', 'manifest unknown to registry');
  }

  async tags(request: RegistryRequest, repository: string): Promise<Reply> {
    const tags = await this.#storage.tags(repository);
    if (tags === undefined) {
      return errorReply(404, 'NAME_UNKNOWN', 'repository name not known to registry');
    }
    const last = request.query.get('last');
    const limit = Math.min(Number(request.query.get('n') ?? this.#options.pageSize), this.#options.pageSize);
    const rest = last === null ? tags : tags.filter(tag => tag > last);
    const page = rest.slice(0, limit);
    const next = `</v2/${repository}/tags/list?n=${limit}&last=${page.at(-1)}>; rel="next"`;
    return jsonReply(200, { name: repository, tags: page }, rest.length > limit ? { link: next } : {});
  }

  async referrers(request: RegistryRequest, repository: string, subject: string): Promise<Reply> {
    if (!this.#options.referrers) {
      return {
        status: 404,
        headers: { 'content-type': 'text/plain' },
        body: Buffer.from('404 page not found\n'),
      };
    }
    const wanted = request.query.get('artifactType');
    const all = await this.#storage.referrers(repository, subject);
    const list = wanted === null ? all : all.filter(entry => entry.artifactType === wanted);
    const from = Number(request.query.get('page') ?? 0) * this.#options.pageSize;
    const page = list.slice(from, from + this.#options.pageSize);
    const query = new URLSearchParams({ page: String(from / this.#options.pageSize + 1) });
    if (wanted !== null) {
      query.set('artifactType', wanted);
    }
    return jsonReply(
      200,
      { schemaVersion: 2, mediaType: OCI_INDEX, manifests: page },
      {
        'content-type': OCI_INDEX,
        ...(wanted === null ? {} : { 'oci-filters-applied': 'artifactType' }),
        ...(list.length > from + page.length
          ? { link: `</v2/${repository}/referrers/${subject}?${query}>; rel="next"` }
          : {}),
      },
    );
  }

  /** Registries refuse manifests whose parts they lack; a subject may be absent. */
  async #missing(repository: string, document: Document): Promise<string | undefined> {
    // Layers that name URLs of their own need not be here.
    const layers = (document.layers ?? []).filter(({ urls }) => urls === undefined);
    for (const { digest } of [...layers, ...(document.config === undefined ? [] : [document.config])]) {
      if ((await this.#storage.blobSize(repository, digest)) === undefined) {
        return digest;
      }
    }
    for (const { digest } of document.manifests ?? []) {
      if ((await this.#storage.manifest(repository, digest)) === undefined) {
        return digest;
      }
    }
    return undefined;
  }
}
