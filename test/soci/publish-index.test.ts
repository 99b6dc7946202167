/** publishIndex: what createIndex and pushIndex do together, with each ztoc sent as soon as its layer is finished. */
import t from 'tap';
import { subscribe } from '../../lib/observe/channels.js';
import { OCI_MANIFEST, OCTET_STREAM } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import { convertImage } from '../../lib/soci/convert-image.js';
import { createIndex } from '../../lib/soci/create-index.js';
import type { IndexEvent } from '../../lib/soci/index-event.js';
import { type PublishIndexOptions, publishIndex } from '../../lib/soci/publish-index.js';
import { pushIndex } from '../../lib/soci/push-index.js';
import { SOCI_INDEX_TYPE } from '../../lib/soci/soci-index.js';
import { largestSpan } from '../../lib/ztoc/largest-span.js';
import { failure, openRepository, sampleBytes, startRegistry, startTransport } from '../registry/fixture.js';
import {
  AMD64,
  ARM64,
  at,
  describe,
  emptyLayout,
  gzipLayer,
  pushIndexOf,
  pushSample,
  type SampleLayer,
} from './sample-image.js';

const ALL: PublishIndexOptions = { minLayerSize: 0 };

async function sampleLayers(count: number): Promise<SampleLayer[]> {
  return await Promise.all(
    Array.from({ length: count }, (_, i) => gzipLayer({ [`file${i}`]: sampleBytes(40_000, i + 1) })),
  );
}

interface Watched {
  readonly repository: Repository;
  /** 'read N' when a layer is opened; 'ztoc', 'config' and 'manifest' when one is there. */
  readonly steps: string[];
}

/** `repository` with a record of what is asked of it; `onSend` may fail or wait. */
function watched(
  repository: Repository,
  layers: readonly SampleLayer[],
  {
    steps = [],
    onSend = async () => {},
  }: Partial<Watched> & { onSend?: (ztoc: number) => Promise<void> } = {},
): Watched {
  const digests = layers.map(({ bytes }) => describe(bytes, '').digest);
  let sent = 0;
  const record: Partial<Repository> = {
    openBlob: async (blob, options) => {
      steps.push(`read ${digests.indexOf(blob.digest)}`);
      return await repository.openBlob(blob, options);
    },
    pushBlob: async (blob, content, options) => {
      const ztoc = blob.mediaType === OCTET_STREAM && blob.size > 2;
      if (ztoc) await onSend(sent++);
      const result = await repository.pushBlob(blob, content, options);
      if (blob.mediaType === OCTET_STREAM) steps.push(ztoc ? 'ztoc' : 'config');
      return result;
    },
    pushManifest: async (bytes, mediaType, options) => {
      const result = await repository.pushManifest(bytes, mediaType, options);
      steps.push('manifest');
      return result;
    },
  };
  const proxy = new Proxy(repository, {
    get: (target, key) => {
      const own = record[key as keyof Repository];
      const value = own ?? Reflect.get(target, key, target);
      return typeof value === 'function' && own === undefined ? value.bind(target) : value;
    },
  });
  return { repository: proxy, steps };
}

t.test('a ztoc is where its index will be before the next layer is read', async t => {
  const layers = await sampleLayers(3);
  const expected = ['read 0', 'ztoc', 'read 1', 'ztoc', 'read 2', 'ztoc', 'config', 'manifest'];
  const layout = await emptyLayout(t);
  await pushSample(layout, layers, { tag: 'latest' });
  const { repository, steps } = watched(layout, layers);
  const { indexes } = await publishIndex(at(repository), { ...ALL, concurrency: 1 });
  t.same(steps, expected, 'creating');
  t.match(indexes, [{ outcome: 'pushed', existing: [] }]);

  const target = await emptyLayout(t);
  const source = watched(layout, layers);
  const converting = watched(target, layers, { steps: source.steps });
  await convertImage(at(source.repository), at(converting.repository, 'lazy'), { ...ALL, concurrency: 1 });
  t.same(source.steps.slice(0, 6), expected.slice(0, 6), 'converting');
  t.ok(source.steps.indexOf('manifest') > source.steps.indexOf('config'));
});

t.test('no more ztocs wait to be sent than layers are worked on', async t => {
  const layers = await sampleLayers(8);
  const layout = await emptyLayout(t);
  await pushSample(layout, layers, { tag: 'latest' });
  let waiting = 0;
  let most = 0;
  const { repository, steps } = watched(layout, layers, {
    onSend: async () => {
      most = Math.max(most, ++waiting);
      await new Promise(setImmediate);
      waiting--;
    },
  });
  await publishIndex(at(repository), { ...ALL, concurrency: 2 });
  t.ok(most <= 2, `${most} at a time`);
  for (const [i, step] of steps.entries()) {
    const read = steps.slice(0, i + 1).filter(each => each.startsWith('read')).length;
    const sent = steps.slice(0, i + 1).filter(each => each === 'ztoc').length;
    if (step.startsWith('read')) t.ok(read - sent <= 2, `${read} layers begun, ${sent} ztocs sent`);
  }
});

