import t from 'tap';

import type { Descriptor } from '../../lib/registry/descriptor.js';
import { OCI_MANIFEST } from '../../lib/registry/media-types.js';
import {
  blobOf,
  collect,
  failure,
  openRepository,
  pushImage,
  QUICK,
  sampleBytes,
  startRegistry,
  startTransport,
} from './fixture.js';

const LAYER = sampleBytes(100_000);
const BLOB = blobOf(LAYER);
const BLOBS = { method: 'GET', path: '/blobs/' };
const MANIFESTS = { path: '/manifests/' };

t.test('an awkward registry', async t => {
  const registry = await startRegistry(t);
  const transport = startTransport(t);
  const repository = openRepository(transport, registry);
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const source = await repository.openBlob(BLOB);
    try {
      return Buffer.from(await source.read(offset, length));
    } finally {
      await source.close();
    }
  };
  t.beforeEach(() => {
    registry.clearFaults();
    registry.requests.length = 0;
  });

  t.test('answers 200 where 206 was asked for', async t => {
    registry.inject({ match: BLOBS, ignoreRange: true });
    t.match(await failure(read(10, 10)), { code: 'ERR_SOCI_HTTP_NO_RANGES' });
    t.same(Buffer.from(await repository.getBlob(BLOB)), Buffer.from(LAYER), 'whole blobs need no ranges');
  });

  t.test('answers 416', async t => {
    registry.inject({
      match: BLOBS,
      reply: { status: 416, headers: { 'content-range': `bytes */${LAYER.length}` } },
    });
    t.match(await failure(read(10, 10)), { code: 'ERR_SOCI_HTTP_RANGE' });
  });

  t.test('answers another range', async t => {
    registry.inject({ match: BLOBS, headers: { 'content-range': `bytes 11-20/${LAYER.length}` } });
    t.match(await failure(read(10, 10)), { code: 'ERR_SOCI_HTTP_RANGE' });
    registry.clearFaults();
    registry.inject({ match: BLOBS, headers: { 'content-range': 'bytes 10-19/20' } });
    t.match(await failure(read(10, 10)), { code: 'ERR_SOCI_SOURCE_CHANGED' }, 'or another size');
  });

  t.test('cuts bodies', async t => {
    registry.inject({ match: BLOBS, times: 2, cutAfter: 30_000 });
    t.same(await read(0, 100_000), Buffer.from(LAYER));
    t.same(
      registry.requests.map(({ headers }) => headers['range']).at(-1),
      'bytes=60000-99999',
      'taken up where it broke off',
    );
    registry.clearFaults();
    registry.inject({ match: MANIFESTS, times: 1, cutAfter: 10 });
    t.equal((await repository.getManifest('v1')).descriptor.digest, image.digest);
    registry.inject({ match: MANIFESTS, cutAfter: 10 });
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_HTTP_NETWORK' });
  });

  t.test('stalls', async t => {
    const impatient = startTransport(t, {
      timeouts: { headers: 50, body: 50 },
      retry: { ...QUICK, retries: 1 },
    });
    registry.inject({ match: MANIFESTS, stallAfter: 10 });
    t.match(await failure(openRepository(impatient, registry).getManifest('v1')), {
      code: 'ERR_SOCI_HTTP_TIMEOUT',
    });
  });

  t.test('stalls amid a blob, which the same timeouts notice', async t => {
    for (const timeouts of [{ headers: 50 }, { bodyIdle: 50 }, { body: 50 }]) {
      const impatient = startTransport(t, { timeouts, retry: { retries: 0 } });
      registry.clearFaults();
      registry.inject(
        'headers' in timeouts
          ? { match: BLOBS, reply: () => new Promise(() => {}) }
          : { match: BLOBS, stallAfter: 10 },
      );
      const source = await openRepository(impatient, registry).openBlob(BLOB);
      t.match(
        await failure(source.read(0, 1000)),
        { code: 'ERR_SOCI_HTTP_TIMEOUT', data: { temporary: true } },
        JSON.stringify(timeouts),
      );
      await source.close();
    }
    for (const timeouts of [{ headers: 0 }, { body: 1.5 }]) {
      t.throws(() => startTransport(t, { timeouts }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
    }
  });

  t.test('is busy for a while', async t => {
    registry.inject({ match: MANIFESTS, times: 1, reply: { status: 429, headers: { 'retry-after': '0' } } });
    registry.inject({ match: MANIFESTS, times: 1, reply: { status: 503, headers: {} } });
    t.ok(await repository.getManifest('v1'));
    t.equal(registry.requests.length, 3);
    registry.inject({ match: MANIFESTS, reply: { status: 429, headers: { 'retry-after': '100000' } } });
    registry.requests.length = 0;
    t.match(await failure(repository.getManifest('v1')), {
      code: 'ERR_SOCI_HTTP_STATUS',
      data: { status: 429 },
    });
    t.equal(registry.requests.length, 1, 'nobody waits a day');
  });

  t.test('does not repeat what will not change', async t => {
    registry.inject({ match: MANIFESTS, reply: { status: 400, headers: {} } });
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_HTTP_STATUS' });
    t.equal(registry.requests.length, 1);
  });

  t.test('has no Docker-Content-Digest', async t => {
    registry.inject({ match: MANIFESTS, headers: { 'docker-content-digest': null } });
    t.equal((await repository.resolve('v1')).digest, image.digest, 'the bytes tell');
    t.equal((await repository.getManifest('v1')).descriptor.digest, image.digest);
  });

  t.test('has a wrong one', async t => {
    registry.inject({ match: MANIFESTS, headers: { 'docker-content-digest': BLOB.digest } });
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
    t.match(await failure(repository.resolve(image.digest)), { code: 'ERR_SOCI_REGISTRY_PROTOCOL' });
    t.ok(await repository.getManifest(image.digest), 'the header is not what is trusted');
  });

  t.test('changes bytes', async t => {
    registry.inject({ match: MANIFESTS, corrupt: 5 });
    t.match(await failure(repository.getManifest(image)), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
    registry.inject({ match: BLOBS, corrupt: 99_999 });
    t.match(await failure(repository.getBlob(BLOB)), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
    const source = await repository.openBlob(BLOB);
    t.match(await failure(collect(source.stream())), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
  });

  t.test('has no Content-Type of use', async t => {
    registry.inject({ match: MANIFESTS, headers: { 'content-type': 'text/plain; charset=utf-8' } });
    t.equal((await repository.resolve('v1')).mediaType, OCI_MANIFEST);
    registry.clearFaults();
    registry.inject({ match: MANIFESTS, headers: { 'content-type': null } });
    t.equal((await repository.getManifest('v1')).descriptor.mediaType, OCI_MANIFEST);
  });

  t.test('sends a manifest of 100 MB', async t => {
    let sent = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (; sent < 100; sent++) {
        yield Buffer.alloc(1024 * 1024, 0x20);
      }
    };
    registry.inject({
      match: { ...MANIFESTS, method: 'GET' },
      reply: () => ({ status: 200, headers: { 'content-type': OCI_MANIFEST }, body: endless() }),
    });
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_LIMIT' }, 'unannounced');
    t.ok(sent < 50, 'and is not read to its end');
    registry.clearFaults();
    registry.inject({
      match: MANIFESTS,
      reply: { status: 200, headers: { 'content-type': OCI_MANIFEST, 'content-length': '104857600' } },
    });
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_LIMIT' }, 'announced');
  });

  t.test('redirects in circles', async t => {
    registry.inject({
      match: request => request.path.includes('/manifests/'),
      reply: ({ path }) => ({ status: 307, headers: { location: `${path}?again` } }),
    });
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_HTTP_REDIRECT' });
    t.equal(registry.requests.length, 11, 'as many for a manifest as for a blob');
    registry.inject({ match: BLOBS, reply: ({ path }) => ({ status: 307, headers: { location: path } }) });
    t.match(await failure(read(0, 10)), { code: 'ERR_SOCI_HTTP_REDIRECT' });
  });

  t.test('redirects blobs to the metadata service', async t => {
    registry.inject({
      match: BLOBS,
      reply: { status: 307, headers: { location: 'http://169.254.169.254/latest/meta-data/' } },
    });
    t.match(await failure(read(0, 10)), {
      code: 'ERR_SOCI_HTTP_REDIRECT',
      message: /link-local or metadata/,
    });
  });

  t.test('keeps neither session nor word on uploads', async t => {
    const bytes = sampleBytes(100, 7);
    registry.inject({ match: { method: 'POST' }, times: 1, headers: { location: null } });
    t.match(await failure(repository.pushBlob(blobOf(bytes), bytes)), { code: 'ERR_SOCI_HTTP_REDIRECT' });
    registry.clearFaults();
    registry.inject({ match: { method: 'POST' }, headers: { location: 'http://169.254.169.254/upload' } });
    t.match(await failure(repository.pushBlob(blobOf(bytes), bytes)), { code: 'ERR_SOCI_HTTP_REDIRECT' });
    registry.clearFaults();
    registry.inject({ match: { method: 'PUT' }, headers: { 'docker-content-digest': BLOB.digest } });
    t.match(await failure(repository.pushBlob(blobOf(bytes), bytes)), { code: 'ERR_SOCI_REGISTRY_PROTOCOL' });
  });

  t.test('pages tags to another host', async t => {
    registry.inject({
      match: { path: '/tags/' },
      headers: { link: '<http://evil.example/v2/x/tags/list>; rel="next"' },
    });
    t.match(await failure(repository.listTags()), {
      code: 'ERR_SOCI_REGISTRY_PROTOCOL',
      message: /another host/,
    });
  });

  t.test('lists tags that are none', async t => {
    for (const tag of ['x'.repeat(129), 'a/../b', '\u001b[31m', '', 7, null]) {
      const body = Buffer.from(JSON.stringify({ tags: ['v1', tag] }));
      registry.inject({ match: { path: '/tags/' }, times: 1, reply: { status: 200, headers: {}, body } });
      t.match(await failure(repository.listTags()), { code: 'ERR_SOCI_REGISTRY_PROTOCOL' }, `${tag}`);
    }
  });

  t.test('speaks of digests that nobody can check', async t => {
    const foreign: Descriptor = { ...BLOB, digest: `blake3:${'a'.repeat(64)}` };
    t.match(await failure(repository.getBlob(foreign)), { code: 'ERR_SOCI_DIGEST_INVALID' });
    t.match(await failure(repository.openBlob(foreign)), { code: 'ERR_SOCI_DIGEST_INVALID' });
    t.match(await failure(repository.getManifest(foreign)), { code: 'ERR_SOCI_DIGEST_INVALID' });
    t.equal(registry.requests.length, 0);
  });

  t.test('expects HTTPS', async t => {
    const body = Buffer.from('Client sent an HTTP request to an HTTPS server.\n');
    registry.inject({ match: MANIFESTS, reply: { status: 400, headers: {}, body } });
    t.match(await failure(repository.getManifest('v1')), {
      message: /400 Bad Request \(the server expects HTTPS\)/,
    });
  });

  t.test('does not answer before the client is closed', async t => {
    const closing = startTransport(t);
    registry.inject({ match: MANIFESTS, reply: () => new Promise(() => {}) });
    const pending = failure(openRepository(closing, registry).getManifest('v1'));
    while (registry.requests.length === 0) await new Promise(resolve => setImmediate(resolve));
    await closing.close();
    t.match(await pending, { code: 'ERR_SOCI_CLOSED' });
  });

  t.test('is gone', async t => {
    await registry.close();
    t.match(await failure(repository.getManifest('v1')), {
      code: 'ERR_SOCI_HTTP_NETWORK',
      data: { reason: 'ECONNREFUSED', attempts: 3 },
    });
    await transport.close();
    t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_CLOSED' });
  });
});
