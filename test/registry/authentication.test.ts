import type { LookupAllOptions, lookup } from 'node:dns';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { inspect } from 'node:util';

import t from 'tap';
import { SociError } from '../../lib/errors.js';
import type { CredentialProvider, CredentialRequest } from '../../lib/registry/credentials.js';
import { checkRealm } from '../../lib/registry/realm.js';
import { guardedLookup } from '../../lib/source/http/guarded-lookup.js';
import { locationOf } from '../../lib/source/http/location.js';
import type { RegistryRequest, Reply } from '../../lib/testing/testing.js';
import {
  blobOf,
  failure,
  openRepository,
  pushImage,
  sampleBytes,
  startRegistry,
  startTransport,
} from './fixture.js';

const LAYER = sampleBytes(50_000);
const USER = { username: 'user', password: 'p:ss wörd' };
const GOOD: CredentialProvider = () => USER;

t.test('basic credentials are sent when asked for, and then with every request', async t => {
  const registry = await startRegistry(t, { auth: { type: 'basic', ...USER } });
  const repository = openRepository(startTransport(t, { credentials: GOOD }), registry);
  await pushImage(repository, LAYER, { tag: 'v1' });
  t.equal(registry.requests[0]?.headers['authorization'], undefined, 'not before');
  t.equal(registry.requests.filter(({ headers }) => headers['authorization'] === undefined).length, 1);
  const nobody = openRepository(startTransport(t), registry);
  t.match(await failure(nobody.resolve('v1')), { code: 'ERR_SOCI_REGISTRY_AUTH', data: { status: 401 } });
  const wrong = openRepository(
    startTransport(t, { credentials: () => ({ username: 'user', password: 'no' }) }),
    registry,
  );
  t.match(await failure(wrong.getManifest('v1')), { code: 'ERR_SOCI_REGISTRY_AUTH' });
});

