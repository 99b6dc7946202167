/**
 * The one way to a registry: which endpoints serve it, their connections and
 * credentials, retries with backoff, redirects. Manifests, blobs, tags,
 * referrers and uploads all go through here.
 */
import { readFileSync } from 'node:fs';

import { SociError } from '../errors.js';
import { Retries, type RetryPolicy, retryPolicy } from '../source/http-retry.js';
import { HttpTransport, type RequestHeaders } from '../source/http-transport.js';
import { Authorizer } from './authorizer.js';
import { EndpointConnections } from './connections.js';
import type { CredentialProvider } from './credentials.js';
import { type Endpoint, endpointsOf, type HostCapability, type HostOptions } from './endpoint.js';
import {
  DEFAULT_EXCHANGE_TIMEOUTS,
  type ExchangeAnswer,
  type ExchangeRequest,
  type ExchangeTimeouts,
  exchangeOnce,
} from './exchange.js';
import { readHostsDirectory } from './hosts-toml.js';
import { keychain } from './keychain.js';
import type { Environment } from './proxy.js';
import { statusError } from './registry-error.js';
import { checkLocation } from './trusted-url.js';

export interface RegistryOptions {
  /** Default: docker's and podman's files. `null`: nobody's. */
  readonly credentials?: CredentialProvider | null;
  /** By registry as references name it (`docker.io`, `127.0.0.1:5000`); `*` for all that are not named. */
  readonly hosts?: Readonly<Record<string, HostOptions>>;
  /** Directories in containerd's form, e.g. `/etc/containerd/certs.d`. What `hosts` names is not looked up. */
  readonly hostsDirectories?: readonly string[];
  readonly retry?: Partial<RetryPolicy>;
  readonly timeouts?: Partial<ExchangeTimeouts>;
  /** For HTTP_PROXY, HTTPS_PROXY, NO_PROXY. Default `process.env`. */
  readonly env?: Environment;
}

export interface RegistryCall {
  readonly method: ExchangeRequest['method'];
  /** Relative to the API root, or absolute (the Location of an upload). */
  readonly url: string | URL;
  readonly repository: string;
  readonly scopes: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: ExchangeRequest['body'];
  /** Statuses that are answers; every other one becomes an error. */
  readonly expect: readonly number[];
  /** Whether asking twice does no harm. Default true. */
  readonly repeatable?: boolean;
  /** Whether redirects are followed. Default: of GET and HEAD. */
  readonly followRedirects?: boolean;
  readonly signal: AbortSignal | undefined;
}

interface Connected {
  readonly authorizer: Authorizer;
  readonly connections: EndpointConnections;
  readonly blobs: HttpTransport;
}

/** A mirror that is down costs a connect timeout, but not for every blob. */
const REST_MS = 60_000;
const MAX_REDIRECTS = 5;
const EXCERPT = 64 * 1024;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

const { version } = JSON.parse(packageJson()) as { readonly version: string };
export const USER_AGENT = `seekable-oci/${version}`;

/** The package's root is one level above dist/ and two above a test build's lib/. */
function packageJson(): string {
  let directory = new URL('./', import.meta.url);
  for (;;) {
    try {
      return readFileSync(new URL('package.json', directory), 'utf8');
    } catch (error) {
      const parent = new URL('../', directory);
      if (parent.href === directory.href) {
        throw error;
      }
      directory = parent;
    }
  }
}

export class RegistryTransport {
  readonly #options: RegistryOptions;
  readonly #provider: CredentialProvider;
  readonly #timeouts: ExchangeTimeouts;
  readonly #retry: RetryPolicy;
  readonly #endpoints = new Map<string, Promise<readonly Endpoint[]>>();
  readonly #connected = new Map<Endpoint, Connected>();
  readonly #restingUntil = new Map<Endpoint, number>();
  #closed = false;

  constructor(options: RegistryOptions = {}) {
    this.#options = options;
    this.#provider = options.credentials === null ? () => undefined : (options.credentials ?? keychain());
    this.#timeouts = { ...DEFAULT_EXCHANGE_TIMEOUTS, ...options.timeouts };
    this.#retry = retryPolicy(options.retry);
  }

