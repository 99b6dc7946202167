/** What is fetched before anybody asks for it: which spans, in which order, where they go, and what failures cost. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import type { PrefetchOptions, PrefetchReport } from '../../lib/image/prefetching.js';
import { type SpanFetchEvent, subscribe } from '../../lib/observe/channels.js';
import type { Repository } from '../../lib/registry/repository.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { pushIndex as pushCreated } from '../../lib/soci/push-index.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { tarQuestion } from '../../lib/store/proofs.js';
import { Store } from '../../lib/store/store.js';
import type { TestRegistry } from '../../lib/testing/test-registry.js';
import { openRepository, QUICK, startRegistry, startTransport } from '../registry/fixture.js';
import { noise, tarOf } from '../span/sample-layers.js';
import { watchStores } from '../store/sample-blob.js';
import { layerOf, packLayer, pushImage, pushIndex, pushIndexedImage, ztocOf } from './sample-image.js';

const BIG = noise(3_000_000);
const SMALL = noise(300_000, 7);
const layers = [
  await layerOf([
    { name: 'first', body: Buffer.from('first') },
    { name: 'big', body: BIG },
    { name: 'last', body: Buffer.from('last') },
  ]),
  // As GNU tar pads it: behind the last entry, where no span is.
  packLayer(
    Buffer.concat([
      await tarOf([
        { name: 'lib/a.so', body: SMALL },
        { name: 'lib/deep/b.so', body: Buffer.from('b') },
        { name: 'lib/link', type: 'symlink', linkname: '../first' },
        { name: 'odd[1]', body: Buffer.from('odd') },
      ]),
      Buffer.alloc(8192),
    ]),
  ),
];
const [lower, upper] = [layers[0]!.descriptor, layers[1]!.descriptor];

interface Given {
  readonly registry: TestRegistry;
  readonly repository: Repository;
  readonly store: Store;
  readonly open: (options?: OpenImageOptions) => Promise<Image>;
  /** Ranges of blobs that were asked for since. */
  readonly asked: () => { digest: string; bytes: number }[];
}

