/**
 * Redirects and credentials: where a request may go, what it may carry there,
 * and what happens when a remembered (presigned) location expires.
 */
import { randomBytes } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import t, { type Test } from 'tap';
import { MockAgent } from 'undici';
import { HttpSource, type HttpSourceOptions } from '../../lib/source/http/http-source.js';
import { HttpTransport } from '../../lib/source/http/http-transport.js';
import type { HeadersRequest } from '../../lib/source/http/message.js';
import { FaultyServer } from '../helpers/http-server.js';

const BODY = new Uint8Array(randomBytes(100_000));
const SECRET = 'hunter2-do-not-print';
const QUICK: HttpSourceOptions = { retry: { minDelay: 1, retries: 2 } };

async function servers(t: Test): Promise<{ registry: FaultyServer; storage: FaultyServer }> {
  const registry = await FaultyServer.listen();
  const storage = await FaultyServer.listen();
  t.teardown(async () => {
    await registry.close();
    await storage.close();
  });
  return { registry, storage };
}

function same(t: Test, bytes: Uint8Array, start: number, end: number): void {
  t.equal(Buffer.compare(bytes, BODY.subarray(start, end)), 0, `bytes ${start}-${end - 1}`);
}

t.test('a redirect is followed once and remembered', async t => {
  const { registry, storage } = await servers(t);
  const url = registry.put('/v2/blob', BODY);
  const presigned = `${storage.put('/bucket/blob', BODY)}?X-Signature=${SECRET}`;
  registry.decide = () => ({ redirect: presigned });
  const source = await HttpSource.open(url, QUICK);
  t.teardown(() => source.close());
  for (let i = 0; i < 5; i++) same(t, await source.read(i * 10, 1000), i * 10, i * 10 + 1000);
  t.equal(registry.requests.length, 1);
  t.equal(storage.requests.length, 6);
  t.equal(storage.requests[5]?.range, 'bytes=40-1039', 'the Range goes along');
  t.equal(source.stats.redirects, 1);
  t.equal(source.name, url, 'it is still called by its own URL');
});

t.test('an expired location is resolved again, once per read', async t => {
  for (const status of [400, 401, 403, 404, 410]) {
    await t.test(`status ${status}`, async t => {
      const { registry, storage } = await servers(t);
      const url = registry.put('/v2/blob', BODY);
      storage.put('/a', BODY);
      storage.put('/b', BODY);
      let place = '/a';
      registry.decide = () => ({ redirect: storage.origin + place });
      storage.decide = ({ path }) =>
        path === place ? undefined : { status, body: '<Error>expired</Error>' };
      const source = await HttpSource.open(url, QUICK);
      t.teardown(() => source.close());
      place = '/b';
      same(t, await source.read(0, 10), 0, 10);
      same(t, await source.read(5, 10), 5, 15);
      t.equal(registry.requests.length, 2);
      t.equal(source.stats.retries, 0);
      storage.decide = () => ({ status });
      await t.rejects(source.read(0, 10), { code: 'ERR_SOCI_HTTP_STATUS', data: { status } });
      t.equal(registry.requests.length, 3, 'one more try, then the error');
    });
  }

  t.test('also in the middle of a body, and when its server is gone', async t => {
    const { registry, storage } = await servers(t);
    const url = registry.put('/v2/blob', { body: BODY, etag: '"1"' });
    const elsewhere = storage.put('/a', { body: BODY, etag: '"1"' });
    registry.faults.push({ redirect: elsewhere });
    const source = await HttpSource.open(url, QUICK);
    t.teardown(() => source.close());
    storage.faults.push({ cut: 500 }, { status: 403 });
    registry.faults.push({ redirect: elsewhere }, { redirect: elsewhere });
    await t.rejects(source.read(0, 1000), { code: 'ERR_SOCI_HTTP_STATUS' });
    storage.faults.push({ cut: 500 });
    registry.faults.splice(0);
    registry.faults.push({ redirect: elsewhere });
    same(t, await source.read(0, 1000), 0, 1000);
    await storage.close();
    same(t, await source.read(0, 1000), 0, 1000);
  });
});