t.test('bearer tokens', async t => {
  const registry = await startRegistry(t, {
    auth: { type: 'bearer', ...USER, identityToken: 'refresh/me+now', anonymousPull: true },
  });
  const tokens = (): typeof registry.requests => registry.requests.filter(({ path }) => path === '/token');
  const transport = startTransport(t, { credentials: GOOD });
  const repository = openRepository(transport, registry);
  await pushImage(repository, LAYER, { tag: 'v1' });
  t.same(
    tokens().map(({ query }) => query.getAll('scope')),
    [['repository:demo/app:pull,push']],
    'one for a whole push',
  );
  t.equal(tokens()[0]?.query.get('service'), 'test');
  await repository.getManifest('v1');
  t.equal(tokens().length, 1, 'and it serves for pulling too');

  t.test('another repository needs another token', async t => {
    registry.requests.length = 0;
    await pushImage(openRepository(transport, registry, 'demo/two'), LAYER);
    t.same(
      tokens().map(({ query }) => query.get('scope')),
      ['repository:demo/two:pull,push'],
    );
    t.equal(
      registry.requests
        .filter(({ path }) => path !== '/token')
        .every(({ headers }) => headers['authorization']),
      true,
      'asked for ahead: nothing was refused',
    );
  });

  t.test('mounting needs access to both repositories', async t => {
    registry.requests.length = 0;
    const three = openRepository(transport, registry, 'demo/three');
    t.equal(await three.pushBlob(blobOf(LAYER), LAYER, { mountFrom: ['demo/app'] }), 'mounted');
    t.same(
      tokens().map(({ query }) => query.getAll('scope')),
      [['repository:demo/three:pull,push'], ['repository:demo/app:pull', 'repository:demo/three:pull,push']],
    );
  });

  t.test('many requests at once share one token', async t => {
    const fresh = openRepository(startTransport(t, { credentials: GOOD }), registry);
    registry.requests.length = 0;
    await Promise.all(Array.from({ length: 10 }, () => fresh.getManifest('v1')));
    t.equal(tokens().length, 1);
  });

  t.test('a refused token is replaced once', async t => {
    registry.revokeTokens();
    registry.requests.length = 0;
    await repository.getManifest('v1');
    t.same(
      registry.requests.map(({ path }) => path.split('/').at(-1)),
      ['v1', 'token', 'v1'],
    );
    registry.inject({
      match: { path: '/manifests/' },
      reply: { status: 401, headers: { 'www-authenticate': `Bearer realm="${registry.url}/token"` } },
    });
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_REGISTRY_AUTH' });
    registry.clearFaults();
  });

  t.test('so is one that expired with a 403, as ECR does it, also amid ranged reads', async t => {
    const source = await repository.openBlob(blobOf(LAYER));
    await source.read(0, 10);
    registry.revokeTokens();
    registry.inject({
      match: request => request.path.includes('/blobs/'),
      times: 1,
      reply: {
        status: 403,
        headers: {},
        body: Buffer.from(
          '{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}',
        ),
      },
    });
    registry.requests.length = 0;
    t.same(Buffer.from(await source.read(10, 10)), Buffer.from(LAYER.subarray(10, 20)));
    t.same(tokens().length, 1);
    await source.close();
  });

  t.test('an identity token is traded for access tokens', async t => {
    const identity = openRepository(
      startTransport(t, { credentials: () => ({ identityToken: 'refresh/me+now' }) }),
      registry,
    );
    registry.requests.length = 0;
    await pushImage(identity, sampleBytes(9, 9));
    t.equal(tokens()[0]?.method, 'POST');
    t.match(new URLSearchParams(Buffer.from(tokens()[0]!.body).toString()).get('client_id'), 'seekable-oci');
    t.notMatch(tokens()[0]?.query.toString(), /refresh/, 'never in the URL');
  });

  t.test('nobody may still pull what is public, even with a broken credential helper', async t => {
    const broken: CredentialProvider = () => {
      throw new SociError('ERR_SOCI_CREDENTIALS', 'helper missing');
    };
    const anonymous = openRepository(startTransport(t, { credentials: broken }), registry);
    t.ok(await anonymous.getManifest('v1'));
    t.match(
      await failure(pushImage(anonymous, LAYER)),
      { code: 'ERR_SOCI_CREDENTIALS' },
      'which is named when it matters',
    );
  });

  t.test('a provider that fails otherwise ends the call', async t => {
    const cause = new Error('vault is sealed');
    const failing = openRepository(startTransport(t, { credentials: () => Promise.reject(cause) }), registry);
    t.equal(await failure(failing.getManifest('v1')), cause);
  });

  t.test('refused credentials are asked for once more, as refused', async t => {
    const asked: CredentialRequest[] = [];
    const rotating: CredentialProvider = request => {
      asked.push(request);
      return request.refused ? USER : { username: 'user', password: 'old' };
    };
    const rotated = openRepository(startTransport(t, { credentials: rotating }), registry);
    t.ok(await rotated.getManifest('v1'));
    t.match(asked, [
      { registry: registry.host, repository: 'demo/app', refused: false },
      { registry: registry.host, repository: 'demo/app', refused: true },
    ]);
  });
});

t.test('a token is renewed before it expires', async t => {
  const registry = await startRegistry(t, { auth: { type: 'bearer', ...USER, tokenLifetime: 1 } });
  const repository = openRepository(startTransport(t, { credentials: GOOD }), registry);
  await pushImage(repository, LAYER, { tag: 'v1' });
  await new Promise(resolve => setTimeout(resolve, 800));
  registry.requests.length = 0;
  await repository.getManifest('v1');
  t.same(
    registry.requests.map(({ path }) => path.split('/').at(-1)),
    ['token', 'v1'],
    'without a refusal',
  );
});

