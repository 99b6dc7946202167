/** createIndex and pushIndex: which layers get a ztoc and why others do not, caches, reuse, prefetch, events. */
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { OCTET_STREAM } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import { type CreateIndexOptions, createIndex } from '../../lib/soci/create-index.js';
import { FolderZtocCache } from '../../lib/soci/folder-ztoc-cache.js';
import type { IndexEvent } from '../../lib/soci/index-event.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import { parsePrefetchArtifact } from '../../lib/soci/prefetch-artifact.js';
import { pushIndex } from '../../lib/soci/push-index.js';
import {
  EMPTY_CONFIG,
  encodeSociIndex,
  PREFETCH_TYPE,
  SOCI_INDEX_TYPE,
  type ZtocDescriptor,
} from '../../lib/soci/soci-index.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { failure, openRepository, sampleBytes, startRegistry, startTransport } from '../registry/fixture.js';
import {
  AMD64,
  ARM64,
  at,
  describe,
  emptyLayout,
  GZIP_LAYER,
  gzipLayer,
  pushAttestation,
  pushIndexOf,
  pushSample,
  type SampleLayer,
  tarOf,
  temporaryFolder,
} from './sample-image.js';

const ALL: CreateIndexOptions = { minLayerSize: 0 };

async function sampleLayers(): Promise<{ a: SampleLayer; b: SampleLayer }> {
  return {
    a: await gzipLayer({ 'etc/passwd': 'root', 'usr/share/text': sampleBytes(200_000) }),
    b: await gzipLayer({ './etc/passwd': 'user', app: sampleBytes(50_000, 2) }),
  };
}

function reasonsOf({ indexes, empty }: Awaited<ReturnType<typeof createIndex>>): string[] {
  return [...indexes, ...empty].flatMap(({ skipped }) =>
    skipped.map(({ position, reason }) => `${position} ${reason}`),
  );
}

t.test('every odd layer is skipped with its reason, and none fails the image', async t => {
  const layout = await emptyLayout(t);
  const { a } = await sampleLayers();
  const tar = await tarOf({ file: 'content' });
  const global = Buffer.from(await tarOf({ file: 'content' }, { comment: 'x' }));
  global[156] = 'g'.charCodeAt(0);
  let sum = 8 * 32;
  for (let i = 0; i < 512; i++) if (i < 148 || i >= 156) sum += global[i]!;
  global.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const broken = Buffer.from(gzipSync(tar));
  broken[broken.length - 8]! ^= 1;
  const layers: SampleLayer[] = [
    a,
    { bytes: tar, mediaType: 'application/vnd.oci.image.layer.v1.tar' },
    { bytes: Buffer.from('helm'), mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip' },
    { bytes: Buffer.from('zstd'), mediaType: `${GZIP_LAYER.slice(0, -4)}zstd` },
    { bytes: Buffer.from('secret'), mediaType: `${GZIP_LAYER}+encrypted` },
    { bytes: Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2, 3]), mediaType: GZIP_LAYER },
    { bytes: gzipSync(global), mediaType: GZIP_LAYER },
    { bytes: broken, mediaType: GZIP_LAYER },
    { bytes: randomBytes(600), mediaType: GZIP_LAYER },
    { bytes: Buffer.from('{}'), mediaType: PREFETCH_TYPE },
  ];
  await pushSample(layout, layers, { tag: 'latest' });
  const events: IndexEvent[] = [];
  const created = await createIndex(at(layout), { ...ALL, onEvent: event => events.push(event) });
  t.same(reasonsOf(created), [
    '2 not-a-layer',
    '3 zstd',
    '4 unsupported',
    '5 zstd',
    '6 indescribable',
    '7 broken',
    '8 unsupported',
  ]);
  t.same(
    created.indexes[0]!.layers.map(({ position, origin }) => `${position} ${origin}`),
    ['0 built', '1 built'],
  );
  t.equal(created.indexes[0]!.index.ztocs[1]!.layerMediaType, 'application/vnd.oci.image.layer.v1.tar');
  t.equal(events.filter(({ type }) => type === 'layer-skipped').length, 7);
  t.equal(events.filter(({ type }) => type === 'layer-done').length, 2);
  const read = events.filter(
    event => event.type === 'layer-progress' && event.layer.digest === describe(a.bytes, '').digest,
  );
  t.match(read.at(-1), { bytes: a.bytes.length }, 'progress ends at the size of the layer');
});

