/**
 * What passes through the HTTP stack: a request on its way down, its reply on
 * the way up. Every interceptor is a function of the next one, like undici's;
 * http-transport.ts composes them.
 */
import type { Urgency } from '../lanes.js';
import type { HttpTarget } from './target.js';

export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** A function gives the body anew for every attempt. With either, say its length in `content-length`. */
export type HttpBody = Uint8Array | (() => AsyncIterable<Uint8Array>);

export type ReplyHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface HeadersRequest {
  /** Where the headers will be sent: always of the origin that the caller named. */
  readonly url: URL;
  /** The 401 or 403 that the previous headers got in this request; its `www-authenticate` tells what is wanted. */
  readonly rejected:
    | {
        readonly status: number;
        readonly headers: ReplyHeaders;
        /** The headers that were rejected. */
        readonly sent: HeadersAnswer;
      }
    | undefined;
  readonly signal: AbortSignal;
}

export type HeadersAnswer = Readonly<Record<string, string>> | undefined;

/**
 * Headers for the origin of the caller's URL (they never reach another one), or
 * a function that is asked before each request. After a 401 or 403 it is asked
 * once more; undefined then means that there are no better ones.
 */
export type RequestHeaders =
  | Readonly<Record<string, string>>
  | ((request: HeadersRequest) => HeadersAnswer | Promise<HeadersAnswer>);

/** Counted while it happens; body bytes include those of error replies. */
export interface HttpStats {
  requests: number;
  bytes: number;
  retries: number;
  redirects: number;
}

/** Told what comes of a request that was sent. */
export interface ReplyWatcher {
  /** Called when nothing has arrived for `after` ms although it is waited for; undefined when nobody wants to know. */
  readonly silence: { readonly after: number; readonly tell: () => void } | undefined;
  /** The reply's header has arrived. */
  answered(reply: HttpReply): void;
  /** Bytes of the body have arrived. */
  received(length: number): void;
  /**
   * The body has ended, or failed with what it failed with; no status means that there was no reply. Called once,
   * unless nothing was sent.
   */
  ended(status: number | undefined, bytes: number, failure?: { readonly error: unknown }): void;
}

/** Told of the way out of a request, and of those that redirects and rejected headers make of it. */
export interface Departure {
  /** It waits for its turn at its host. */
  waits(): void;
  /** It leaves. */
  leaves(): void;
}

export interface HttpRequest {
  readonly method: HttpMethod;
  readonly target: HttpTarget;
  /** Names in lower case. They go to every origin and win over the caller's. */
  readonly headers: Readonly<Record<string, string>>;
  /** The caller's headers. */
  readonly credentials?: RequestHeaders | undefined;
  readonly body?: HttpBody | undefined;
  /** Default 'follow'. */
  readonly redirects?: 'follow' | 'return' | undefined;
  /** Whether HttpTimeouts.request holds. */
  readonly limitTotalTime: boolean;
  /** Default: that of somebody who waits. A less urgent one may be broken off with `Preempted`. */
  readonly urgency?: Urgency | undefined;
  /** Bytes of the body that are asked for, where they are known. */
  readonly expected?: number | undefined;
  /** ms that whoever sends it would wait when told to (Retry-After). Default: that of the default policy. */
  readonly maxRetryAfter?: number | undefined;
  /** What becomes of it when its host has no room for it now: 'fail' with `NoRoom`. Default 'wait'. */
  readonly ifFull?: 'wait' | 'fail' | undefined;
  readonly departure?: Departure | undefined;
  readonly signal: AbortSignal;
  readonly stats?: HttpStats | undefined;
  readonly watcher?: ReplyWatcher | undefined;
}

/** A reply whose header has arrived. Its body must be read, discarded or destroyed. */
export interface HttpReply {
  /** As it was sent: to where redirects led, with the caller's headers. */
  readonly request: HttpRequest;
  readonly method: HttpMethod;
  readonly url: URL;
  readonly status: number;
  readonly headers: ReplyHeaders;
  /** A header's value; values of a repeated header joined with ', ' (RFC 9110 §5.3). */
  header(name: string): string | undefined;
  /**
   * Writes the body to the start of `target`; resolves at the body's end, which
   * may come before `target` is full.
   *
   * @param onBytes called with the length of each piece once it is in `target`
   * @throws SociError ERR_SOCI_HTTP_RANGE, with the connection destroyed, when the body is longer.
   */
  readInto(target: Uint8Array, onBytes: (length: number) => void): Promise<void>;
  /** The body with backpressure: at most 256 KiB wait in memory. */
  chunks(): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * All of the body.
   *
   * @throws SociError ERR_SOCI_LIMIT, with the connection destroyed, when it is longer than `limit` bytes.
   */
  bytes(limit: number): Promise<Uint8Array>;
  /**
   * Lets a short rest of the body arrive, so that the connection can be used
   * again; destroys it otherwise. Waits only if the body is there already, for
   * the connection to be free.
   */
  discard(): Promise<void>;
  /** Closes the connection unless the body has ended. */
  destroy(): void;
}

/** @throws SociError ERR_SOCI_HTTP_…, or the signal's reason. */
export type Send = (request: HttpRequest) => Promise<HttpReply>;

export type Interceptor = (next: Send) => Send;

/** `send` inside of the interceptors, the last of which is the first to see a request. */
export function compose(send: Send, ...interceptors: readonly Interceptor[]): Send {
  return interceptors.reduce((next, interceptor) => interceptor(next), send);
}
