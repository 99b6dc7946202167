/**
 * One request to a registry and its answer, for everything but the bulk bytes of
 * blobs (those go through HttpSource). No retries, no redirects, no
 * credentials: the layers above add them.
 */
import { type Dispatcher, errors } from 'undici';

import { SociError } from '../errors.js';
import { publish } from '../observe/channels.js';
import { redactUrl } from '../source/redact.js';

export interface ExchangeRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** A function gives the body anew for every attempt. */
  readonly body?: Uint8Array | (() => AsyncIterable<Uint8Array>) | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface ExchangeTimeouts {
  /** Milliseconds to the connection. */
  readonly connect: number;
  /** Milliseconds from the request's last byte to the answer's first. */
  readonly headers: number;
  /** Milliseconds for the whole body of an answer, which is always small here. */
  readonly body: number;
}

export const DEFAULT_EXCHANGE_TIMEOUTS: ExchangeTimeouts = {
  connect: 10_000,
  headers: 60_000,
  body: 120_000,
};

function publishRequest(
  request: ExchangeRequest,
  status: number | undefined,
  bytes: number,
  startedAt: number,
): void {
  publish('seekable-oci:http:request', () => ({
    method: request.method,
    url: redactUrl(request.url),
    range: undefined,
    status,
    bytes,
    ms: performance.now() - startedAt,
  }));
}

const TIMEOUTS = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

function networkError(request: ExchangeRequest, cause: unknown): unknown {
  if (cause instanceof SociError) {
    return cause;
  }
  const error = cause as NodeJS.ErrnoException;
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  const reason = error.code ?? first?.code;
  const shown = redactUrl(request.url);
  const timedOut = TIMEOUTS.has(reason ?? '');
  return new SociError(
    timedOut ? 'ERR_SOCI_HTTP_TIMEOUT' : 'ERR_SOCI_HTTP_NETWORK',
    `${request.method} ${shown}: ${timedOut ? 'timed out' : error.message || first?.message || reason}`,
    // undici's parser errors carry bytes of the answer.
    { data: { url: shown, reason }, cause: cause instanceof errors.HTTPParserError ? undefined : cause },
  );
}

/** An answer whose header has arrived. Its body must be read or thrown away. */
export class ExchangeAnswer {
  readonly status: number;
  readonly url: URL;
  readonly request: ExchangeRequest;
  readonly #headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly #body: Dispatcher.ResponseData['body'];
  readonly #timeout: number;
  readonly #startedAt: number;

  /** @param startedAt `performance.now()` when the request was sent. */
  constructor(request: ExchangeRequest, data: Dispatcher.ResponseData, timeout: number, startedAt: number) {
    this.status = data.statusCode;
    this.url = request.url;
    this.request = request;
    this.#headers = data.headers;
    this.#body = data.body;
    this.#timeout = timeout;
    this.#startedAt = startedAt;
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /**
   * The body, of at most `limit` bytes.
   *
   * @throws SociError ERR_SOCI_LIMIT when it is longer, ERR_SOCI_HTTP_TIMEOUT when it takes too long.
   */
  async bytes(limit: number): Promise<Uint8Array> {
    const declared = Number(this.header('content-length') ?? 0);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      this.#body.destroy();
    }, this.#timeout);
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      if (this.request.method !== 'HEAD' && declared > limit) {
        throw this.#tooLong(limit);
      }
      for await (const chunk of this.#body as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > limit) {
          throw this.#tooLong(limit);
        }
        chunks.push(chunk);
      }
      if (timedOut) {
        throw new Error('timed out');
      }
    } catch (error) {
      this.#body.on('error', () => {}).destroy();
      this.request.signal?.throwIfAborted();
      if (timedOut) {
        const shown = redactUrl(this.url);
        throw new SociError(
          'ERR_SOCI_HTTP_TIMEOUT',
          `${this.request.method} ${shown}: no complete body in ${this.#timeout} ms`,
          {
            data: { url: shown },
          },
        );
      }
      throw networkError(this.request, error);
    } finally {
      clearTimeout(timer);
      publishRequest(this.request, this.status, length, this.#startedAt);
    }
    return Buffer.concat(chunks, length);
  }

  /** Reads up to `limit` bytes for a message and gives up on the rest. */
  async excerpt(limit: number): Promise<Uint8Array> {
    try {
      return await this.bytes(limit);
    } catch {
      this.request.signal?.throwIfAborted();
      return new Uint8Array();
    }
  }

  /** Throws the body away; a short one so that the connection stays usable. */
  async discard(): Promise<void> {
    await this.excerpt(64 * 1024);
  }

  #tooLong(limit: number): SociError {
    const shown = redactUrl(this.url);
    return new SociError(
      'ERR_SOCI_LIMIT',
      `${this.request.method} ${shown}: the answer is longer than ${limit} bytes`,
      {
        data: { url: shown, limit },
      },
    );
  }
}

/** @throws SociError ERR_SOCI_HTTP_NETWORK, ERR_SOCI_HTTP_TIMEOUT, or the signal's reason. */
export async function exchangeOnce(
  dispatcher: Dispatcher,
  request: ExchangeRequest,
  timeouts: ExchangeTimeouts,
): Promise<ExchangeAnswer> {
  request.signal?.throwIfAborted();
  const { body } = request;
  const startedAt = performance.now();
  try {
    const data = await dispatcher.request({
      origin: request.url.origin,
      path: request.url.pathname + request.url.search,
      method: request.method,
      headers: { ...request.headers },
      body:
        typeof body === 'function' ? (body() as unknown as NodeJS.ReadableStream & never) : (body ?? null),
      signal: request.signal ?? null,
      headersTimeout: timeouts.headers,
      bodyTimeout: timeouts.headers,
    });
    return new ExchangeAnswer(request, data, timeouts.body, startedAt);
  } catch (error) {
    publishRequest(request, undefined, 0, startedAt);
    request.signal?.throwIfAborted();
    throw networkError(request, error);
  }
}
