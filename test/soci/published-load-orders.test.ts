/** Load orders beside their image: pushed, found by name or by a rule, and nothing from a hostile registry. */
import t, { type Test } from 'tap';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import type { PlatformManifest } from '../../lib/registry/image-entry.js';
import { OCI_MANIFEST } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import { findLoadOrder, listLoadOrders } from '../../lib/soci/find-load-order.js';
import { encodeLoadOrder, LOAD_ORDER_TYPE, type LoadOrder } from '../../lib/soci/load-order.js';
import {
  encodeLoadOrderArtifact,
  parseLoadOrderArtifact,
  WORKLOAD_ANNOTATION,
} from '../../lib/soci/load-order-artifact.js';
import { resolveImages } from '../../lib/soci/platform-images.js';
import { pushLoadOrder } from '../../lib/soci/push-load-order.js';
import { EMPTY_CONFIG } from '../../lib/soci/soci-index.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { describe, emptyLayout, gzipLayer, json, pushSample } from './sample-image.js';

const layer = await gzipLayer({ 'bin/tool': 'bytes' });

async function pushImage(repository: Repository): Promise<PlatformManifest> {
  await pushSample(repository, [layer], { tag: 'latest' });
  return (await resolveImages(repository, 'latest')).images[0]!;
}

function orderOf(image: PlatformManifest, workload: string, runs = 1): LoadOrder {
  const load = { path: '/bin/tool', size: 5, start: 0, end: 5, urgency: 1, runs: 1, ms: runs };
  return { image: image.descriptor.digest, workload, runs, loads: [load] };
}

async function places(t: Test): Promise<Record<string, Repository>> {
  const inRegistry = async (referrers: boolean): Promise<Repository> =>
    openRepository(startTransport(t), await startRegistry(t, { referrers }));
  return {
    'referrers API': await inRegistry(true),
    'list under a tag': await inRegistry(false),
    layout: await emptyLayout(t),
  };
}

t.test(
  'pushed once, found by the name of its workload, in a registry of either kind and in a layout',
  async t => {
    for (const [place, repository] of Object.entries(await places(t))) {
      const image = await pushImage(repository);
      t.strictSame(await listLoadOrders(repository, image), { found: [], faults: [] }, place);
      t.equal(await findLoadOrder(repository, image, 'start'), undefined);

      const events: string[] = [];
      const onEvent = ({ type }: { type: string }): void => void events.push(type);
      const pushed = await pushLoadOrder(repository, image, orderOf(image, 'start'), { onEvent });
      t.match(pushed, { outcome: 'pushed', others: [] });
      t.same(events.filter(type => type === 'manifest-pushed').length, 1);
      const again = await pushLoadOrder(repository, image, orderOf(image, 'start'));
      t.match(again, { outcome: 'existed', descriptor: { digest: pushed.descriptor.digest } });
      await pushLoadOrder(repository, image, orderOf(image, 'batch', 2));

      const found = await findLoadOrder(repository, image, 'start');
      t.equal(found?.descriptor.digest, pushed.descriptor.digest);
      t.strictSame(found?.order, orderOf(image, 'start'));
      t.equal(await findLoadOrder(repository, image, 'other'), undefined);
      const { found: all } = await listLoadOrders(repository, image);
      t.same(
        all.map(({ order }) => order.workload),
        ['batch', 'start'],
      );
      await t.rejects(findLoadOrder(repository, image, 'no name'), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
    }
  },
);

t.test('the artifact is one that other tools understand', async t => {
  const repository = await emptyLayout(t);
  const image = await pushImage(repository);
  const { descriptor } = await pushLoadOrder(repository, image, orderOf(image, 'start'));
  const { manifest, bytes } = await repository.getManifest(descriptor.digest);
  t.match(manifest, {
    artifactType: LOAD_ORDER_TYPE,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', size: 2 },
    layers: [{ mediaType: LOAD_ORDER_TYPE }],
    subject: { digest: image.descriptor.digest },
    annotations: { [WORKLOAD_ANNOTATION]: 'start' },
  });
  const encoded = encodeLoadOrderArtifact(orderOf(image, 'start'), image.descriptor);
  t.ok(Buffer.from(bytes).equals(encoded.bytes), 'equal load orders have equal digests');
});

t.test('a rule of the caller chooses by what the list says, and nothing else is fetched', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const image = await pushImage(repository);
  for (const workload of ['serve/eu', 'serve/us', 'batch']) {
    await pushLoadOrder(repository, image, orderOf(image, workload));
  }
  registry.requests.length = 0;
  const found = await findLoadOrder(repository, image, candidates =>
    candidates.find(({ workload }) => workload?.startsWith('serve/us')),
  );
  t.equal(found?.order.workload, 'serve/us');
  t.equal(registry.requests.filter(({ method }) => method === 'GET').length, 3, 'list, manifest, document');
  t.equal(await findLoadOrder(repository, image, () => undefined), undefined);
});

