/**
 * One request and its reply on the wire. Sits on undici's `dispatch` instead of
 * its streams: body chunks go straight into the reader's buffer, which is twice
 * as fast, and every timer starts and stops exactly where it should (undici's
 * own are coarse and also run for replies nobody is waiting for).
 */
import type { Dispatcher } from 'undici';
import { addAbortListener, removeAbortListener } from '../../async/abort-listeners.js';
import { SociError } from '../../errors.js';
import { type HttpPhase, httpError, networkError, timeoutError } from './http-error.js';
import type { HttpMethod, HttpReply, HttpRequest, ReplyHeaders } from './message.js';
import { Preempted } from './preempted.js';
import { contentLength } from './reply-check.js';
import { timedBody } from './request-body.js';
import type { HttpTimeouts } from './timeouts.js';

const QUEUE_LIMIT = 256 * 1024;
const DISCARD_LIMIT = 4 * 1024;

/** @throws SociError ERR_SOCI_HTTP_NETWORK, …_TIMEOUT, or the signal's reason. */
export function exchange(dispatcher: Dispatcher, request: HttpRequest, client: Client): Promise<HttpReply> {
  if (request.signal.aborted) return Promise.reject(request.signal.reason);
  return new Promise((resolve, reject) => {
    const handler = new Exchange(request, client, { resolve, reject });
    handler.start(dispatcher);
  });
}

/** What is the same for all requests of a client. */
interface Client {
  readonly timeouts: HttpTimeouts;
  /** Sent unless a request has its own. */
  readonly userAgent: string;
}

interface Settle {
  resolve(reply: HttpReply): void;
  reject(error: unknown): void;
}

class Exchange implements Dispatcher.DispatchHandler, HttpReply {
  readonly request: HttpRequest;
  status = 0;
  headers: ReplyHeaders = {};

  readonly #timeouts: HttpTimeouts;
  readonly #userAgent: string;
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
  #reply: Settle | undefined;
  #sink: ((chunk: Uint8Array) => void) | undefined;
  #waiter: (() => void) | undefined;
  #phaseTimer: NodeJS.Timeout | undefined;
  #silenceTimer: NodeJS.Timeout | undefined;
  #totalTimer: NodeJS.Timeout | undefined;

  constructor(request: HttpRequest, { timeouts, userAgent }: Client, settle: Settle) {
    this.request = request;
    this.#timeouts = timeouts;
    this.#userAgent = userAgent;
    this.#reply = settle;
    this.#onAbort = () => this.#fail(request.signal.reason);
  }

