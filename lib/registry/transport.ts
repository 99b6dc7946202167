/**
 * The one way to a registry: which endpoints serve it, and for each of them the
 * HTTP client with its credentials. Manifests, blobs, tags, referrers and
 * uploads all go through here.
 */
import { checkChoice, checkOptions, type OptionNames } from '../arguments.js';
import { invalidValues, SociError } from '../errors.js';
import { type Clock, systemClock } from '../source/http/clock.js';
import { HostTraffic } from '../source/http/host-traffic.js';
import { HttpTransport } from '../source/http/http-transport.js';
import {
  compose,
  type HttpBody,
  type HttpMethod,
  type HttpReply,
  type RequestHeaders,
  type Send,
} from '../source/http/message.js';
import { retry } from '../source/http/retry.js';
import { type RetryPolicy, retryPolicy } from '../source/http/retry-policy.js';
import { isTemporaryStatus } from '../source/http/temporary.js';
import { type HttpTimeouts, httpTimeouts } from '../source/http/timeouts.js';
import { Authorizer } from './authorizer.js';
import { EndpointConnections } from './connections.js';
import type { CredentialProvider } from './credentials.js';
import {
  type Endpoint,
  endpointsOf,
  endpointUrl,
  type HostCapability,
  type HostOptions,
} from './endpoint.js';
import { chooseEndpoints, type EndpointChoice, type Standing } from './endpoint-choice.js';
import { EndpointHealth, failureKind } from './endpoint-health.js';
import { type Behind, behind, EndpointPatience, policyAt } from './endpoint-patience.js';
import { explainedFailure } from './explained-failure.js';
import type { ForeignAccess } from './foreign-source.js';
import { type HedgeOptions, Hedging } from './hedging.js';
import { readHostsDirectory } from './hosts-toml.js';
import { keychain } from './keychain.js';
import type { Environment } from './proxy.js';
import { answersOnly } from './registry-error.js';
import type { SendToTokenServer } from './token-server.js';
import { USER_AGENT } from './user-agent.js';

export interface RegistryTimeouts extends Partial<HttpTimeouts> {
  /** The older name of `bodyIdle`, which wins. */
  readonly body?: number | undefined;
}

export type HostOrder = 'measured' | 'configured';

export interface RegistryOptions {
  /** Default: docker's and podman's files. `null`: nobody's. */
  readonly credentials?: CredentialProvider | null | undefined;
  /** By registry as references name it (`docker.io`, `127.0.0.1:5000`); `*` for all that are not named. */
  readonly hosts?: Readonly<Record<string, HostOptions>> | undefined;
  /** Directories in containerd's form, e.g. `/etc/containerd/certs.d`. What `hosts` names is not looked up. */
  readonly hostsDirectories?: readonly string[] | undefined;
  /**
   * Which of a registry's hosts is asked first. 'measured' (default): in the configured order, until one is clearly
   * slower than another. 'configured': in that order however slow they are. One that fails is left for a while.
   */
  readonly hostOrder?: HostOrder | undefined;
  /**
   * A second request for a range that somebody waits for longer than its host usually takes, to another connection or
   * another host; whoever answers first is used. Default: none.
   */
  readonly hedge?: HedgeOptions | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
  readonly timeouts?: RegistryTimeouts | undefined;
  /** For HTTP_PROXY, HTTPS_PROXY, NO_PROXY. Default `process.env`. */
  readonly env?: Environment | undefined;
  /**
   * Whose requests take turns with those of this transport, host by host. Default: only its own; of `openImage`, that
   * of the context.
   */
  readonly traffic?: HostTraffic | undefined;
}

export const REGISTRY_NAMES: OptionNames<RegistryOptions> = {
  credentials: true,
  hosts: true,
  hostsDirectories: true,
  hostOrder: true,
  hedge: true,
  retry: true,
  timeouts: true,
  env: true,
  traffic: true,
};

