/**
 * The connections of one endpoint. Everything reached on its behalf, redirect
 * targets and token servers included, goes through here, so that proxies, extra
 * authorities and the ban on addresses that are nobody else's hold for all of it, while its
 * client certificate and skipVerify hold for its own host only.
 */
import type { LookupFunction } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

import type { Dispatcher } from 'undici';

import type { Connections } from '../source/http/guarded-connections.js';
import { guardedLookup } from '../source/http/guarded-lookup.js';
import { HttpAgent } from '../source/http/http-agent.js';
import type { HttpTarget } from '../source/http/target.js';
import { undiciParts } from '../source/http/undici-parts.js';
import type { Endpoint, TlsOptions } from './endpoint.js';
import { type Environment, proxyFor } from './proxy.js';

interface ConnectOptions {
  readonly timeout: number;
  readonly lookup: LookupFunction;
  readonly secureContext?: SecureContext;
  readonly rejectUnauthorized?: false;
}

const MAX_CONNECTIONS = 32;

type Client = TlsOptions['clientCertificate'];

function secureContext(tls: TlsOptions, client?: Client): SecureContext | undefined {
  if (tls.ca === undefined && client === undefined) {
    return undefined;
  }
  const extra = tls.ca === undefined ? [] : typeof tls.ca === 'string' ? [tls.ca] : tls.ca;
  return createSecureContext({
    ...(extra.length === 0 ? {} : { ca: [...rootCertificates, ...extra] }),
    ...(client === undefined ? {} : { cert: client.cert, key: client.key }),
  });
}

export class EndpointConnections implements Connections {
  readonly perOrigin = MAX_CONNECTIONS;
  readonly #home: URL;
  readonly #env: Environment;
  readonly #own: ConnectOptions;
  readonly #foreign: ConnectOptions;
  readonly #agents = new Map<string, Agent>();
  #destroyed = false;

  /** @param connectTimeout Milliseconds until TCP and TLS stand. */
  constructor(
    { root, tls }: Pick<Endpoint, 'root' | 'tls'>,
    connectTimeout: number,
    env: Environment = process.env,
  ) {
    this.#home = root;
    this.#env = env;
    const base = { timeout: connectTimeout, lookup: guardedLookup(root) };
    const own = secureContext(tls, tls.clientCertificate);
    const foreign = secureContext(tls);
    this.#own = {
      ...base,
      ...(own === undefined ? {} : { secureContext: own }),
      ...(tls.skipVerify === true ? { rejectUnauthorized: false } : {}),
    };
    this.#foreign = { ...base, ...(foreign === undefined ? {} : { secureContext: foreign }) };
  }

  async dispatcherFor({ url }: HttpTarget): Promise<Dispatcher> {
    const own = url.hostname === this.#home.hostname;
    const proxy = proxyFor(url, this.#env);
    const makeAgent = await agentMaker(proxy);
    const key = `${own} ${proxy?.href ?? ''}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = makeAgent(own ? this.#own : this.#foreign);
      this.#agents.set(key, agent);
      // It was destroyed while undici was loaded: this one fails like all others.
      if (this.#destroyed) void agent.destroy();
    }
    return agent.dispatcher;
  }

  async destroy(): Promise<void> {
    this.#destroyed = true;
    await Promise.all(Array.from(this.#agents.values(), agent => agent.destroy()));
  }
}

type Agent = Pick<HttpAgent, 'destroy'> & { readonly dispatcher: Dispatcher };

/** Loads what agents are made of: for a proxy all of undici. */
async function agentMaker(proxy: URL | undefined): Promise<(connect: ConnectOptions) => Agent> {
  if (proxy === undefined) {
    const parts = await undiciParts();
    return connect => new HttpAgent(parts, MAX_CONNECTIONS, connect);
  }
  const { ProxyAgent } = await import('undici');
  return connect => {
    const dispatcher = new ProxyAgent({
      uri: proxy.href,
      connections: MAX_CONNECTIONS,
      requestTls: connect,
    });
    return { dispatcher, destroy: () => dispatcher.destroy() };
  };
}
