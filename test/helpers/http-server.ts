/**
 * A loopback HTTP server that serves objects by Range and misbehaves on demand.
 * Faults are queued and each request takes the next one, so a test reads as the
 * sequence of things that go wrong; what arrived is recorded for its assertions.
 */
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface ServedObject {
  readonly body: Uint8Array;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
}

/** Fields combine: `{ redirect, delay }` is a slow redirect. Without any the reply is a correct one. */
export interface Fault {
  /** Answer with this status, `body` and `headers` instead of the object. */
  readonly status?: number;
  readonly body?: string | Uint8Array;
  /** Set on whatever reply is made; null removes a header. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly redirect?: string;
  /** Ignore Range and If-Range: 200 with the whole object. */
  readonly ignoreRange?: boolean;
  /** Serve this object from now on. */
  readonly replace?: ServedObject;
  /** Close the connection with a reset: before the header, or after so many body bytes. */
  readonly reset?: 'before-headers' | number;
  /** End the connection (FIN) after so many body bytes, whatever Content-Length said. */
  readonly cut?: number;
  /** Reply chunked with only so many bytes of the range, ended properly. */
  readonly short?: number;
  /** Reply chunked with so many bytes beyond the range. */
  readonly long?: number;
  /** Serve the first so many bytes of the asked range only, correctly labelled. */
  readonly partial?: number;
  /** ms before the header; Infinity never sends one. */
  readonly delay?: number;
  /** Stop sending after so many body bytes and keep the connection open. */
  readonly stall?: number;
  /** Send the body in pieces of so many bytes, `every` ms. */
  readonly drip?: { readonly bytes: number; readonly every: number };
  /** Written to the socket as is, in place of a reply, and then closed. */
  readonly raw?: string;
}

export interface RecordedRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly range: string | undefined;
}