t.test('the caller’s headers never reach another origin', async t => {
  const { registry, storage } = await servers(t);
  const url = new URL(registry.put('/v2/blob', BODY));
  url.username = 'user';
  url.password = SECRET;
  const mirror = storage.put('/blob', BODY);
  // Out to storage, on within it, back to the registry, and there served: trust must not come back.
  registry.decide = ({ path }) => (path === '/v2/blob' ? { redirect: '/v2/step' } : step(path));
  const step = (path: string): { redirect: string } | undefined =>
    path === '/v2/step' ? { redirect: `${storage.origin}/back` } : undefined;
  storage.decide = ({ path }) => {
    if (path === '/back') return { redirect: '/within' };
    return path === '/within' ? { redirect: `${registry.origin}/final` } : undefined;
  };
  registry.put('/final', BODY);
  const headers = { Authorization: `Bearer ${SECRET}`, Cookie: `id=${SECRET}`, 'X-Api-Key': SECRET };
  const source = await HttpSource.open(url, { ...QUICK, headers });
  t.teardown(() => source.close());
  same(t, await source.read(0, 10), 0, 10);
  t.match(registry.requests[0]?.headers, {
    authorization: `Bearer ${SECRET}`,
    cookie: /./,
    'x-api-key': SECRET,
  });
  t.equal(registry.requests[1]?.path, '/v2/step');
  t.equal(
    registry.requests[1]?.headers['x-api-key'],
    SECRET,
    'the same origin gets them on another path too',
  );
  for (const request of [...storage.requests, ...registry.requests.slice(2)]) {
    t.notMatch(JSON.stringify(request.headers), new RegExp(`${SECRET}|Basic`), request.path);
  }

  t.test('nor does the userinfo of the URL', async t => {
    registry.decide = () => ({ redirect: mirror });
    const plain = await HttpSource.open(url, QUICK);
    t.teardown(() => plain.close());
    t.match(registry.requests.at(-1)?.headers.authorization, /^Basic /);
    t.equal(storage.requests.at(-1)?.headers.authorization, undefined);
    t.notMatch(plain.name, new RegExp(SECRET));
  });
});

t.test('headers from a callback', async t => {
  const { registry, storage } = await servers(t);
  const url = registry.put('/v2/blob', BODY);
  let token = 'old';
  registry.decide = ({ headers }) =>
    headers.authorization === `Bearer ${token}`
      ? undefined
      : { status: 401, headers: { 'www-authenticate': 'Bearer realm="x"' } };

  t.test('are asked for with each request, and once more when they are rejected', async t => {
    const asked: HeadersRequest[] = [];
    const source = await HttpSource.open(url, {
      ...QUICK,
      headers: async request => {
        asked.push(request);
        return { authorization: request.rejected ? `Bearer ${token}` : 'Bearer old' };
      },
    });
    t.teardown(() => source.close());
    same(t, await source.read(0, 10), 0, 10);
    t.same(
      asked.map(request => request.rejected),
      [undefined, undefined],
    );
    token = 'new';
    same(t, await source.read(0, 10), 0, 10);
    t.match(asked.at(-1)?.rejected, { status: 401, headers: { 'www-authenticate': 'Bearer realm="x"' } });
    t.equal(asked.at(-1)?.url.href, url);
    t.equal(source.stats.retries, 0);
    t.equal(registry.connections, 1, 'the connection of the 401 is used again');
  });

  t.test('that stay rejected, or that cannot be had', async t => {
    let calls = 0;
    const wrong = HttpSource.open(url, {
      ...QUICK,
      headers: () => {
        calls += 1;
        return { authorization: 'Bearer wrong' };
      },
    });
    await t.rejects(wrong, { code: 'ERR_SOCI_HTTP_STATUS', data: { status: 401 } });
    t.equal(calls, 2);
    await t.rejects(HttpSource.open(url, { ...QUICK, headers: () => undefined }), {
      code: 'ERR_SOCI_HTTP_STATUS',
      data: { status: 401 },
    });
    const failure = new Error('the credential helper failed');
    await t.rejects(
      HttpSource.open(url, {
        ...QUICK,
        headers: async () => {
          throw failure;
        },
      }),
      failure,
    );
    await t.rejects(HttpSource.open(url, { ...QUICK, headers: { 'x-bad': `${SECRET}\r\nx: y` } }), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
      message: /x-bad/,
    });
  });

  t.test('are not asked for on behalf of another origin', async t => {
    const open = await FaultyServer.listen();
    t.teardown(() => open.close());
    const target = storage.put('/blob', BODY);
    const origins: string[] = [];
    const from = open.put('/blob', BODY);
    open.decide = () => ({ redirect: target });
    const source = await HttpSource.open(from, {
      ...QUICK,
      headers: ({ url }) => {
        origins.push(url.origin);
        return {};
      },
    });
    t.teardown(() => source.close());
    await source.read(0, 10);
    storage.faults.push({ status: 401 });
    await source.read(0, 10);
    t.same(new Set(origins), new Set([open.origin]));
  });
});

