/**
 * lib/registry against Debian's docker-registry, with images that umoci made and
 * skopeo carried there and back: everything byte-identical, with TLS, with a
 * password, and without a referrers API.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';

import type { Descriptor } from '../../lib/registry/descriptor.js';
import { type OpenedLocation, openImageLocation } from '../../lib/registry/image-location.js';
import { keychain } from '../../lib/registry/keychain.js';
import type { RegistryTransport } from '../../lib/registry/transport.js';
import { blobOf, collect, failure, pushArtifact, sampleBytes } from '../registry/fixture.js';
import { DockerRegistry, type DockerRegistryOptions } from './support/docker-registry.js';
import { umociImage } from './support/images.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

const skip = needs('docker-registry', 'skopeo', 'umoci', 'tar');
const folder = await workspace(t);
const layout = join(folder, 'layout');
if (!skip) await umociImage(folder, layout, 'v1');

const VARIANTS: ReadonlyMap<string, DockerRegistryOptions> = new Map([
  ['plain', {}],
  ['TLS', { tls: true }],
  ['a password', { password: true }],
  ['TLS and a password', { tls: true, password: true }],
]);

function at(t: Test, location: string, transport: RegistryTransport): OpenedLocation {
  const opened = openImageLocation(location, transport);
  t.teardown(() => opened.repository.close());
  return opened;
}

/** Everything that an image consists of. */
async function contents({ repository, reference }: OpenedLocation): Promise<Map<string, Buffer>> {
  const { descriptor, bytes, manifest } = await repository.getManifest(reference);
  const found = new Map([[descriptor.digest, Buffer.from(bytes)]]);
  if (manifest.kind === 'index') throw new Error('expected an image of one platform');
  for (const blob of [manifest.config, ...manifest.layers]) {
    found.set(blob.digest, Buffer.from(await repository.getBlob(blob)));
  }
  return found;
}

async function blobFiles(path: string): Promise<Map<string, Buffer>> {
  const names = await readdir(join(path, 'blobs/sha256'));
  const read = names.map(
    async name => [`sha256:${name}`, await readFile(join(path, 'blobs/sha256', name))] as const,
  );
  return new Map(await Promise.all(read));
}

/** Digests of `wanted` that `found` does not have with the same bytes. */
function lost(wanted: ReadonlyMap<string, Buffer>, found: ReadonlyMap<string, Buffer>): string[] {
  return [...wanted].filter(([digest, bytes]) => !found.get(digest)?.equals(bytes)).map(([digest]) => digest);
}

for (const [name, options] of VARIANTS) {
  t.test(`an image goes in and out: ${name}`, { skip }, async t => {
    const registry = await DockerRegistry.start(t, options);
    const transport = registry.client(t);
    await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${registry.host}/deep/er/app:v1`);
    const pulled = at(t, `${registry.host}/deep/er/app:v1`, transport);
    const here = await contents(at(t, `oci:${layout}:v1`, transport));
    t.equal(here.size, 5, 'a manifest, a config and three layers');
    t.same(lost(here, await contents(pulled)), [], 'what skopeo pushed, we pull');

    const pushed = at(t, `${registry.host}/other:v2`, transport);
    const { manifest, bytes, descriptor } = await pulled.repository.getManifest(pulled.reference);
    const blobs = manifest.kind === 'manifest' ? [manifest.config, ...manifest.layers] : [];
    for (const blob of blobs) {
      t.equal(await pushed.repository.pushBlob(blob, await pulled.repository.openBlob(blob)), 'uploaded');
    }
    await pushed.repository.pushManifest(bytes, descriptor.mediaType, { tag: 'v2' });
    const copy = join(await workspace(t), 'copy');
    await registry.skopeo('copy', [], `docker://${registry.host}/other:v2`, `oci:${copy}:v2`);
    t.same(lost(here, await blobFiles(copy)), [], 'what we push, skopeo pulls');

    const mounted = at(t, `${registry.host}/mounted:v1`, transport);
    for (const blob of blobs) {
      const content = await pulled.repository.openBlob(blob);
      t.equal(await mounted.repository.pushBlob(blob, content, { mountFrom: ['other'] }), 'mounted');
    }
    t.same(await pushed.repository.listTags(), ['v2']);
    t.same(await pulled.repository.resolve('v1'), descriptor);
    const nothing = at(t, `${registry.host}/nothing:here`, transport);
    t.equal((await failure(nothing.repository.getManifest('here'))).code, 'ERR_SOCI_REGISTRY_NOT_FOUND');
    t.equal(await pulled.repository.hasBlob(descriptor.digest.replace(/.$/, '0')), false);
  });
}