export interface RegistryCall {
  readonly method: HttpMethod;
  /** Relative to the API root, or absolute (the Location of an upload). */
  readonly url: string | URL;
  readonly repository: string;
  readonly scopes: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody | undefined;
  /** Statuses that are answers; every other one becomes an error. */
  readonly expect: readonly number[];
  /** Whether asking twice does no harm. Default true. */
  readonly repeatable?: boolean;
  /** Whether redirects are followed. Default: of GET and HEAD. */
  readonly followRedirects?: boolean;
  /** ms of silence of the endpoints that were asked before. Default 0. */
  readonly spent?: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Whose access a request needs, and to what. */
interface Access {
  readonly repository: string;
  readonly scopes: readonly string[];
}

interface Connected {
  readonly transport: HttpTransport;
  readonly authorizer: Authorizer;
}

/** On whose behalf a layout's URLs are followed. */
const THIS_MACHINE = 'http://localhost/';

export class RegistryTransport {
  readonly #options: RegistryOptions;
  readonly #provider: CredentialProvider;
  readonly #timeouts: HttpTimeouts;
  readonly #retry: RetryPolicy;
  readonly #traffic: HostTraffic;
  readonly #endpoints = new Map<string, Promise<readonly Endpoint[]>>();
  readonly #connected = new Map<Endpoint, Connected>();
  readonly #health = new Map<Endpoint, EndpointHealth>();
  readonly #order: HostOrder;
  /** @internal */
  readonly now: Clock['now'];
  /** @internal Undefined: no request is sent twice. */
  readonly hedging: Hedging | undefined;
  #local: HttpTransport | undefined;
  #closed = false;

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
  constructor(options?: RegistryOptions);
  /** @internal By another clock. */
  constructor(options: RegistryOptions, now: Clock['now']);
  constructor(options: RegistryOptions = {}, now: Clock['now'] = systemClock.now) {
    checkOptions('RegistryTransport', options, REGISTRY_NAMES);
    const { hostOrder = 'measured' } = options;
    checkChoice('hostOrder', hostOrder, ['measured', 'configured']);
    this.#options = options;
    this.#order = hostOrder;
    this.hedging = options.hedge === undefined ? undefined : new Hedging(options.hedge);
    this.now = now;
    this.#provider = options.credentials === null ? () => undefined : (options.credentials ?? keychain());
    const { body: bodyIdle, ...timeouts } = options.timeouts ?? {};
    const given = bodyIdle === undefined ? timeouts : { bodyIdle, ...timeouts };
    this.#timeouts = httpTimeouts(given);
    this.#retry = retryPolicy(options.retry);
    this.#traffic = options.traffic ?? new HostTraffic();
  }

