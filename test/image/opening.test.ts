/** Opening an image: what is asked of the registry and when, and what becomes of layers without a ztoc. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ImageProgress } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import { subscribe } from '../../lib/observe/channels.js';
import { DirectoryFiles } from '../../lib/registry/layout-files.js';
import { LayoutRepository } from '../../lib/registry/layout-repository.js';
import { hostPlatform } from '../../lib/registry/platform.js';
import type { RegistryRepository } from '../../lib/registry/registry-repository.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import { ReadContext } from '../../lib/span/read-context.js';
import type { TestRegistry } from '../../lib/testing/testing.js';
import {
  encodeIndex,
  failure,
  openRepository,
  QUICK,
  startRegistry,
  startTransport,
} from '../registry/fixture.js';
import { forgetSpans } from '../span/counting-source.js';
import { textLike } from '../span/sample-layers.js';
import { layerOf, pushImage, pushIndex, pushIndexedImage, type SampleLayer, ztocOf } from './sample-image.js';

const OPTIONS = { credentials: null, env: {}, retry: QUICK } as const;

interface Setting {
  readonly registry: TestRegistry;
  readonly repository: RegistryRepository;
  readonly layers: readonly SampleLayer[];
}

async function setting(t: Test): Promise<Setting> {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const layers = [
    await layerOf([{ name: 'a/one', body: textLike(300_000, 1) }]),
    await layerOf([{ name: 'a/two', body: textLike(200_000, 2) }]),
    await layerOf([{ name: 'a/three', body: Buffer.from('3') }]),
  ];
  return { registry, repository, layers };
}

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'soci-image-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** What was asked, without the digests: 'GET manifests', 'GET blobs …'. */
function asked(registry: TestRegistry, names: Readonly<Record<string, string>> = {}): string[] {
  const seen = registry.requests
    // The tag of referrers is asked beside their API, whose answer may call that off before it is sent.
    .filter(({ path }) => path !== '/v2/' && !path.includes('/manifests/sha256-'))
    .map(({ method, path }) => {
      const [, kind = '', what = ''] = /\/(manifests|blobs|referrers)\/(.*)$/.exec(path) ?? [];
      return `${method} ${kind} ${names[what] ?? what}`;
    });
  registry.requests.length = 0;
  return seen;
}

t.test(
  'a cold read of one small file costs one request for each thing it needs, and nothing twice',
  async t => {
    const { registry, repository, layers } = await setting(t);
    const image = await pushImage(repository, layers, { tag: 'v1' });
    const ztocs = await Promise.all(layers.map(layer => ztocOf(layer)));
    const index = await pushIndex(repository, image, ztocs);
    const names = {
      v1: 'tag',
      [image.descriptor.digest]: 'image',
      [index]: 'index',
      ...Object.fromEntries(ztocs.map(({ descriptor }, i) => [descriptor.digest, `ztoc ${i}`])),
      ...Object.fromEntries(layers.map(({ descriptor }, i) => [descriptor.digest, `layer ${i}`])),
    };
    asked(registry);
    const opened = await openImage(`${registry.host}/demo/app:v1`, { ...OPTIONS, missingZtoc: 'fail' });
    t.teardown(() => opened.close());
    const { config } = opened.manifest.manifest;
    const opening = asked(registry, { ...names, [config.digest]: 'config' });
    t.equal(opening[0], 'GET manifests tag');
    t.strictSame(
      opening.slice(1).sort(),
      ['GET blobs config', 'GET manifests index', 'GET referrers image'],
      'no ztoc yet',
    );
    const range = { start: 0, endExclusive: 10 };
    t.strictSame(await opened.readFile('/a/one', range), textLike(300_000, 1).subarray(0, 10));
    t.strictSame(asked(registry, names).sort(), [
      'GET blobs layer 0',
      'GET blobs ztoc 0',
      'GET blobs ztoc 1',
      'GET blobs ztoc 2',
    ]);
    await opened.readdir('/', { recursive: true });
    await opened.stat('/a/three');
    t.strictSame(await opened.readFile('/a/one', range), textLike(300_000, 1).subarray(0, 10));
    t.strictSame(asked(registry, names), [], 'everything is known by now');
  },
);

