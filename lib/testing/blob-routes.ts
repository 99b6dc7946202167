/** Blobs of the in-process registry: ranged reads, uploads in one piece or in chunks, mounts from a neighbour. */
import { randomUUID } from 'node:crypto';

import { emptyReply, errorReply, type RegistryRequest, type Reply } from './reply.js';
import { digestLike, type RegistryStorage } from './storage.js';

interface Upload {
  readonly repository: string;
  readonly chunks: Uint8Array[];
  length: number;
}

function parseRange(
  text: string | undefined,
  size: number,
): { start: number; end: number } | 'none' | 'unsatisfiable' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(text ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) {
    return 'none';
  }
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start >= size || start >= end ? 'unsatisfiable' : { start, end };
}

export class BlobRoutes {
  readonly #storage: RegistryStorage;
  readonly #uploads = new Map<string, Upload>();

  constructor(storage: RegistryStorage) {
    this.#storage = storage;
  }

  async read(request: RegistryRequest, repository: string, digest: string): Promise<Reply> {
    const size = await this.#storage.blobSize(repository, digest);
    if (size === undefined) {
      return errorReply(404, 'BLOB_UNKNOWN', 'blob unknown to registry');
    }
    const headers = {
      'content-type': 'application/octet-stream',
      'docker-content-digest': digest,
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
    };
    const ifRange = request.headers['if-range'];
    const range = parseRange(
      ifRange === undefined || ifRange === headers.etag ? request.headers['range'] : undefined,
      size,
    );
    if (range === 'unsatisfiable') {
      return emptyReply(416, { 'content-range': `bytes */${size}` });
    }
    const { start, end } = range === 'none' ? { start: 0, end: size } : range;
    return {
      status: range === 'none' ? 200 : 206,
      headers: {
        ...headers,
        'content-length': String(end - start),
        ...(range === 'none' ? {} : { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
      },
      body: this.#storage.readBlob(repository, digest, start, end),
    };
  }

  /** POST: mounts, takes the whole blob, or opens an upload. */
  async start(request: RegistryRequest, repository: string): Promise<Reply> {
    const mount = request.query.get('mount');
    const from = request.query.get('from');
    const size = mount === null || from === null ? undefined : await this.#storage.blobSize(from, mount);
    if (mount !== null && from !== null && size !== undefined) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of this.#storage.readBlob(from, mount, 0, size)) {
        chunks.push(chunk);
      }
      await this.#storage.writeBlob(repository, mount, Buffer.concat(chunks));
      return this.#created(repository, mount);
    }
    const id = randomUUID();
    this.#uploads.set(id, { repository, chunks: [], length: 0 });
    const digest = request.query.get('digest');
    return digest === null ? this.#accepted(202, repository, id) : this.finish(request, repository, id);
  }

  status(repository: string, id: string): Reply {
    return this.#uploads.has(id) ? this.#accepted(204, repository, id) : this.#unknown();
  }

  append(request: RegistryRequest, repository: string, id: string): Reply {
    const upload = this.#uploads.get(id);
    if (upload === undefined || upload.repository !== repository) {
      return this.#unknown();
    }
    const range = /^(\d+)-(\d+)$/.exec(request.headers['content-range'] ?? '');
    if (range !== null && Number(range[1]) !== upload.length) {
      return this.#accepted(416, repository, id);
    }
    upload.chunks.push(request.body);
    upload.length += request.body.length;
    return this.#accepted(202, repository, id);
  }

  async finish(request: RegistryRequest, repository: string, id: string): Promise<Reply> {
    const upload = this.#uploads.get(id);
    const digest = request.query.get('digest') ?? '';
    if (upload === undefined || upload.repository !== repository) {
      return this.#unknown();
    }
    const bytes = Buffer.concat([...upload.chunks, request.body]);
    if (digestLike(digest, bytes) !== digest) {
      return errorReply(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content');
    }
    this.#uploads.delete(id);
    await this.#storage.writeBlob(repository, digest, bytes);
    return this.#created(repository, digest);
  }

  cancel(id: string): Reply {
    return this.#uploads.delete(id) ? emptyReply(204) : this.#unknown();
  }

  #created(repository: string, digest: string): Reply {
    return emptyReply(201, {
      location: `/v2/${repository}/blobs/${digest}`,
      'docker-content-digest': digest,
    });
  }

  #accepted(status: number, repository: string, id: string): Reply {
    const length = this.#uploads.get(id)?.length ?? 0;
    return emptyReply(status, {
      // A state parameter, as docker's registry has: clients must add `digest` and not rebuild the URL.
      location: `/v2/${repository}/blobs/uploads/${id}?_state=${length}`,
      'docker-upload-uuid': id,
      range: `0-${Math.max(0, length - 1)}`,
    });
  }

  #unknown(): Reply {
    return errorReply(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
  }
}