  start(dispatcher: Dispatcher): void {
    const { method, headers, body, signal } = this.request;
    addAbortListener(signal, this.#onAbort);
    // A reply may come before all of the body was sent: from then on, the phase is another.
    const replyIsDue = (): boolean => this.status === 0 && !this.#failure;
    const clock = {
      start: () => replyIsDue() && this.#startPhase('headers', this.#timeouts.upload),
      stop: () => replyIsDue() && this.#stopPhase(),
    };
    this.#listenForSilence();
    try {
      dispatcher.dispatch(
        {
          origin: this.url.origin,
          path: this.url.pathname + this.url.search,
          method,
          headers: { 'user-agent': this.#userAgent, ...headers },
          body: body === undefined ? null : (timedBody(body, clock) as Uint8Array),
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        this,
      );
    } catch (error) {
      this.#fail(networkError(this, error as Error, undefined, this.#timeouts.connect));
    }
  }

  get method(): HttpMethod {
    return this.request.method;
  }

  get url(): URL {
    return this.request.target.url;
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
    const { headers, upload } = this.#timeouts;
    this.#startPhase('headers', this.request.body === undefined ? headers : upload);
    // How long a body may take on its way out depends on its length.
    if (this.request.body === undefined) this.#startTotal();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ReplyHeaders): void {
    // Interim replies do not restart the timer: a server may send any number of them.
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    this.#startPhase('body', this.#timeouts.bodyIdle);
    if (this.request.body !== undefined) this.#startTotal();
    this.request.watcher?.answered(this);
    const reply = this.#reply;
    this.#reply = undefined;
    reply?.resolve(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#failure) return;
    this.#received += chunk.length;
    this.request.watcher?.received(chunk.length);
    this.#phaseTimer?.refresh();
    this.#silenceTimer?.refresh();
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
    this.#fail(networkError(this, error, progress, this.#timeouts.connect));
  }

  // --- the reader's side ---------------------------------------------------

  async readInto(target: Uint8Array, onBytes: (length: number) => void): Promise<void> {
    const expected = target.length;
    let filled = 0;
    await this.#readAll(chunk => {
      if (chunk.length > expected - filled) {
        const what = `the body is longer than ${expected} bytes`;
        return httpError('ERR_SOCI_HTTP_RANGE', this, what, { expected });
      }
      target.set(chunk, filled);
      filled += chunk.length;
      onBytes(chunk.length);
      return undefined;
    });
  }

  async bytes(limit: number): Promise<Uint8Array> {
    const declared = this.method === 'HEAD' ? 0 : (contentLength(this) ?? 0);
    const chunks: Uint8Array[] = [];
    let length = 0;
    const tooLong = (): SociError =>
      httpError('ERR_SOCI_LIMIT', this, `the answer is longer than ${limit} bytes`, { limit });
    if (declared > limit) {
      this.destroy();
      throw tooLong();
    }
    try {
      await this.#readAll(chunk => {
        length += chunk.length;
        chunks.push(chunk);
        return length > limit ? tooLong() : undefined;
      });
    } catch (error) {
      // Short of an object is what a source can be; an answer that breaks off is the network's failure.
      if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_SOURCE_SHORT') throw error;
      const { reason } = error.data;
      const what = `the body ended too early, after ${length} bytes`;
      throw httpError('ERR_SOCI_HTTP_NETWORK', this, what, { reason });
    }
    return Buffer.concat(chunks, length);
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

  /** Hands out the body as it arrives, until its end or until `take` refuses a piece of it. */
  async #readAll(take: (chunk: Uint8Array) => SociError | undefined): Promise<void> {
    let refusal: SociError | undefined;
    this.#consume(chunk => {
      if (refusal) return;
      refusal = take(chunk);
      if (refusal) this.destroy();
    });
    while (refusal === undefined && !this.#settled()) await this.#wait();
    if (refusal) throw refusal;
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
    this.#startPhase('body', this.#timeouts.bodyIdle);
    this.#controller.resume();
  }

  // --- ending --------------------------------------------------------------

  #fail(error: unknown): void {
    if (this.#complete || this.#failure) return;
    this.#failure = { error };
    // What was broken off for something more urgent is gone on with where its bytes end.
    if (this.request.signal.aborted && !(error instanceof Preempted)) this.#queue = [];
    this.#release();
    this.#controller?.abort(asError(error));
    const reply = this.#reply;
    this.#reply = undefined;
    reply?.reject(error);
    this.#wake();
  }

  #timedOut(phase: HttpPhase, ms: number): void {
    this.#fail(timeoutError(this, phase, ms));
  }

  #startPhase(phase: 'headers' | 'body', ms: number): void {
    this.#stopPhase();
    this.#phaseTimer = setTimeout(() => this.#timedOut(phase, ms), ms);
    this.#listenForSilence();
  }

  /** Whoever watches is told when nothing has arrived for a while, once for each such while. */
  #listenForSilence(): void {
    const silence = this.request.watcher?.silence;
    if (silence === undefined) return;
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(silence.tell, silence.after);
  }

  #stopPhase(): void {
    clearTimeout(this.#phaseTimer);
    clearTimeout(this.#silenceTimer);
    this.#phaseTimer = undefined;
    this.#silenceTimer = undefined;
  }

  #startTotal(): void {
    if (!this.request.limitTotalTime) return;
    const { request } = this.#timeouts;
    clearTimeout(this.#totalTimer);
    this.#totalTimer = setTimeout(() => this.#timedOut('request', request), request);
  }

  #release(): void {
    this.#stopPhase();
    clearTimeout(this.#totalTimer);
    removeAbortListener(this.request.signal, this.#onAbort);
    this.request.watcher?.ended(this.status === 0 ? undefined : this.status, this.#received, this.#failure);
  }
}

/** undici wants an Error to abort with; an abort reason may be anything. */
function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}