t.test('token servers that are not to be asked', t => {
  const registry = new URL('https://registry.example/v2/');
  const plain = new URL('http://registry.lan:5000/v2/');
  const loopback = new URL('http://127.0.0.1:5000/v2/');
  const refused: [string | undefined, URL][] = [
    ['http://auth.example/token', registry],
    ['https://169.254.169.254/latest/meta-data', registry],
    ['http://169.254.169.254/latest/meta-data', plain],
    ['http://169.254.169.254/latest/meta-data', loopback],
    ['https://[fe80::1]/token', registry],
    ['https://[::ffff:169.254.169.254]/', registry],
    ['https://[fd00:ec2::254]/', registry],
    ['https://0xa9fea9fe/token', registry],
    ['https://2852039166/token', registry],
    ['http://metadata.google.internal/token', plain],
    ['https://metadata.google.internal./token', registry],
    ['https://127.0.0.1/token', registry],
    ['https://localhost/token', registry],
    ['https://0.0.0.0/token', registry],
    ['https://0.0.0.1/token', registry],
    ['https://[::]/token', registry],
    ['https://[::ffff:0:0]/token', registry],
    ['https://[::ffff:127.0.0.1]/token', registry],
    ['https://[64:ff9b::169.254.169.254]/token', registry],
    ['https://user:secret@auth.example/token', registry],
    ['file:///etc/passwd', registry],
    ['/token', registry],
    ['', registry],
    [undefined, registry],
  ];
  for (const [realm, from] of refused) {
    t.throws(() => checkRealm(realm, from), { code: 'ERR_SOCI_REGISTRY_AUTH' }, `${realm} of ${from.host}`);
  }
  t.equal(checkRealm('https://auth.example/token?a=b', registry).href, 'https://auth.example/token?a=b');
  t.equal(
    checkRealm('http://auth.lan/token', plain).href,
    'http://auth.lan/token',
    'plain HTTP begets plain HTTP',
  );
  t.equal(checkRealm('http://127.0.0.1:9/token', loopback).href, 'http://127.0.0.1:9/token');

  const checkLocation = (location: string | undefined, url: URL): URL =>
    locationOf({ method: 'POST', url, header: () => location });
  t.throws(() => checkLocation('http://cdn.example/x', registry), { code: 'ERR_SOCI_HTTP_REDIRECT' });
  t.throws(() => checkLocation('https://169.254.169.254/', registry), { code: 'ERR_SOCI_HTTP_REDIRECT' });
  t.throws(() => checkLocation('https://localhost/', registry), { code: 'ERR_SOCI_HTTP_REDIRECT' });
  t.throws(() => checkLocation('data:text/plain,x', registry), { code: 'ERR_SOCI_HTTP_REDIRECT' });
  t.throws(() => checkLocation('https://a:b@cdn.example/', registry), { code: 'ERR_SOCI_HTTP_REDIRECT' });
  t.throws(() => checkLocation(undefined, registry), { code: 'ERR_SOCI_HTTP_REDIRECT' });
  t.equal(checkLocation('app/x?y', registry).href, 'https://registry.example/v2/app/x?y');
  t.end();
});

t.test('names are judged by what they resolve to', async t => {
  const known: Readonly<Record<string, string>> = {
    'registry.example': '203.0.113.1',
    'dev.example': '127.0.0.1',
    'auth.example': '203.0.113.2',
    'printer.example': '127.0.0.1',
    'six.example': '::ffff:127.0.0.2',
    'cloud.example': '169.254.169.254',
  };
  const resolve = ((name: string, options: LookupAllOptions, callback: (...results: unknown[]) => void) => {
    const address = known[name];
    if (address === undefined) callback(new Error(`no ${name}`));
    else if (options.all === true) callback(null, [{ address, family: 4 }]);
    else callback(null, address, 4);
  }) as unknown as typeof lookup;
  const asked = (name: string, home: string, all = false): string => {
    let result = '';
    guardedLookup(new URL(home), resolve)(name, { all }, (error, address) => {
      result = error?.message ?? JSON.stringify(address);
    });
    return result;
  };
  const far = 'https://registry.example/';
  for (const all of [false, true]) {
    t.match(asked('auth.example', far, all), '203.0.113.2');
    t.match(asked('printer.example', far, all), 'resolves to 127.0.0.1, an address of this machine');
    t.match(asked('six.example', far, all), 'an address of this machine');
    t.match(asked('cloud.example', far, all), 'a link-local or metadata address');
    t.match(asked('cloud.example', 'https://cloud.example/', all), 'a link-local or metadata address');
    t.match(asked('nobody.example', far, all), 'no nobody.example');
    t.match(
      asked('dev.example', 'http://dev.example/', all),
      /^(?!.*resolves).*127\.0\.0\.1/,
      'the registry itself',
    );
    t.match(asked('printer.example', 'http://dev.example/', all), /^(?!.*resolves).*127\.0\.0\.1/);
    t.match(asked('printer.example', 'http://127.0.0.1:5000/', all), /^(?!.*resolves).*127\.0\.0\.1/);
  }
});