t.test(
  'images of one context take turns at a registry together, and learn what its link is like',
  async t => {
    const { registry, repository, layers } = await setting(t);
    await pushIndexedImage(repository, layers, { tag: 'v1' });
    const context = new ReadContext();
    const url = new URL(registry.url);
    t.equal(context.traffic.link(url), undefined);
    const opened = await openImage(`${registry.host}/demo/app:v1`, { ...OPTIONS, context });
    t.type(context.traffic.link(url)?.roundTripMs, 'number');
    await opened.close();
    const other = new ReadContext();
    const { traffic } = context;
    const shared = await openImage(`${registry.host}/demo/app:v1`, { ...OPTIONS, context: other, traffic });
    t.equal(other.traffic.link(url), undefined, 'unless it is told to take those of another');
    await shared.close();
  },
);

t.test('many readers at once share ztocs, spans and requests', async t => {
  const { registry, repository, layers } = await setting(t);
  await pushIndexedImage(repository, layers, { tag: 'v1' });
  const image = await openImage({ repository, reference: 'v1' });
  t.teardown(() => image.close());
  asked(registry);
  const bytes = textLike(300_000, 1);
  const reads = await Promise.all(Array.from({ length: 20 }, () => image.readFile('/a/one')));
  for (const read of reads) t.strictSame(read, bytes);
  const alone = asked(registry);
  t.equal(new Set(alone.filter(line => !line.includes(layers[0]?.descriptor.digest ?? ''))).size, 3);
  t.equal(alone.length, 3 + image.stats.requests);
  const { compressedSize } = { compressedSize: layers[0]?.bytes.length ?? 0 };
  t.ok(image.stats.fetchedBytes <= compressedSize, 'no byte of the layer twice');
});

t.test('a layer that is there twice is opened once', async t => {
  const { registry, repository, layers } = await setting(t);
  const [one, two] = layers as [SampleLayer, SampleLayer];
  await pushIndexedImage(repository, [one, two, one], { tag: 'twice' });
  const image = await openImage({ repository, reference: 'twice' });
  t.teardown(() => image.close());
  asked(registry);
  t.strictSame(await image.readdir('/a'), ['one', 'two']);
  t.equal(asked(registry).length, 2);
  t.equal((await image.locate('/a/one')).layer, 2, 'the upper one holds');
});

t.test("platforms: the wanted one, else the host's, else the only one", async t => {
  const { repository, layers } = await setting(t);
  const host = hostPlatform();
  const foreign = { os: 'linux', architecture: host.architecture === 's390x' ? 'riscv64' : 's390x' };
  const odd = { os: 'plan9', architecture: 'mips' };
  const [one, two, three] = layers as [SampleLayer, SampleLayer, SampleLayer];
  const push = async (layer: SampleLayer, platform: typeof odd) => {
    const { descriptor } = await pushImage(repository, [layer], { platform });
    return { ...descriptor, platform };
  };
  const manifests = [await push(one, foreign), await push(two, host), await push(three, odd)];
  const index = 'application/vnd.oci.image.index.v1+json';
  await repository.pushManifest(encodeIndex(manifests), index, { tag: 'many' });
  await repository.pushManifest(encodeIndex(manifests.slice(0, 1)), index, { tag: 'one' });
  await repository.pushManifest(encodeIndex([manifests[0], manifests[2]]), index, { tag: 'neither' });
  const names = async (reference: string, options = {}) => {
    const image = await openImage({ repository, reference }, options);
    t.teardown(() => image.close());
    return await image.readdir('/a');
  };
  t.strictSame(await names('many'), ['two']);
  t.strictSame(await names('many', { platform: `linux/${foreign.architecture}` }), ['one']);
  t.strictSame(await names('many', { platform: odd }), ['three']);
  t.strictSame(await names('one'), ['one']);
  t.match(await failure(openImage({ repository, reference: 'neither' })), { code: 'ERR_SOCI_PLATFORM' });
  t.match(await failure(openImage({ repository, reference: 'one' }, { platform: 'linux/386' })), {
    code: 'ERR_SOCI_PLATFORM',
  });
});

