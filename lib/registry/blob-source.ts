/**
 * A blob of a registry as a RangeSource: HttpSource with the registry's
 * credentials, over the first endpoint that has the blob. Mirrors are tried in
 * order and left for good when they fail, or when they serve no ranges: if no
 * other endpoint does either, the blob is taken whole from the first of them.
 */
import { SociError } from '../errors.js';
import { closedError } from '../source/byte-range.js';
import { ContinuedRead } from '../source/continued-read.js';
import { HttpSource } from '../source/http/http-source.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import { FilledSource, type ReadOptions } from '../source/range-source.js';
import { type Endpoint, endpointUrl } from './endpoint.js';
import type { EndpointPatience } from './endpoint-patience.js';
import { registryCode } from './registry-error.js';
import { repositoryScope } from './scope.js';
import type { RegistryTransport } from './transport.js';
import { type KeepWholeOptions, WholeBlob } from './whole-blob.js';

export interface RegistryBlob {
  readonly registry: string;
  readonly repository: string;
  readonly digest: string;
  readonly size: number;
}

type HowToStream = (source: HttpSource, options?: ReadOptions) => AsyncIterable<Uint8Array>;

const plainStream: HowToStream = (source, options) => source.stream(options);

/** What a server without ranges sends is kept on its way: later reads would have to fetch all of it again. */
function streamKeptBy(whole: WholeBlob): HowToStream {
  return async function* (source, options = {}) {
    let rangeless = false;
    const chunks = source.streamAsRange(options, () => {
      rangeless = true;
    });
    // The reply is there when its first bytes are.
    const first = await chunks.next();
    if (first.done === true) return;
    const all = withFirst(first.value, chunks);
    yield* rangeless ? whole.keeping(all) : all;
  };
}

async function* withFirst(
  first: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
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

export interface RegistryBlobOptions {
  /** Where the blob is kept if nobody serves ranges; without it such reads fail. */
  readonly keepWhole?: KeepWholeOptions | undefined;
  /** ms of silence of endpoints that were asked before those given. */
  readonly spent?: number | undefined;
}

export class RegistryBlobSource extends FilledSource {
  readonly size: number;
  readonly name: string;
  readonly #transport: RegistryTransport;
  readonly #blob: RegistryBlob;
  readonly #endpoints: readonly Endpoint[];
  readonly #sources = new Map<Endpoint, Promise<HttpSource>>();
  /** Those of reads that had waited for other endpoints before. */
  readonly #hasty: Promise<HttpSource>[] = [];
  readonly #whole: WholeBlob | undefined;
  readonly #spent: number;
  /** The one that is read, or was last. */
  #reached: HttpSource | undefined;
  /** Index of the first endpoint that has the blob but serves no ranges. */
  #rangeless: number | undefined;
  /** Index of the first endpoint that has not failed. */
  #first = 0;
  #closed = false;

  /** @param endpoints At least one. */
  constructor(
    transport: RegistryTransport,
    blob: RegistryBlob,
    endpoints: readonly Endpoint[],
    options: RegistryBlobOptions = {},
  ) {
    super();
    this.#transport = transport;
    this.#blob = blob;
    this.#endpoints = endpoints;
    const { keepWhole, spent = 0 } = options;
    this.#spent = spent;
    this.size = blob.size;
    this.name = `${blob.registry}/${blob.repository}@${blob.digest}`;
    this.#whole =
      keepWhole &&
      new WholeBlob({ name: this.name, ...blob }, keepWhole, signal =>
        this.#streamFrom(this.#rangeless ?? 0, plainStream, { signal }),
      );
  }

  get link(): LinkEstimate | undefined {
    return this.#reached?.link;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    const patience = this.#patience();
    const read = new ContinuedRead(target, offset, options);
    for (let index = this.#first; index < this.#endpoints.length; index++) {
      if (this.#whole?.begun) break;
      if (this.#isPassedOver(index, patience)) continue;
      try {
        const source = await this.#open(index, patience);
        this.#reached = source;
        return await read.from(source);
      } catch (error) {
        this.#giveUpOn(index, error, options?.signal);
        patience.note(error);
      }
    }
    this.#checkOpen();
    const file = await this.#whole!.open(options?.signal);
    await read.from(file);
  }

  override stream(options?: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const whole = this.#whole;
    if (whole?.present !== undefined) return whole.present.stream(options);
    const from = this.#rangeless ?? this.#first;
    return this.#streamFrom(from, whole === undefined ? plainStream : streamKeptBy(whole), options);
  }

  async *#streamFrom(
    from: number,
    how: HowToStream,
    options?: ReadOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const patience = this.#patience();
    for (let index = from; ; index++) {
      if (this.#isPassedOver(index, patience)) continue;
      let started = false;
      try {
        const source = await this.#open(index, patience);
        this.#reached = source;
        for await (const chunk of how(source, options)) {
          started = true;
          yield chunk;
        }
        return;
      } catch (error) {
        // Bytes of one host are not continued with those of another: their digest would blame nobody.
        if (started || index + 1 >= this.#endpoints.length) {
          options?.signal?.throwIfAborted();
          throw this.#worded(index, error);
        }
        this.#giveUpOn(index, error, options?.signal);
        patience.note(error);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sources = [...this.#sources.values(), ...this.#hasty];
    await Promise.all(sources.map(async source => (await source).close()));
    await this.#whole?.close();
  }

  #patience(): EndpointPatience {
    return this.#transport.patience(this.#spent);
  }

  #isPassedOver(index: number, patience: EndpointPatience): boolean {
    return index + 1 < this.#endpoints.length && !patience.isWorthAsking(this.#endpoints[index]!);
  }

  /** What this read has waited for in vain, the endpoint does not get again; later reads begin anew. */
  #open(index: number, { spent }: EndpointPatience): Promise<HttpSource> {
    const endpoint = this.#endpoints[index]!;
    this.#checkOpen();
    const known = spent === 0 ? this.#sources.get(endpoint) : undefined;
    if (known !== undefined) return known;
    const { repository, digest, size } = this.#blob;
    const { transport, headers } = this.#transport.reach(endpoint, {
      repository,
      scopes: [repositoryScope(repository, 'pull')],
    });
    const url = endpointUrl(endpoint, `${repository}/blobs/${digest}`);
    const retry = this.#transport.retryPolicy(endpoint, spent);
    const source = HttpSource.open(url, { size, headers, validators: 'ignore', transport, retry });
    if (spent === 0) this.#sources.set(endpoint, source);
    else this.#hasty.push(source);
    return source;
  }

  #worded(index: number, error: unknown): unknown {
    return this.#transport.explained(this.#endpoints[index]!, this.#blob.repository, wordedAsRegistry(error));
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError(this.name);
  }

  /**
   * Returns when there is another endpoint to try, or the blob to be had whole; range errors are the caller's and no
   * endpoint's.
   */
  #giveUpOn(index: number, error: unknown, signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    const code = error instanceof SociError ? error.code : undefined;
    const rangeless = code === 'ERR_SOCI_HTTP_NO_RANGES' && this.#whole !== undefined;
    if (rangeless) this.#rangeless ??= index;
    const last = index + 1 >= this.#endpoints.length;
    const final = code === 'ERR_SOCI_SOURCE_RANGE' || code === 'ERR_SOCI_CLOSED';
    if (final || (last && this.#rangeless === undefined)) throw this.#worded(index, error);
    if (!rangeless) this.#transport.failed(this.#endpoints[index]!, error);
    this.#first = Math.max(this.#first, index + 1);
  }
}
