/**
 * One request and its reply on the wire. Sits on undici's `dispatch` instead of
 * its streams: body chunks go straight into the reader's buffer, which is twice
 * as fast, and every timer starts and stops exactly where it should (undici's
 * own are coarse and also run for replies nobody is waiting for).
 */
import type { Dispatcher } from 'undici';
import { SociError } from '../errors.js';
import { publish } from '../observe/channels.js';
import { type HttpPhase, httpError, networkError, timeoutError } from './http-error.js';
import { redactUrl } from './redact.js';

export interface HttpTimeouts {
  /** ms until a TCP (and TLS) connection stands. */
  readonly connect: number;
  /** ms from sending the request to the reply's header. */
  readonly headers: number;
  /** ms without a byte of the body while somebody waits for one. */
  readonly bodyIdle: number;
  /** ms for a ranged request as a whole, so that a dripping server ends too. Not for whole-object streams. */
  readonly request: number;
}

/** Counted while it happens; body bytes include those of error replies. */
export interface HttpStats {
  requests: number;
  bytes: number;
  retries: number;
  redirects: number;
}

export interface ExchangeOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly timeouts: HttpTimeouts;
  readonly limitTotalTime: boolean;
  readonly stats: HttpStats;
}

/** A reply whose header has arrived. Its body must be read, discarded or destroyed. */
export interface HttpReply {
  readonly url: URL;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
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
   * Lets a short rest of the body arrive, so that the connection can be used
   * again; destroys it otherwise. Waits only if the body is there already, for
   * the connection to be free.
   */
  discard(): Promise<void>;
  /** Closes the connection unless the body has ended. */
  destroy(): void;
}

const QUEUE_LIMIT = 256 * 1024;
const DISCARD_LIMIT = 4 * 1024;

/** @throws SociError ERR_SOCI_HTTP_NETWORK, …_TIMEOUT, or the signal's reason. */
export function exchange(dispatcher: Dispatcher, options: ExchangeOptions): Promise<HttpReply> {
  if (options.signal.aborted) return Promise.reject(options.signal.reason);
  return new Promise((resolve, reject) => {
    const handler = new Exchange(options, resolve, reject);
    handler.start(dispatcher);
  });
}

class Exchange implements Dispatcher.DispatchHandler, HttpReply {
  readonly url: URL;
  status = 0;
  headers: Readonly<Record<string, string | string[] | undefined>> = {};

  readonly #options: ExchangeOptions;
  readonly #startedAt = performance.now();
  readonly #onAbort: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #received = 0;
  #discardable = 0;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** The body has arrived: nothing can fail any more. */
  #complete = false;
  /** …and the connection can take the next request. */
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #reply: { resolve(reply: HttpReply): void; reject(error: unknown): void } | undefined;
  #sink: ((chunk: Uint8Array) => void) | undefined;
  #waiter: (() => void) | undefined;
  #phaseTimer: NodeJS.Timeout | undefined;
  #totalTimer: NodeJS.Timeout | undefined;

  constructor(
    options: ExchangeOptions,
    resolve: (reply: HttpReply) => void,
    reject: (error: unknown) => void,
  ) {
    this.url = options.url;
    this.#options = options;
    this.#reply = { resolve, reject };
    this.#onAbort = () => this.#fail(options.signal.reason);
  }

