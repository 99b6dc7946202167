import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import t from 'tap';

import { endpointsOf } from '../../lib/registry/endpoint.js';
import { parseHostsToml, readHostsDirectory } from '../../lib/registry/hosts-toml.js';
import { proxyFor } from '../../lib/registry/proxy.js';
import { RegistryRepository } from '../../lib/registry/registry-repository.js';
import type { Repository } from '../../lib/registry/repository.js';
import {
  blobOf,
  collect,
  failure,
  fixturePath,
  openRepository,
  pushArtifact,
  pushImage,
  QUICK,
  sampleBytes,
  startRegistry,
  startTransport,
} from './fixture.js';

const LAYER = sampleBytes(5000);
const pem = (name: string): string => readFileSync(fixturePath('tls', name), 'utf8');
const SERVER = { key: pem('server.key'), cert: pem('server.pem') };

t.test('endpoints', t => {
  const roots = (registry: string, options = {}): string[] =>
    endpointsOf(registry, options).map(({ root }) => root.href);
  t.same(roots('docker.io'), ['https://registry-1.docker.io/v2/']);
  t.same(roots('registry.example:5000'), ['https://registry.example:5000/v2/']);
  t.same(roots('localhost:5000'), ['http://localhost:5000/v2/'], 'this machine is spoken to in plain HTTP');
  t.same(
    roots('127.0.0.1:5000', { ca: 'x' }),
    ['https://127.0.0.1:5000/v2/'],
    'unless something is said about TLS',
  );
  t.same(roots('[::1]:5000'), ['http://[::1]:5000/v2/']);
  t.same(roots('localhost.evil.example'), ['https://localhost.evil.example/v2/']);
  t.same(roots('registry.example', { plainHttp: true }), ['http://registry.example/v2/']);
  t.same(
    roots('docker.io', {
      mirrors: [{ url: 'https://m.example/cache' }, { url: 'http://n.example/api', overridePath: true }],
    }),
    ['https://m.example/cache/v2/', 'http://n.example/api/', 'https://registry-1.docker.io/v2/'],
  );
  t.same(
    endpointsOf('docker.io', { mirrors: [{ url: 'https://m.example' }] }).map(({ account }) => account),
    ['m.example', 'docker.io'],
  );
  for (const url of ['ftp://x', 'x', 'https://user:pw@m.example']) {
    t.throws(
      () => endpointsOf('docker.io', { mirrors: [{ url }] }),
      { code: 'ERR_SOCI_INVALID_ARGUMENT' },
      url,
    );
  }
  t.end();
});

t.test('hosts.toml', async t => {
  const directory = t.testdir({ 'ca.pem': 'CA', 'client.pem': 'CERT', 'client.key': 'KEY' });
  const parsed = await parseHostsToml(
    `server = "https://origin.example"
     ca = "ca.pem"
     capabilities = ["pull"]
     [host."https://first.example"]
       capabilities = ["pull", "resolve"]
       skip_verify = true
       client = [["client.pem", "client.key"]]
     [host."http://second.example:5000/v2/team"]
       override_path = true
       [host."http://second.example:5000/v2/team".header]
         X-Custom = ["a", "b"]
     [host."third.example"]`,
    directory,
  );
  t.match(parsed, {
    server: { url: 'https://origin.example', ca: ['CA'], capabilities: ['pull'] },
    mirrors: [
      {
        url: 'https://first.example',
        skipVerify: true,
        clientCertificate: { cert: 'CERT', key: 'KEY' },
        capabilities: ['pull', 'resolve'],
      },
      { url: 'http://second.example:5000/v2/team', overridePath: true, headers: { 'x-custom': 'a, b' } },
      { url: 'https://third.example', capabilities: ['pull', 'resolve', 'push'] },
    ],
  });
  t.same(
    endpointsOf('docker.io', parsed).map(({ root }) => root.href),
    [
      'https://first.example/v2/',
      'http://second.example:5000/v2/team/',
      'https://third.example/v2/',
      'https://origin.example/v2/',
    ],
  );
  t.match(
    await parseHostsToml('skip_verify = true', directory),
    { skipVerify: true, mirrors: [] },
    'no server: the registry itself',
  );
  for (const bad of [
    '= nonsense',
    'server = 5',
    'ca = "absent.pem"',
    'ca = 1',
    'skip_verify = "yes"',
    '[host."x"]\ncapabilities = ["fly"]',
    '[host."http://"]',
  ]) {
    t.match(await failure(parseHostsToml(bad, directory)), { code: 'ERR_SOCI_HOSTS_CONFIG' }, bad);
  }

  t.test('folders', async t => {
    const certs = t.testdir({
      'docker.io': { 'hosts.toml': '[host."https://hub-mirror.example"]' },
      'registry.example_5000_': { 'hosts.toml': 'server = "http://port.example"' },
      'old.example': { 'a.crt': 'A', 'b.crt': 'B', 'c.cert': 'C', 'c.key': 'K', 'readme.txt': 'x' },
      _default: { 'hosts.toml': '[host."https://everything.example"]' },
    });
    t.match(await readHostsDirectory(['/nonexistent', certs], 'docker.io'), {
      mirrors: [{ url: 'https://hub-mirror.example' }],
    });
    t.match(await readHostsDirectory([certs], 'registry.example:5000'), {
      server: { url: 'http://port.example' },
    });
    t.same(await readHostsDirectory([certs], 'old.example'), {
      ca: ['A', 'B'],
      clientCertificate: { cert: 'C', key: 'K' },
    });
    t.match(await readHostsDirectory([certs], 'any.example'), {
      mirrors: [{ url: 'https://everything.example' }],
    });
    t.equal(await readHostsDirectory([], 'any.example'), undefined);
  });
});

