/**
 * Uploading one blob: mount from a neighbour, else one POST and one PUT, else
 * (when asked for, or when the whole is too large for a proxy on the way)
 * chunks that resume where the registry says it stands.
 */
import { SociError } from '../errors.js';
import { locationOf } from '../source/http/location.js';
import type { HttpReply } from '../source/http/message.js';
import { isTemporary } from '../source/http/temporary.js';
import type { Descriptor } from './descriptor.js';
import type { Endpoint } from './endpoint.js';
import { protocolError } from './registry-error.js';
import type { BlobContent, PushBlobOptions, PushResult } from './repository.js';
import { repositoryScope } from './scope.js';
import type { RegistryCall, RegistryTransport } from './transport.js';
import { VerifiedSource } from './verified-source.js';

export interface UploadOptions extends PushBlobOptions {
  /** Bytes per PATCH; undefined for a monolithic upload. */
  readonly chunkSize?: number | undefined;
}

const FALLBACK_CHUNK = 8 * 1024 * 1024;
const MAX_CHUNK = 1024 * 1024 * 1024;
const WHOLE_ATTEMPTS = 3;
const CHUNK_ATTEMPTS = 4;

export class BlobUpload {
  readonly #transport: RegistryTransport;
  readonly #endpoint: Endpoint;
  readonly #repository: string;
  readonly #descriptor: Descriptor;
  readonly #content: BlobContent;
  readonly #options: UploadOptions;
  /** The registry's OCI-Chunk-Min-Length in bytes. */
  #minimumChunk = 0;

  constructor(
    transport: RegistryTransport,
    endpoint: Endpoint,
    repository: string,
    descriptor: Descriptor,
    content: BlobContent,
    options: UploadOptions,
  ) {
    this.#transport = transport;
    this.#endpoint = endpoint;
    this.#repository = repository;
    this.#descriptor = descriptor;
    this.#content = content;
    this.#options = options;
  }