  start(dispatcher: Dispatcher): void {
    const { url, signal, headers, stats, timeouts } = this.#options;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    stats.requests += 1;
    const path = url.pathname + url.search;
    try {
      dispatcher.dispatch(
        {
          origin: url.origin,
          path,
          method: 'GET',
          headers: { ...headers },
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        this,
      );
    } catch (error) {
      this.#fail(networkError(url, error as Error, undefined, timeouts.connect));
    }
  }

  header(name: string): string | undefined {
    const value = this.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  // --- undici's side -------------------------------------------------------

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure) {
      controller.abort(asError(this.#failure.error));
      return;
    }
    const { timeouts, limitTotalTime } = this.#options;
    this.#startPhase('headers', timeouts.headers);
    if (limitTotalTime) {
      clearTimeout(this.#totalTimer);
      this.#totalTimer = setTimeout(() => this.#timedOut('request', timeouts.request), timeouts.request);
    }
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // Interim replies do not restart the timer: a server may send any number of them.
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    this.#startPhase('body', this.#options.timeouts.bodyIdle);
    const reply = this.#reply;
    this.#reply = undefined;
    reply?.resolve(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#failure) return;
    this.#received += chunk.length;
    this.#options.stats.bytes += chunk.length;
    this.#phaseTimer?.refresh();
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    if (this.#sink) {
      this.#sink(bytes);
      return;
    }
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#queued >= QUEUE_LIMIT) {
      controller.pause();
      this.#stopPhase();
    }
    this.#wake();
  }

  onResponseEnd(): void {
    if (this.#failure) return;
    this.#complete = true;
    this.#release();
    // undici frees the connection in a setImmediate that it queues right after this call. A reader
    // that went on earlier would open a second connection for every pair of reads.
    queueMicrotask(() =>
      setImmediate(() => {
        this.#ended = true;
        this.#wake();
      }),
    );
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const progress = this.status === 0 ? undefined : this.#received;
    this.#fail(networkError(this.url, error, progress, this.#options.timeouts.connect));
  }

  // --- the reader's side ---------------------------------------------------

  async readInto(target: Uint8Array, onBytes: (length: number) => void): Promise<void> {
    let filled = 0;
    let overflow: SociError | undefined;
    this.#consume(chunk => {
      if (overflow) return;
      if (chunk.length > target.length - filled) {
        overflow = httpError(
          'ERR_SOCI_HTTP_RANGE',
          this.url,
          `the body is longer than ${target.length} bytes`,
          { expected: target.length },
        );
        this.destroy();
        return;
      }
      target.set(chunk, filled);
      filled += chunk.length;
      onBytes(chunk.length);
    });
    while (overflow === undefined && !this.#settled()) await this.#wait();
    if (overflow) throw overflow;
  }

  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const chunk = this.#queue.shift();
        if (chunk) {
          this.#queued -= chunk.length;
          if (this.#queued < QUEUE_LIMIT) this.#resume();
          yield chunk;
        } else if (this.#settled()) {
          return;
        } else {
          await this.#wait();
        }
      }
    } finally {
      this.destroy();
    }
  }

  async discard(): Promise<void> {
    this.#consume(chunk => {
      this.#discardable += chunk.length;
      if (this.#discardable > DISCARD_LIMIT) this.destroy();
    });
    while (this.#complete && !this.#ended) await this.#wait();
  }

  destroy(): void {
    if (!this.#complete) this.#fail(new SociError('ERR_SOCI_CLOSED', 'the reply was not read to its end'));
  }

  #consume(sink: (chunk: Uint8Array) => void): void {
    this.#sink = sink;
    const waiting = this.#queue;
    this.#queue = [];
    this.#queued = 0;
    for (const chunk of waiting) {
      if (!this.#failure) sink(chunk);
    }
    this.#resume();
  }

  /** The body has ended; a failure is thrown once all that came before it has been handed out. */
  #settled(): boolean {
    if (this.#failure) throw this.#failure.error;
    return this.#ended;
  }

  #wait(): Promise<void> {
    return new Promise(resolve => {
      this.#waiter = resolve;
    });
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
  }

  #resume(): void {
    if (this.#complete || this.#failure || !this.#controller?.paused) return;
    this.#startPhase('body', this.#options.timeouts.bodyIdle);
    this.#controller.resume();
  }

  // --- ending --------------------------------------------------------------

  #fail(error: unknown): void {
    if (this.#complete || this.#failure) return;
    this.#failure = { error };
    if (this.#options.signal.aborted) this.#queue = [];
    this.#release();
    this.#controller?.abort(asError(error));
    const reply = this.#reply;
    this.#reply = undefined;
    reply?.reject(error);
    this.#wake();
  }

  #timedOut(phase: HttpPhase, ms: number): void {
    this.#fail(timeoutError(this.url, phase, ms));
  }

  #startPhase(phase: 'headers' | 'body', ms: number): void {
    clearTimeout(this.#phaseTimer);
    this.#phaseTimer = setTimeout(() => this.#timedOut(phase, ms), ms);
  }

  #stopPhase(): void {
    clearTimeout(this.#phaseTimer);
    this.#phaseTimer = undefined;
  }

  #release(): void {
    this.#stopPhase();
    clearTimeout(this.#totalTimer);
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    publish('seekable-oci:http:request', () => ({
      method: 'GET',
      url: redactUrl(this.url),
      range: this.#options.headers['range'],
      status: this.status === 0 ? undefined : this.status,
      bytes: this.#received,
      ms: performance.now() - this.#startedAt,
    }));
  }
}

/** undici wants an Error to abort with; an abort reason may be anything. */
function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
