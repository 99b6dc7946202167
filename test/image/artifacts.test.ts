/** What registries keep beside images, and in them: blobs that are no layers, configs of odd types, pure artifacts. */
import t, { type Test } from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { OCI_MANIFEST } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import { failure, openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { layerOf, pushImage, pushIndex, type SampleLayer, ztocOf } from './sample-image.js';

async function repositoryOf(t: Test): Promise<Repository> {
  return openRepository(startTransport(t), await startRegistry(t));
}

async function opened(t: Test, repository: Repository, reference: string) {
  const image = await openImage({ repository, reference });
  t.teardown(() => image.close());
  return image;
}

function blob(mediaType: string, text: string): SampleLayer {
  const bytes = Buffer.from(text);
  const digest = sha256Digest(bytes);
  return { tar: bytes, bytes, diffId: digest, descriptor: { mediaType, digest, size: bytes.length } };
}

const WASM = blob('application/wasm', '\0asm');
const IN_TOTO = blob('application/vnd.in-toto+json', '{"_type": "statement"}');

t.test('blobs that are no layers are skipped, with the reason, and never fetched', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const [lower, upper] = [
    await layerOf([{ name: 'lower', body: Buffer.from('1') }]),
    await layerOf([{ name: 'upper', body: Buffer.from('2') }]),
  ];
  const layers = [lower, WASM, upper, IN_TOTO];
  const one = await pushImage(repository, layers);
  const diffIds = { rootfs: { type: 'layers', diff_ids: [lower.diffId, upper.diffId] } };
  const other = await pushImage(repository, layers, { config: diffIds });
  registry.requests.length = 0;
  for (const { descriptor } of [one, other]) {
    const image = await opened(t, repository, descriptor.digest);
    t.strictSame(await image.readdir('/'), ['lower', 'upper']);
    t.equal((await image.locate('/upper')).layer, 2, 'layers keep their positions');
    t.match(image.layers[1], { opened: 'not-a-layer', reason: 'application/wasm is no file-system layer' });
    t.equal(image.layers[2]?.diffId, upper.diffId);
  }
  const fetched = registry.requests.map(({ path }) => path).join(' ');
  t.notMatch(fetched, WASM.descriptor.digest);
  const built = await ztocOf(lower);
  const top = await ztocOf(upper);
  await pushIndex(repository, one, [built, top]);
  const strict = await openImage({ repository, reference: one.descriptor.digest }, { missingZtoc: 'fail' });
  t.teardown(() => strict.close());
  t.strictSame(await strict.readdir('/'), ['lower', 'upper'], 'nobody misses their ztocs');
});

t.test('what has no files says what it is', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }]);
  const image = await pushImage(repository, [layer]);
  const indexes = [await pushIndex(repository, image, [await ztocOf(layer)])];
  indexes.push(await pushIndex(repository, undefined, [await ztocOf(layer)], 'v2'));
  for (const [at, digest] of indexes.entries()) {
    const error = await failure((await opened(t, repository, digest)).readdir('/'));
    t.match(error, { code: 'ERR_SOCI_MANIFEST', message: `found a SOCI index (v${at + 1}` });
  }
  const proof = await pushImage(repository, [IN_TOTO]);
  const attestation = await failure((await opened(t, repository, proof.descriptor.digest)).readdir('/'));
  t.match(attestation.message, 'found an attestation with blobs of application/vnd.in-toto+json');
  const module = await pushImage(repository, [WASM], { manifest: { artifactType: 'application/x.module' } });
  const artifact = await failure((await opened(t, repository, module.descriptor.digest)).stat('/'));
  t.match(
    artifact.message,
    'found an artifact of type "application/x.module" with blobs of application/wasm',
  );
  const scratch = await pushImage(repository, []);
  t.strictSame(await (await opened(t, repository, scratch.descriptor.digest)).readdir('/'), []);
});

