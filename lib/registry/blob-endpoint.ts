/**
 * One endpoint as a place of one blob: the HttpSources that read it there, one for each way to ask, and what is known
 * of this blob there alone. What it shows of the endpoint as such goes to its EndpointHealth.
 */
import { SociError } from '../errors.js';
import { closedError } from '../source/byte-range.js';
import type { WantedRange } from '../source/continued-read.js';
import { HttpSource } from '../source/http/http-source.js';
import { NoRoom } from '../source/http/no-room.js';
import { urgencyOf } from '../source/lanes.js';
import type { LinkEstimate } from '../source/link-estimate.js';
import { type Endpoint, endpointUrl } from './endpoint.js';
import type { Standing } from './endpoint-choice.js';
import type { EndpointHealth } from './endpoint-health.js';
import type { Behind } from './endpoint-patience.js';
import { ErrorScore } from './error-score.js';
import type { RequestProgress } from './hedged-read.js';
import { registryCode } from './registry-error.js';
import { repositoryScope } from './scope.js';
import type { RegistryTransport } from './transport.js';

export interface RegistryBlob {
  readonly registry: string;
  readonly repository: string;
  readonly digest: string;
  readonly size: number;
}

/** How an endpoint is asked in its turn. */
export interface Turn {
  readonly behind: Behind;
  /** ms of silence of those that were asked before. */
  readonly spent: number;
}

/** A mirror that has not the blob may have it later: so many half-lives of an ErrorScore, two and a half minutes. */
const LACKING = 32;
/** Beside another request, so that a failure costs nothing; and only where its host has room for it. */
export const ASIDE: Turn = { behind: 'asked', spent: 0 };

export class BlobEndpoint {
  readonly endpoint: Endpoint;
  readonly health: EndpointHealth;
  readonly #transport: RegistryTransport;
  readonly #blob: RegistryBlob;
  readonly #sources = new Map<Behind, Promise<HttpSource>>();
  /** Those of reads that had waited for other endpoints before: what was waited for, this one does not get again. */
  readonly #hasty = new Set<Promise<HttpSource>>();
  readonly #lack = new ErrorScore();
  /** The one that is read, or was last. */
  #reached: HttpSource | undefined;
  #rangeless = false;
  #closed = false;

  constructor(transport: RegistryTransport, endpoint: Endpoint, blob: RegistryBlob) {
    this.endpoint = endpoint;
    this.health = transport.health(endpoint);
    this.#transport = transport;
    this.#blob = blob;
  }

  /** As the endpoint's own, unless this blob has fared worse. */
  get standing(): Standing {
    const standing = this.health.standing();
    const here = this.#lack.trust(this.#transport.now());
    if (here === 'sound' || standing.trust === 'resting') return standing;
    return { ...standing, trust: here, unmeasured: true };
  }

  /** It has the blob and serves no ranges of it. */
  get rangeless(): boolean {
    return this.#rangeless;
  }

  /** What the link to it is like. */
  get link(): LinkEstimate | undefined {
    return this.#reached?.link;
  }

  async readInto(
    { target, offset, options }: WantedRange,
    turn: Turn,
    progress?: RequestProgress,
  ): Promise<void> {
    const isAside = turn.behind === 'asked';
    const isTimed = isAside || urgencyOf(options).lane === 'demand';
    const watcher = this.health.watch(isTimed ? 'time' : 'no time', progress);
    const { source, done } = await this.#open(turn);
    try {
      await source.readInto(target, offset, { ...options, watcher, ifFull: isAside ? 'fail' : 'wait' });
    } finally {
      await done();
    }
    this.#rangeless = false;
    this.#lack.succeeded(this.#transport.now());
    this.health.succeeded();
  }

  async *stream(
    how: (source: HttpSource) => AsyncIterable<Uint8Array>,
    turn: Turn,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { source, done } = await this.#open(turn);
    try {
      yield* how(source);
    } finally {
      await done();
    }
  }

  /** Asks for a byte at `offset` for nobody, to learn whether and how fast it is served. */
  async probe(offset: number): Promise<void> {
    await this.health.probe(async () => {
      try {
        const range = { target: new Uint8Array(1), offset, options: { lane: 'prefetch' } } as const;
        await this.readInto(range, ASIDE);
        return 'measured';
      } catch (error) {
        if (error instanceof NoRoom) return 'not sent';
        if (!isClosed(error)) this.failed(error);
        return 'failed';
      }
    });
  }

  /** What it was asked for was given up; without ranges it still has the blob. */
  failed(error: unknown): void {
    this.#rangeless ||= isRangeless(error);
    if (this.health.failed(error) === 'lacking') this.#lack.add(LACKING, this.#transport.now());
  }

  /** A failure as the registry's, with what to do about it. */
  worded(error: unknown): unknown {
    return this.#transport.explained(this.endpoint, this.#blob.repository, wordedAsRegistry(error));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sources = await Promise.all([...this.#sources.values(), ...this.#hasty]);
    await Promise.all(sources.map(source => source.close()));
  }

  async #open({ behind, spent }: Turn): Promise<{ source: HttpSource; done: () => Promise<void> }> {
    if (spent === 0) {
      const known = this.#sources.get(behind) ?? this.#openNew(behind, 0);
      this.#sources.set(behind, known);
      this.#reached = await known;
      return { source: this.#reached, done: async () => {} };
    }
    const opening = this.#openNew(behind, spent);
    this.#hasty.add(opening);
    const source = await opening;
    this.#reached = source;
    const done = async (): Promise<void> => {
      this.#hasty.delete(opening);
      await source.close();
    };
    return { source, done };
  }

  #openNew(behind: Behind, spent: number): Promise<HttpSource> {
    const { registry, repository, digest, size } = this.#blob;
    if (this.#closed) throw closedError(`${registry}/${repository}@${digest}`);
    const { transport, headers } = this.#transport.reach(this.endpoint, {
      repository,
      scopes: [repositoryScope(repository, 'pull')],
    });
    const url = endpointUrl(this.endpoint, `${repository}/blobs/${digest}`);
    const retry = this.#transport.retryPolicy(behind, spent);
    return HttpSource.open(url, { size, headers, validators: 'ignore', transport, retry });
  }
}

function isRangeless(error: unknown): boolean {
  return error instanceof SociError && error.code === 'ERR_SOCI_HTTP_NO_RANGES';
}

/** Whoever closed it has not learned anything of the endpoint. */
export function isClosed(error: unknown): boolean {
  return error instanceof SociError && error.code === 'ERR_SOCI_CLOSED';
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
