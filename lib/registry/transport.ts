/**
 * The one way to a registry: which endpoints serve it, and for each of them the
 * HTTP client with its credentials. Manifests, blobs, tags, referrers and
 * uploads all go through here.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { invalidValues, SociError } from '../errors.js';
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
import { isTemporaryStatus, isUnreachable } from '../source/http/temporary.js';
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
import { EndpointPatience, policyAt } from './endpoint-patience.js';
import { explainedFailure } from './explained-failure.js';
import type { ForeignAccess } from './foreign-source.js';
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

export interface RegistryOptions {
  /** Default: docker's and podman's files. `null`: nobody's. */
  readonly credentials?: CredentialProvider | null | undefined;
  /** By registry as references name it (`docker.io`, `127.0.0.1:5000`); `*` for all that are not named. */
  readonly hosts?: Readonly<Record<string, HostOptions>> | undefined;
  /** Directories in containerd's form, e.g. `/etc/containerd/certs.d`. What `hosts` names is not looked up. */
  readonly hostsDirectories?: readonly string[] | undefined;
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
/** A mirror that is down costs a connect timeout, but not for every blob. */
const REST_MS = 60_000;

export class RegistryTransport {
  readonly #options: RegistryOptions;
  readonly #provider: CredentialProvider;
  readonly #timeouts: HttpTimeouts;
  readonly #retry: RetryPolicy;
  readonly #traffic: HostTraffic;
  readonly #endpoints = new Map<string, Promise<readonly Endpoint[]>>();
  readonly #connected = new Map<Endpoint, Connected>();
  readonly #restingUntil = new Map<Endpoint, number>();
  #local: HttpTransport | undefined;
  #closed = false;

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
  constructor(options: RegistryOptions = {}) {
    checkOptions('RegistryTransport', options, REGISTRY_NAMES);
    this.#options = options;
    this.#provider = options.credentials === null ? () => undefined : (options.credentials ?? keychain());
    const { body: bodyIdle, ...timeouts } = options.timeouts ?? {};
    const given = bodyIdle === undefined ? timeouts : { bodyIdle, ...timeouts };
    this.#timeouts = httpTimeouts(given);
    this.#retry = retryPolicy(options.retry);
    this.#traffic = options.traffic ?? new HostTraffic();
  }

  /** @param spent ms of silence of the endpoints that were asked before */
  retryPolicy(endpoint: Endpoint, spent = 0): RetryPolicy {
    return policyAt(this.#retry, endpoint, spent);
  }

  /** For one operation, whatever number of endpoints it asks. */
  patience(spent = 0): EndpointPatience {
    return new EndpointPatience(this.#retry, spent);
  }

  /** Notes a failure of `endpoint`: a mirror that cannot be reached is left alone for a while. */
  failed(endpoint: Endpoint, error: unknown): void {
    if (endpoint.mirror && isUnreachable(error)) {
      this.#restingUntil.set(endpoint, Date.now() + REST_MS);
    }
  }

  /**
   * Where `registry` can be asked for something, best first.
   *
   * @throws SociError ERR_SOCI_HOSTS_CONFIG, ERR_SOCI_INVALID_ARGUMENT when nobody can.
   */
  async endpoints(registry: string, capability: HostCapability): Promise<Endpoint[]> {
    let known = this.#endpoints.get(registry);
    if (known === undefined) {
      known = this.#configure(registry);
      this.#endpoints.set(registry, known);
      known.catch(() => this.#endpoints.delete(registry));
    }
    const able = (await known).filter(({ capabilities }) => capabilities.has(capability));
    if (able.length === 0) {
      throw invalidValues('hosts', `one that may ${capability}`, { registry, capability });
    }
    const awake = able.filter(endpoint => (this.#restingUntil.get(endpoint) ?? 0) <= Date.now());
    return awake.length === 0 ? able : awake;
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
      call.repeatable === false ? once : compose(once, retry(this.retryPolicy(endpoint, call.spent)));
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
    const send = compose(transport, answers, retry(this.retryPolicy(endpoint)));
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