t.test('credentials go nowhere else', async t => {
  const seen: { url: string; authorization: string | undefined }[] = [];
  const blob = Buffer.from(LAYER);
  const elsewhere = createServer((request, response) => {
    seen.push({ url: request.url ?? '', authorization: request.headers.authorization });
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
    const [start, end] = range === null ? [0, blob.length] : [Number(range[1]), Number(range[2]) + 1];
    response.writeHead(range === null ? 200 : 206, {
      'content-length': end - start,
      ...(range === null ? {} : { 'content-range': `bytes ${start}-${end - 1}/${blob.length}` }),
    });
    response.end(blob.subarray(start, end));
  });
  await new Promise<void>(resolve => elsewhere.listen(0, '127.0.0.1', resolve));
  t.teardown(() => elsewhere.close());
  const away = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/bucket?X-Amz-Signature=sesame`;
  const registry = await startRegistry(t, { auth: { type: 'bearer', ...USER } });
  const repository = openRepository(startTransport(t, { credentials: GOOD }), registry);
  await pushImage(repository, LAYER, { tag: 'v1' });
  registry.inject({
    match: { method: 'GET', path: '/blobs/' },
    reply: { status: 307, headers: { location: away } },
  });

  const source = await repository.openBlob(blobOf(LAYER));
  await source.read(0, 10);
  await source.read(10, 10);
  t.equal(seen.length, 2);
  t.equal(
    seen.every(({ authorization }) => authorization === undefined),
    true,
  );
  const asked = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
  t.equal(asked.length, 1, 'the redirect was remembered');
  await source.close();

  t.test('a manifest that is redirected neither', async t => {
    registry.clearFaults();
    registry.inject({
      match: { method: 'GET', path: '/manifests/' },
      reply: { status: 302, headers: { location: away } },
    });
    seen.length = 0;
    const error = await failure(repository.getManifest('v1'));
    t.match(error, { code: 'ERR_SOCI_MANIFEST' });
    t.same(
      seen.map(({ authorization }) => authorization),
      [undefined],
    );
  });

  t.test('not even back to where they came from, once another host was asked', async t => {
    registry.clearFaults();
    const back = createServer((_, response) => {
      response.writeHead(302, { location: `${registry.url}/v2/demo/app/manifests/chosen-by-others` }).end();
    });
    await new Promise<void>(resolve => back.listen(0, '127.0.0.1', resolve));
    t.teardown(() => back.close());
    const location = `http://127.0.0.1:${(back.address() as AddressInfo).port}/`;
    registry.inject({ match: { path: '/manifests/v1' }, reply: { status: 302, headers: { location } } });
    await failure(repository.getManifest('v1'));
    const chosen = registry.requests.find(({ path }) => path.endsWith('chosen-by-others'));
    t.ok(chosen);
    t.equal(chosen?.headers['authorization'], undefined);
  });

  t.test('nor do secrets into messages', async t => {
    registry.clearFaults();
    registry.inject({
      match: { path: '/manifests/' },
      reply: {
        status: 400,
        headers: {},
        body: Buffer.from(
          JSON.stringify({ errors: [{ code: 'MANIFEST_INVALID', message: `no\u001b[31m ${away}\n!` }] }),
        ),
      },
    });
    const error = await failure(repository.getManifest('v1'));
    t.match(error, {
      code: 'ERR_SOCI_HTTP_STATUS',
      message:
        /400 Bad Request \(MANIFEST_INVALID: no \[31m http:\/\/127\.0\.0\.1:\d+\/bucket\?X-Amz-Signature=REDACTED !\)$/,
      data: { errors: [{ code: 'MANIFEST_INVALID' }] },
    });
    t.notMatch(JSON.stringify([error.message, error.data]), /sesame|p:ss/);
  });

  t.test('not even when a server quotes what it was sent', async t => {
    registry.clearFaults();
    let sent = '';
    const quoting = (status: number) => ({
      reply: ({ headers, body }: RegistryRequest): Reply => {
        const pair = Buffer.from((headers['authorization'] ?? '').slice(6), 'base64').toString();
        const text = `${headers['authorization']} (${pair}) ${Buffer.from(body).toString()}`;
        sent += text;
        const errors = [{ code: headers['authorization'], message: text }];
        return { status, headers: {}, body: Buffer.from(JSON.stringify({ errors })) };
      },
    });
    const authorized = ({ path, headers }: RegistryRequest): boolean =>
      path.endsWith('/quoted') && headers['authorization'] !== undefined;
    registry.inject({ match: authorized, ...quoting(400) });
    const secrets = /dXNlcjpw|p:ss|t0p-secret|Bearer (?!REDACTED)|Basic (?!REDACTED)/;
    const quoted = async (credentials: CredentialProvider): Promise<void> => {
      const client = openRepository(startTransport(t, { credentials }), registry);
      const error = await failure(client.getManifest('quoted'));
      t.match(error.message, 'REDACTED');
      t.notMatch(inspect(error, { depth: 9 }), secrets);
    };
    await quoted(GOOD);
    registry.inject({ match: { path: '/token' }, ...quoting(403) });
    await quoted(GOOD);
    await quoted(() => ({ identityToken: 't0p-secret' }));
    t.match(sent, /Bearer .*dXNlcjpw.*refresh_token=t0p-secret/s);
  });

  t.test('nor when its answer is no HTTP', async t => {
    const rude = createTcpServer(socket => socket.once('data', request => socket.end(request)));
    await new Promise<void>(resolve => rude.listen(0, '127.0.0.1', resolve));
    t.teardown(() => rude.close());
    const host = `127.0.0.1:${(rude.address() as AddressInfo).port}`;
    const hosts = { [host]: { headers: { 'x-key': 'open-sesame' } } };
    const client = openRepository(startTransport(t, { hosts }), { host });
    const error = await failure(client.getManifest('v1'));
    t.equal(error.code, 'ERR_SOCI_HTTP_NETWORK');
    t.notMatch(inspect(error, { depth: 9 }), 'open-sesame');
  });
});