t.test('the minimum is strict: a layer of exactly that size is indexed', async t => {
  const layout = await emptyLayout(t);
  const { a, b } = await sampleLayers();
  await pushSample(layout, [a, b], { tag: 'latest' });
  const smaller = Math.min(a.bytes.length, b.bytes.length);
  t.same(reasonsOf(await createIndex(at(layout), { minLayerSize: smaller })), []);
  t.equal(reasonsOf(await createIndex(at(layout), { minLayerSize: smaller + 1 })).length, 1);
  const error = await failure(createIndex(at(layout)));
  t.equal(error.code, 'ERR_SOCI_INDEX_EMPTY', 'ten MiB by default');
  t.match(error.data['skipped'], [{ reason: 'too-small' }, { reason: 'too-small' }]);
});

t.test('layers can be named or left out', async t => {
  const layout = await emptyLayout(t);
  const { a, b } = await sampleLayers();
  await pushSample(layout, [a, b], { tag: 'latest' });
  const digest = describe(a.bytes, '').digest;
  t.same(reasonsOf(await createIndex(at(layout), { ...ALL, includeLayers: [digest] })), ['1 excluded']);
  t.same(reasonsOf(await createIndex(at(layout), { ...ALL, excludeLayers: [digest] })), ['0 excluded']);
  const error = await failure(createIndex(at(layout), { ...ALL, includeLayers: ['latest'] }));
  t.equal(error.code, 'ERR_SOCI_DIGEST_INVALID');
});

t.test('options that make no sense are refused before anything is read', async t => {
  const nowhere = new Proxy({} as Repository, {
    get: () => {
      throw new Error('read');
    },
  });
  for (const options of [
    { spanSize: 0 },
    { spanSize: 1.5 },
    { minLayerSize: -1 },
    { concurrency: 0 },
    { optimizations: ['speed'] },
  ]) {
    const error = await failure(createIndex(at(nowhere), options as unknown as CreateIndexOptions));
    t.equal(error.code, 'ERR_SOCI_INVALID_ARGUMENT', JSON.stringify(options));
  }
});

t.test('every platform gets an index of its own; attestations and SOCI indexes are no images', async t => {
  const layout = await emptyLayout(t);
  const { a, b } = await sampleLayers();
  const amd64 = await pushSample(layout, [a, b]);
  const arm64 = await pushSample(layout, [a], { platform: ARM64 });
  const attestation = await pushAttestation(layout, amd64);
  const soci = { ...amd64, platform: AMD64, artifactType: SOCI_INDEX_TYPE.v2 };
  await pushIndexOf(layout, [
    { ...amd64, platform: AMD64 },
    { ...arm64, platform: ARM64 },
    attestation,
    soci,
    { ...amd64, platform: AMD64 },
  ]);
  const events: IndexEvent[] = [];
  const { indexes } = await createIndex(at(layout), { ...ALL, onEvent: event => events.push(event) });
  t.same(
    indexes.map(({ index }) => index.subject),
    [amd64, arm64],
  );
  t.equal(events.filter(({ type }) => type === 'layer-started').length, 2, 'a shared layer is read once');
  const only = await createIndex(at(layout), {
    ...ALL,
    platforms: [{ os: 'Linux', architecture: 'aarch64' }],
  });
  t.same(
    only.indexes.map(({ image }) => image.platform),
    [ARM64],
    'matched in normal form, kept verbatim',
  );
  const error = await failure(
    createIndex(at(layout), { platforms: [{ os: 'linux', architecture: 's390x' }] }),
  );
  t.equal(error.code, 'ERR_SOCI_PLATFORM');
  t.match(error.message, 'linux/amd64, linux/arm64/v8');
});