t.test('the same index as in two steps, and what remains of its ztocs', async t => {
  const layers = await sampleLayers(2);
  const options: PublishIndexOptions = { ...ALL, prefetchFiles: ['file1', 'none'], optimizations: ['xattr'] };
  const one = await emptyLayout(t);
  const two = await emptyLayout(t);
  for (const layout of [one, two]) await pushSample(layout, layers, { tag: 'latest' });
  const published = await publishIndex(at(one), options);
  const created = await createIndex(at(two), options);
  await pushIndex(created);
  t.same(
    published.indexes.map(({ bytes }) => Buffer.from(bytes).toString()),
    created.indexes.map(({ bytes }) => Buffer.from(bytes).toString()),
  );
  t.same(published.indexes[0]?.missingFiles, ['none']);
  for (const [i, { ztoc }] of (created.indexes[0]?.layers ?? []).entries()) {
    const { digest, bytes, spanSize, spanCount, entryCount } = ztoc;
    t.strictSame(published.indexes[0]?.layers[i]?.ztoc, {
      digest,
      size: bytes.length,
      spanSize,
      spanCount,
      entryCount,
      largestSpan: largestSpan(ztoc),
    });
    for (const layout of [one, two]) t.ok(await layout.hasBlob(digest));
  }
  for (const { digest } of published.indexes[0]?.prefetches ?? []) t.ok(await one.hasBlob(digest));
});

t.test(
  'a failure in the middle leaves no index, and the next attempt sends only what is missing',
  async t => {
    const registry = await startRegistry(t);
    const open = openRepository(startTransport(t), registry);
    const layers = await sampleLayers(3);
    const image = await pushSample(open, layers, { tag: 'latest' });
    const { repository, steps } = watched(open, layers, {
      onSend: async ztoc => {
        if (ztoc === 1) throw new Error('connection lost');
      },
    });
    const error = await publishIndex(at(repository), { ...ALL, concurrency: 1 }).catch(failed => failed);
    t.equal(error.message, 'connection lost');
    t.same(steps, ['read 0', 'ztoc', 'read 1']);
    const listed = async () => await open.referrers(image.digest, { artifactType: SOCI_INDEX_TYPE.v1 });
    t.same(await listed(), []);
    const results: string[] = [];
    const onEvent = (event: IndexEvent): void =>
      void (event.type === 'blob-pushed' && event.blob.size > 2 && results.push(event.result));
    await publishIndex(at(open), { ...ALL, concurrency: 1, onEvent });
    t.same(results, ['existed', 'uploaded', 'uploaded']);
    t.equal((await listed()).length, 1);
    t.match(
      await publishIndex(at(open), ALL),
      { indexes: [{ outcome: 'existed' }] },
      'once more changes nothing',
    );

    const [broken] = await sampleLayers(1);
    await pushSample(open, [broken as SampleLayer, layers[0] as SampleLayer], { tag: 'broken' });
    registry.inject({ match: { method: 'GET', path: describe(layers[0]!.bytes, '').digest }, corrupt: 5 });
    const damaged = await failure(publishIndex(at(open, 'broken'), { ...ALL, force: true }));
    t.equal(damaged.code, 'ERR_SOCI_DIGEST_MISMATCH');
  },
);

t.test(
  'beside other indexes: nothing is sent for an image that is skipped, and all that others need is',
  async t => {
    const layout = await emptyLayout(t);
    const [a, b] = (await sampleLayers(2)) as [SampleLayer, SampleLayer];
    const amd64 = await pushSample(layout, [a, b]);
    const arm64 = await pushSample(layout, [a], { platform: ARM64 });
    await pushIndexOf(layout, [
      { ...amd64, platform: AMD64 },
      { ...arm64, platform: ARM64 },
    ]);
    await publishIndex(at(layout), { ...ALL, platforms: [AMD64] });
    const { repository, steps } = watched(layout, [a, b]);
    const events: IndexEvent[] = [];
    const { indexes, skipped } = await publishIndex(at(repository), {
      ...ALL,
      spanSize: 8192,
      existing: 'skip',
      onEvent: event => events.push(event),
    });
    t.match(indexes, [{ outcome: 'pushed', existing: [] }]);
    t.match(skipped, [{ image: { platform: AMD64 }, existing: [{}] }]);
    t.same(
      steps,
      ['read 0', 'ztoc', 'config', 'manifest'],
      'nor is a layer read that only the skipped one has',
    );
    t.equal(events.filter(({ type }) => type === 'index-exists').length, 1);
  },
);