export class FaultyServer {
  readonly requests: RecordedRequest[] = [];
  /** Taken one per request; undefined entries are correct replies. */
  readonly faults: (Fault | undefined)[] = [];
  /** Asked before the queue; for tests that decide by the request. */
  decide: ((request: RecordedRequest) => Fault | undefined) | undefined;
  /** Body bytes written by all replies. */
  bytesSent = 0;
  readonly #objects = new Map<string, ServedObject>();
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response));
    this.#server.on('connection', socket => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      // node:http keeps a connection half-open while it owes a reply.
      socket.on('end', () => socket.destroy());
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async listen(): Promise<FaultyServer> {
    const server = new FaultyServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  /** `http://127.0.0.1:PORT`: every server is another origin. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Serves `object` at `path` and returns its URL. */
  put(path: string, object: ServedObject | Uint8Array): string {
    this.#objects.set(path, object instanceof Uint8Array ? { body: object } : object);
    return this.origin + path;
  }

  /** Resolves when all but `idle` connections (kept for the next request) are gone, or rejects after `ms`. */
  async drained(idle = 0, ms = 2000): Promise<void> {
    const deadline = Date.now() + ms;
    while (this.#sockets.size > idle) {
      if (Date.now() > deadline) throw new Error(`${this.#sockets.size} connections are still open`);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }

  /** Resolves when `count` requests have arrived since the server began. */
  async received(count: number, ms = 2000): Promise<void> {
    const deadline = Date.now() + ms;
    while (this.requests.length < count) {
      if (Date.now() > deadline) throw new Error(`only ${this.requests.length} of ${count} requests arrived`);
      await new Promise(resolve => setTimeout(resolve, 2));
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const recorded = {
      path: request.url ?? '',
      headers: request.headers,
      range: request.headers.range,
    };
    this.requests.push(recorded);
    const fault = this.decide?.(recorded) ?? this.faults.shift() ?? {};
    const path = recorded.path.split('?')[0] ?? '';
    if (fault.replace) this.#objects.set(path, fault.replace);
    if (fault.delay === Infinity) return;
    this.#later(fault.delay ?? 0, () => this.#reply(path, recorded, fault, response));
  }

  #reply(path: string, request: RecordedRequest, fault: Fault, response: ServerResponse): void {
    const socket = response.socket;
    if (!socket || socket.destroyed) return;
    if (fault.reset === 'before-headers') {
      socket.resetAndDestroy();
      return;
    }
    if (fault.raw !== undefined) {
      socket.end(fault.raw);
      return;
    }
    const object = this.#objects.get(path);
    if (fault.redirect !== undefined) {
      this.#plain(response, fault.status ?? 307, { location: fault.redirect }, '', fault);
    } else if (fault.status !== undefined) {
      this.#plain(response, fault.status, {}, fault.body ?? '', fault);
    } else if (!object) {
      this.#plain(response, 404, {}, 'not found', fault);
    } else {
      this.#object(object, request, fault, response);
    }
  }

  #plain(
    response: ServerResponse,
    status: number,
    headers: Record<string, string>,
    body: string | Uint8Array,
    fault: Fault,
  ): void {
    response.statusCode = status;
    setHeaders(response, { 'content-length': String(Buffer.byteLength(body)), ...headers, ...fault.headers });
    response.end(body);
  }

  #object(object: ServedObject, request: RecordedRequest, fault: Fault, response: ServerResponse): void {
    const { body, etag, lastModified } = object;
    const headers: Record<string, string> = {};
    if (etag !== undefined) headers['etag'] = etag;
    if (lastModified !== undefined) headers['last-modified'] = lastModified;
    const ifRange = request.headers['if-range'];
    const fresh = ifRange === undefined || ifRange === etag;
    const range = fault.ignoreRange || !fresh ? undefined : parseRange(request.range, body.length);
    if (range === 'unsatisfiable') {
      this.#plain(response, 416, { ...headers, 'content-range': `bytes */${body.length}` }, '', fault);
      return;
    }
    const start = range?.start ?? 0;
    const end = Math.min(range?.end ?? body.length, start + (fault.partial ?? Infinity));
    response.statusCode = range ? 206 : 200;
    if (range) headers['content-range'] = `bytes ${start}-${end - 1}/${body.length}`;
    const part = Buffer.from(body.subarray(start, end));
    let sent = part;
    if (fault.short !== undefined) sent = part.subarray(0, fault.short);
    if (fault.long !== undefined) sent = Buffer.concat([part, Buffer.alloc(fault.long, 0x58)]);
    if (sent === part) headers['content-length'] = String(part.length);
    else headers['transfer-encoding'] = 'chunked';
    setHeaders(response, { ...headers, ...fault.headers });
    this.#send(sent, fault, response);
  }

  #send(body: Buffer, fault: Fault, response: ServerResponse): void {
    const stopAt = typeof fault.reset === 'number' ? fault.reset : (fault.cut ?? fault.stall);
    if (fault.drip) {
      this.#drip(body, fault.drip, response);
      return;
    }
    if (stopAt === undefined || stopAt >= body.length) {
      this.bytesSent += body.length;
      response.end(body);
      return;
    }
    response.flushHeaders();
    this.bytesSent += stopAt;
    const finish = (): void => {
      if (fault.stall !== undefined) return;
      // The bytes before a reset must have left, or the peer sees the reset only.
      this.#later(20, () => {
        if (typeof fault.reset === 'number') response.socket?.resetAndDestroy();
        else response.socket?.end();
      });
    };
    if (stopAt === 0) finish();
    else response.write(body.subarray(0, stopAt), finish);
  }

  #drip(body: Buffer, drip: { bytes: number; every: number }, response: ServerResponse): void {
    let at = 0;
    const next = (): void => {
      if (response.destroyed || response.socket?.destroyed) return;
      const piece = body.subarray(at, at + drip.bytes);
      at += piece.length;
      this.bytesSent += piece.length;
      if (at >= body.length) response.end(piece);
      else {
        response.write(piece);
        this.#later(drip.every, next);
      }
    };
    next();
  }

  #later(ms: number, action: () => void): void {
    if (ms === 0) {
      action();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }
}

function setHeaders(response: ServerResponse, headers: Readonly<Record<string, string | null>>): void {
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) response.removeHeader(name);
    else response.setHeader(name, value);
  }
}

function parseRange(
  value: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d+)-(\d*)$/.exec(value ?? '');
  if (!match) return undefined;
  const start = Number(match[1]);
  const end = match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start >= size ? 'unsatisfiable' : { start, end };
}