t.test(
  'a layout that holds one platform only: the others are absent, and an error when asked for',
  async t => {
    const layout = await emptyLayout(t);
    const { a } = await sampleLayers();
    const amd64 = await pushSample(layout, [a]);
    const missing = { ...describe(Buffer.from('gone'), amd64.mediaType), platform: ARM64 };
    await pushIndexOf(layout, [{ ...amd64, platform: AMD64 }, missing]);
    const { indexes, absent } = await createIndex(at(layout), ALL);
    t.equal(indexes.length, 1);
    t.same(absent, [missing]);
    const error = await failure(createIndex(at(layout), { ...ALL, platforms: [ARM64] }));
    t.equal(error.code, 'ERR_SOCI_PLATFORM');
    t.match(error.message, 'listed but not there');
  },
);

t.test('damaged bytes are an error, never a layer that is skipped', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const { a, b } = await sampleLayers();
  await pushSample(repository, [a, b], { tag: 'latest' });
  for (const corrupt of [0, 500, a.bytes.length - 5]) {
    registry.clearFaults();
    registry.inject({ match: { method: 'GET', path: describe(a.bytes, '').digest }, corrupt });
    const error = await failure(createIndex(at(repository), ALL));
    t.equal(error.code, 'ERR_SOCI_DIGEST_MISMATCH', `byte ${corrupt}`);
  }
});

t.test('xattrs are noted on request only', async t => {
  const layout = await emptyLayout(t);
  const plain = await gzipLayer({ file: 'content' });
  const xattr = await gzipLayer({ file: 'content' }, { 'SCHILY.xattr.user.x': '1' });
  const opaque = await gzipLayer({ 'dir/.wh..wh..opq': '' });
  await pushSample(layout, [plain, xattr, opaque], { tag: 'latest' });
  const flags = async (options: CreateIndexOptions): Promise<boolean[] | undefined> =>
    (await createIndex(at(layout), options)).indexes[0]?.index.ztocs.map(
      ({ disableXattrs }) => disableXattrs,
    );
  t.same(await flags(ALL), [false, false, false]);
  t.same(await flags({ ...ALL, optimizations: ['xattr'] }), [true, false, false]);
});

t.test('prefetch: the topmost layer wins, paths are clean on both sides, links lead nowhere', async t => {
  const layout = await emptyLayout(t);
  const { a, b } = await sampleLayers();
  await pushSample(layout, [a, b], { tag: 'latest' });
  const missing: string[] = [];
  const { indexes } = await createIndex(at(layout), {
    ...ALL,
    spanSize: 65536,
    prefetchFiles: ['/etc//passwd', 'usr/share/text', 'no/such'],
    onEvent: event => event.type === 'prefetch-missing' && missing.push(event.path),
  });
  const [{ prefetches, missingFiles, layers, index }] = indexes as [(typeof indexes)[number]];
  t.same(missing, ['no/such']);
  t.same(missingFiles, ['no/such']);
  t.same(
    prefetches.map(({ layerDigest }) => layerDigest),
    [describe(a.bytes, '').digest, describe(b.bytes, '').digest],
    'etc/passwd comes from the upper layer, the text from the lower one',
  );
  t.equal(index.prefetches.length, 2);
  const [first] = parsePrefetchArtifact(prefetches[0]!.bytes, layers[0]!.ztoc.spanCount, 'test');
  t.ok(first!.last > first!.first, 'a file of several spans');
});