t.test('indexes: by annotation, by digest, in the wanted order, or none', async t => {
  const { repository, layers } = await setting(t);
  const ztocs = await Promise.all(layers.map(layer => ztocOf(layer)));
  const v2 = await pushIndex(repository, undefined, ztocs.slice(0, 2), 'v2');
  const image = await pushImage(repository, layers, {
    tag: 'v1',
    annotations: { 'com.amazon.soci.index-digest': v2 },
  });
  const v1 = await pushIndex(repository, image, ztocs, 'v1');
  const found = async (options = {}) => {
    const opened = await openImage({ repository, reference: 'v1' }, options);
    await opened.close();
    return opened.index?.found?.descriptor.digest;
  };
  t.equal(await found(), v2);
  t.equal(await found({ indexOrder: ['v1', 'v2'] }), v1);
  t.equal(await found({ index: v1 }), v1);
  t.equal(await found({ index: false }), undefined);
  const missing = failure(openImage({ repository, reference: 'v1' }, { index: `sha256:${'0'.repeat(64)}` }));
  t.match(await missing, { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' });
});

t.test("missingZtoc: 'build' streams a layer once, and keeps its ztoc", async t => {
  const { registry, repository, layers } = await setting(t);
  const image = await pushImage(repository, layers, { tag: 'v1' });
  await pushIndex(repository, image, [await ztocOf(layers[0] as SampleLayer)]);
  const cache = new MemoryZtocCache();
  const progress: ImageProgress[] = [];
  const published: unknown[] = [];
  t.teardown(subscribe('seekable-oci:progress', event => published.push(event)));
  const options = { cache, onProgress: (each: ImageProgress) => void progress.push(each) };
  const first = await openImage({ repository, reference: 'v1' }, options);
  asked(registry);
  t.strictSame(await first.readFile('/a/two'), textLike(200_000, 2));
  t.strictSame(
    first.layers.map(({ opened }) => opened),
    ['index', 'built', 'built'],
  );
  t.match(first.layers[1]?.reason, /^the index sha256:\w+ has none for it$/);
  const whole = layers.slice(1).reduce((sum, layer) => sum + layer.bytes.length, 0);
  t.ok(first.stats.fetchedBytes > whole, 'what was read to find the files counts too');
  t.match(progress.at(0), { phase: 'build', bytes: Number, size: Number });
  t.strictSame(
    published,
    progress.map(({ layer, ...event }) => event),
    'and on the channel',
  );
  for (const layer of [1, 2]) {
    const ends = progress.filter(each => each.layer === layer).at(-1);
    t.equal(ends?.bytes, layers[layer]?.bytes.length);
    t.equal(ends?.digest, layers[layer]?.descriptor.digest);
  }
  await first.close();
  asked(registry);
  const second = await openImage({ repository, reference: 'v1' }, { cache });
  t.teardown(() => second.close());
  t.strictSame(await second.readdir('/a'), ['one', 'three', 'two']);
  t.strictSame(
    second.layers.map(({ opened }) => opened),
    ['index', 'cache', 'cache'],
  );
  t.notOk(
    asked(registry).some(line => line.includes(layers[1]?.descriptor.digest ?? '')),
    'not streamed again',
  );
});

t.test('explain fetches nothing of a layer that it would have to read as a whole: it says so', async t => {
  const { registry, repository, layers } = await setting(t);
  const pushed = await pushImage(repository, layers, { tag: 'v1' });
  await pushIndex(repository, pushed, [await ztocOf(layers[0] as SampleLayer)]);
  const cache = new MemoryZtocCache();
  await using image = await openImage({ repository, reference: 'v1' }, { cache });
  const missing = [1, 2].map(layer => ({
    layer,
    layerDigest: layers[layer]?.descriptor.digest,
    bytes: layers[layer]?.bytes.length,
  }));
  asked(registry);
  const bytes = missing.reduce((sum, each) => sum + (each.bytes ?? 0), 0);
  t.strictSame(await image.explain('/a/two'), { wholeLayers: missing, requests: 2, bytes });
  const digests = layers.map(({ descriptor }) => descriptor.digest);
  const requests = asked(registry);
  t.notOk(requests.some(line => digests.some(digest => line.includes(digest))));
  t.equal(requests.length, 1, 'the one ztoc that there is');
  t.notOk(image.loaded);
  t.strictSame(await image.readFile('/a/two'), textLike(200_000, 2));
  t.notOk(
    asked(registry).some(line => line.includes('blobs') && !digests.some(digest => line.includes(digest))),
    'no ztoc twice',
  );
  t.match(await image.explain('/a/two'), { path: '/a/two', layer: 1, requests: Number });
  await using second = await openImage({ repository, reference: 'v1' }, { cache });
  t.match(await second.explain('/a/two'), { layer: 1 }, 'the cache has the ztocs by now');
});

t.test("missingZtoc: 'build' keeps ztocs in a folder for the next process", async t => {
  const { repository, layers } = await setting(t);
  await pushImage(repository, layers, { tag: 'v1' });
  const cacheDirectory = await folder(t);
  for (const origin of ['built', 'cache']) {
    const image = await openImage({ repository, reference: 'v1' }, { cacheDirectory });
    t.strictSame(await image.readFile('/a/one'), textLike(300_000, 1));
    t.strictSame(
      image.layers.map(({ opened }) => opened),
      [origin, origin, origin],
    );
    await image.close();
  }
  t.strictSame((await readdir(cacheDirectory)).sort(), ['blobs', 'ztocs']);
});

t.test("missingZtoc: 'error' opens, and whatever may touch the layer throws", async t => {
  const { registry, repository, layers } = await setting(t);
  const pushed = await pushImage(repository, layers, { tag: 'v1' });
  await pushIndex(repository, pushed, [await ztocOf(layers[0] as SampleLayer)]);
  asked(registry);
  const image = await openImage({ repository, reference: 'v1' }, { missingZtoc: 'error' });
  t.teardown(() => image.close());
  const calls = [() => image.readFile('/a/one'), () => image.stat('/nowhere'), () => image.readdir('/')];
  for (const call of calls) {
    const error = await failure(call());
    t.equal(error.code, 'ERR_SOCI_NO_ZTOC');
    t.match(error.data, { layer: Number, digest: /^sha256:/, size: Number, reason: String });
    t.ok(layers.slice(1).some(({ descriptor }) => error.message.includes(descriptor.digest)));
  }
  t.notOk(registry.requests.some(({ path }) => path.endsWith(layers[1]?.descriptor.digest ?? '')));
});

t.test("missingZtoc: 'fail' does not open", async t => {
  const { registry, repository, layers } = await setting(t);
  await pushImage(repository, layers, { tag: 'v1' });
  const error = await failure(openImage({ repository, reference: 'v1' }, { missingZtoc: 'fail' }));
  t.equal(error.code, 'ERR_SOCI_NO_ZTOC');
  t.match(error.message, 'there is no SOCI index');
  t.match(error.data, { layer: 0, digest: layers[0]?.descriptor.digest });
  registry.inject({ match: { path: '/referrers/' }, reply: { status: 500, headers: {} } });
  const unreachable = await failure(openImage({ repository, reference: 'v1' }, { missingZtoc: 'fail' }));
  t.equal(unreachable.code, 'ERR_SOCI_NO_ZTOC');
  t.match(unreachable.message, '500', 'it could not be asked, which is another thing than having none');
  t.match(await failure(openImage({ repository, reference: 'v1' }, { missingZtoc: 'x' as 'fail' })), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
});

t.test('layouts and archives are opened by their names', async t => {
  const { layers } = await setting(t);
  const path = await folder(t);
  const layout = new LayoutRepository(new DirectoryFiles(join(path, 'images'), 'oci:images'));
  await pushIndexedImage(layout, layers, { tag: 'v1' });
  await layout.close();
  const image = await openImage(`oci:${join(path, 'images')}:v1`, { missingZtoc: 'fail' });
  t.teardown(() => image.close());
  t.equal(await image.readFile('/a/three', 'utf8'), '3');
  t.match(await failure(openImage(`oci:${join(path, 'nowhere')}`)), { code: 'ERR_SOCI_LAYOUT' });
});

t.test('a failure to fetch a ztoc is not remembered', async t => {
  const { registry, repository, layers } = await setting(t);
  await pushIndexedImage(repository, layers, { tag: 'v1' });
  const image = await openImage({ repository, reference: 'v1' });
  t.teardown(() => image.close());
  registry.inject({ match: { path: '/blobs/' }, reply: { status: 503, headers: {} }, times: 20 });
  t.match(await failure(image.readdir('/')), { code: 'ERR_SOCI_HTTP_STATUS' });
  registry.clearFaults();
  t.strictSame(await image.readdir('/'), ['a']);
});

t.test('an abort ends the opening at each of its stages', async t => {
  const { registry, repository, layers } = await setting(t);
  await pushIndexedImage(repository, layers, { tag: 'v1' });
  for (const path of ['/manifests/v1', '/blobs/', '/referrers/']) {
    const controller = new AbortController();
    const reason = new Error(`at ${path}`);
    registry.inject({
      match: request => {
        if (!request.path.includes(path)) return false;
        controller.abort(reason);
        return true;
      },
      delay: 60_000,
    });
    const { signal } = controller;
    t.equal(await failure(openImage({ repository, reference: 'v1' }, { signal })), reason, path);
    registry.clearFaults();
  }
});

t.test('one reader who leaves while a layer is opened does not take it from the others', async t => {
  const { registry, repository, layers } = await setting(t);
  await pushImage(repository, layers, { tag: 'v1' });
  const image = await openImage({ repository, reference: 'v1' }, { cache: new MemoryZtocCache() });
  t.teardown(() => image.close());
  const controller = new AbortController();
  const reason = new Error('leaving');
  registry.inject({
    match: request => {
      if (request.path.endsWith(layers[0]?.descriptor.digest ?? '')) controller.abort(reason);
      return false;
    },
  });
  const staying = image.readFile('/a/three', 'utf8');
  t.equal(await failure(image.readdir('/', { signal: controller.signal })), reason);
  t.equal(await staying, '3');
});

t.test('closing ends what is under way: building, fetching, reading', async t => {
  const { registry, repository, layers } = await setting(t);
  await pushImage(repository, layers, { tag: 'bare' });
  await pushIndexedImage(repository, layers.slice(0, 2), { tag: 'indexed' });
  for (const reference of ['bare', 'indexed']) {
    const image = await openImage({ repository, reference }, { cache: new MemoryZtocCache() });
    let closing: Promise<void> | undefined;
    registry.inject({
      match: request => {
        if (!request.path.includes('/blobs/')) return false;
        closing ??= image.close();
        return true;
      },
      stallAfter: 100,
    });
    t.match(await failure(image.readFile('/a/one')), { code: 'ERR_SOCI_CLOSED' }, reference);
    await closing;
    registry.clearFaults();
  }
  forgetSpans();
  const image = await openImage({ repository, reference: 'indexed' });
  await image.load();
  let closing: Promise<void> | undefined;
  registry.inject({
    match: request => {
      closing ??= image.close();
      return request.path.includes('/blobs/');
    },
    stallAfter: 100,
  });
  t.match(await failure(image.readFile('/a/one')), { code: 'ERR_SOCI_CLOSED' }, 'a read');
  await closing;
});