t.test(
  'of several of one workload the one of most runs is used; replace leaves the new one alone',
  async t => {
    for (const [place, repository] of Object.entries(await places(t))) {
      const image = await pushImage(repository);
      await pushLoadOrder(repository, image, orderOf(image, 'start', 2));
      await pushLoadOrder(repository, image, orderOf(image, 'start', 9));
      await pushLoadOrder(repository, image, orderOf(image, 'other', 3));
      const third = await pushLoadOrder(repository, image, orderOf(image, 'start', 4));
      t.equal(third.others.length, 2, place);
      t.equal((await findLoadOrder(repository, image, 'start'))?.order.runs, 9);

      const replaced = await pushLoadOrder(repository, image, orderOf(image, 'start', 4), { replace: true });
      t.match(replaced, { outcome: 'existed', others: { length: 2 } });
      const { found } = await listLoadOrders(repository, image);
      t.same(
        found.map(({ order }) => [order.workload, order.runs]),
        [
          ['other', 3],
          ['start', 4],
        ],
      );
    }
  },
);

/** Pushes an artifact that says what it likes. */
async function forge(
  repository: Repository,
  image: PlatformManifest,
  document: Uint8Array,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<Descriptor> {
  const blob = describe(document, LOAD_ORDER_TYPE);
  const config = describe(EMPTY_CONFIG, 'application/vnd.oci.empty.v1+json');
  await repository.pushBlob(blob, document);
  await repository.pushBlob(config, EMPTY_CONFIG);
  const { mediaType, digest, size } = image.descriptor;
  const manifest = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: LOAD_ORDER_TYPE,
    config,
    layers: [blob],
    subject: { mediaType, digest, size },
    annotations: { [WORKLOAD_ANNOTATION]: 'start' },
    ...changes,
  });
  return await repository.pushManifest(manifest, OCI_MANIFEST);
}

t.test('what cannot be used is passed over, and is the error where nothing else is there', async t => {
  const repository = await emptyLayout(t);
  const image = await pushImage(repository);
  const good = encodeLoadOrder(orderOf(image, 'start'));
  const foreign = { ...orderOf(image, 'start'), image: `sha256:${'1'.repeat(64)}` };
  const large = { mediaType: LOAD_ORDER_TYPE, digest: `sha256:${'2'.repeat(64)}`, size: 17 * 2 ** 20 };
  const cases: readonly (readonly [Uint8Array, Readonly<Record<string, unknown>>, string])[] = [
    [json({ version: '2.0' }), {}, 'ERR_SOCI_LOAD_ORDER_FORMAT'],
    [encodeLoadOrder(foreign), {}, 'ERR_SOCI_LOAD_ORDER_MISMATCH'],
    [good, { annotations: { [WORKLOAD_ANNOTATION]: 'serve' } }, 'ERR_SOCI_LOAD_ORDER_MISMATCH'],
    [good, { annotations: {} }, 'ERR_SOCI_LOAD_ORDER_FORMAT'],
    [good, { layers: [] }, 'ERR_SOCI_LOAD_ORDER_FORMAT'],
    [
      good,
      { layers: [describe(good, LOAD_ORDER_TYPE), describe(good, LOAD_ORDER_TYPE)] },
      'ERR_SOCI_LOAD_ORDER_FORMAT',
    ],
    [good, { layers: [large] }, 'ERR_SOCI_LIMIT'],
    [good, { layers: [{ ...large, size: 10 }] }, 'ERR_SOCI_REGISTRY_NOT_FOUND'],
  ];
  for (const [document, changes, code] of cases) {
    const { digest } = await forge(repository, image, document, changes);
    const { faults } = await listLoadOrders(repository, image);
    const fault = faults.find(({ descriptor }) => descriptor.digest === digest);
    t.match(fault, { error: { code } });
    const chosen = findLoadOrder(repository, image, all =>
      all.find(each => each.descriptor.digest === digest),
    );
    await t.rejects(chosen, { code });
    if (fault?.workload === 'start') await t.rejects(findLoadOrder(repository, image, 'start'));
  }
  await pushLoadOrder(repository, image, orderOf(image, 'start'));
  t.strictSame((await findLoadOrder(repository, image, 'start'))?.order, orderOf(image, 'start'));
  const { others } = await pushLoadOrder(repository, image, orderOf(image, 'start'), { replace: true });
  t.ok(others.length > 0, 'what cannot be used is replaced too');
});

t.test('a load order of another image is not pushed to this one', async t => {
  const repository = await emptyLayout(t);
  const image = await pushImage(repository);
  const foreign = { ...orderOf(image, 'start'), image: `sha256:${'1'.repeat(64)}` };
  await t.rejects(pushLoadOrder(repository, image, foreign), { code: 'ERR_SOCI_LOAD_ORDER_MISMATCH' });
  const { bytes } = image;
  t.throws(() => parseLoadOrderArtifact(bytes, 'x'), { code: 'ERR_SOCI_LOAD_ORDER_FORMAT' });
});

t.test('more of them than anybody publishes are no choice', async t => {
  const repository = await emptyLayout(t);
  const image = await pushImage(repository);
  const descriptor = { mediaType: OCI_MANIFEST, digest: `sha256:${'3'.repeat(64)}`, size: 2 };
  const many = Array.from({ length: 65 }, () => ({ ...descriptor, artifactType: LOAD_ORDER_TYPE }));
  const flooded = new Proxy(repository, {
    get: (target, name) =>
      name === 'referrers' ? async () => many : Reflect.get(target, name).bind?.(target),
  }) as Repository;
  await t.rejects(findLoadOrder(flooded, image, 'start'), { code: 'ERR_SOCI_LIMIT' });
});