t.test('an index is pushed once; what happens beside other indexes is up to the caller', async t => {
  for (const referrers of [true, false]) {
    const registry = await startRegistry(t, { referrers });
    const repository = openRepository(startTransport(t), registry);
    const { a } = await sampleLayers();
    const image = await pushSample(repository, [a], { tag: 'latest' });
    const first = await createIndex(at(repository), ALL);
    const listed = async (): Promise<number> =>
      (await repository.referrers(image.digest, { artifactType: SOCI_INDEX_TYPE.v1 })).length;
    const outcomes = async (...args: Parameters<typeof pushIndex>): Promise<string[]> =>
      (await pushIndex(...args)).map(({ outcome, existing }) => `${outcome} ${existing.length}`);
    t.same(await outcomes(first), ['pushed 0']);
    const pushed = registry.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path);
    t.match(
      pushed.findLast(path => path.includes('manifests/sha256:')),
      first.indexes[0]!.descriptor.digest,
    );
    t.same(await outcomes(first), ['existed 0']);
    const second = await createIndex(at(repository), { ...ALL, spanSize: 65536 });
    const events: IndexEvent[] = [];
    t.same(await outcomes(second, { existing: 'skip', onEvent: event => events.push(event) }), ['skipped 1']);
    t.match(events, [{ type: 'index-exists', action: 'skipped' }]);
    t.equal(await listed(), 1);
    t.same(await outcomes(second, { existing: 'allow' }), ['pushed 0']);
    const third = await createIndex(at(repository), { ...ALL, spanSize: 131072 });
    t.same(await outcomes(third), ['pushed 2'], 'warns and pushes by default');
    t.equal(await listed(), 3);
  }
});

t.test('our own ztocs are kept: by layer, span size and tool', async t => {
  const layout = await emptyLayout(t);
  const { a, b } = await sampleLayers();
  await pushSample(layout, [a, b], { tag: 'latest' });
  const folder = await temporaryFolder(t);
  for (const cache of [new MemoryZtocCache(), new FolderZtocCache(folder)]) {
    const origins = async (options: CreateIndexOptions = {}): Promise<string[]> => {
      const { indexes } = await createIndex(at(layout), { ...ALL, cache, ...options });
      return indexes.flatMap(({ layers }) => layers.map(({ origin }) => origin));
    };
    t.same(await origins(), ['built', 'built']);
    t.same(await origins(), ['cache', 'cache']);
    t.same(await origins({ spanSize: 65536 }), ['built', 'built']);
    t.same(await origins({ buildToolIdentifier: 'other' }), ['built', 'built']);
    t.same(await origins({ force: true }), ['built', 'built']);
    const key = {
      layerDigest: describe(a.bytes, '').digest,
      spanSize: 4 * 2 ** 20,
      buildToolIdentifier: 'x',
    };
    await cache.put(key, Buffer.from('no ztoc'));
    t.same(
      await origins({ buildToolIdentifier: 'x' }),
      ['built', 'built'],
      'what is no ztoc is as good as none',
    );
  }
  const failing = { get: async () => undefined, put: () => Promise.reject(new Error('disk full')) };
  const events: IndexEvent[] = [];
  await createIndex(at(layout), { ...ALL, cache: failing, onEvent: event => events.push(event) });
  t.equal(events.filter(({ type }) => type === 'cache-failed').length, 2, 'a cache is no duty');
});

/** A v1 index of `image` by somebody else; the ztocs in `lies` name another file than the layer has. */
async function pushForeignIndex(
  repository: Repository,
  image: Descriptor,
  layers: readonly SampleLayer[],
  lies: readonly SampleLayer[] = [],
): Promise<string> {
  const ztocs: ZtocDescriptor[] = [];
  for (const layer of layers) {
    const { ztoc, layerDigest } = await buildZtoc(layer.bytes, { buildToolIdentifier: 'stranger' });
    const bytes = Buffer.from(ztoc.bytes);
    if (lies.includes(layer)) bytes.write('etc/shadow', bytes.indexOf('etc/passwd'));
    const blob = describe(bytes, OCTET_STREAM);
    await repository.pushBlob(blob, bytes);
    // As the reference wrote it before 0.12: only the ztoc says its span size.
    const spanSize = undefined;
    ztocs.push({ ...blob, layerDigest, layerMediaType: layer.mediaType, spanSize, disableXattrs: false });
  }
  const { bytes, descriptor } = encodeSociIndex({
    version: 'v1',
    ztocs,
    prefetches: [],
    subject: image,
    buildToolIdentifier: 'stranger',
  });
  await repository.pushBlob(describe(EMPTY_CONFIG, OCTET_STREAM), EMPTY_CONFIG);
  await repository.pushManifest(bytes, descriptor.mediaType);
  return descriptor.digest;
}

