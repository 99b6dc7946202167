/** Images, indexes and ztocs that lie: a clear error, never somebody else's bytes, never without bound. */
import t, { type Test } from 'tap';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import type { RegistryRepository } from '../../lib/registry/registry-repository.js';
import type { ManifestContent } from '../../lib/registry/repository.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { encodeIndex, failure, openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { forgeText, forgeWindow, noise, textLike } from '../span/sample-layers.js';
import {
  describeZtoc,
  layerOf,
  pushImage,
  pushIndex,
  type SampleImage,
  type SampleLayer,
  ztocOf,
} from './sample-image.js';

async function repositoryOf(t: Test): Promise<RegistryRepository> {
  return openRepository(startTransport(t), await startRegistry(t));
}

async function opened(
  t: Test,
  repository: RegistryRepository,
  image: SampleImage,
  options: OpenImageOptions,
) {
  const cache = new MemoryZtocCache();
  const { digest } = image.descriptor;
  const result = await openImage({ repository, reference: digest }, { cache, ...options });
  t.teardown(() => result.close());
  return result;
}

/** Two layers that no size tells apart. */
async function twins(): Promise<[SampleLayer, SampleLayer]> {
  const of = (name: string, seed: number) => layerOf([{ name, body: noise(100_000, seed) }], 'uncompressed');
  return [await of('one', 1), await of('two', 2)];
}

t.test('an index of another image', async t => {
  const repository = await repositoryOf(t);
  const [one, two] = await twins();
  const image = await pushImage(repository, [one]);
  const other = await pushImage(repository, [two]);
  const index = await pushIndex(repository, other, [await ztocOf(two)]);
  const error = await failure(opened(t, repository, image, { index }));
  t.equal(error.code, 'ERR_SOCI_INDEX_MISMATCH');
});

t.test('ztocs swapped between layers of one size: what they say of a file is not believed', async t => {
  const repository = await repositoryOf(t);
  const [one, two] = await twins();
  const image = await pushImage(repository, [one, two]);
  const swapped = [
    describeZtoc((await ztocOf(two)).bytes, one),
    describeZtoc((await ztocOf(one)).bytes, two),
  ];
  const index = await pushIndex(repository, image, swapped);
  for (const options of [{}, { index }, { verifyHeaders: false }]) {
    const lying = await opened(t, repository, image, options);
    for (const name of ['/one', '/two']) {
      t.match(await failure(lying.readFile(name)), { code: 'ERR_SOCI_SPAN_DIGEST' }, name);
    }
  }
});

t.test("another layer's ztoc, of another size", async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: textLike(100_000) }]);
  const other = await layerOf([{ name: 'file', body: textLike(90_000) }]);
  const image = await pushImage(repository, [layer]);
  const index = await pushIndex(repository, image, [describeZtoc((await ztocOf(other)).bytes, layer)]);
  for (const options of [{ index }, { missingZtoc: 'error' }, { missingZtoc: 'fail' }] as const) {
    const lying = await opened(t, repository, image, options);
    t.match(await failure(lying.readFile('/file')), { code: 'ERR_SOCI_ZTOC_MISMATCH' });
  }
  const built = await opened(t, repository, image, {});
  t.strictSame(await built.readFile('/file'), textLike(100_000), "'build' does without it");
  t.match(built.layers[0], { opened: 'built', reason: /another layer's/ });
});