async function given(t: Test, { maxBytes = 2 ** 30, retries = QUICK.retries } = {}): Promise<Given> {
  const registry = await startRegistry(t);
  const transport = startTransport(t, { retry: { ...QUICK, retries } });
  const repository = openRepository(transport, registry);
  await pushIndexedImage(repository, layers, { tag: 'latest' });
  const store = await Store.open(join(t.testdir({}), 'store'), { maxBytes });
  t.teardown(() => store.close());
  return {
    registry,
    repository,
    store,
    open: async (options = {}) => {
      const context = new ReadContext();
      const image = await openImage(`${registry.host}/demo/app`, { transport, context, store, ...options });
      t.teardown(() => image.close());
      return image;
    },
    asked: () =>
      registry.requests.flatMap(({ path, headers }) => {
        const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '') ?? [];
        const digest = path.split('/').at(-1) ?? '';
        return from === undefined ? [] : [{ digest, bytes: Number(to) - Number(from) + 1 }];
      }),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

function fetches(t: Test): SpanFetchEvent[] {
  const events: SpanFetchEvent[] = [];
  t.teardown(subscribe('seekable-oci:span:fetch', event => events.push(event)));
  return events;
}

/** Each layer's numbers add up. */
function balanced(t: Test, { layers: found }: PrefetchReport): void {
  for (const { size, present, fetched, failed, left } of found) {
    t.equal(present + fetched + failed + left, size, 'the parts are the whole');
  }
}

t.test('all of it, into the store: short requests, nothing decoded, each layer proved', async t => {
  const { open, asked, registry } = await given(t);
  const image = await open();
  const events = fetches(t);
  const progress: string[] = [];
  const decoded: number[] = [];
  const end = subscribe('seekable-oci:span:decode', ({ span }) => decoded.push(span));
  await image.load();
  const pass = image.prefetch('all', {
    onProgress: ({ layer, bytes, size }) => {
      if (bytes === size) progress.push(`${layer}: ${bytes}`);
    },
  });
  const report = await pass;
  end();
  t.same(decoded, []);
  balanced(t, report);
  t.match(report, {
    into: 'store',
    failures: { length: 0 },
    omitted: { length: 0 },
    layers: [
      { layer: 0, layerDigest: lower.digest, size: lower.size, failed: 0, left: 0, diffId: 'proved' },
      { layer: 1, layerDigest: upper.digest, size: upper.size, failed: 0, left: 0, diffId: 'proved' },
    ],
  });
  // Pieces that follow each other share a block of the store.
  for (const { present, size } of report.layers) t.ok(present < 0.02 * size, `${present} bytes were there`);
  t.same(progress.sort(), [`0: ${lower.size}`, `1: ${upper.size}`]);
  t.ok(events.every(({ lane }) => lane === 'background'));
  t.ok(asked().every(({ bytes }) => bytes <= 2 ** 20 + 4096));
  t.ok(sum(asked().map(({ bytes }) => bytes)) < 1.02 * (lower.size + upper.size), 'no byte twice');
  t.match(await image.completion(), { proved: true });
  const { blobs } = (await image.completion()) ?? { blobs: [] };
  t.same(blobs.map(({ diffId }) => diffId).sort(), ['proved', 'proved', undefined, undefined]);

  const before = registry.requests.length;
  const again = await (await open({ offline: true })).prefetch('all');
  t.match(again.layers, [
    { present: lower.size, fetched: 0, diffId: 'proved' },
    { present: upper.size, fetched: 0, diffId: 'proved' },
  ]);
  t.equal(registry.requests.length, before, 'what is there costs no request');
  t.ok((await (await open({ offline: true })).readFile('/big')).equals(BIG));
});

t.test('all of it begins with what has been read of most', async t => {
  const { open } = await given(t);
  const image = await open();
  await image.readFile('/lib/a.so');
  const { layers: found } = await image.prefetch('all');
  t.same(
    found.map(({ layer }) => layer),
    [1, 0],
  );
  t.ok(found[0]!.present > 0);
});

t.test('files, directories, patterns, and what is not there', async t => {
  const { open, asked } = await given(t);
  const image = await open();
  const report = await image.prefetch(['/last', 'lib', '/odd[1]', '/none', '/no*']);
  balanced(t, report);
  t.same(report.omitted, [
    { path: '/none', reason: 'missing' },
    { path: '/no*', reason: 'missing' },
  ]);
  const fetched = (digest: string): number =>
    sum(asked().flatMap(each => (each.digest === digest ? [each.bytes] : [])));
  t.ok(fetched(lower.digest) < 300_000, 'of the lower layer its last span');
  t.ok(fetched(upper.digest) >= 300_000);
  const offline = await open({ offline: true });
  for (const path of ['/last', '/lib/a.so', '/lib/deep/b.so', '/odd[1]']) await offline.readFile(path);
  await t.rejects(offline.readFile('/big'), { code: 'ERR_SOCI_OFFLINE' });

  const before = asked().length;
  t.match(await image.prefetch(['/lib/**', '/lib/{a,b}.so']), { omitted: { length: 0 } });
  t.equal(
    sum(
      asked()
        .slice(before)
        .map(({ bytes }) => bytes),
    ) < 300_000,
    true,
    'a link leads to its file',
  );
  t.ok((await (await open({ offline: true })).readFile('/first')).equals(Buffer.from('first')));
});

t.test('a load order: its order, its lanes', async t => {
  const { open } = await given(t);
  const image = await open();
  const events = fetches(t);
  const load = { size: BIG.length, urgency: 0 };
  const loads = [
    { path: '/big', ...load, start: 2_000_000, end: 2_100_000 },
    { path: '/lib/a.so', size: SMALL.length, start: 0, end: SMALL.length, urgency: 3 },
    { path: '/first', size: 9, start: 0, end: 9, urgency: 3 },
    { path: '/big', ...load, start: 0, end: 100_000, urgency: 7 },
  ];
  const report = await image.prefetch({
    image: image.manifest.descriptor.digest,
    workload: 'w',
    runs: 0,
    loads,
  });
  t.same(report.omitted, [{ path: '/first', reason: 'changed' }]);
  t.match(report.layers, [{ layer: 0 }, { layer: 1 }]);
  const order = events.map(
    ({ source, lane }) => `${source.includes(lower.digest) ? 'lower' : 'upper'} ${lane}`,
  );
  t.same(
    order.filter((each, at) => order.indexOf(each) === at),
    ['lower prefetch', 'upper prefetch', 'lower background'],
  );
});

t.test(
  "the prefetch artifacts of the image's index; one that cannot be used costs the others nothing",
  async t => {
    const { open, registry, repository } = await given(t);
    await pushImage(repository, layers, { tag: 'named', config: { author: 'another image' } });
    const options = { minLayerSize: 0, spanSize: 65536, prefetchFiles: ['last', 'lib/a.so'] };
    const created = await createIndex({ repository, reference: 'named' }, options);
    await pushCreated(created);
    const named = async () => {
      const image = await openImage({ repository, reference: 'named' }, { context: new ReadContext() });
      t.teardown(() => image.close());
      return image;
    };
    const image = await named();
    const report = await image.prefetch('soci');
    t.match(report, { into: 'cache', layers: [{ layer: 0 }, { layer: 1 }], failures: { length: 0 } });
    const before = registry.requests.length;
    await image.readFile('/last');
    await image.readFile('/lib/a.so');
    t.equal(registry.requests.length, before);

    const [first] = created.indexes[0]!.prefetches;
    registry.inject({ match: { path: first!.digest }, reply: { status: 404, headers: {} } });
    const faulty = await (await named()).prefetch('soci');
    t.match(faulty.layers, [{ layer: 1, failed: 0 }]);
    t.match(faulty.failures, [
      { layer: 0, firstSpan: 0, endSpan: 0, error: { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' } },
    ]);
    t.match(await (await open()).prefetch('soci'), { layers: { length: 0 }, failures: { length: 0 } });
  },
);

t.test('without a store: decoded, as far as the cache can hold it', async t => {
  const { open, registry } = await given(t);
  const image = await open({ store: undefined });
  const report = await image.prefetch(['/big']);
  t.match(report, { into: 'cache', layers: [{ failed: 0, left: 0, diffId: undefined }] });
  const before = registry.requests.length;
  t.ok((await image.readFile('/big')).equals(BIG));
  t.equal(registry.requests.length, before);
  t.match(await image.prefetch(['/big']), { layers: [{ present: report.layers[0]!.size, fetched: 0 }] });

  const context = new ReadContext({ cacheBytes: 1_000_000 });
  const small = await open({ store: undefined, context });
  await small.readFile('/lib/a.so');
  const all = await small.prefetch('all');
  balanced(t, all);
  t.ok(all.layers.some(({ left }) => left > 0));
  t.ok(context.cache.size <= 1_000_000);
  const evicted = registry.requests.length;
  await small.readFile('/lib/a.so');
  t.equal(registry.requests.length, evicted, 'what demand has read stays');
});

t.test('a store that has no room for all of it', async t => {
  const { open } = await given(t, { maxBytes: 3_200_000 });
  const report = await (await open()).prefetch(['/lib', '/last', '/big']);
  balanced(t, report);
  t.ok(report.layers.some(({ left }) => left > 0));
});

t.test('failures that pass are tried again; others are told, and end nothing else', async t => {
  const { open, registry } = await given(t, { retries: 0 });
  registry.inject({
    match: ({ headers, path }) => path.includes(lower.digest) && headers['range'] !== undefined,
    times: 2,
    reply: { status: 503, headers: {} },
  });
  const passed = await (await open()).prefetch('all');
  t.match(passed, { failures: { length: 0 }, layers: [{ failed: 0 }, { failed: 0 }] });

  const gone = await given(t, { retries: 0 });
  const image = await gone.open();
  await image.load();
  gone.registry.inject({ match: { path: lower.digest }, reply: { status: 404, headers: {} } });
  const before = gone.registry.requests.length;
  const told = await image.prefetch('all');
  balanced(t, told);
  t.match(told.layers, [
    { failed: lower.size, diffId: undefined },
    { failed: 0, diffId: 'proved' },
  ]);
  t.match(told.failures, [{ layer: 0, layerDigest: lower.digest, firstSpan: 0 }]);
  t.ok(gone.registry.requests.length - before < 20, 'and nobody is asked for all the rest of it');
});

/** A registry that has another blob under the digest of the lower layer: one byte of it differs. */
function forge(registry: TestRegistry, at: number): void {
  const forged = Buffer.from(layers[0]!.bytes);
  forged[at]! ^= 1;
  registry.inject({
    match: ({ path, headers }) => path.includes(lower.digest) && headers['range'] !== undefined,
    reply: ({ headers }) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '') ?? [];
      const [start, end] = [Number(from), Number(to) + 1];
      const range = { 'content-range': `bytes ${start}-${end - 1}/${forged.length}` };
      return { status: 206, headers: range, body: forged.subarray(start, end) };
    },
  });
}

t.test('one span that is wrong ends no layer, and nothing of it stays in the store', async t => {
  const { registry, open } = await given(t);
  const heard = watchStores(t);
  forge(registry, 1_500_000);
  const image = await open();
  const report = await image.prefetch('all');
  balanced(t, report);
  t.match(report.failures, [{ layer: 0, error: { code: 'ERR_SOCI_SPAN_DIGEST' } }]);
  t.equal(report.failures[0]!.endSpan, report.failures[0]!.firstSpan + 1);
  t.match(report.layers, [{ diffId: undefined }, { failed: 0, diffId: 'proved' }]);
  t.ok(report.layers[0]!.failed < 200_000);
  t.notOk(heard.includes('refused'));
  await image.close();
  registry.clearFaults();
  const before = registry.requests.length;
  t.match(await (await open()).prefetch('all'), {
    failures: { length: 0 },
    layers: [{ diffId: 'proved' }, {}],
  });
  t.ok(registry.requests.length - before < 6, 'only that is fetched again');
});

t.test('a layer that is wrong where no span is', async t => {
  const { registry, open } = await given(t);
  const heard = watchStores(t);
  // Bytes 4 to 7 of a gzip header are a time (RFC 1952).
  forge(registry, 5);
  const image = await open();
  const report = await image.prefetch('all');
  balanced(t, report);
  t.match(report.failures, [{ layer: 0, firstSpan: 0, error: { code: 'ERR_SOCI_DIGEST_MISMATCH' } }]);
  t.match(report.layers, [{ failed: lower.size }, { failed: 0, diffId: 'proved' }]);
  t.ok(heard.includes('refused'));
  await image.close();

  const later = await (await open()).completion();
  const blob = later?.blobs.find(({ digest }) => digest === lower.digest);
  t.match(blob, { proved: false, present: 0, refused: /^sha256:/ }, 'another process is told');
  registry.clearFaults();
  await (await open()).prefetch('all');
  const mended = await (await open()).completion();
  t.match(mended, { proved: true });
  t.ok(mended?.blobs.every(({ refused }) => refused === undefined));
});

t.test('a config that is not of its layers', async t => {
  const { registry, store } = await given(t);
  const transport = startTransport(t);
  const repository = openRepository(transport, registry, 'demo/other');
  const one = packLayer(layers[1]!.tar);
  const lie = { ...one, diffId: layers[0]!.diffId };
  const pushed = await pushImage(repository, [lie], { tag: 'latest' });
  await pushIndex(repository, pushed, [await ztocOf(one)]);
  const open = async () => {
    const options = { transport, store, context: new ReadContext() };
    const image = await openImage(`${registry.host}/demo/other`, options);
    t.teardown(() => image.close());
    return image;
  };
  const report = await (await open()).prefetch('all');
  t.match(report.failures, [
    { layer: 0, error: { code: 'ERR_SOCI_DIGEST_MISMATCH', message: /a runtime would refuse/ } },
  ]);
  t.equal((await store.recall(tarQuestion(one.descriptor.digest)))?.value, one.diffId, 'which is remembered');
  t.match((await (await open()).prefetch('all')).failures, [{ error: { code: 'ERR_SOCI_DIGEST_MISMATCH' } }]);
  const completion = await (await open()).completion();
  t.equal(completion?.blobs.find(({ digest }) => digest === one.descriptor.digest)?.diffId, 'refuted');
});

t.test('several at once, and reads beside them, fetch nothing twice', async t => {
  const { open, asked } = await given(t);
  const image = await open();
  await image.load();
  const [one, two, , big] = await Promise.all([
    image.prefetch('all'),
    image.prefetch(['/big']),
    image.readFile('/lib/a.so'),
    image.readFile('/big'),
  ]);
  t.ok(big.equals(BIG));
  balanced(t, one);
  balanced(t, two);
  t.match(await image.completion(), { proved: true });
  const bytes = sum(asked().map(each => each.bytes));
  t.ok(bytes < 1.1 * (lower.size + upper.size), `${bytes} bytes`);
});

t.test('the signal ends it, and so does closing the image; nobody has to wait for it', async t => {
  const { open, registry } = await given(t);
  registry.inject({ match: ({ headers }) => headers['range'] !== undefined, stallAfter: 10 });
  const image = await open();
  await image.load();
  const controller = new AbortController();
  const aborted = image.prefetch('all', { signal: controller.signal });
  const closed = image.prefetch(['/big']);
  void image.prefetch('all');
  controller.abort(new Error('enough'));
  await t.rejects(aborted, { message: 'enough' });
  await image.close();
  await t.rejects(closed, { code: 'ERR_SOCI_CLOSED' });
  await t.rejects(image.prefetch('all'), { code: 'ERR_SOCI_CLOSED' });
});

t.test('what it is asked for', async t => {
  const { open } = await given(t);
  const image = await open();
  const refused = { code: 'ERR_SOCI_INVALID_ARGUMENT' };
  for (const what of ['/big', 'everything', undefined, null, [1], {}]) {
    await t.rejects(image.prefetch(what as never), refused, String(what));
  }
  await t.rejects(image.prefetch('all', { maxBytesPerSecond: 0 }), refused);
  await t.rejects(image.prefetch('all', { lane: 'demand' } as PrefetchOptions), refused);
  await t.rejects(image.prefetch('all', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  t.match(await image.prefetch([]), { layers: { length: 0 } });
  const slow = await image.prefetch(['/last'], { maxBytesPerSecond: 10_000_000 });
  t.match(slow, { layers: [{ failed: 0 }] });
});