t.test("a stranger's ztoc is reused only on request, and only after proof", async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const { a, b } = await sampleLayers();
  const image = await pushSample(repository, [a, b], { tag: 'latest' });
  await pushForeignIndex(repository, image, [a, b], [b]);
  const events: IndexEvent[] = [];
  const origins = async (options: CreateIndexOptions): Promise<string[]> => {
    const result = await createIndex(at(repository), { ...ALL, onEvent: e => events.push(e), ...options });
    return result.indexes.flatMap(({ layers }) =>
      layers.map(({ origin, ztoc }) => `${origin} ${ztoc.buildToolIdentifier}`),
    );
  };
  t.same(await origins({ buildToolIdentifier: 'me' }), ['built me', 'built me']);
  t.same(await origins({ buildToolIdentifier: 'me', reuse: true }), ['verified stranger', 'built me']);
  t.match(
    events.filter(({ type }) => type === 'ztoc-refused'),
    [{ layer: { digest: describe(b.bytes, '').digest }, error: { code: 'ERR_SOCI_ZTOC_MISMATCH' } }],
  );
  t.same(await origins({ buildToolIdentifier: 'me', reuse: true, spanSize: 65536 }), [
    'built me',
    'built me',
  ]);
  t.same(await origins({ buildToolIdentifier: 'me', reuse: true, force: true }), ['built me', 'built me']);
  const cache = new MemoryZtocCache();
  await origins({ buildToolIdentifier: 'me', cache });
  t.same(
    await origins({ buildToolIdentifier: 'me', reuse: true, cache }),
    ['verified stranger', 'built me'],
    'whatever the cache has',
  );
});

t.test('a ztoc that takes a gzip layer for a tar is refused, and the layer is not to blame', async t => {
  const layout = await emptyLayout(t);
  const { a } = await sampleLayers();
  const image = await pushSample(layout, [a], { tag: 'latest' });
  const padded = Buffer.alloc(a.bytes.length);
  (await tarOf({ 'etc/passwd': 'fake' })).copy(padded);
  const { ztoc } = await buildZtoc(padded);
  t.equal(ztoc.compressedSize, a.bytes.length);
  await layout.pushBlob(describe(ztoc.bytes, OCTET_STREAM), ztoc.bytes);
  const layer = describe(a.bytes, GZIP_LAYER);
  const forged = encodeSociIndex({
    version: 'v1',
    ztocs: [
      {
        ...describe(ztoc.bytes, OCTET_STREAM),
        layerDigest: layer.digest,
        layerMediaType: GZIP_LAYER,
        spanSize: 4 * 2 ** 20,
        disableXattrs: false,
      },
    ],
    prefetches: [],
    subject: image,
    buildToolIdentifier: undefined,
  });
  await layout.pushManifest(forged.bytes, forged.descriptor.mediaType);
  const refused: string[] = [];
  const onEvent = (event: IndexEvent): void =>
    void (event.type === 'ztoc-refused' && refused.push(event.ztocDigest));
  const { indexes } = await createIndex(at(layout), { ...ALL, reuse: true, onEvent });
  t.same(refused, [ztoc.digest]);
  t.equal(indexes[0]!.layers[0]!.origin, 'built');
});

