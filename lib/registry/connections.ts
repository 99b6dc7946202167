/**
 * The connections of one endpoint. Everything reached on its behalf, redirect
 * targets and token servers included, goes through here, so that proxies, extra
 * authorities and the ban on addresses that are nobody else's hold for all of it, while its
 * client certificate and skipVerify hold for its own host only.
 */
import type { LookupFunction } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

import { Agent, Dispatcher, ProxyAgent } from 'undici';

import { forbiddenHost } from '../source/forbidden-host.js';
import type { TlsOptions } from './endpoint.js';
import { guardedLookup } from './guarded-lookup.js';
import { type Environment, proxyFor } from './proxy.js';

interface ConnectOptions {
  readonly timeout: number;
  readonly lookup: LookupFunction;
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized?: false;
}

const MAX_CONNECTIONS = 32;

function secureContext(tls: TlsOptions, withClient: boolean): SecureContext | undefined {
  const client = withClient ? tls.clientCertificate : undefined;
  if (tls.ca === undefined && client === undefined) {
    return undefined;
  }
  const extra = tls.ca === undefined ? [] : typeof tls.ca === 'string' ? [tls.ca] : tls.ca;
  return createSecureContext({
    ...(extra.length === 0 ? {} : { ca: [...rootCertificates, ...extra] }),
    ...(client === undefined ? {} : { cert: client.cert, key: client.key }),
  });
}

export class EndpointConnections extends Dispatcher {
  readonly #home: URL;
  readonly #env: Environment;
  readonly #own: ConnectOptions;
  readonly #foreign: ConnectOptions;
  readonly #agents = new Map<string, Dispatcher>();

  /** @param connectTimeout Milliseconds until TCP and TLS stand. */
  constructor(home: URL, tls: TlsOptions, connectTimeout: number, env: Environment = process.env) {
    super();
    this.#home = home;
    this.#env = env;
    const base = { timeout: connectTimeout, lookup: guardedLookup(home) };
    const own = secureContext(tls, true);
    const foreign = secureContext(tls, false);
    this.#own = {
      ...base,
      ...(own === undefined ? {} : { secureContext: own }),
      ...(tls.skipVerify === true ? { rejectUnauthorized: false } : {}),
    };
    this.#foreign = { ...base, ...(foreign === undefined ? {} : { secureContext: foreign }) };
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const origin = new URL(String(options.origin));
    const own = origin.hostname === this.#home.hostname;
    const forbidden = forbiddenHost(origin, this.#home);
    if (forbidden !== undefined) {
      throw new Error(`${origin.host} is ${forbidden}`);
    }
    return this.#agent(own, proxyFor(origin, this.#env)).dispatch(options, handler);
  }

  override async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map(agent => agent.close()));
  }

  override async destroy(): Promise<void> {
    await Promise.all([...this.#agents.values()].map(agent => agent.destroy()));
  }

  #agent(own: boolean, proxy: URL | undefined): Dispatcher {
    const key = `${own} ${proxy?.href ?? ''}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const connect = own ? this.#own : this.#foreign;
      agent =
        proxy === undefined
          ? new Agent({ connections: MAX_CONNECTIONS, connect })
          : new ProxyAgent({ uri: proxy.href, connections: MAX_CONNECTIONS, requestTls: connect });
      this.#agents.set(key, agent);
    }
    return agent;
  }
}