t.test('blobs that are not ztocs, or not the ones that the index names', async t => {
  const layer = await layerOf([{ name: 'file', body: textLike(100_000) }]);
  const good = await ztocOf(layer);
  for (const bytes of [noise(5000), Buffer.alloc(0), good.bytes.subarray(0, -100)]) {
    const repository = await repositoryOf(t);
    const image = await pushImage(repository, [layer]);
    await pushIndex(repository, image, [describeZtoc(bytes, layer)]);
    const lying = await opened(t, repository, image, { missingZtoc: 'error' });
    t.match(await failure(lying.readdir('/')), { code: /^ERR_SOCI_(ZTOC_|LIMIT|DIGEST)/ });
  }
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const image = await pushImage(repository, [layer]);
  await pushIndex(repository, image, [good]);
  registry.inject({ match: { path: good.descriptor.digest, method: 'GET' }, corrupt: 500 });
  const damaged = await opened(t, repository, image, { missingZtoc: 'error' });
  t.match(await failure(damaged.readdir('/')), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
});

t.test('ztocs that claim too much', async t => {
  const repository = await repositoryOf(t);
  const [one, two] = await twins();
  const image = await pushImage(repository, [one, two]);
  const honest = await ztocOf(two);
  const claim = { ...honest, descriptor: { ...honest.descriptor, size: 2 ** 40 } };
  const claiming = await pushImage(repository, [two]);
  await pushIndex(repository, claiming, [claim]);
  t.match(await failure(opened(t, repository, claiming, {})), {
    code: 'ERR_SOCI_LIMIT',
    data: { found: 2 ** 40 },
  });
  const pushed = await ztocOf(one);
  await pushIndex(repository, image, [pushed]);
  t.match(await failure(opened(t, repository, image, { limits: { maxZtocBytes: 100 } })), {
    code: 'ERR_SOCI_LIMIT',
    data: { limit: 'maxZtocBytes' },
  });
  const limits = { ztoc: { maxZtocBytes: 100 } };
  const bounded = await opened(t, repository, image, { limits, missingZtoc: 'error' });
  t.match(await failure(bounded.readdir('/')), { code: /ERR_SOCI_(LIMIT|NO_ZTOC)/ });
  const names = await opened(t, repository, image, { limits: { maxNames: 2 } });
  t.match(await failure(names.readdir('/')), { code: 'ERR_SOCI_LIMIT' });
  for (const name of ['maxLayers', 'maxNames', 'maxZtocBytes', 'maxUnpackedBytes']) {
    t.match(await failure(opened(t, repository, image, { limits: { [name]: 0 } })), {
      code: 'ERR_SOCI_INVALID_ARGUMENT',
    });
  }
});

t.test('1,001 layers, and 1,000 of one', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }]);
  const many = await pushImage(repository, Array(1001).fill(layer).slice(0, 1), {
    manifest: { layers: Array(1001).fill(layer.descriptor) },
    config: { rootfs: { type: 'layers', diff_ids: Array(1001).fill(layer.diffId) } },
  });
  t.match(await failure(opened(t, repository, many, {})), { code: 'ERR_SOCI_LIMIT', data: { found: 1001 } });
  const thousand = await pushImage(repository, [layer], {
    manifest: { layers: Array(1000).fill(layer.descriptor) },
    config: { rootfs: { type: 'layers', diff_ids: Array(1000).fill(layer.diffId) } },
  });
  t.strictSame(await (await opened(t, repository, thousand, {})).readdir('/'), ['file']);
});

t.test('configs that do not fit their manifest', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }]);
  for (const [config, code] of [
    [{ rootfs: { diff_ids: Array(3).fill(layer.diffId) } }, 'ERR_SOCI_MANIFEST'],
    [{ rootfs: { diff_ids: ['sha256:x'] } }, 'ERR_SOCI_DIGEST_INVALID'],
    [{ rootfs: { diff_ids: [7] } }, 'ERR_SOCI_DIGEST_INVALID'],
    [{ rootfs: { diff_ids: 'x' } }, 'ERR_SOCI_MANIFEST'],
    [{ rootfs: 7 }, 'ERR_SOCI_MANIFEST'],
  ] as const) {
    const image = await pushImage(repository, [layer], { config });
    t.match(await failure(opened(t, repository, image, {})), { code }, JSON.stringify(config));
  }
});

t.test('a layer that is not what the manifest names', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const layer = await layerOf([{ name: 'file', body: noise(100_000) }]);
  const image = await pushImage(repository, [layer]);
  registry.inject({
    match: { path: layer.descriptor.digest, method: 'GET' },
    corrupt: layer.bytes.length - 30_000,
  });
  const built = await opened(t, repository, image, {});
  const { code } = await failure(built.readdir('/'));
  t.match(code, /^ERR_SOCI_(DIGEST_MISMATCH|DEFLATE_DATA|GZIP_CHECKSUM)$/);
});