t.test('mirrors', async t => {
  const origin = await startRegistry(t);
  const mirror = await startRegistry(t);
  const credentials: string[] = [];
  const hosts = { [origin.host]: { mirrors: [{ url: mirror.url }] } };
  const transport = startTransport(t, {
    hosts,
    credentials: ({ registry }) => {
      credentials.push(registry);
      return undefined;
    },
  });
  const direct = startTransport(t);
  const repository = openRepository(transport, origin);
  const image = await pushImage(openRepository(direct, origin), LAYER, { tag: 'v1' });
  const copy = await pushImage(openRepository(direct, mirror), LAYER, { tag: 'v1' });
  t.same(copy, image);
  const reset = (): void => {
    for (const registry of [origin, mirror]) {
      registry.requests.length = 0;
      registry.clearFaults();
    }
  };
  t.beforeEach(reset);

  t.test('serve first, knowing whom they stand for', async t => {
    await repository.getManifest('v1');
    await repository.getBlob(blobOf(LAYER));
    t.equal(origin.requests.length, 0);
    t.same(
      mirror.requests.map(({ query }) => query.get('ns')),
      [origin.host, origin.host],
    );
  });

  t.test('are passed over when they fail, lack or falsify something', async t => {
    for (const fault of [
      { reply: { status: 404, headers: {} } },
      { reply: { status: 500, headers: {} } },
      { reply: { status: 401, headers: {} } },
      { cutAfter: -1 },
      { corrupt: 3 },
    ]) {
      reset();
      mirror.inject(fault);
      const fresh = openRepository(startTransport(t, { hosts }), origin);
      t.equal((await fresh.getManifest(image)).descriptor.digest, image.digest);
      t.same(Buffer.from(await fresh.getBlob(blobOf(LAYER))), Buffer.from(LAYER), JSON.stringify(fault));
    }
    reset();
    mirror.inject({ match: { path: '/blobs/' }, reply: { status: 503, headers: {} } });
    const source = await repository.openBlob(blobOf(LAYER));
    t.same(Buffer.from(await source.read(5, 5)), Buffer.from(LAYER.subarray(5, 10)));
    mirror.requests.length = 0;
    await source.read(5, 5);
    t.equal(mirror.requests.length, 0, 'for good, as far as one blob is concerned');
    await source.close();
  });

  t.test('that were broken off for somebody who waits have not failed', async t => {
    mirror.inject({ match: { path: '/blobs/' }, times: 1, stallAfter: 100 });
    // The mirror has failed for the other transport, which leaves it for a while.
    const fresh = openRepository(startTransport(t, { hosts }), origin);
    const source = await fresh.openBlob(blobOf(LAYER));
    t.equal(source.link, undefined);
    const background = source.read(0, LAYER.length, { lane: 'background' });
    while (mirror.requests.length === 0) await delay(2);
    await fresh.getManifest('v1');
    t.same(Buffer.from(await background), Buffer.from(LAYER));
    t.equal(origin.requests.length, 0);
    t.type(source.link?.roundTripMs, 'number', 'whoever reads a blob knows what its link is like');
    await source.close();
  });

  t.test('are left alone for a while when they cannot be reached', async t => {
    mirror.inject({ cutAfter: -1 });
    const fresh = openRepository(startTransport(t, { hosts }), origin);
    await fresh.getManifest('v1');
    t.equal(mirror.requests.length, 2, 'one retry: there is somebody else to ask');
    await fresh.getManifest('v1');
    await fresh.getBlob(blobOf(LAYER));
    t.equal(mirror.requests.length, 2);
  });

  t.test('that are silent have one budget of silence together, and with the registry', async t => {
    const silent = { reply: () => new Promise<never>(() => {}) };
    const mirrors = [mirror, await startRegistry(t), await startRegistry(t), await startRegistry(t)];
    const everybody = [...mirrors, origin];
    for (const registry of everybody) registry.inject(silent);
    const options = {
      hosts: { [origin.host]: { mirrors: mirrors.map(({ url }) => ({ url })) } },
      // As the defaults: half a minute for a reply, a minute of silence.
      timeouts: { headers: 30 },
      retry: { ...QUICK, retries: 5, maxSilence: 60 },
    };
    const digest = image.digest;
    const blob = blobOf(LAYER);
    const operations: Readonly<Record<string, (silent: Repository) => Promise<unknown>>> = {
      resolve: silent => silent.resolve('v1'),
      getManifest: silent => silent.getManifest(digest),
      getBlob: silent => silent.getBlob(blob),
      referrers: silent => silent.referrers(digest),
      listTags: silent => silent.listTags(),
      'ranges of a blob': async silent => await (await silent.openBlob(blob)).read(0, 10),
      'a blob as a stream': async silent => await collect((await silent.openBlob(blob)).stream()),
    };
    for (const [name, operation] of Object.entries(operations)) {
      for (const registry of everybody) registry.requests.length = 0;
      const error = await failure(operation(openRepository(startTransport(t, options), origin)));
      t.equal(error.code, 'ERR_SOCI_HTTP_TIMEOUT', name);
      t.same(
        everybody.map(({ requests }) => requests.length),
        // Of referrers the API and the tag are asked at the same time.
        [1, 0, 0, 0, name === 'referrers' ? 2 : 1],
        `${name}: two time limits, 60 s by default`,
      );
    }
    for (const registry of everybody) registry.clearFaults();
  });

  t.test("whose failure counts is the registry's", async t => {
    mirror.inject({ reply: { status: 500, headers: {} } });
    t.match(await failure(repository.getManifest('absent')), { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' });
  });

  t.test('are not pushed to, and have no say on referrers that they lack', async t => {
    const artifact = await pushArtifact(repository, image, 'application/vnd.example');
    t.equal(mirror.requests.length, 0);
    t.match(await repository.referrers(image.digest), [{ digest: artifact.digest }]);
    t.equal(mirror.requests.length, 1);
  });

  t.test('by capability', async t => {
    const pullOnly = startTransport(t, {
      hosts: { [origin.host]: { mirrors: [{ url: mirror.url, capabilities: ['pull'] }] } },
    });
    await openRepository(pullOnly, origin).getManifest('v1');
    t.equal(mirror.requests.length, 0, 'a tag is resolved by the registry');
    await openRepository(pullOnly, origin).getManifest(image.digest);
    t.equal(mirror.requests.length, 1);
    const readOnly = startTransport(t, {
      hosts: { '*': { server: { url: origin.url, capabilities: ['pull'] } } },
    });
    t.match(await failure(pushImage(openRepository(readOnly, origin), LAYER)), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
    });
  });

  t.test('of a containerd directory', async t => {
    const certs = t.testdir({
      'docker.io': { 'hosts.toml': `server = "${origin.url}"\n[host."${mirror.url}"]` },
    });
    const configured = startTransport(t, { hostsDirectories: [certs] });
    const hub = new RegistryRepository(configured, { registry: 'docker.io', repository: 'demo/app' });
    t.equal((await hub.getManifest('v1')).descriptor.digest, image.digest);
    t.same(
      [mirror.requests.length, mirror.requests[0]?.query.get('ns'), origin.requests.length],
      [1, 'docker.io', 0],
    );
  });
});

t.test('TLS', async t => {
  const registry = await startRegistry(t, { tls: SERVER });
  const hosts = (options: object): { hosts: Record<string, object> } => ({
    hosts: { [registry.host]: options },
  });
  const attempt = (options: object): Promise<unknown> =>
    pushImage(
      openRepository(startTransport(t, { ...hosts(options), retry: { retries: 0 } }), registry),
      LAYER,
      { tag: 'v1' },
    );
  t.match(
    await failure(attempt({ plainHttp: false })),
    { code: 'ERR_SOCI_HTTP_NETWORK' },
    'an unknown authority is refused',
  );
  t.ok(await attempt({ ca: pem('ca.pem') }));
  t.ok(await attempt({ skipVerify: true }));
  t.match(
    await failure(attempt({})),
    { code: 'ERR_SOCI_HTTP_NETWORK' },
    'this machine is taken for plain HTTP',
  );

  const reader = openRepository(startTransport(t, hosts({ ca: [pem('ca.pem')] })), registry);
  t.same(Buffer.from(await reader.getBlob(blobOf(LAYER))), Buffer.from(LAYER), 'blobs go the same way');

  t.test('with a client certificate', async t => {
    const strict = await startRegistry(t, { tls: { ...SERVER, ca: pem('ca.pem') } });
    const client = { cert: pem('client.pem'), key: pem('client.key') };
    const open = (options: object): RegistryRepository =>
      openRepository(startTransport(t, { hosts: { [strict.host]: options }, retry: { retries: 0 } }), strict);
    t.ok(await pushImage(open({ ca: pem('ca.pem'), clientCertificate: client }), LAYER));
    t.match(await failure(pushImage(open({ ca: pem('ca.pem') }), LAYER)), { code: 'ERR_SOCI_HTTP_NETWORK' });
  });

  t.test('is not left by a redirect', async t => {
    const plain = await startRegistry(t);
    registry.inject({
      match: { method: 'GET', path: '/blobs/' },
      reply: { status: 307, headers: { location: `${plain.url}/x` } },
    });
    t.match(await failure(reader.getBlob(blobOf(LAYER))), { code: 'ERR_SOCI_HTTP_REDIRECT' });
    t.equal(plain.requests.length, 0);
  });
});

t.test('proxies', async t => {
  const through = (url: string, env: Record<string, string>): string | undefined =>
    proxyFor(new URL(url), env)?.href;
  const env = { HTTPS_PROXY: 'http://proxy.example:3128', http_proxy: 'proxy.example', NO_PROXY: '' };
  t.equal(through('https://r.example/', env), 'http://proxy.example:3128/');
  t.equal(through('http://r.example/', env), 'http://proxy.example/');
  t.equal(through('https://localhost:5000/', env), undefined);
  t.equal(through('https://127.0.0.1:5000/', env), undefined);
  t.equal(through('https://r.example/', {}), undefined);
  const excluded: [string, string, boolean][] = [
    ['*', 'r.example', true],
    ['example', 'r.example', true],
    ['.example', 'r.example', true],
    ['*.example', 'r.example', true],
    ['r.example', 'r.example', true],
    ['.r.example', 'r.example', false],
    ['xample', 'r.example', false],
    ['r.example:443', 'r.example', true],
    ['r.example:444', 'r.example', false],
    ['a, r.example', 'r.example', true],
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.0.0.0/8', '11.1.2.3', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['fd00::/8', '[fd00::1]', true],
    ['10.0.0.0/99', '10.1.2.3', false],
  ];
  for (const [rule, host, expected] of excluded) {
    t.equal(
      through(`https://${host}/`, { ...env, NO_PROXY: rule }) === undefined,
      expected,
      `${rule} on ${host}`,
    );
  }
  t.throws(() => through('https://r.example/', { HTTPS_PROXY: 'socks5://x' }), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });

  t.test('carry everything that is not on this machine', async t => {
    const registry = await startRegistry(t);
    const tunnels: string[] = [];
    // Every tunnel ends at the test registry, whatever host was asked for.
    const proxy = createServer((socket: Socket) => {
      socket.once('data', head => {
        tunnels.push(head.toString().split('\r\n')[0]!);
        const target = connect(Number(registry.host.split(':')[1]), '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          socket.pipe(target).pipe(socket);
        });
        target.on('error', () => socket.destroy());
      });
      socket.on('error', () => {});
    });
    await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
    t.teardown(() => proxy.close());
    const transport = startTransport(t, {
      env: { HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` },
      hosts: { 'registry.example': { plainHttp: true } },
    });
    const repository = new RegistryRepository(transport, {
      registry: 'registry.example',
      repository: 'demo/app',
    });
    await pushImage(repository, LAYER, { tag: 'v1' });
    t.same(Buffer.from(await repository.getBlob(blobOf(LAYER))), Buffer.from(LAYER));
    t.match(tunnels[0], /^CONNECT registry\.example:80 /);
    await transport.close();
  });
});