t.test('a registry that does not say whether there are indexes', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  await pushSample(repository, await sampleLayers(1), { tag: 'v1' });
  registry.inject({ match: { path: '/referrers/' }, reply: { status: 403, headers: {} } });
  registry.inject({ match: { method: 'HEAD', path: '/blobs/' }, reply: { status: 403, headers: {} } });
  const place = { repository, reference: 'v1' };
  const events: IndexEvent[] = [];
  const onEvent = (event: IndexEvent): void => void events.push(event);
  const { indexes } = await publishIndex(place, { ...ALL, onEvent });
  t.match(indexes, [{ outcome: 'pushed', existing: [] }], 'is pushed to');
  t.match(
    events.find(({ type }) => type === 'existing-unknown'),
    { error: { code: 'ERR_SOCI_REGISTRY_DENIED' } },
    'and the doubt is told',
  );
  t.match(
    await failure(publishIndex(place, { ...ALL, existing: 'skip' })),
    { code: 'ERR_SOCI_REGISTRY_DENIED' },
    'unless the answer would decide',
  );
});

t.test('what is there already is found without reading a layer', async t => {
  const registry = await startRegistry(t);
  const origin = openRepository(startTransport(t), registry);
  const layers = await sampleLayers(2);
  const image = await pushSample(origin, layers, { tag: 'v1' });
  const { repository, steps } = watched(origin, layers);
  const place = { repository, reference: 'v1' };
  const [first] = (await publishIndex(place, ALL)).indexes;
  steps.length = 0;

  const again = await publishIndex(place, ALL);
  t.match(again.indexes, [{ outcome: 'existed', descriptor: { digest: first?.descriptor.digest } }]);
  t.notOk(
    steps.some(step => step.startsWith('read') || step === 'manifest'),
    'by the same command',
  );
  steps.length = 0;
  const skipping = await publishIndex(place, { ...ALL, spanSize: 8192, existing: 'skip' });
  t.match([skipping.indexes, skipping.skipped], [[], [{ existing: [{}] }]]);
  t.same(steps, [], "by 'skip', whatever is there");

  for (const other of [{ force: true }, { spanSize: 8192 }, { buildToolIdentifier: 'other' }]) {
    steps.length = 0;
    await publishIndex(place, { ...ALL, ...other });
    t.ok(steps.includes('read 0') && steps.includes('read 1'), JSON.stringify(other));
  }

  t.test('but a new index is made of the layers alone', async t => {
    const foreign = await pushSample(origin, layers.slice(0, 1), { tag: 'v2' });
    const [good] = (await createIndex({ repository: origin, reference: 'v2' }, ALL)).indexes;
    // Says of itself that it is ours, but has a member that we would not write.
    const bytes = Buffer.from(Buffer.from(good!.bytes).toString().replace('{', '{"unknown":1,'));
    await pushIndex({ repository: origin, indexes: [good!], empty: [], absent: [] }, { existing: 'allow' });
    await origin.pushManifest(bytes, OCI_MANIFEST);
    t.not(foreign.digest, image.digest);
    steps.length = 0;
    await registry.storage.deleteManifest('demo/app', good!.descriptor.digest);
    const { indexes } = await publishIndex({ repository, reference: 'v2' }, ALL);
    t.match(indexes, [{ outcome: 'pushed', layers: [{ origin: 'built' }] }]);
  });
});

t.test('an image with nothing to index is a failure unless it may be one', async t => {
  const layout = await emptyLayout(t);
  await pushSample(layout, await sampleLayers(1), { tag: 'latest' });
  t.match(await failure(publishIndex(at(layout))), {
    code: 'ERR_SOCI_INDEX_EMPTY',
    message: /1 too-small\); --min-layer-size .*--allow-empty/,
  });
  t.match(await publishIndex(at(layout), { allowEmpty: true }), { indexes: [], empty: [{}] });
});

t.test('a conversion of nothing writes nothing', async t => {
  const origin = openRepository(startTransport(t), await startRegistry(t));
  await pushSample(origin, await sampleLayers(1), { tag: 'v1' });
  const { repository, steps } = watched(await emptyLayout(t), []);
  t.match(await failure(convertImage({ repository: origin, reference: 'v1' }, at(repository))), {
    code: 'ERR_SOCI_INDEX_EMPTY',
  });
  t.same(steps, []);
});

t.test('a dry run writes nothing and says what would be', async t => {
  const layers = await sampleLayers(2);
  const layout = await emptyLayout(t);
  await pushSample(layout, layers, { tag: 'latest' });
  const { repository, steps } = watched(layout, layers);
  const { indexes } = await publishIndex(at(repository), { ...ALL, dryRun: true, concurrency: 1 });
  t.same(steps, ['read 0', 'read 1']);
  t.match(indexes, [{ outcome: 'not pushed', layers: [{ origin: 'built' }, { origin: 'built' }] }]);
});

t.test('the steps are published too, whether or not somebody gave a handler', async t => {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const image = await pushSample(repository, await sampleLayers(1), { tag: 'v1' });
  const steps: string[] = [];
  const progress: string[] = [];
  t.teardown(subscribe('seekable-oci:soci:index', ({ type }) => void steps.push(type)));
  t.teardown(subscribe('seekable-oci:progress', ({ phase }) => void progress.push(phase)));
  await publishIndex(at(repository, image.digest), ALL);
  for (const type of ['layer-started', 'layer-done', 'blob-pushed', 'manifest-pushed']) {
    t.ok(steps.includes(type), type);
  }
  t.ok(progress.includes('index'));
});