t.test('configs of odd types keep their platform and diffIDs', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }], 'zstd');
  const pushWith = async (mediaType: string, config: Buffer): Promise<string> => {
    const descriptor: Descriptor = { mediaType, digest: sha256Digest(config), size: config.length };
    await repository.pushBlob(descriptor, config);
    const image = await pushImage(repository, [layer], { manifest: { config: descriptor } });
    return image.descriptor.digest;
  };
  const config = Buffer.from(
    JSON.stringify({ os: 'linux', architecture: 's390x', rootfs: { diff_ids: [layer.diffId] } }),
  );
  for (const mediaType of ['application/octet-stream', 'text/html', 'text/html; charset=utf-8']) {
    const digest = await pushWith(mediaType, config);
    const image = await opened(t, repository, digest);
    t.strictSame(await image.readdir('/'), ['file'], mediaType);
    t.equal(image.config?.architecture, 's390x');
    const other = failure(openImage({ repository, reference: digest }, { platform: 'linux/386' }));
    t.match(await other, { code: 'ERR_SOCI_PLATFORM' });
  }
  for (const text of ['\xff\0', '[]', '{"anything": "else"}']) {
    const digest = await pushWith('application/octet-stream', Buffer.from(text, 'latin1'));
    t.equal((await opened(t, repository, digest)).config, undefined, 'an octet stream may be anything');
  }
  const digest = await pushWith('application/octet-stream', Buffer.from('{}'));
  await t.rejects((await opened(t, repository, digest)).readdir('/'), { message: 'rootfs.diff_ids' });
});

t.test('missing diffIDs stop nobody who needs none', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }]);
  for (const rootfs of [undefined, null, {}, { diff_ids: null }, { diff_ids: [] }]) {
    const { descriptor } = await pushImage(repository, [layer], { config: { rootfs } });
    const image = await opened(t, repository, descriptor.digest);
    t.strictSame(await image.readdir('/'), ['file']);
    t.equal(image.layers[0]?.diffId, undefined);
  }
});

t.test('annotations that are null', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }]);
  for (const annotations of [null, { 'org.example.vendor': null, 'org.example.name': 'x' }]) {
    const { descriptor } = await pushImage(repository, [layer], { manifest: { annotations } });
    t.strictSame(await (await opened(t, repository, descriptor.digest)).readdir('/'), ['file']);
  }
  const { manifest } = await repository.getManifest(
    await repository.pushManifest(
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: OCI_MANIFEST,
          config: layer.descriptor,
          layers: [],
          annotations: { a: null },
        }),
      ),
      OCI_MANIFEST,
    ),
  );
  t.equal(manifest.annotations?.['a'], '', 'as Go decodes it');
});

t.test('layers and diffIDs of sha512', async t => {
  const { createHash } = await import('node:crypto');
  const sha512 = (bytes: Buffer) => `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const long = (layer: SampleLayer): SampleLayer => ({
    ...layer,
    descriptor: { ...layer.descriptor, digest: sha512(layer.bytes) },
    diffId: sha512(layer.tar),
  });
  const gzip = long(await layerOf([{ name: 'gzip', body: Buffer.from('1') }]));
  const zstd = long(await layerOf([{ name: 'zstd', body: Buffer.from('2') }], 'zstd'));
  for (const { descriptor, bytes } of [gzip, zstd]) {
    await registry.storage.writeBlob('demo/app', descriptor.digest, bytes);
  }
  const { descriptor } = await pushImage(repository, [], {
    tag: 'long',
    manifest: { layers: [gzip.descriptor, zstd.descriptor] },
    config: { rootfs: { type: 'layers', diff_ids: [gzip.diffId, zstd.diffId] } },
  });
  const image = await opened(t, repository, descriptor.digest);
  t.strictSame(await image.readdir('/'), ['gzip', 'zstd']);
  t.strictSame(await image.readFile('/zstd', 'utf8'), '2');
  const { indexes } = await createIndex({ repository, reference: 'long' }, { minLayerSize: 0 });
  t.equal(indexes[0]?.layers.length, 1);
  t.match(indexes[0]?.skipped, [{ position: 1, reason: 'zstd' }]);
  const unknown = { ...gzip.descriptor, digest: `blake3:${'a'.repeat(64)}` };
  await registry.storage.writeBlob('demo/app', unknown.digest, gzip.bytes);
  await pushImage(repository, [], { tag: 'odd', manifest: { layers: [unknown, gzip.descriptor] } });
  const odd = await createIndex({ repository, reference: 'odd' }, { minLayerSize: 0 });
  t.match(odd.indexes[0]?.skipped, [{ position: 0, reason: 'unsupported', message: /blake3/ }]);
  const other = await layerOf([{ name: 'else', body: Buffer.from('1') }]);
  await registry.storage.writeBlob('demo/app', gzip.descriptor.digest, other.bytes);
  const { descriptor: lie } = await pushImage(repository, [], {
    manifest: { layers: [{ ...gzip.descriptor, size: other.bytes.length }] },
  });
  const lying = await openImage(
    { repository, reference: lie.digest },
    { cache: new MemoryZtocCache(), index: false },
  );
  t.teardown(() => lying.close());
  t.match(await failure(lying.readdir('/')), { code: 'ERR_SOCI_DIGEST_MISMATCH' }, 'and are compared');
});
