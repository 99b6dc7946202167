/**
 * An object behind an HTTP(S) URL. Every read is a Range request whose reply is
 * checked before it is used; a body that breaks off is resumed where it stopped.
 * A redirect (registries answer with short-lived presigned URLs) is remembered
 * and resolved again once it stops working.
 */
import { checkChoice, checkInteger, checkOptions, type OptionNames } from '../../arguments.js';
import { AbortScope } from '../../async/abort-scope.js';
import { SociError } from '../../errors.js';
import { checkByteRange, closedError } from '../byte-range.js';
import { Urgency, urgencyOf } from '../lanes.js';
import type { LinkEstimate } from '../link-estimate.js';
import { type AbortableOptions, FilledSource, type ReadOptions } from '../range-source.js';
import { httpError } from './http-error.js';
import { checkTotal, HttpIdentity } from './http-identity.js';
import { HttpTransport, type HttpTransportOptions } from './http-transport.js';
import type { HttpReply, HttpRequest, HttpStats, RequestHeaders } from './message.js';
import { Preempted } from './preempted.js';
import type { WatchedReadOptions } from './range-watcher.js';
import { redactUrl } from './redact.js';
import {
  checkEncoding,
  checkPartial,
  checkWhole,
  contentLength,
  noRangesError,
  unsatisfiedTotal,
} from './reply-check.js';
import { Retries } from './retry.js';
import { type RetryPolicy, retryPolicy } from './retry-policy.js';
import { type HttpTarget, parseTarget } from './target.js';

export interface HttpSourceOptions extends AbortableOptions {
  /** For the URL's own origin only; see RequestHeaders. */
  readonly headers?: RequestHeaders | undefined;
  /** Bytes of the object when they are known (a descriptor): opening then makes no request. */
  readonly size?: number | undefined;
  /**
   * 'required' (default): opening fails on a server without Range support.
   * 'optional': it succeeds if the server tells the length, and `stream()` works
   * (without resuming), while `read()` fails with ERR_SOCI_HTTP_NO_RANGES.
   */
  readonly ranges?: 'required' | 'optional' | undefined;
  /**
   * 'compare' (default): another ETag or Last-Modified is another object. 'ignore': only another length is; for
   * content that its digest proves, which replicas of a server may date and tag each for itself.
   */
  readonly validators?: 'compare' | 'ignore' | undefined;
  readonly retry?: Partial<RetryPolicy> | undefined;
  /** Whose document named the URL: it may lead where a redirect from there may. Default: the URL itself. */
  readonly home?: URL | undefined;
  /** A transport shared with other sources, which the caller closes; or options for an own one. */
  readonly transport?: HttpTransport | HttpTransportOptions | undefined;
}

const SOURCE_OPTIONS: OptionNames<HttpSourceOptions> = {
  signal: true,
  headers: true,
  size: true,
  ranges: true,
  validators: true,
  retry: true,
  home: true,
  transport: true,
};

/** A reply that has the bytes up to `end`. */
interface Part {
  readonly reply: HttpReply;
  readonly end: number;
}

interface Limits
  extends Pick<HttpRequest, 'signal' | 'limitTotalTime' | 'expected' | 'departure' | 'ifFull'> {
  readonly urgency: Urgency;
}

/** A range that is answered piece by piece is asked on for at once, if the pieces are worth a request each. */
const LEAST_PIECE = 16 * 1024;

/** What nobody waits for is asked for in pieces that soon make room for what somebody waits for. */
const BACKGROUND_PIECE = 1024 * 1024;

/** What a presigned URL answers when it has expired: S3 400 or 403, others 401, 404 or 410. */
const STALE: ReadonlySet<number> = new Set([400, 401, 403, 404, 410]);

export class HttpSource extends FilledSource {
  readonly name: string;
  readonly #target: HttpTarget;
  readonly #headers: RequestHeaders | undefined;
  readonly #retry: RetryPolicy;
  readonly #comparesValidators: boolean;
  readonly #transport: HttpTransport;
  readonly #ownsTransport: boolean;
  readonly #stats: HttpStats = { requests: 0, bytes: 0, retries: 0, redirects: 0 };
  readonly #scope = new AbortScope();
  #size: number;
  #ranges = true;
  #identity: HttpIdentity | undefined;
  /** Where the last redirect led, as long as it works. */
  #location: HttpTarget | undefined;