  async run(): Promise<PushResult> {
    for (const from of this.#options.mountFrom ?? []) {
      const answer = await this.#open({ mount: this.#descriptor.digest, from }, [
        repositoryScope(from, 'pull'),
      ]);
      if (answer === undefined) {
        continue;
      }
      if (answer.status === 201) {
        return 'mounted';
      }
      // The registry did not mount and opened an upload instead.
      await this.#upload(locationOf(answer));
      return 'uploaded';
    }
    await this.#upload(locationOf((await this.#open({}, []))!));
    return 'uploaded';
  }

  /** Undefined when a mount was refused for lack of access to the other repository. */
  async #open(
    query: Readonly<Record<string, string>>,
    scopes: readonly string[],
  ): Promise<HttpReply | undefined> {
    const search = new URLSearchParams(query).toString();
    const mounting = search !== '';
    try {
      const answer = await this.#call({
        method: 'POST',
        url: `${this.#repository}/blobs/uploads/${mounting ? `?${search}` : ''}`,
        scopes: [...this.#scopes, ...scopes],
        headers: { 'content-length': '0' },
        expect: mounting ? [201, 202] : [202],
      });
      await answer.discard();
      this.#minimumChunk = Number(answer.header('oci-chunk-min-length') ?? 0) || 0;
      return answer;
    } catch (error) {
      const status = error instanceof SociError ? error.data['status'] : undefined;
      if (mounting && typeof status === 'number' && status < 500) {
        return undefined;
      }
      throw error;
    }
  }

  async #upload(location: URL): Promise<void> {
    let upload = location;
    let chunkSize = this.#options.chunkSize;
    for (let attempt = 1; ; attempt++) {
      try {
        return chunkSize === undefined ? await this.#whole(upload) : await this.#chunked(upload, chunkSize);
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (attempt === WHOLE_ATTEMPTS || !isWorthAnother(error)) {
          throw error;
        }
        if (error.data['status'] === 413) {
          chunkSize = chunkSize === undefined ? FALLBACK_CHUNK : Math.ceil(chunkSize / 8);
        }
      }
      // The failed upload's state is unknown: a new one is begun.
      upload = locationOf((await this.#open({}, []))!);
    }
  }

  async #whole(location: URL): Promise<void> {
    await this.#finish(location, {
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(this.#descriptor.size),
      },
      body: () => this.#stream(),
    });
  }

  async *#stream(): AsyncGenerator<Uint8Array> {
    let sent = 0;
    const { signal, onProgress } = this.#options;
    const content = this.#content;
    const chunks =
      content instanceof Uint8Array
        ? [content]
        : new VerifiedSource(content, this.#descriptor).stream({ signal });
    for await (const chunk of chunks) {
      yield chunk;
      sent += chunk.length;
      onProgress?.(sent);
    }
  }

  async #chunked(start: URL, wanted: number): Promise<void> {
    let location = start;
    let offset = 0;
    let failures = 0;
    const { size } = this.#descriptor;
    const chunk = Math.min(Math.max(wanted, this.#minimumChunk), MAX_CHUNK);
    while (offset < size) {
      const end = Math.min(size, offset + chunk);
      try {
        const answer = await this.#patch(location, offset, end);
        location = locationOf(answer);
        offset = end;
        this.#options.onProgress?.(offset);
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (++failures === CHUNK_ATTEMPTS || !isWorthAnother(error)) {
          throw error;
        }
        ({ location, offset } = await this.#status(location));
      }
    }
    await this.#finish(location, { headers: { 'content-length': '0' } });
  }

  async #patch(location: URL, start: number, end: number): Promise<HttpReply> {
    const content = this.#content;
    const body =
      content instanceof Uint8Array
        ? content.subarray(start, end)
        : await content.read(start, end - start, { signal: this.#options.signal });
    const answer = await this.#call({
      method: 'PATCH',
      url: location,
      scopes: this.#scopes,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(end - start),
        'content-range': `${start}-${end - 1}`,
      },
      body,
      expect: [202],
      repeatable: false,
    });
    await answer.discard();
    return answer;
  }

  /** Where the registry stands after a chunk of which nobody knows whether it arrived. */
  async #status(location: URL): Promise<{ location: URL; offset: number }> {
    const answer = await this.#call({ method: 'GET', url: location, scopes: this.#scopes, expect: [204] });
    await answer.discard();
    // An empty upload is reported as 0-0, like one of a single byte: starting over is right for both.
    const range = /^(?:bytes=)?0-(\d+)$/.exec(answer.header('range') ?? '');
    const last = Number(range?.[1] ?? 0);
    const offset = last === 0 ? 0 : last + 1;
    if (offset > this.#descriptor.size) {
      throw protocolError(answer, `the upload has ${offset} bytes, the blob only ${this.#descriptor.size}`);
    }
    return { location: locationOf(answer), offset };
  }

  async #finish(location: URL, message: Pick<RegistryCall, 'headers' | 'body'>): Promise<void> {
    const url = new URL(location);
    url.searchParams.set('digest', this.#descriptor.digest);
    const answer = await this.#call({
      method: 'PUT',
      url,
      scopes: this.#scopes,
      ...message,
      expect: [201, 202, 204],
      repeatable: false,
    });
    await answer.discard();
    const digest = answer.header('docker-content-digest');
    if (digest !== undefined && digest !== this.#descriptor.digest) {
      throw protocolError(
        answer,
        `stored as ${JSON.stringify(digest.slice(0, 100))}, expected ${this.#descriptor.digest}`,
      );
    }
  }

  get #scopes(): readonly string[] {
    return [repositoryScope(this.#repository, 'push')];
  }

  #call(call: Omit<RegistryCall, 'repository' | 'signal'>): Promise<HttpReply> {
    return this.#transport.send(this.#endpoint, {
      ...call,
      repository: this.#repository,
      signal: this.#options.signal,
    });
  }
}

/** What may pass by itself, a body that some proxy finds too large, or an upload that stands elsewhere. */
function isWorthAnother(error: unknown): error is SociError {
  const status = error instanceof SociError ? error.data['status'] : undefined;
  return isTemporary(error) || status === 413 || status === 416;
}