t.test('token servers that make no sense', async t => {
  const registry = await startRegistry(t, { auth: { type: 'bearer', ...USER } });
  const attempt = async (body: string, status = 200): Promise<SociError> => {
    registry.clearFaults();
    registry.inject({ match: { path: '/token' }, reply: { status, headers: {}, body: Buffer.from(body) } });
    return await failure(
      openRepository(startTransport(t, { credentials: GOOD }), registry).getManifest('v1'),
    );
  };
  t.match(await attempt('<html>'), { code: 'ERR_SOCI_REGISTRY_AUTH', message: /not JSON/ });
  t.match(await attempt('{}'), { code: 'ERR_SOCI_REGISTRY_AUTH', message: /no usable token/ });
  t.match(await attempt('{"token":"a\\r\\nx: y"}'), {
    code: 'ERR_SOCI_REGISTRY_AUTH',
    message: /no usable token/,
  });
  t.match(await attempt(`{"token":"${'x'.repeat(2_000_000)}"}`), { code: 'ERR_SOCI_LIMIT' });
  registry.requests.length = 0;
  t.match(await attempt('', 503), { code: 'ERR_SOCI_HTTP_STATUS', data: { status: 503, attempts: 3 } });
  const asked = registry.requests.filter(({ path }) => path === '/token');
  t.equal(asked.length, 3, 'what its own retries gave up is not tried again');
  t.match(await attempt('', 302), { code: 'ERR_SOCI_REGISTRY_AUTH' });
  t.match(await attempt('{"details":"incorrect username or password"}', 401), {
    code: 'ERR_SOCI_REGISTRY_AUTH',
    message: /incorrect username or password/,
  });
});