t.test('something that calls itself a layer is not left out', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }]);
  const text = Buffer.from('{"attestation": true}'.padEnd(600));
  const odd: SampleLayer = {
    tar: text,
    bytes: text,
    descriptor: {
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: sha256Digest(text),
      size: text.length,
    },
    diffId: sha256Digest(text),
  };
  const image = await opened(t, repository, await pushImage(repository, [layer, odd]), {});
  const error = await failure(image.readFile('/file'));
  t.equal(error.code, 'ERR_SOCI_UNSUPPORTED_COMPRESSION');
  t.match(error.message, odd.descriptor.digest);
});

t.test('a ztoc that gives a file another name, or its window other bytes', async t => {
  const repository = await repositoryOf(t);
  const layer = await layerOf([{ name: 'sbin/init', body: textLike(500_000) }]);
  const { ztoc } = await buildZtoc(layer.bytes, { spanSize: 65536 });
  const image = await pushImage(repository, [layer]);
  const renamed = await pushIndex(repository, image, [
    describeZtoc(forgeText(ztoc, 'sbin/init', 'sbin/evil').bytes, layer),
  ]);
  const lying = await opened(t, repository, image, { index: renamed });
  for (const call of [() => lying.readFile('/sbin/evil'), () => lying.open('/sbin/evil')]) {
    t.match(await failure(call()), { code: 'ERR_SOCI_TAR_HEADER_MISMATCH' });
  }
  const trusting = await opened(t, repository, image, { index: renamed, verifyHeaders: false });
  t.strictSame(await trusting.readFile('/sbin/evil'), textLike(500_000));
  const windowed = await pushIndex(repository, image, [describeZtoc(forgeWindow(ztoc, 2).bytes, layer)]);
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    const forged = await opened(t, repository, image, { index: windowed, verifyWindows });
    t.match(
      await failure(forged.readFile('/sbin/init')),
      { code: 'ERR_SOCI_WINDOW_MISMATCH' },
      verifyWindows,
    );
  }
});

t.test('image indexes nested too deep, and digests that nobody can check', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }]);
  const index = 'application/vnd.oci.image.index.v1+json';
  let { descriptor } = await pushImage(repository, [layer]);
  for (let depth = 0; depth < 6; depth += 1) {
    descriptor = await repository.pushManifest(encodeIndex([descriptor]), index);
  }
  const nested = await failure(openImage({ repository, reference: descriptor.digest }));
  t.equal(nested.code, 'ERR_SOCI_LIMIT');
  const digest = `blake3:${'a'.repeat(64)}`;
  await registry.storage.writeBlob('demo/app', digest, layer.bytes);
  const other = await pushImage(repository, [layer], {
    manifest: { layers: [{ ...layer.descriptor, digest }] },
  });
  const unchecked = await opened(t, repository, other, {});
  t.match(await failure(unchecked.readdir('/')), { code: 'ERR_SOCI_DIGEST_INVALID' });
});

t.test('image indexes that are large together', async t => {
  const repository = await repositoryOf(t);
  const index = 'application/vnd.oci.image.index.v1+json';
  const entries = Array.from({ length: 20 }, (_, at) => {
    const digest = sha256Digest(Buffer.of(at));
    return { mediaType: index, digest, size: 4_000_000 };
  });
  const contentOf = (descriptor: Descriptor, manifests: readonly Descriptor[]): ManifestContent => ({
    ...{ descriptor, bytes: encodeIndex(manifests) },
    manifest: { kind: 'index', mediaType: index, manifests },
  });
  let asked = 0;
  const getManifest = async (reference: string | Descriptor | undefined): Promise<ManifestContent> => {
    if (typeof reference !== 'object') return contentOf(entries[0] as Descriptor, entries);
    asked += 1;
    return contentOf(reference, []);
  };
  const generous = new Proxy(repository, {
    get: (target, name) => (name === 'getManifest' ? getManifest : Reflect.get(target, name, target)),
  });
  const error = await failure(openImage({ repository: generous, reference: 'latest' }));
  t.equal(error.code, 'ERR_SOCI_LIMIT');
  t.equal(asked, 16, 'what fits into 64 MiB was asked for');
});