t.test('redirects that are refused', async t => {
  const { registry } = await servers(t);
  const url = registry.put('/blob', BODY);
  for (const redirect of [
    'file:///etc/passwd',
    'data:,x',
    'http://user:pw@127.0.0.1/',
    'ftp://h/',
    'http://[',
  ]) {
    registry.faults.push({ redirect });
    await t.rejects(HttpSource.open(url, QUICK), { code: 'ERR_SOCI_HTTP_REDIRECT' }, redirect);
  }
  registry.faults.push({ status: 302 });
  await t.rejects(HttpSource.open(url, QUICK), { code: 'ERR_SOCI_HTTP_REDIRECT', message: /no Location/ });
  const before = registry.requests.length;
  registry.decide = () => ({ redirect: '/blob' });
  await t.rejects(HttpSource.open(url, QUICK), { code: 'ERR_SOCI_HTTP_REDIRECT', message: /more than 10/ });
  t.equal(registry.requests.length - before, 11);

  t.test('from https to http', async t => {
    const dispatcher = new MockAgent();
    dispatcher.disableNetConnect();
    t.teardown(() => dispatcher.close());
    dispatcher
      .get('https://registry.example')
      .intercept({ path: '/blob' })
      .reply(307, '', { headers: { location: `http://registry.example/blob?token=${SECRET}` } });
    const transport = new HttpTransport({ dispatcher });
    const failed = HttpSource.open('https://registry.example/blob', { ...QUICK, transport });
    await t.rejects(failed, { code: 'ERR_SOCI_HTTP_REDIRECT', message: /from https to plain http/ });
    await failed.catch(error => t.notMatch(inspect(error), new RegExp(SECRET)));
    await transport.close();
    dispatcher.get('https://registry.example').intercept({ path: '/gone' }).reply(404, '');
    await t.rejects(
      HttpSource.open('https://registry.example/gone', { ...QUICK, transport: { dispatcher } }),
      { code: 'ERR_SOCI_HTTP_STATUS' },
      'the caller’s dispatcher outlives the transport',
    );
  });
});

t.test('nothing secret is printed', async t => {
  const { registry, storage } = await servers(t);
  const secret = new RegExp(SECRET);
  const events: unknown[] = [];
  const listener = (event: unknown): void => void events.push(event);
  subscribe('seekable-oci:http:request', listener);
  t.teardown(() => unsubscribe('seekable-oci:http:request', listener));
  const url = new URL(registry.put('/blob', BODY));
  url.username = 'user';
  url.password = SECRET;
  url.search = `?sig=${SECRET}`;
  registry.decide = () => ({ redirect: `${storage.origin}/missing?sig=${SECRET}` });
  const faults = [
    { status: 404, body: SECRET },
    { status: 503 },
    { reset: 'before-headers' },
    { ignoreRange: true },
    { headers: { 'content-range': 'nonsense' } },
    { raw: `${SECRET} is no HTTP\r\n\r\n` },
  ] as const;
  storage.put('/missing', BODY);
  for (const fault of faults) {
    storage.decide = () => fault;
    const failed = HttpSource.open(url, {
      retry: { retries: 1, minDelay: 1 },
      headers: { authorization: SECRET },
    });
    await t.rejects(failed, { name: 'SociError', message: /sig=REDACTED/ });
    await failed.catch(error => t.notMatch(inspect(error, { depth: 10 }), secret, inspect(fault)));
  }
  t.ok(events.length > 0);
  t.notMatch(inspect(events, { depth: 10 }), secret);
  await t.rejects(HttpSource.open(`ftp://user:${SECRET}@h/`), { message: /^(?!.*hunter2)/ });
});
