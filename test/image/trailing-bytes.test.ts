/**
 * Bytes behind a layer's compressed stream: gzip, GNU tar and containerd with unpigz read what the members decode to,
 * and so does reading here. A ztoc cannot describe such a layer.
 */
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import type { Repository } from '../../lib/registry/repository.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { failure, openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { textLike } from '../span/sample-layers.js';
import { layerOf, pushImage, type SampleLayer } from './sample-image.js';

const BODY = textLike(100_000);

/** The bytes before `behind` are a whole stream. */
async function withBytesBehind(packing: 'gzip' | 'zstd', behind: Buffer): Promise<SampleLayer> {
  const layer = await layerOf([{ name: 'file', body: BODY }], packing);
  return replaced(layer, Buffer.concat([layer.bytes, behind]));
}

function replaced(layer: SampleLayer, bytes: Buffer): SampleLayer {
  const descriptor = { ...layer.descriptor, digest: sha256Digest(bytes), size: bytes.length };
  return { ...layer, bytes, descriptor };
}

async function opened(t: Test, repository: Repository, layers: readonly SampleLayer[]) {
  const { descriptor } = await pushImage(repository, layers);
  const cache = new MemoryZtocCache();
  const image = await openImage({ repository, reference: descriptor.digest }, { cache });
  t.teardown(() => image.close());
  return image;
}

const BEHIND_GZIP = {
  'a zero': Buffer.alloc(1),
  zeros: Buffer.alloc(9000),
  'a block of zeros': Buffer.alloc(512),
  junk: Buffer.from('garbage here and more'),
  'half a magic': Buffer.from([0x1f]),
  'half a header': Buffer.from([0x1f, 0x8b, 0x08]),
  'zeros and another member': Buffer.concat([Buffer.alloc(512), gzipSync('more')]),
};

for (const [name, behind] of Object.entries(BEHIND_GZIP)) {
  t.test(`behind gzip: ${name}`, async t => {
    const repository = openRepository(startTransport(t), await startRegistry(t));
    const layer = await withBytesBehind('gzip', behind);
    const end = layer.bytes.length - behind.length;
    const refused = { code: 'ERR_SOCI_LAYER_TRAILING_DATA', data: { offset: end } };
    t.match(await failure(buildZtoc(layer.bytes)), refused);
    const image = await opened(t, repository, [layer]);
    t.strictSame(await image.readFile('/file'), BODY);
    t.equal(image.layers[0]?.opened, 'unpacked');
    t.match(image.layers[0]?.reason, `${end}`, 'where the stream ends is told');
  });
}

t.test('behind zstd', async t => {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const half = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
  for (const behind of [Buffer.alloc(1), Buffer.alloc(9000), Buffer.from('garbage'), half]) {
    const layer = await withBytesBehind('zstd', behind);
    const image = await opened(t, repository, [layer]);
    t.strictSame(await image.readFile('/file'), BODY);
    t.match(image.layers[0]?.reason, `the last ${behind.length} bytes of ${layer.descriptor.digest}`);
  }
});

t.test('the digest covers what is not read too', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  for (const packing of ['gzip', 'zstd'] as const) {
    const layer = await withBytesBehind(packing, Buffer.from('garbage'));
    const image = await opened(t, repository, [layer]);
    const { digest } = layer.descriptor;
    registry.inject({ match: { path: digest, method: 'GET' }, corrupt: layer.bytes.length - 1 });
    registry.inject({ match: { path: digest, method: 'GET' }, corrupt: layer.bytes.length - 1 });
    t.match(await failure(image.readdir('/')), { code: 'ERR_SOCI_DIGEST_MISMATCH' }, packing);
  }
});

t.test('a stream that is cut short is not one with bytes behind it', async t => {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  for (const packing of ['gzip', 'zstd'] as const) {
    const layer = await layerOf([{ name: 'file', body: BODY }], packing);
    const image = await opened(t, repository, [replaced(layer, layer.bytes.subarray(0, -9))]);
    t.match(await failure(image.readdir('/')), { code: 'ERR_SOCI_LAYER_TRUNCATED' }, packing);
  }
});

t.test('index create leaves out that layer alone', async t => {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const odd = await withBytesBehind('gzip', Buffer.alloc(512));
  const sound = await layerOf([{ name: 'sound', body: BODY }]);
  await pushImage(repository, [odd, sound], { tag: 'v1' });
  const { indexes } = await createIndex({ repository, reference: 'v1' }, { minLayerSize: 0 });
  t.equal(indexes[0]?.layers.length, 1);
  t.match(indexes[0]?.skipped, [{ position: 0, reason: 'broken', message: /\d+/ }]);
});
