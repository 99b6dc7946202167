/**
 * A registry inside the process: complete enough to pull, push, index and read
 * images lazily, and able to misbehave on request. Meant for tests and demos;
 * it keeps request bodies in memory and trusts whoever can reach its port.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { pingReply, type RegistryAuth, RegistryAuthenticator, scopesOf } from './auth.js';
import { BlobRoutes } from './blob-routes.js';
import { applyFault, type Fault, matches } from './fault.js';
import { ManifestRoutes } from './manifest-routes.js';
import { errorReply, type RegistryRequest, type Reply } from './reply.js';
import { MemoryStorage, type RegistryStorage } from './storage.js';

export interface TestRegistryOptions {
  /** Default: a new MemoryStorage. */
  readonly storage?: RegistryStorage | undefined;
  /** Whether there is a referrers API. Default true. */
  readonly referrers?: boolean | undefined;
  /** Entries in one answer of tags and referrers. Default 1000. */
  readonly pageSize?: number | undefined;
  /** Default: everybody may do everything. */
  readonly auth?: RegistryAuth | undefined;
  /** PEM; with `ca`, clients must show a certificate that it signed. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string } | undefined;
}

const NAME = '[a-z0-9]+(?:[._/-]+[a-z0-9]+)*';
const ROUTE = new RegExp(`^/v2/(${NAME})/(manifests|blobs|tags|referrers)/(?:(uploads)/)?([^/]*)$`);

interface ArmedFault {
  readonly fault: Fault;
  seen: number;
}

export class TestRegistry {
  readonly storage: RegistryStorage;
  /** Every request so far, oldest first. */
  readonly requests: RegistryRequest[] = [];
  readonly #blobs: BlobRoutes;
  readonly #manifests: ManifestRoutes;
  readonly #server: ReturnType<typeof createServer>;
  readonly #tls: boolean;
  readonly #faults: ArmedFault[] = [];
  readonly #closing = new AbortController();
  #auth: RegistryAuthenticator | undefined;

  private constructor(options: TestRegistryOptions) {
    this.storage = options.storage ?? new MemoryStorage();
    this.#blobs = new BlobRoutes(this.storage);
    this.#manifests = new ManifestRoutes(this.storage, {
      referrers: options.referrers ?? true,
      pageSize: options.pageSize ?? 1000,
    });
    const listener = (incoming: IncomingMessage, response: ServerResponse): void => {
      this.#handle(incoming, response).catch(() => response.destroy());
    };
    this.#tls = options.tls !== undefined;
    this.#server =
      options.tls === undefined
        ? createServer(listener)
        : createTlsServer({ ...options.tls, requestCert: options.tls.ca !== undefined }, listener);
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(options: TestRegistryOptions = {}): Promise<TestRegistry> {
    const registry = new TestRegistry(options);
    await new Promise<void>((resolve, reject) => {
      registry.#server.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
    registry.#auth =
      options.auth === undefined ? undefined : new RegistryAuthenticator(options.auth, registry.url);
    return registry;
  }

  /** What goes before the repository in a reference, e.g. `127.0.0.1:41234`. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.#tls ? 'https' : 'http'}://${this.host}`;
  }

  /** Adds a fault; of several that match a request, the oldest that is still armed applies. */
  inject(fault: Fault): void {
    this.#faults.push({ fault, seen: 0 });
  }

  clearFaults(): void {
    this.#faults.length = 0;
  }

  /** Makes every bearer token given out so far worthless. */
  revokeTokens(): void {
    this.#auth?.revokeTokens();
  }

  /** Ends all connections and stops listening. */
  async close(): Promise<void> {
    this.#closing.abort();
    await new Promise<void>(resolve => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) {
      chunks.push(chunk as Buffer);
    }
    const url = new URL(incoming.url ?? '/', this.url);
    const request: RegistryRequest = {
      method: incoming.method ?? 'GET',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers: incoming.headers as Record<string, string>,
      body: Buffer.concat(chunks),
    };
    this.requests.push(request);
    const fault = this.#armed(request);
    if (fault?.cutAfter !== undefined && fault.cutAfter < 0) {
      response.destroy();
      return;
    }
    const serve = (served: RegistryRequest): Promise<Reply> => this.#route(served);
    const reply =
      fault === undefined
        ? await serve(request)
        : await applyFault(fault, request, serve, this.#closing.signal);
    await this.#send(request, reply, fault, response);
  }

  #armed(request: RegistryRequest): Fault | undefined {
    for (const armed of this.#faults) {
      if (matches(armed.fault, request)) {
        const turn = armed.seen++ - (armed.fault.skip ?? 0);
        if (turn >= 0 && turn < (armed.fault.times ?? Number.POSITIVE_INFINITY)) {
          return armed.fault;
        }
      }
    }
    return undefined;
  }

  async #route(request: RegistryRequest): Promise<Reply> {
    if (request.path === '/token' && this.#auth !== undefined) {
      return this.#auth.issue(request);
    }
    const [, repository = '', kind, uploads, reference = ''] = ROUTE.exec(request.path) ?? [];
    const refusal = this.#auth?.check(request, repository === '' ? [] : scopesOf(request, repository));
    if (refusal !== undefined) {
      return refusal;
    }
    if (/^\/v2\/?$/.test(request.path)) {
      return pingReply();
    }
    const route = `${request.method === 'HEAD' ? 'GET' : request.method} ${uploads ?? kind}`;
    switch (route) {
      case 'GET manifests':
        return this.#manifests.read(repository, reference);
      case 'PUT manifests':
        return this.#manifests.write(request, repository, reference);
      case 'DELETE manifests':
        return this.#manifests.remove(repository, reference);
      case 'GET tags':
        return this.#manifests.tags(request, repository);
      case 'GET referrers':
        return this.#manifests.referrers(request, repository, reference);
      case 'GET blobs':
        return this.#blobs.read(request, repository, reference);
      case 'POST uploads':
        return this.#blobs.start(request, repository);
      case 'GET uploads':
        return this.#blobs.status(repository, reference);
      case 'PATCH uploads':
        return this.#blobs.append(request, repository, reference);
      case 'PUT uploads':
        return this.#blobs.finish(request, repository, reference);
      case 'DELETE uploads':
        return this.#blobs.cancel(reference);
      default:
        return errorReply(404, 'UNSUPPORTED', 'no such route');
    }
  }

  async #send(
    request: RegistryRequest,
    reply: Reply,
    fault: Fault | undefined,
    response: ServerResponse,
  ): Promise<void> {
    response.writeHead(reply.status, reply.headers);
    if (request.method === 'HEAD' || reply.body === undefined) {
      response.end();
      return;
    }
    let left = fault?.cutAfter ?? fault?.stallAfter ?? Number.POSITIVE_INFINITY;
    for await (const chunk of reply.body instanceof Uint8Array ? [reply.body] : reply.body) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      if (response.destroyed) {
        return;
      }
      if (!response.write(part)) {
        await writable(response);
      }
      if (left === 0) {
        break;
      }
    }
    if (left > 0) {
      response.end();
    } else if (fault?.cutAfter !== undefined) {
      response.destroy();
    }
  }
}

/** Resolves when more may be written or nothing will be read any more. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}
