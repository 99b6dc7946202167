/**
 * The stack below HttpSource and the registry's client: requests with bodies,
 * small answers, what is guarded on the way and what errors say about it.
 */
import type { LookupAllOptions, lookup } from 'node:dns';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mock } from 'node:test';
import t, { type Test } from 'tap';
import type { SociError } from '../../lib/errors.js';
import { subscribe } from '../../lib/observe/channels.js';
import { GuardedConnections } from '../../lib/source/http/guarded-connections.js';
import { HttpSource } from '../../lib/source/http/http-source.js';
import { HttpTransport } from '../../lib/source/http/http-transport.js';
import {
  compose,
  type HttpReply,
  type HttpRequest,
  type Interceptor,
  type Send,
} from '../../lib/source/http/message.js';
import { retry } from '../../lib/source/http/retry.js';
import { retryPolicy } from '../../lib/source/http/retry-policy.js';
import { parseTarget } from '../../lib/source/http/target.js';
import type { HttpTimeouts } from '../../lib/source/http/timeouts.js';
import { FaultyServer } from '../helpers/http-server.js';

const BYTES = Buffer.alloc(1_000_000, 'seekable');

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** A server that takes whole bodies and answers as it is told. */
async function serve(t: Test, answer: Answer): Promise<string> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    answer(request, response, Buffer.concat(chunks));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function client(t: Test, timeouts: Partial<HttpTimeouts> = {}): Send {
  const transport = new HttpTransport({ timeouts });
  t.teardown(() => transport.close());
  return transport.send;
}

function request(url: string, rest: Partial<HttpRequest> = {}): HttpRequest {
  const { signal } = new AbortController();
  return { method: 'GET', target: parseTarget(url), headers: {}, limitTotalTime: true, signal, ...rest };
}

async function failure(promise: Promise<unknown>): Promise<SociError> {
  return await promise.then(
    () => Promise.reject(new Error('expected a rejection')),
    (error: unknown) => error as SociError,
  );
}

t.test('interceptors see a request from the last to the first, its reply the other way round', async t => {
  const seen: string[] = [];
  const noting =
    (name: string): Interceptor =>
    next =>
    async request => {
      seen.push(`${name} >`);
      const reply = await next(request);
      seen.push(`< ${name}`);
      return reply;
    };
  const wire: Send = async () => ({ status: 204 }) as HttpReply;
  t.equal((await compose(wire, noting('inner'), noting('outer'))(request('http://h/'))).status, 204);
  t.strictSame(seen, ['outer >', 'inner >', '< inner', '< outer']);
});

t.test('request bodies', async t => {
  t.test('are given anew for every attempt', async t => {
    const arrived: number[] = [];
    const url = await serve(t, (_, response, body) => {
      arrived.push(Buffer.compare(body, BYTES));
      if (arrived.length < 3) response.destroy();
      else response.writeHead(201).end();
    });
    let given = 0;
    const send = compose(client(t), retry(retryPolicy({ retries: 3, minDelay: 1 })));
    const reply = await send(
      request(url, {
        method: 'PUT',
        headers: { 'content-length': String(BYTES.length) },
        async *body() {
          given += 1;
          for (let start = 0; start < BYTES.length; start += 300_000) {
            yield BYTES.subarray(start, start + 300_000);
          }
        },
      }),
    );
    await reply.discard();
    t.equal(reply.status, 201);
    t.equal(given, 3);
    t.strictSame(arrived, [0, 0, 0]);
  });

  t.test('of bytes at hand leave in pieces, with their length', async t => {
    const lengths: (string | undefined)[] = [];
    const url = await serve(t, (request, response, body) => {
      lengths.push(request.headers['content-length']);
      response.end(String(Buffer.compare(body, BYTES)));
    });
    const headers = { 'content-length': String(BYTES.length) };
    const reply = await client(t)(request(url, { method: 'PATCH', headers, body: BYTES }));
    t.equal(Buffer.from(await reply.bytes(10)).toString(), '0');
    t.strictSame(lengths, [String(BYTES.length)]);
  });

  t.test('may come slowly: the reply is not due before they were sent', async t => {
    const url = await serve(t, (_, response, body) => void response.end(body));
    const send = client(t, { headers: 60, request: 60 });
    const reply = await send(
      request(url, {
        method: 'PUT',
        async *body() {
          yield Buffer.from('a');
          await new Promise(resolve => setTimeout(resolve, 200));
          yield Buffer.from('b');
        },
      }),
    );
    t.equal(Buffer.from(await reply.bytes(10)).toString(), 'ab');
  });

  t.test('that were sent are waited for no longer than the reply may take', async t => {
    const url = await serve(t, () => {});
    const sending = client(t, { headers: 60 })(request(url, { method: 'PUT', body: BYTES.subarray(0, 10) }));
    t.match(await failure(sending), {
      code: 'ERR_SOCI_HTTP_TIMEOUT',
      message: /^PUT /,
      data: { phase: 'headers', temporary: true },
    });
  });

  t.test('whose source fails fail the request with its own error', async t => {
    const url = await serve(t, (_, response) => void response.end());
    const reason = new Error('the disk is gone');
    const sending = client(t)(
      request(url, {
        method: 'PUT',
        // biome-ignore lint/correctness/useYield: it fails before it could
        async *body() {
          throw reason;
        },
      }),
    );
    t.match(await failure(sending), { code: 'ERR_SOCI_HTTP_NETWORK', cause: reason });
  });
});