t.test('the ztocs of an index that the caller names are taken without reading the layers', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const { a, b } = await sampleLayers();
  const image = await pushSample(repository, [a, b], { tag: 'latest' });
  const ztocsFrom = await pushForeignIndex(repository, image, [a]);
  registry.requests.length = 0;
  const { indexes } = await createIndex(at(repository), { ...ALL, ztocsFrom });
  t.same(
    indexes[0]!.layers.map(({ origin }) => origin),
    ['index', 'built'],
  );
  t.notOk(registry.requests.some(({ path }) => path.includes(describe(a.bytes, '').digest)));
  const other = await gzipLayer({ other: 'image' });
  await pushSample(repository, [other], { tag: 'other' });
  t.equal(
    (await failure(createIndex(at(repository, 'other'), { ...ALL, ztocsFrom }))).code,
    'ERR_SOCI_INDEX_MISMATCH',
  );
});

t.test('hundreds of layers, a few at a time', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const layers: SampleLayer[] = [];
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.alloc(1024);
    bytes.write(`${i}`);
    layers.push({ bytes, mediaType: 'application/vnd.oci.image.layer.v1.tar' });
  }
  const { bytes } = await gzipLayer({ file: 'content' });
  layers[150] = { bytes, mediaType: GZIP_LAYER };
  for (const layer of layers) {
    await registry.storage.writeBlob('demo/app', describe(layer.bytes, '').digest, layer.bytes);
  }
  await pushSample(repository, [], {
    tag: 'latest',
    extra: { layers: layers.map(l => describe(l.bytes, l.mediaType)) },
  });
  let running = 0;
  let most = 0;
  const created = await createIndex(at(repository), {
    ...ALL,
    concurrency: 2,
    onEvent: ({ type }) => {
      if (type === 'layer-started') most = Math.max(most, ++running);
      else if (type === 'layer-done' || type === 'layer-skipped') running--;
    },
  });
  t.equal(created.indexes[0]!.layers.length, 1);
  t.equal(created.indexes[0]!.skipped.length, 299);
  t.equal(most, 2);
});

t.test('an abort ends it wherever it is, with its reason', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const { a, b } = await sampleLayers();
  await pushSample(repository, [a, b], { tag: 'latest' });
  const reason = new Error('enough');
  t.equal(await failure(createIndex(at(repository), { signal: AbortSignal.abort(reason) })), reason);
  for (const path of ['/manifests/', describe(a.bytes, '').digest]) {
    const controller = new AbortController();
    registry.clearFaults();
    registry.inject({
      match: request => {
        const stalled = request.path.includes(path);
        if (stalled) setImmediate(() => controller.abort(reason));
        return stalled;
      },
      stallAfter: 10,
    });
    t.equal(await failure(createIndex(at(repository), { ...ALL, signal: controller.signal })), reason, path);
  }
  registry.clearFaults();
  const created = await createIndex(at(repository), ALL);
  for (const type of ['blob-progress', 'blob-pushed'] as const) {
    const controller = new AbortController();
    const onEvent = (event: IndexEvent): void => void (event.type === type && controller.abort(reason));
    const pushing = pushIndex(created, { signal: controller.signal, existing: 'allow', onEvent });
    t.equal(await failure(pushing), reason, type);
  }
  t.same(
    await repository.referrers(created.indexes[0]!.image.descriptor.digest),
    [],
    'no half index is listed',
  );
});

t.test('a hostile tree of indexes costs a bounded number of requests', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const { a } = await sampleLayers();
  const image = await pushSample(repository, [a]);
  let level = await pushIndexOf(repository, [image], 'depth-1');
  for (const depth of [2, 3, 4, 5]) {
    if (depth === 5) t.equal((await createIndex(at(repository, 'depth-4'), ALL)).indexes.length, 1);
    level = await pushIndexOf(repository, [level], `depth-${depth}`);
  }
  t.equal((await failure(createIndex(at(repository, 'depth-5'), ALL))).code, 'ERR_SOCI_LIMIT');
  const small = await pushIndexOf(repository, Array(60).fill(image), 'small');
  await pushIndexOf(repository, Array(60).fill(small), 'wide');
  registry.requests.length = 0;
  t.equal((await failure(createIndex(at(repository, 'wide'), ALL))).code, 'ERR_SOCI_LIMIT');
  t.ok(registry.requests.length < 20, `${registry.requests.length} requests`);
});
