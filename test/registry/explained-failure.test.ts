/** What a failed call says besides the registry's answer: which credentials were found, and what to do. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { keychain } from '../../lib/registry/keychain.js';
import { blobOf, failure, openRepository, sampleBytes, startRegistry, startTransport } from './fixture.js';

const USER = { username: 'user', password: 'right-secret' };

for (const type of ['basic', 'bearer'] as const) {
  t.test(`credentials that do not open a registry, ${type}`, async t => {
    const registry = await startRegistry(t, { auth: { type, ...USER } });
    const nobody = openRepository(startTransport(t), registry);
    t.match(await failure(nobody.getManifest('v1')), {
      code: 'ERR_SOCI_REGISTRY_AUTH',
      message: /401 Unauthorized.*: no credentials for 127\.0\.0\.1:\d+ were found.*docker login.*--user/,
      data: { status: 401, credentials: 'none' },
    });
    const home = await mkdtemp(join(tmpdir(), 'soci-home-'));
    t.teardown(() => rm(home, { recursive: true }));
    const file = join(home, 'config.json');
    const auth = Buffer.from('user:wrong-secret').toString('base64');
    await writeFile(file, JSON.stringify({ auths: { [registry.host]: { auth } } }));
    const credentials = keychain({ home, env: { DOCKER_CONFIG: home } });
    const wrong = openRepository(startTransport(t, { credentials }), registry);
    const blob = blobOf(sampleBytes(10));
    for (const attempt of [() => wrong.getManifest('v1'), () => wrong.getBlob(blob)]) {
      const error = await failure(attempt());
      t.match(error, { code: 'ERR_SOCI_REGISTRY_AUTH', data: { credentials: 'found', source: file } });
      t.match(error.message, `the credentials from ${file} do not open it`, 'where they were found');
      t.notMatch(JSON.stringify([error.message, error.data]), /secret|dXNlc/, 'and not what they are');
    }
  });
}

t.test('what is forbidden is another matter than who asks', async t => {
  const registry = await startRegistry(t, { auth: { type: 'basic', ...USER } });
  const repository = openRepository(startTransport(t, { credentials: () => USER }), registry);
  t.match(await failure(repository.getManifest('v1')), { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' });
  registry.inject({ match: { path: '/manifests/' }, reply: { status: 403, headers: {} } });
  t.match(await failure(repository.getManifest('v1')), {
    code: 'ERR_SOCI_REGISTRY_DENIED',
    message: /the credentials given do not open it/,
  });
});

t.test('TLS on one side only', async t => {
  const registry = await startRegistry(t);
  const hosts = (plainHttp: boolean) => ({ hosts: { [registry.host]: { plainHttp } } });
  t.match(await failure(openRepository(startTransport(t, hosts(false)), registry).getManifest('v1')), {
    code: 'ERR_SOCI_HTTP_NETWORK',
    message:
      /[^:\s]: 127\.0\.0\.1:\d+ does not speak TLS: https is the default except on this machine.*--plain-http/,
  });
  const plain = openRepository(startTransport(t, hosts(true)), registry);
  const body = Buffer.from('Client sent an HTTP request to an HTTPS server.\n');
  registry.inject({ match: { path: 'said' }, reply: { status: 400, headers: {}, body } });
  registry.inject({ match: { path: 'hung-up' }, cutAfter: -1 });
  t.match(await failure(plain.getManifest('said')), {
    message:
      /expects HTTPS\): it was spoken to without TLS: https is the default except on this machine.*--tls/,
  });
  t.match(await failure(plain.getManifest('hung-up')), { message: /it may expect TLS.*--tls/ });
});