  /** @param spent ms of silence of the endpoints that were asked before */
  retryPolicy(who: Behind, spent: number): RetryPolicy {
    return policyAt(this.#retry, who, spent);
  }

  /** For one operation, whatever number of endpoints it asks. */
  patience(spent = 0): EndpointPatience {
    return new EndpointPatience(this.#retry, spent);
  }

  /** What is known of `endpoint`, over all that is read of it. */
  health(endpoint: Endpoint): EndpointHealth {
    let health = this.#health.get(endpoint);
    if (health === undefined) {
      health = new EndpointHealth(endpoint, this.now);
      this.#health.set(endpoint, health);
    }
    return health;
  }

  /** Notes a failed call to `endpoint`. A status is an answer, which says nothing of ranges of blobs. */
  failed(endpoint: Endpoint, error: unknown): void {
    const kind = failureKind(error);
    if (kind === 'unreachable' || kind === 'lying') this.health(endpoint).failed(error);
  }

  /** Whom to ask first. @param standings in the configured order */
  choose(standings: readonly Standing[]): EndpointChoice {
    if (this.#order === 'measured') return chooseEndpoints(standings);
    return chooseEndpoints(standings.map(standing => ({ ...standing, latency: undefined })));
  }

  /**
   * Where `registry` can be asked for something, best first, without mirrors that could not be reached a short while
   * ago: one that is down costs a connect timeout, but not for every manifest.
   *
   * @throws SociError ERR_SOCI_HOSTS_CONFIG, ERR_SOCI_INVALID_ARGUMENT when nobody can.
   */
  async endpoints(registry: string, capability: HostCapability): Promise<Endpoint[]> {
    const able = await this.configuredEndpoints(registry, capability);
    const awake = able.filter(endpoint => !endpoint.mirror || !this.health(endpoint).isAway);
    const asked = awake.length === 0 ? able : awake;
    // Only content that its digest names is the same wherever it is from: of tags the configured order decides.
    if (capability !== 'pull') return asked;
    const { order } = this.choose(asked.map(endpoint => this.health(endpoint).standing()));
    return order.map(place => asked[place]!);
  }

  /**
   * All that may do it, in the configured order: mirrors, then the registry itself.
   *
   * @throws SociError as `endpoints`
   */
  async configuredEndpoints(registry: string, capability: HostCapability): Promise<Endpoint[]> {
    let known = this.#endpoints.get(registry);
    if (known === undefined) {
      known = this.#configure(registry);
      this.#endpoints.set(registry, known);
      known.catch(() => this.#endpoints.delete(registry));
    }
    const able = (await known).filter(({ capabilities }) => capabilities.has(capability));
    if (able.length > 0) return able;
    throw invalidValues('hosts', `one that may ${capability}`, { registry, capability });
  }

  /** Sends one call to one endpoint. The answer's status is one of `call.expect`. */
  async send(endpoint: Endpoint, call: RegistryCall): Promise<HttpReply> {
    const { transport, headers: credentials } = this.reach(endpoint, call);
    const url = endpointUrl(endpoint, call.url);
    const follow = call.followRedirects ?? (call.method === 'GET' || call.method === 'HEAD');
    const once = compose(
      transport.send,
      answersOnly(status => call.expect.includes(status)),
    );
    const send =
      call.repeatable === false
        ? once
        : compose(once, retry(this.retryPolicy(behind(endpoint), call.spent ?? 0)));
    const reply = send({
      method: call.method,
      // Where an upload goes on may be elsewhere: our credentials do not.
      target: {
        url,
        home: endpoint.root,
        trusted: url.origin === endpoint.root.origin,
        authorization: undefined,
      },
      headers: call.headers ?? {},
      credentials,
      body: call.body,
      redirects: follow ? 'follow' : 'return',
      limitTotalTime: true,
      maxRetryAfter: this.#retry.maxRetryAfter,
      signal: call.signal ?? new AbortController().signal,
    });
    return await reply.catch((error: unknown) => {
      throw this.explained(endpoint, call.repository, error);
    });
  }

  /** A failure of `endpoint`, with what to do about it. */
  explained(endpoint: Endpoint, repository: string, error: unknown): unknown {
    const shown = this.#connected.get(endpoint)?.authorizer.shown(repository) ?? { kind: 'not-asked' };
    return explainedFailure(error, endpoint, shown);
  }

  /** The HTTP client of `endpoint`, and the headers that open what is to be reached there. */
  reach(endpoint: Endpoint, access: Access): { transport: HttpTransport; headers: RequestHeaders } {
    const { transport, authorizer } = this.#connect(endpoint);
    const { repository, scopes } = access;
    const headers: RequestHeaders = async ({ rejected, signal }) => {
      const request = { repository, scopes, signal };
      const authorization =
        rejected === undefined
          ? await authorizer.authorization(request)
          : await authorizer.renew(request, {
              status: rejected.status,
              challenges: rejected.headers['www-authenticate'],
              sent: rejected.sent?.['authorization'],
            });
      if (authorization !== undefined) {
        return { ...endpoint.headers, authorization };
      }
      return rejected === undefined ? endpoint.headers : undefined;
    };
    return { transport, headers };
  }

  /** The way to URLs that documents of `endpoint` name; undefined: those of a layout, which is on this machine. */
  foreign(endpoint: Endpoint | undefined): ForeignAccess {
    const retry = this.#retry;
    if (endpoint !== undefined) {
      return { transport: this.#connect(endpoint).transport, home: endpoint.root, retry };
    }
    const home = new URL(THIS_MACHINE);
    this.#local ??= this.#transportFor({ root: home, tls: {} });
    return { transport: this.#local, home, retry };
  }

  /** Ends all connections; calls under way fail with ERR_SOCI_CLOSED. */
  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#connected.values()];
    this.#connected.clear();
    await Promise.all([...open.map(({ transport }) => transport.close()), this.#local?.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #configure(registry: string): Promise<readonly Endpoint[]> {
    const { hosts = {}, hostsDirectories = [] } = this.#options;
    const named = Object.hasOwn(hosts, registry) ? hosts[registry] : undefined;
    const fallback = Object.hasOwn(hosts, '*') ? hosts['*'] : undefined;
    const options = named ?? (await readHostsDirectory(hostsDirectories, registry)) ?? fallback ?? {};
    return endpointsOf(registry, options);
  }

  #connect(endpoint: Endpoint): Connected {
    if (this.#closed) {
      throw new SociError('ERR_SOCI_CLOSED', `the connections to ${endpoint.root.host} are closed`);
    }
    let connected = this.#connected.get(endpoint);
    if (connected === undefined) {
      const transport = this.#transportFor(endpoint);
      const toTokenServer = this.#toTokenServer(endpoint, transport.send);
      const authorizer = new Authorizer(endpoint, this.#provider, toTokenServer);
      connected = { transport, authorizer };
      this.#connected.set(endpoint, connected);
    }
    return connected;
  }

  #transportFor(place: Pick<Endpoint, 'root' | 'tls'>): HttpTransport {
    const connections = new EndpointConnections(place, this.#timeouts.connect, this.#options.env);
    const options = { timeouts: this.#timeouts, userAgent: USER_AGENT, traffic: this.#traffic };
    return new HttpTransport(options, connections);
  }

  /** The way to the token servers that `endpoint` names: over its connections, with other credentials. */
  #toTokenServer(endpoint: Endpoint, transport: Send): SendToTokenServer {
    const answers = answersOnly(status => !isTemporaryStatus(status));
    const send = compose(transport, answers, retry(this.retryPolicy(behind(endpoint), 0)));
    return ({ url, headers, ...message }) =>
      send({
        ...message,
        target: { url, home: endpoint.root, trusted: false, authorization: undefined },
        headers: { accept: 'application/json', ...headers },
        redirects: 'return',
        limitTotalTime: true,
      });
  }
}
