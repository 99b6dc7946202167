/**
 * A bounded set of connections, and on it one logical GET: redirects followed
 * by the rules of http-target.ts, the caller's headers asked for anew with every
 * request, rejected credentials replaced once. Retrying is left to who reads
 * the body, since only the reader knows where to go on.
 */
import { Agent, type Dispatcher } from 'undici';
import { SociError } from '../errors.js';
import { HttpConnector } from './http-connector.js';
import { exchange, type HttpReply, type HttpStats, type HttpTimeouts } from './http-exchange.js';
import { followRedirect, type HttpTarget, isRedirect, redirectError } from './http-target.js';

export interface HttpTransportOptions {
  readonly timeouts?: Partial<HttpTimeouts> | undefined;
  /** Connections per origin (default 16); further requests wait for one. */
  readonly connections?: number | undefined;
  readonly userAgent?: string | undefined;
  /** An undici dispatcher to use in place of an own Agent (a proxy, TLS settings). It is not closed by the transport. */
  readonly dispatcher?: Dispatcher | undefined;
}

export interface HeadersRequest {
  /** Where the headers will be sent: always of the origin that the caller named. */
  readonly url: URL;
  /** The 401 or 403 that the previous headers got in this request; its `www-authenticate` tells what is wanted. */
  readonly rejected: { readonly status: number; readonly headers: HttpReply['headers'] } | undefined;
  readonly signal: AbortSignal;
}

/**
 * Headers for the origin of the caller's URL (they never reach another one), or
 * a function that is asked before each request. After a 401 or 403 it is asked
 * once more; undefined then means that there are no better ones.
 */
export type RequestHeaders =
  | Readonly<Record<string, string>>
  | ((request: HeadersRequest) => HeadersAnswer | Promise<HeadersAnswer>);

type HeadersAnswer = Readonly<Record<string, string>> | undefined;

export interface HttpRequest {
  /** Headers that go to every origin: range, if-range. They win over the caller's. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly callerHeaders?: RequestHeaders | undefined;
  readonly signal: AbortSignal;
  /** See HttpTimeouts.request. */
  readonly limitTotalTime: boolean;
  readonly stats: HttpStats;
}

export interface HttpAnswer {
  readonly reply: HttpReply;
  /** Where the reply came from, redirects followed. */
  readonly target: HttpTarget;
}

export const DEFAULT_TIMEOUTS: HttpTimeouts = {
  connect: 10_000,
  headers: 30_000,
  bodyIdle: 30_000,
  request: 300_000,
};

const MAX_REDIRECTS = 10;

export class HttpTransport {
  readonly timeouts: HttpTimeouts;
  readonly #dispatcher: Dispatcher;
  /** Undefined with a dispatcher of the caller's. */
  readonly #connector: HttpConnector | undefined;
  readonly #userAgent: string;

  constructor(options: HttpTransportOptions = {}) {
    const { dispatcher, connections = 16, userAgent = 'seekable-oci' } = options;
    if (!Number.isInteger(connections) || connections < 1) {
      throw new SociError(
        'ERR_SOCI_INVALID_ARGUMENT',
        `connections must be a positive integer, got ${connections}`,
      );
    }
    this.timeouts = checkedTimeouts(options.timeouts ?? {});
    this.#userAgent = userAgent;
    if (dispatcher) {
      this.#dispatcher = dispatcher;
    } else {
      this.#connector = new HttpConnector(this.timeouts.connect);
      this.#dispatcher = new Agent({ connections, connect: this.#connector.connect });
    }
  }

  /** Resolves with the first reply that is no redirect, whatever its status. */
  async request(start: HttpTarget, request: HttpRequest): Promise<HttpAnswer> {
    let target = start;
    let redirects = 0;
    let replacement: HeadersAnswer;
    let replaced = false;
    for (;;) {
      const callerHeaders = target.trusted
        ? (replacement ?? (await headersFor(target, request, undefined)))
        : undefined;
      const reply = await exchange(this.#dispatcher, {
        url: target.url,
        headers: this.#headers(target, request, callerHeaders),
        signal: request.signal,
        timeouts: this.timeouts,
        limitTotalTime: request.limitTotalTime,
        stats: request.stats,
      });
      if (isRedirect(reply.status)) {
        await reply.discard();
        redirects += 1;
        request.stats.redirects += 1;
        if (redirects > MAX_REDIRECTS) throw redirectError(start, `more than ${MAX_REDIRECTS} in a row`);
        target = followRedirect(target, reply.header('location'));
        replacement = undefined;
        continue;
      }
      if (isRejection(reply.status) && target.trusted && !replaced) {
        replaced = true;
        replacement = await this.#replacementFor(target, request, reply);
        if (replacement) {
          await reply.discard();
          continue;
        }
      }
      return { reply, target };
    }
  }

  /** Destroys the transport's own connections; requests under way fail with ERR_SOCI_CLOSED. */
  async close(): Promise<void> {
    if (!this.#connector) return;
    const destroyed = this.#dispatcher.destroy();
    this.#connector.cancel();
    await destroyed;
  }

  #headers(target: HttpTarget, request: HttpRequest, callerHeaders: HeadersAnswer): Record<string, string> {
    const headers: Record<string, string> = { 'user-agent': this.#userAgent };
    if (target.authorization !== undefined) headers['authorization'] = target.authorization;
    for (const [name, value] of Object.entries(callerHeaders ?? {})) headers[name.toLowerCase()] = value;
    // A transfer encoding chosen on the way would make byte offsets meaningless.
    headers['accept-encoding'] = 'identity';
    return Object.assign(headers, request.headers);
  }

  async #replacementFor(target: HttpTarget, request: HttpRequest, reply: HttpReply): Promise<HeadersAnswer> {
    if (typeof request.callerHeaders !== 'function') return undefined;
    try {
      return await headersFor(target, request, { status: reply.status, headers: reply.headers });
    } catch (error) {
      reply.destroy();
      throw error;
    }
  }
}

function isRejection(status: number): boolean {
  return status === 401 || status === 403;
}

async function headersFor(
  target: HttpTarget,
  request: HttpRequest,
  rejected: HeadersRequest['rejected'],
): Promise<HeadersAnswer> {
  const { callerHeaders, signal } = request;
  if (typeof callerHeaders !== 'function') return callerHeaders;
  const answer = callerHeaders({ url: new URL(target.url), rejected, signal });
  return answer instanceof Promise ? orAborted(answer, signal) : answer;
}

/** A callback that ignores its signal must not keep an aborted read waiting. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  });
}

function checkedTimeouts(given: Partial<HttpTimeouts>): HttpTimeouts {
  const timeouts: { -readonly [phase in keyof HttpTimeouts]: number } = { ...DEFAULT_TIMEOUTS };
  for (const phase of ['connect', 'headers', 'bodyIdle', 'request'] as const) {
    const ms = given[phase];
    if (ms === undefined) continue;
    // setTimeout turns anything beyond 31 bits into 1 ms.
    if (!Number.isInteger(ms) || ms < 1 || ms > 0x7fffffff) {
      throw new SociError(
        'ERR_SOCI_INVALID_ARGUMENT',
        `the ${phase} timeout must be an integer of 1 to 2147483647 ms, got ${ms}`,
      );
    }
    timeouts[phase] = ms;
  }
  return timeouts;
}