t.test('small answers', async t => {
  const url = await serve(t, ({ method, url }, response) => {
    switch (url) {
      case '/cut':
        response.writeHead(200, { 'content-length': 100 });
        response.write('only this', () => response.socket?.end());
        break;
      case '/drip': {
        response.writeHead(200, { 'content-length': 1000 });
        const timer = setInterval(() => response.write('.'), 10);
        response.on('close', () => clearInterval(timer));
        break;
      }
      case '/endless':
        response.on('error', () => {});
        for (let i = 0; i < 100; i++) response.write(BYTES.subarray(0, 1000));
        break;
      default:
        response.writeHead(200, { 'content-length': 12 }).end(method === 'HEAD' ? '' : 'twelve bytes');
    }
  });
  const get = async (path: string, rest: Partial<HttpRequest> = {}): Promise<HttpReply> =>
    await client(t, { request: 500 })(request(new URL(path, url).href, rest));

  t.equal(Buffer.from(await (await get('/')).bytes(12)).toString(), 'twelve bytes');
  t.equal((await (await get('/', { method: 'HEAD' })).bytes(1)).length, 0, 'a length is not a body');
  t.match(await failure((await get('/')).bytes(11)), {
    code: 'ERR_SOCI_LIMIT',
    message: /^GET .*: the answer is longer than 11 bytes$/,
    data: { limit: 11, temporary: false },
  });
  t.match(await failure((await get('/endless')).bytes(5000)), { code: 'ERR_SOCI_LIMIT' }, 'unannounced');
  t.match(await failure((await get('/cut')).bytes(100)), {
    code: 'ERR_SOCI_HTTP_NETWORK',
    message: /the body ended too early, after 9 bytes/,
    data: { temporary: true },
  });
  t.match(await failure((await get('/drip')).bytes(1000)), {
    code: 'ERR_SOCI_HTTP_TIMEOUT',
    data: { phase: 'request' },
  });
});

t.test('what a retry below has given up is final', async t => {
  let asked = 0;
  const busy: Send = async request => {
    asked += 1;
    const transport = new HttpTransport();
    try {
      return await transport.send({ ...request, target: parseTarget('http://127.0.0.1:1/') });
    } finally {
      await transport.close();
    }
  };
  const policy = retryPolicy({ retries: 2, minDelay: 1 });
  const sending = compose(busy, retry(policy), retry(policy))(request('http://h/'));
  t.match(await failure(sending), { code: 'ERR_SOCI_HTTP_NETWORK', data: { attempts: 3, temporary: true } });
  t.equal(asked, 3);
});

t.test('the names that a redirect leads to are judged by what they resolve to', async t => {
  const server = await FaultyServer.listen();
  t.teardown(() => server.close());
  const { port } = new URL(server.origin);
  const known: Readonly<Record<string, string>> = {
    'registry.example': '127.0.0.1',
    'cloud.example': '169.254.169.254',
  };
  const resolve = ((name: string, options: LookupAllOptions, callback: (...results: unknown[]) => void) => {
    const address = known[name];
    if (options.all === true) callback(null, [{ address, family: 4 }]);
    else callback(null, address, 4);
  }) as unknown as typeof lookup;
  const transport = new HttpTransport({}, new GuardedConnections(4, 1000, resolve));
  t.teardown(() => transport.close());
  server.put('/blob', BYTES);
  const url = `http://registry.example:${port}/blob`;
  const source = await HttpSource.open(url, { transport, retry: { retries: 0 } });
  t.equal(source.size, BYTES.length, 'the caller may name any host');
  server.faults.push({ redirect: `http://cloud.example:${port}/blob` });
  t.match(await failure(source.read(0, 10)), {
    code: 'ERR_SOCI_HTTP_NETWORK',
    message: /cloud\.example resolves to 169\.254\.169\.254, a link-local or metadata address/,
    data: { temporary: false },
  });
  t.equal(server.requests.length, 2, 'it was not asked');
});

t.test('whoever watches is told of a request that keeps silent', async t => {
  const arrived: ServerResponse[] = [];
  const url = await serve(t, (_request, response) => void arrived.push(response));
  const told: unknown[] = [];
  t.teardown(subscribe('seekable-oci:http:waiting', event => told.push(event)));
  const send = client(t);
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const controller = new AbortController();
  const pending = send(request(`${url}?secret=1`, { signal: controller.signal }));
  while (arrived.length === 0) await new Promise(resolve => setImmediate(resolve));
  mock.timers.tick(2999);
  t.same(told, []);
  mock.timers.tick(1);
  const event = { method: 'GET', url: `${url}?secret=REDACTED`, ms: 3000 };
  t.same(told, [event], 'once, without secrets');
  mock.timers.tick(5000);
  t.equal(told.length, 1);
  arrived[0]?.writeHead(200, { 'content-length': '10' }).write('12345');
  const reply = await pending;
  const body = reply.bytes(10);
  mock.timers.tick(3000);
  t.same(told, [event, event], 'and again, when the body stops');
  arrived[0]?.end('67890');
  await body;
  mock.timers.tick(10_000);
  t.equal(told.length, 2);
});

t.test('uploads are waited for longer than other replies', async t => {
  const url = await serve(t, () => {});
  const send = client(t, { headers: 20_000_000, upload: 1 });
  const body = Buffer.from('x');
  const upload = request(url, { method: 'PUT', body, headers: { 'content-length': '1' } });
  t.match(await failure(send(upload)), {
    code: 'ERR_SOCI_HTTP_TIMEOUT',
    data: { phase: 'headers', timeout: 1 },
  });
  t.equal(
    new HttpTransport({ timeouts: { headers: 5 } }).timeouts.upload,
    5,
    'unless only the one is limited',
  );
});