t.test('who may not', { skip }, async t => {
  const registry = await DockerRegistry.start(t, { tls: true, password: true });
  const image = `${registry.host}/app:v1`;
  const code = async (options: Parameters<DockerRegistry['client']>[1]): Promise<string> => {
    const { repository, reference } = at(t, image, registry.client(t, options));
    return (await failure(repository.getManifest(reference))).code;
  };
  t.equal(await code({ credentials: null }), 'ERR_SOCI_REGISTRY_AUTH');
  t.equal(
    await code({ credentials: () => ({ username: 'alice', password: 'no' }) }),
    'ERR_SOCI_REGISTRY_AUTH',
  );
  t.equal(await code({ hosts: { [registry.host]: { plainHttp: false } } }), 'ERR_SOCI_HTTP_NETWORK', 'no CA');
  t.equal(await code({}), 'ERR_SOCI_REGISTRY_NOT_FOUND', 'with everything right there is just no image');

  const authFile = join(await workspace(t), 'auth.json');
  await registry.logIn(authFile);
  const home = await workspace(t);
  const credentials = keychain({ home, env: { REGISTRY_AUTH_FILE: authFile } });
  t.equal(
    await code({ credentials }),
    'ERR_SOCI_REGISTRY_NOT_FOUND',
    'the file of `skopeo login` lets us in',
  );
});

t.test('blobs: ranges, chunks, and what is not true', { skip }, async t => {
  const registry = await DockerRegistry.start(t, { password: true });
  const transport = registry.client(t);
  const bytes = sampleBytes(700_000);
  const chunked = openImageLocation(`${registry.host}/app`, transport, { chunkSize: 100_000 });
  t.teardown(() => chunked.repository.close());
  t.equal(await chunked.repository.pushBlob(blobOf(bytes), bytes), 'uploaded');
  const sent = await registry.requests(7, 'PATCH');
  t.equal(sent.filter(({ status }) => status === 202).length, 7, 'in seven chunks');
  t.equal(await chunked.repository.pushBlob(blobOf(bytes), bytes), 'existed');

  const source = await chunked.repository.openBlob(blobOf(bytes));
  t.teardown(() => source.close());
  const before = (await registry.requests(0, 'GET')).length;
  for (const [offset, length] of [
    [0, 1],
    [699_999, 1],
    [123_456, 234_567],
  ] as const) {
    t.ok(Buffer.from(bytes.subarray(offset, offset + length)).equals(await source.read(offset, length)));
  }
  t.ok((await collect(source.stream())).equals(bytes));
  const made = (await registry.requests(before + 4, 'GET')).slice(before);
  t.same(
    made.map(({ status, bytes }) => [status, bytes]),
    [
      [206, 1],
      [206, 1],
      [206, 234_567],
      [200, 700_000],
    ],
    'a request for a read, by the registry’s own count',
  );

  const wrong: Descriptor = { ...blobOf(bytes), digest: blobOf(sampleBytes(10)).digest };
  const refused = await failure(chunked.repository.pushBlob(wrong, bytes));
  t.match(refused.code, /^ERR_SOCI_/);
  t.equal(await chunked.repository.hasBlob(wrong.digest), false, 'a blob under a wrong name is not stored');
});

t.test('referrers without a referrers API', { skip }, async t => {
  const registry = await DockerRegistry.start(t);
  const transport = registry.client(t);
  await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${registry.host}/app:v1`);
  const { repository, reference } = at(t, `${registry.host}/app:v1`, transport);
  const subject = await repository.resolve(reference);
  t.same(await repository.referrers(subject.digest), []);
  const type = 'application/vnd.example.note.v1+json';
  const notes: Descriptor[] = [];
  for (const note of ['one', 'two', 'three']) notes.push(await pushArtifact(repository, subject, type, note));
  const digests = notes.map(({ digest }) => digest).sort();
  const found = await repository.referrers(subject.digest, { artifactType: type });
  t.same(found.map(({ digest }) => digest).sort(), digests);
  t.same(await repository.referrers(subject.digest, { artifactType: 'application/other' }), []);

  const tag = subject.digest.replace(':', '-');
  t.same(await repository.listTags(), [tag, 'v1'], 'the index is under the tag that the specification names');
  const raw = await registry.skopeo('inspect', ['--raw'], `docker://${registry.host}/app:${tag}`);
  const listed = (JSON.parse(raw.toString()) as { manifests: Descriptor[] }).manifests;
  t.same(listed.map(({ digest }) => digest).sort(), digests, 'skopeo reads it');
  t.ok(listed.every(({ artifactType }) => artifactType === type));
});
