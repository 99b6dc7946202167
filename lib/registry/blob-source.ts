/**
 * A blob of a registry as a RangeSource: HttpSource with the registry's
 * credentials, over the first endpoint that has the blob. Mirrors are tried in
 * order and left for good when they fail.
 */
import { SociError } from '../errors.js';
import { HttpSource } from '../source/http/http-source.js';
import { FilledSource, type ReadOptions } from '../source/range-source.js';
import { type Endpoint, endpointUrl } from './endpoint.js';
import { registryCode } from './registry-error.js';
import { repositoryScope } from './scope.js';
import type { RegistryTransport } from './transport.js';

export interface RegistryBlob {
  readonly registry: string;
  readonly repository: string;
  readonly digest: string;
  readonly size: number;
}

function wordedAsRegistry(error: unknown): unknown {
  if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_HTTP_STATUS') {
    return error;
  }
  const code = registryCode(Number(error.data['status']));
  return code === error.code
    ? error
    : new SociError(code, error.message, { data: error.data, cause: error.cause });
}

export class RegistryBlobSource extends FilledSource {
  readonly size: number;
  readonly name: string;
  readonly #transport: RegistryTransport;
  readonly #blob: RegistryBlob;
  readonly #endpoints: readonly Endpoint[];
  readonly #sources = new Map<Endpoint, Promise<HttpSource>>();
  /** Index of the first endpoint that has not failed. */
  #first = 0;
  #closed = false;

  /** @param endpoints At least one. */
  constructor(transport: RegistryTransport, blob: RegistryBlob, endpoints: readonly Endpoint[]) {
    super();
    this.#transport = transport;
    this.#blob = blob;
    this.#endpoints = endpoints;
    this.size = blob.size;
    this.name = `${blob.registry}/${blob.repository}@${blob.digest}`;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    for (let index = this.#first; ; index++) {
      try {
        const source = await this.#open(index);
        return await source.readInto(target, offset, options);
      } catch (error) {
        this.#giveUpOn(index, error, options?.signal);
      }
    }
  }

  override async *stream(options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    for (let index = this.#first; ; index++) {
      let started = false;
      try {
        const source = await this.#open(index);
        for await (const chunk of source.stream(options)) {
          started = true;
          yield chunk;
        }
        return;
      } catch (error) {
        // Bytes of one host are not continued with those of another: their digest would blame nobody.
        if (started) {
          throw wordedAsRegistry(error);
        }
        this.#giveUpOn(index, error, options?.signal);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#sources.values()].map(async source => (await source).close()));
  }

  #open(index: number): Promise<HttpSource> {
    const endpoint = this.#endpoints[index]!;
    if (this.#closed) {
      throw new SociError('ERR_SOCI_CLOSED', `${this.name} is closed`, { data: { name: this.name } });
    }
    let source = this.#sources.get(endpoint);
    if (source === undefined) {
      const { repository, digest, size } = this.#blob;
      const { transport, headers } = this.#transport.reach(endpoint, {
        repository,
        scopes: [repositoryScope(repository, 'pull')],
      });
      const url = endpointUrl(endpoint, `${repository}/blobs/${digest}`);
      const retry = this.#transport.retryPolicy(endpoint);
      source = HttpSource.open(url, { size, headers, transport, retry });
      this.#sources.set(endpoint, source);
    }
    return source;
  }

  /** Returns when there is another endpoint to try; range errors are the caller's and no endpoint's. */
  #giveUpOn(index: number, error: unknown, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    const final =
      error instanceof SociError &&
      (error.code === 'ERR_SOCI_SOURCE_RANGE' || error.code === 'ERR_SOCI_CLOSED');
    if (final || index + 1 >= this.#endpoints.length) {
      throw wordedAsRegistry(error);
    }
    this.#transport.failed(this.#endpoints[index]!, error);
    this.#first = Math.max(this.#first, index + 1);
  }
}