  private constructor(url: string | URL, options: HttpSourceOptions) {
    super();
    this.#target = parseTarget(url, options.home);
    this.name = redactUrl(this.#target.url);
    this.#headers = options.headers;
    this.#retry = retryPolicy(options.retry);
    this.#size = options.size ?? 0;
    this.#comparesValidators = checkValidators(options.validators);
    const { transport } = options;
    this.#ownsTransport = !(transport instanceof HttpTransport);
    this.#transport = transport instanceof HttpTransport ? transport : new HttpTransport(transport);
  }

  /**
   * Asks for the object's first byte to learn its length, its validators and
   * whether the server knows ranges, unless `size` is given.
   *
   * @throws SociError ERR_SOCI_HTTP_NO_RANGES, ERR_SOCI_HTTP_STATUS, …
   */
  static async open(url: string | URL, options: HttpSourceOptions = {}): Promise<HttpSource> {
    checkOptions('HttpSource.open', options, SOURCE_OPTIONS);
    const { size, ranges = 'required', signal } = options;
    signal?.throwIfAborted();
    if (size !== undefined) checkInteger('size', size, 0);
    const source = new HttpSource(url, options);
    if (size !== undefined) return source;
    try {
      await source.#scope.run(signal, operation => source.#probe(operation, ranges));
      return source;
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  get size(): number {
    return this.#size;
  }

  /** Whether `read()` can work. With a given `size` this is not known before the first read, and true. */
  get ranges(): boolean {
    return this.#ranges;
  }

  /** Requests sent, body bytes received, retries, redirects followed: since opening, probe included. */
  get stats(): Readonly<HttpStats> {
    return { ...this.#stats };
  }

  /** Of the host that the last requests went to. */
  get link(): LinkEstimate | undefined {
    const { url } = this.#location ?? this.#target;
    return this.#transport.traffic.link(url);
  }

  readInto(target: Uint8Array, offset: number, options: WatchedReadOptions = {}): Promise<void> {
    const { watcher, ifFull } = options;
    return this.#scope.run(options.signal, async signal => {
      const urgency = urgencyOf(options);
      const { length } = target;
      checkByteRange(this.name, this.size, offset, length);
      if (!this.#ranges) throw noRangesError({ method: 'GET', url: this.#target.url });
      let filled = 0;
      const retries = new Retries(this.#retry, signal);
      while (filled < length) {
        try {
          const start = offset + filled;
          const most = urgency.lane === 'background' ? BACKGROUND_PIECE : length;
          const { reply, end } = await this.#partial(start, Math.min(start + most, offset + length), {
            signal,
            urgency,
            departure: watcher,
            // What has bytes is waited for.
            ifFull: filled > 0 ? 'wait' : ifFull,
            resumed: filled > 0,
            limitTotalTime: true,
          });
          await reply.readInto(target.subarray(filled, filled + (end - start)), bytes => {
            filled += bytes;
            watcher?.arrived(bytes);
            options.onBytes?.(target.subarray(0, filled));
          });
          const position = offset + filled;
          if (position < end || (filled < length && position - start < LEAST_PIECE)) {
            throw shortError(reply, length, filled);
          }
        } catch (error) {
          watcher?.failed(error);
          await this.#pause(retries, error, filled);
        }
      }
    });
  }

  /**
   * One GET for the whole object, resumed with Range requests where the body
   * breaks off. Holds at most 256 KiB beyond what the consumer has taken; leaving
   * the loop closes the connection.
   */
  override stream(options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#ranges && urgencyOf(options).lane === 'background') return this.#pieces(options, () => {});
    return this.#stream(options, async how => ({ reply: await this.#whole(how), end: this.#size }));
  }

  /**
   * @internal As `stream`, asked for as a range, so that the reply tells whether the server knows any.
   *
   * @param onRangeless Called before the first byte when it does not.
   */
  streamAsRange(options: ReadOptions, onRangeless: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    if (urgencyOf(options).lane === 'background') return this.#pieces(options, onRangeless);
    return this.#stream(options, how => this.#rangeOrWhole(how, onRangeless));
  }

  /** Nobody waits for it: each piece has arrived before it is handed out, so that a slow reader keeps nobody waiting. */
  async *#pieces(options: ReadOptions, onRangeless: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    const piece = (at: number): Promise<Uint8Array> =>
      this.read(at, Math.min(BACKGROUND_PIECE, this.#size - at), options);
    let first: Uint8Array;
    try {
      first = await piece(0);
    } catch (error) {
      if (!isRangeless(error)) throw error;
      yield* this.#stream(options, how => this.#rangeOrWhole(how, onRangeless));
      return;
    }
    yield first;
    for (let at = first.length; at < this.#size; at += BACKGROUND_PIECE) yield await piece(at);
  }

  async *#stream(
    options: ReadOptions,
    first: (how: Limits) => Promise<Part>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const operation = this.#scope.begin(options.signal);
    try {
      const how = { signal: operation.signal, urgency: urgencyOf(options), limitTotalTime: false };
      const retries = new Retries(this.#retry, operation.signal);
      let position = 0;
      let broken: unknown;
      while (position < this.#size) {
        try {
          const start = position;
          const { reply, end } =
            start === 0
              ? await first(how)
              : await this.#partial(start, this.#size, { ...how, resumed: true });
          for await (const chunk of reply.chunks()) {
            if (chunk.length > this.#size - position) throw longError(reply, this.#size);
            position += chunk.length;
            yield chunk;
          }
          if (position < end || (position < this.#size && position - start < LEAST_PIECE)) {
            throw shortError(reply, this.#size, position);
          }
        } catch (error) {
          if (!this.#ranges && position > 0) throw error;
          // Nobody asked for a part: what went wrong is that the body broke off.
          if (position > 0 && isRangeless(error)) throw broken ?? error;
          broken = error;
          await this.#pause(retries, error, position);
        }
      }
    } finally {
      operation.end();
    }
  }

  async close(): Promise<void> {
    this.#scope.close(closedError(this.name));
    if (this.#ownsTransport) await this.#transport.close();
  }

  async #probe(signal: AbortSignal, ranges: 'required' | 'optional'): Promise<void> {
    const retries = new Retries(this.#retry, signal);
    for (;;) {
      try {
        const reply = await this.#get(
          { range: 'bytes=0-0' },
          { signal, urgency: new Urgency(), limitTotalTime: true },
        );
        checked(reply, () => this.#learn(reply, ranges));
        await letGo(reply);
        return;
      } catch (error) {
        await this.#pause(retries, error, 0);
      }
    }
  }

  #learn(reply: HttpReply, ranges: 'required' | 'optional'): void {
    const size = this.#sizeOf(reply);
    if (size === undefined) {
      throw httpError('ERR_SOCI_HTTP_RANGE', reply, 'the reply does not tell the length of the object');
    }
    // An empty object has no byte 0: a server with ranges answers it with 200 too.
    if (reply.status === 200 && size > 0) {
      if (ranges === 'required') throw noRangesError(reply);
      this.#ranges = false;
    }
    this.#size = size;
    this.#identity = HttpIdentity.of(reply, size);
  }

  #sizeOf(reply: HttpReply): number | undefined {
    switch (reply.status) {
      case 200:
        checkEncoding(reply);
        return contentLength(reply);
      case 416:
        return unsatisfiedTotal(reply) === 0 ? 0 : undefined;
      default:
        return checkPartial(reply, 0, 1).total;
    }
  }

  async #partial(
    start: number,
    end: number,
    { resumed, ...limits }: Limits & { readonly resumed: boolean },
  ): Promise<Part> {
    const headers: Record<string, string> = { range: `bytes=${start}-${end - 1}` };
    const ifRange = this.#comparesValidators ? this.#identity?.ifRange : undefined;
    if (resumed && ifRange !== undefined) headers['if-range'] = ifRange;
    const reply = await this.#get(headers, { ...limits, expected: end - start });
    return this.#checkedPart(reply, start, end);
  }

  #checkedPart(reply: HttpReply, start: number, end: number): Part {
    return checked(reply, () => {
      if (reply.status === 416) {
        checkTotal(reply, this.#size, unsatisfiedTotal(reply));
        throw httpError('ERR_SOCI_HTTP_RANGE', reply, `asked for bytes ${start}-${end - 1}, got status 416`);
      }
      if (reply.status === 200) {
        if (this.#comparesValidators) this.#identity?.check(reply);
        checkTotal(reply, this.#size, contentLength(reply));
        throw noRangesError(reply);
      }
      const range = checkPartial(reply, start, end);
      checkTotal(reply, this.#size, range.total);
      this.#checkIdentity(reply);
      return { reply, end: range.end };
    });
  }

  async #rangeOrWhole(limits: Limits, onRangeless: () => void): Promise<Part> {
    const end = this.#size;
    const reply = await this.#get({ range: `bytes=0-${end - 1}` }, limits);
    if (reply.status !== 200) return this.#checkedPart(reply, 0, end);
    this.#checkedWhole(reply);
    onRangeless();
    return { reply, end };
  }

  async #whole(limits: Limits): Promise<HttpReply> {
    return this.#checkedWhole(await this.#get({}, limits));
  }

  #checkedWhole(reply: HttpReply): HttpReply {
    return checked(reply, () => {
      checkWhole(reply, this.#size);
      this.#checkIdentity(reply);
      return reply;
    });
  }

  #checkIdentity(reply: HttpReply): void {
    if (!this.#comparesValidators) return;
    this.#identity ??= HttpIdentity.of(reply, this.#size);
    this.#identity.check(reply);
  }

  /** One GET by way of the remembered redirect, or from the URL anew when that has gone stale. */
  async #get(headers: Readonly<Record<string, string>>, limits: Limits): Promise<HttpReply> {
    const request = {
      method: 'GET',
      // A transfer encoding chosen on the way would make byte offsets meaningless.
      headers: { ...headers, 'accept-encoding': 'identity' },
      credentials: this.#headers,
      ...limits,
      maxRetryAfter: this.#retry.maxRetryAfter,
      stats: this.#stats,
    } as const;
    const location = this.#location;
    if (location) {
      const reply = await this.#transport.send({ ...request, target: location });
      if (!STALE.has(reply.status)) return reply;
      await reply.discard();
      this.#forget(location);
    }
    const reply = await this.#transport.send({ ...request, target: this.#target });
    const { target } = reply.request;
    if (target !== this.#target && reply.status < 300) this.#location = target;
    return reply;
  }

  /**
   * After any failure the next attempt starts at the URL itself: another replica may answer. Having made room is none:
   * the next attempt waits for its turn.
   */
  async #pause(retries: Retries, error: unknown, position: number): Promise<void> {
    if (error instanceof Preempted) return;
    const location = this.#location;
    await retries.pause(error, position);
    this.#stats.retries += 1;
    this.#forget(location);
  }

  #forget(location: HttpTarget | undefined): void {
    if (this.#location === location) this.#location = undefined;
  }
}

function checkValidators(validators: HttpSourceOptions['validators'] = 'compare'): boolean {
  checkChoice('validators', validators, ['compare', 'ignore']);
  return validators === 'compare';
}

function checked<T>(reply: HttpReply, check: () => T): T {
  try {
    return check();
  } catch (error) {
    void letGo(reply);
    throw error;
  }
}

/** The body of a 200 is the whole object: not one byte more of it is wanted. */
async function letGo(reply: HttpReply): Promise<void> {
  if (reply.status === 200) reply.destroy();
  else await reply.discard();
}

function isRangeless(error: unknown): boolean {
  return error instanceof SociError && error.code === 'ERR_SOCI_HTTP_NO_RANGES';
}

function shortError(reply: HttpReply, expected: number, received: number): SociError {
  return httpError(
    'ERR_SOCI_SOURCE_SHORT',
    reply,
    `expected ${expected} bytes, the body ended after ${received}`,
    { expected, received },
  );
}

function longError(reply: HttpReply, expected: number): SociError {
  return httpError('ERR_SOCI_HTTP_RANGE', reply, `the body is longer than ${expected} bytes`, {
    expected,
  });
}