  /** A mirror is asked again once at most: behind it there is somebody else to ask. */
  retryPolicy(endpoint: Endpoint): RetryPolicy {
    return endpoint.mirror ? { ...this.#retry, retries: Math.min(1, this.#retry.retries) } : this.#retry;
  }

  /** Notes a failure of `endpoint`: a mirror that cannot be reached is left alone for a while. */
  failed(endpoint: Endpoint, error: unknown): void {
    const code = error instanceof SociError ? error.code : undefined;
    if (endpoint.mirror && (code === 'ERR_SOCI_HTTP_NETWORK' || code === 'ERR_SOCI_HTTP_TIMEOUT')) {
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
      throw new SociError(
        'ERR_SOCI_INVALID_ARGUMENT',
        `No configured host of ${registry} may ${capability}`,
        {
          data: { registry, capability },
        },
      );
    }
    const awake = able.filter(endpoint => (this.#restingUntil.get(endpoint) ?? 0) <= Date.now());
    return awake.length === 0 ? able : awake;
  }

  /** Sends one call to one endpoint. The answer's status is one of `call.expect`. */
  async send(endpoint: Endpoint, call: RegistryCall): Promise<ExchangeAnswer> {
    const retries = new Retries(this.retryPolicy(endpoint), call.signal ?? new AbortController().signal);
    for (;;) {
      try {
        return await this.#attempt(endpoint, call);
      } catch (error) {
        call.signal?.throwIfAborted();
        if (call.repeatable === false) {
          throw error;
        }
        await retries.pause(error, 0);
      }
    }
  }

  /** The transport on which HttpSource reads the blobs of `endpoint`. */
  blobTransport(endpoint: Endpoint): HttpTransport {
    return this.#connect(endpoint).blobs;
  }

  /** Headers for HttpSource: asked before each of its requests and after each refusal. */
  blobHeaders(endpoint: Endpoint, repository: string, scopes: readonly string[]): RequestHeaders {
    const { authorizer } = this.#connect(endpoint);
    // Each read of an HttpSource has a signal of its own, by which its refusals are matched to what it sent.
    const sent = new WeakMap<AbortSignal, string>();
    return async ({ rejected, signal }) => {
      const request = { repository, scopes, signal };
      const value =
        rejected === undefined
          ? await authorizer.authorization(request)
          : await authorizer.renew(request, {
              status: rejected.status,
              challenges: rejected.headers['www-authenticate'],
              sent: sent.get(signal),
            });
      if (value === undefined) {
        return rejected === undefined ? endpoint.headers : undefined;
      }
      sent.set(signal, value);
      return { ...endpoint.headers, authorization: value };
    };
  }

  /** Ends all connections; calls under way fail with ERR_SOCI_HTTP_NETWORK. */
  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#connected.values()];
    this.#connected.clear();
    await Promise.all(open.map(({ connections }) => connections.destroy()));
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
      const connections = new EndpointConnections(
        endpoint.root,
        endpoint.tls,
        this.#timeouts.connect,
        this.#options.env,
      );
      const authorizer = new Authorizer(endpoint, this.#provider, request =>
        this.#sendToTokenServer(connections, request),
      );
      const blobs = new HttpTransport({ dispatcher: connections, userAgent: USER_AGENT });
      connected = { authorizer, connections, blobs };
      this.#connected.set(endpoint, connected);
    }
    return connected;
  }

  async #sendToTokenServer(
    connections: EndpointConnections,
    request: ExchangeRequest,
  ): Promise<ExchangeAnswer> {
    const retries = new Retries(this.#retry, request.signal ?? new AbortController().signal);
    const headers = { 'user-agent': USER_AGENT, accept: 'application/json', ...request.headers };
    for (;;) {
      try {
        const answer = await exchangeOnce(connections, { ...request, headers }, this.#timeouts);
        if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) {
          return answer;
        }
        throw await this.#statusError(answer);
      } catch (error) {
        await retries.pause(error, 0);
      }
    }
  }

  async #attempt(endpoint: Endpoint, call: RegistryCall): Promise<ExchangeAnswer> {
    const { authorizer, connections } = this.#connect(endpoint);
    const request = { repository: call.repository, scopes: call.scopes, signal: call.signal };
    const follow = call.followRedirects ?? (call.method === 'GET' || call.method === 'HEAD');
    let url = this.#url(endpoint, call.url);
    let authorization = this.#isHome(endpoint, url) ? await authorizer.authorization(request) : undefined;
    let renewed = false;
    for (let redirects = 0; ; ) {
      const home = this.#isHome(endpoint, url);
      const headers = {
        'user-agent': USER_AGENT,
        ...call.headers,
        ...(home ? endpoint.headers : {}),
        // Only ever set while the request goes to the endpoint itself.
        ...(authorization === undefined ? {} : { authorization }),
      };
      const answer = await exchangeOnce(
        connections,
        { method: call.method, url, headers, body: call.body, signal: call.signal },
        this.#timeouts,
      );
      if (call.expect.includes(answer.status)) {
        return answer;
      }
      if (REDIRECTS.has(answer.status) && follow) {
        await answer.discard();
        const next = checkLocation(answer.header('location'), url);
        if (++redirects > MAX_REDIRECTS) {
          throw new SociError(
            'ERR_SOCI_HTTP_REDIRECT',
            `${endpoint.root.host}: more than ${MAX_REDIRECTS} redirects`,
          );
        }
        // Once another host was involved, its redirects back are not ours to authorize.
        authorization = home && this.#isHome(endpoint, next) ? authorization : undefined;
        url = next;
        continue;
      }
      const error = await this.#statusError(answer);
      if (home && !renewed && (answer.status === 401 || answer.status === 403)) {
        renewed = true;
        const refusal = {
          status: answer.status,
          challenges: answer.header('www-authenticate'),
          sent: authorization,
        };
        authorization = await authorizer.renew(request, refusal);
        if (authorization !== undefined) {
          continue;
        }
      }
      throw error;
    }
  }

  async #statusError(answer: ExchangeAnswer): Promise<SociError> {
    const { method } = answer.request;
    const body = method === 'HEAD' ? new Uint8Array() : await answer.excerpt(EXCERPT);
    if (method === 'HEAD') {
      await answer.discard();
    }
    return statusError(answer, body);
  }

  #url(endpoint: Endpoint, target: string | URL): URL {
    const url = new URL(target, endpoint.root);
    // containerd's way of telling a mirror for several registries which one is meant.
    if (endpoint.mirror && typeof target === 'string' && endpoint.root.host !== endpoint.registry) {
      url.searchParams.set('ns', endpoint.registry);
    }
    return url;
  }

  #isHome(endpoint: Endpoint, url: URL): boolean {
    return url.origin === endpoint.root.origin;
  }
}
