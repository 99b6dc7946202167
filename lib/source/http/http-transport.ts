/**
 * The only way out: a bounded set of connections and on it the stack that every
 * request passes, composed here. Retrying is left to who asked: only the reader
 * of a body knows where to go on, and only the caller whether asking twice does
 * no harm.
 */
import type { Dispatcher } from 'undici';
import { checkInteger, checkOptions, type OptionNames } from '../../arguments.js';
import { authorise } from './authorise.js';
import { exchange } from './exchange.js';
import { guard } from './guard.js';
import { type Connections, GuardedConnections } from './guarded-connections.js';
import { compose, type Send } from './message.js';
import { observe } from './observe.js';
import { redirect } from './redirect.js';
import { type HttpTimeouts, httpTimeouts } from './timeouts.js';

export interface HttpTransportOptions {
  readonly timeouts?: Partial<HttpTimeouts> | undefined;
  /** Connections per origin (default 16); further requests wait for one. */
  readonly connections?: number | undefined;
  readonly userAgent?: string | undefined;
  /** An undici dispatcher to use in place of own connections (a proxy, TLS settings). It is not closed by the transport. */
  readonly dispatcher?: Dispatcher | undefined;
}

const TRANSPORT_NAMES: OptionNames<HttpTransportOptions> = {
  timeouts: true,
  connections: true,
  userAgent: true,
  dispatcher: true,
};

export class HttpTransport {
  readonly timeouts: HttpTimeouts;
  /** @internal Resolves with the first reply that is no redirect, whatever its status. */
  readonly send: Send;
  readonly #connections: Connections;

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
  constructor(options?: HttpTransportOptions);
  /** @internal On connections of another kind, which are closed with the transport. */
  constructor(options: HttpTransportOptions, connections: Connections);
  constructor(options: HttpTransportOptions = {}, given?: Connections) {
    checkOptions('HttpTransport', options, TRANSPORT_NAMES);
    const { userAgent = 'seekable-oci' } = options;
    const timeouts = httpTimeouts(options.timeouts);
    const connections = given ?? connectionsOf(options, timeouts);
    this.timeouts = timeouts;
    this.#connections = connections;
    const client = { timeouts, userAgent };
    const wire: Send = async request =>
      exchange(await connections.dispatcherFor(request.target), request, client);
    this.send = compose(wire, observe, guard, authorise, redirect);
  }

  /** Destroys the transport's own connections; requests under way fail with ERR_SOCI_CLOSED. */
  async close(): Promise<void> {
    await this.#connections.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function connectionsOf(
  { dispatcher, connections = 16 }: HttpTransportOptions,
  timeouts: HttpTimeouts,
): Connections {
  checkInteger('connections', connections, 1);
  return dispatcher
    ? { dispatcherFor: async () => dispatcher, destroy: async () => {} }
    : new GuardedConnections(connections, timeouts.connect);
}
