/**
 * The only way out: a bounded set of connections and on it the stack that every
 * request passes, composed here. Retrying is left to who asked: only the reader
 * of a body knows where to go on, and only the caller whether asking twice does
 * no harm.
 */
import type { Dispatcher } from 'undici';
import { checkInteger, checkOptions, type OptionNames } from '../../arguments.js';
import { AbortScope } from '../../async/abort-scope.js';
import { SociError } from '../../errors.js';
import { authorise } from './authorise.js';
import { exchange } from './exchange.js';
import { guard } from './guard.js';
import { type Connections, GuardedConnections } from './guarded-connections.js';
import { HostTraffic } from './host-traffic.js';
import { compose, type Send } from './message.js';
import { observe } from './observe.js';
import { redirect } from './redirect.js';
import { type HttpTimeouts, httpTimeouts } from './timeouts.js';

export interface HttpTransportOptions {
  readonly timeouts?: Partial<HttpTimeouts> | undefined;
  /** Connections per origin (default 16; of a `dispatcher`, requests at once, 256); further requests wait for one. */
  readonly connections?: number | undefined;
  readonly userAgent?: string | undefined;
  /** An undici dispatcher to use in place of own connections (a proxy, TLS settings). It is not closed by the transport. */
  readonly dispatcher?: Dispatcher | undefined;
  /** Whose requests take turns with those of this transport, host by host: `ReadContext.traffic`. Default: only its own. */
  readonly traffic?: HostTraffic | undefined;
}

const TRANSPORT_NAMES: OptionNames<HttpTransportOptions> = {
  timeouts: true,
  connections: true,
  userAgent: true,
  dispatcher: true,
  traffic: true,
};

/** Of a dispatcher that nobody has said anything about. */
const AT_ONCE = 256;

export class HttpTransport {
  readonly timeouts: HttpTimeouts;
  /** @internal Resolves with the first reply that is no redirect, whatever its status. */
  readonly send: Send;
  /** @internal */
  readonly traffic: HostTraffic;
  readonly #connections: Connections;
  /** Requests that wait or are under way. */
  readonly #requests = new AbortScope();

  /** @throws SociError ERR_SOCI_INVALID_ARGUMENT */
  constructor(options?: HttpTransportOptions);
  /** @internal On connections of another kind, which are closed with the transport. */
  constructor(options: HttpTransportOptions, connections: Connections);
  constructor(options: HttpTransportOptions = {}, given?: Connections) {
    checkOptions('HttpTransport', options, TRANSPORT_NAMES);
    const { userAgent = 'seekable-oci', traffic = new HostTraffic() } = options;
    const timeouts = httpTimeouts(options.timeouts);
    const connections = given ?? connectionsOf(options, timeouts);
    this.timeouts = timeouts;
    this.traffic = traffic;
    this.#connections = connections;
    const client = { timeouts, userAgent };
    const wire: Send = async request =>
      exchange(await connections.dispatcherFor(request.target), request, client);
    const inTurn = traffic.inTurn(connections.perOrigin, this.#requests);
    this.send = compose(wire, observe, inTurn, guard, authorise, redirect);
  }

  /** Destroys the transport's own connections; requests under way fail with ERR_SOCI_CLOSED. */
  async close(): Promise<void> {
    this.#requests.close(new SociError('ERR_SOCI_CLOSED', 'the HTTP transport is closed'));
    await this.#connections.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function connectionsOf(
  { dispatcher, connections = dispatcher ? AT_ONCE : 16 }: HttpTransportOptions,
  timeouts: HttpTimeouts,
): Connections {
  checkInteger('connections', connections, 1);
  return dispatcher
    ? { perOrigin: connections, dispatcherFor: async () => dispatcher, destroy: async () => {} }
    : new GuardedConnections(connections, timeouts.connect);
}
