/**
 * Which requests are under way at the same time on the way to the first byte. Each wave is a round trip: none of its
 * requests is answered before all of them have come, so one that waits for another's answer fails the test.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import { IMAGE_MANIFEST_ANNOTATION } from '../../lib/registry/image-entry.js';
import { OCI_INDEX } from '../../lib/registry/media-types.js';
import { hostPlatform } from '../../lib/registry/platform.js';
import type { RegistryRepository } from '../../lib/registry/registry-repository.js';
import { INDEX_DIGEST_ANNOTATION, SOCI_INDEX_TYPE } from '../../lib/soci/soci-index.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { Store } from '../../lib/store/store.js';
import type { TestRegistry, TestRegistryOptions } from '../../lib/testing/testing.js';
import { encodeIndex, openRepository, QUICK, startRegistry, startTransport } from '../registry/fixture.js';
import { layerOf, pushImage, pushIndex, type SampleLayer, ztocOf } from './sample-image.js';
import { expectWaves } from './waves.js';

interface Setting {
  readonly registry: TestRegistry;
  readonly repository: RegistryRepository;
  readonly layers: readonly SampleLayer[];
  /** By the last part of a request's path. */
  readonly names: Record<string, string>;
}

async function setting(t: Test, options: TestRegistryOptions = {}): Promise<Setting> {
  const registry = await startRegistry(t, options);
  const repository = openRepository(startTransport(t), registry);
  const layers = [
    await layerOf([
      { name: 'a/one', body: Buffer.from('1') },
      { name: 'a/both', body: Buffer.from('below') },
    ]),
    await layerOf([{ name: 'a/two', body: Buffer.from('2') }]),
    await layerOf([{ name: 'a/both', body: Buffer.from('above') }]),
  ];
  const names = Object.fromEntries(layers.map(({ descriptor }, at) => [descriptor.digest, `layer ${at}`]));
  return { registry, repository, layers, names: { ...names, v1: 'tag' } };
}

/** An image whose index (v2) the image index names as conversion does it; returns the digest of its manifest. */
async function pushConverted({ repository, layers, names }: Setting): Promise<string> {
  const ztocs = await Promise.all(layers.map(layer => ztocOf(layer)));
  const soci = await pushIndex(repository, undefined, ztocs, 'v2');
  const annotations = { [INDEX_DIGEST_ANNOTATION]: soci };
  const platform = hostPlatform();
  const image = await pushImage(repository, layers, { annotations, platform });
  const entry = { ...image.descriptor, platform, annotations };
  const { descriptor } = await repository.getManifest(soci);
  const beside = {
    ...descriptor,
    artifactType: SOCI_INDEX_TYPE.v2,
    annotations: { [IMAGE_MANIFEST_ANNOTATION]: image.descriptor.digest },
  };
  await repository.pushManifest(encodeIndex([entry, beside]), OCI_INDEX, { tag: 'v1' });
  nameAll(names, await configOf(repository, image.descriptor.digest), image.descriptor.digest, soci);
  ztocs.forEach(({ descriptor: { digest } }, at) => {
    names[digest] = `ztoc ${at}`;
  });
  return image.descriptor.digest;
}

/** An image with an index that refers to it (v1). */
async function pushReferred({ repository, layers, names }: Setting): Promise<string> {
  const ztocs = await Promise.all(layers.map(layer => ztocOf(layer)));
  const image = await pushImage(repository, layers, { tag: 'v1' });
  const soci = await pushIndex(repository, image, ztocs);
  const { digest } = image.descriptor;
  nameAll(names, await configOf(repository, digest), digest, soci);
  names[digest.replace(':', '-')] = 'tag of referrers';
  ztocs.forEach(({ descriptor }, at) => {
    names[descriptor.digest] = `ztoc ${at}`;
  });
  return digest;
}

async function configOf(repository: RegistryRepository, digest: string): Promise<string> {
  const { manifest } = await repository.getManifest(digest);
  return manifest.kind === 'manifest' ? manifest.config.digest : '';
}

function nameAll(names: Record<string, string>, config: string, image: string, soci: string): void {
  Object.assign(names, { [config]: 'config', [image]: 'manifest', [soci]: 'SOCI index' });
}

async function open(t: Test, { registry }: Setting, options: OpenImageOptions = {}): Promise<Image> {
  const image = await openImage(`${registry.host}/demo/app:v1`, {
    credentials: null,
    env: {},
    retry: QUICK,
    context: new ReadContext(),
    ...options,
  });
  t.teardown(() => image.close());
  return image;
}

const ZTOCS = ['ztoc 0', 'ztoc 1', 'ztoc 2'];

t.test('v2, ztocs at once: four round trips', async t => {
  const place = await setting(t);
  await pushConverted(place);
  const waves = [['tag'], ['manifest', 'SOCI index'], ['config', ...ZTOCS], ['layer 0']];
  const { missing, others } = expectWaves(place.registry, place.names, waves);
  const image = await open(t, place, { ztocs: 'at-once' });
  t.equal(await image.readFile('/a/one', 'utf8'), '1');
  t.strictSame(missing(), []);
  t.strictSame(others, [], 'and nothing else');
});

t.test('v2, a manifest alone: four', async t => {
  const place = await setting(t);
  const digest = await pushConverted(place);
  const { bytes, descriptor } = await place.repository.getManifest(digest);
  await place.repository.pushManifest(bytes, descriptor.mediaType, { tag: 'v1' });
  const waves = [['tag'], ['SOCI index', 'config'], ZTOCS, ['layer 0']];
  const { missing, others } = expectWaves(place.registry, place.names, waves);
  const image = await open(t, place);
  t.equal(await image.readFile('/a/one', 'utf8'), '1');
  t.strictSame([missing(), others], [[], []]);
});

t.test('v1: five, whether there is a referrers API or not', async t => {
  for (const referrers of [true, false]) {
    const place = await setting(t, { referrers });
    await pushReferred(place);
    const asked = ['referrers of manifest', 'tag of referrers', 'config'];
    const waves = [['tag'], asked, ['SOCI index'], ZTOCS, ['layer 0']];
    const { missing, others } = expectWaves(place.registry, place.names, waves);
    const image = await open(t, place);
    t.equal(image.index?.found?.via, 'referrer');
    t.equal(await image.readFile('/a/one', 'utf8'), '1');
    t.strictSame([missing(), others], [[], []]);
  }
});

t.test(
  'v1 of one platform of several: five, as what refers to it is asked for beside the manifest',
  async t => {
    const place = await setting(t);
    const digest = await pushReferred(place);
    const { descriptor } = await place.repository.getManifest(digest);
    const entry = { ...descriptor, platform: hostPlatform() };
    await place.repository.pushManifest(encodeIndex([entry]), OCI_INDEX, { tag: 'v1' });
    const beside = ['manifest', 'referrers of manifest', 'tag of referrers'];
    const waves = [['tag'], beside, ['SOCI index', 'config'], ZTOCS, ['layer 0']];
    const { missing, others } = expectWaves(place.registry, place.names, waves);
    const image = await open(t, place);
    t.equal(await image.readFile('/a/one', 'utf8'), '1');
    t.strictSame([missing(), others], [[], []]);
  },
);

t.test('an index that the caller names is asked for with the tag', async t => {
  const place = await setting(t);
  await pushReferred(place);
  const index = Object.keys(place.names).find(key => place.names[key] === 'SOCI index') ?? '';
  const waves = [['tag', 'SOCI index'], ['config']];
  const { missing, others } = expectWaves(place.registry, place.names, waves);
  t.equal((await open(t, place, { index })).index?.found?.descriptor.digest, index);
  t.strictSame([missing(), others], [[], []]);
});

t.test('a warm store: one request', async t => {
  const place = await setting(t);
  await pushConverted(place);
  const folder = await mkdtemp(join(tmpdir(), 'soci-waves-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const store = await Store.open(folder);
  t.teardown(() => store.close());
  for (const expected of [undefined, ['HEAD tag']]) {
    const { others } = expectWaves(place.registry, place.names, []);
    const image = await open(t, place, { store, ztocs: 'at-once' });
    t.equal(await image.readFile('/a/one', 'utf8'), '1');
    await image.close();
    if (expected !== undefined) t.strictSame(others, expected);
    place.registry.clearFaults();
  }
});

t.test(
  'only the layers on which the first path depends are waited for, the others are called off',
  async t => {
    const place = await setting(t);
    await pushConverted(place);
    const image = await open(t, place);
    let held = 0;
    place.registry.inject({
      match: ({ path }) => /ztoc [01]/.test(place.names[path.slice(path.lastIndexOf('/') + 1)] ?? ''),
      times: 2,
      until: async () => {
        held += 1;
        await new Promise(resolve => t.teardown(resolve as () => void));
      },
    });
    t.equal(await image.readFile('/a/both', 'utf8'), 'above');
    t.equal(held, 2, 'they were under way');
    t.strictSame(
      image.layers.map(({ opened }) => opened),
      [undefined, undefined, 'index'],
    );
    t.notOk(image.loaded);
    t.strictSame(
      await image.readdir('/a'),
      ['both', 'one', 'two'],
      'and are fetched when something needs them',
    );
    t.ok(image.loaded);
  },
);

t.test('what was asked ahead and fails is asked in its turn, or was not needed', async t => {
  const place = await setting(t);
  await pushConverted(place);
  const soci = Object.keys(place.names).find(key => place.names[key] === 'SOCI index') ?? '';
  await t.test('an index that the image index names, and the manifest does not', async t => {
    const { layers, repository } = place;
    const plain = await pushImage(repository, layers, { platform: hostPlatform() });
    const lie = { [INDEX_DIGEST_ANNOTATION]: `sha256:${'0'.repeat(64)}` };
    const entry = { ...plain.descriptor, platform: hostPlatform(), annotations: lie };
    await repository.pushManifest(encodeIndex([entry]), OCI_INDEX, { tag: 'v1' });
    const image = await open(t, place);
    t.equal(image.index?.status, 'none');
    t.strictSame(
      image.index?.attempts.map(({ version, outcome }) => [version, outcome]),
      [
        ['v2', 'absent'],
        ['v1', 'absent'],
      ],
    );
  });
  await t.test('an answer that has another digest', async t => {
    await pushConverted(place);
    place.registry.inject({ match: { path: soci }, corrupt: 10 });
    const image = await open(t, place);
    t.match(image.index?.attempts[0], { version: 'v2', outcome: 'unusable', digest: soci });
    place.registry.clearFaults();
  });
  await t.test('a tag that is there beside a referrers API that says no', async t => {
    const other = await setting(t);
    const { descriptor } = await pushImage(other.repository, other.layers, { tag: 'v1' });
    const tag = descriptor.digest.replace(':', '-');
    const artifactType = SOCI_INDEX_TYPE.v1;
    await other.repository.pushManifest(encodeIndex([{ ...descriptor, artifactType }]), OCI_INDEX, { tag });
    t.match((await open(t, other)).index, { status: 'none', attempts: [{}, { outcome: 'absent' }] });
  });
  await t.test('a tag that is never answered beside a referrers API that says yes', async t => {
    const other = await setting(t);
    const digest = await pushReferred(other);
    other.registry.inject({
      match: { path: digest.replace(':', '-') },
      until: () => new Promise(resolve => t.teardown(resolve as () => void)),
    });
    t.equal((await open(t, other)).index?.status, 'found');
  });
  await t.test('a ztoc, for which there is a second attempt', async t => {
    const other = await setting(t);
    await pushConverted(other);
    const ztoc = Object.keys(other.names).find(key => other.names[key] === 'ztoc 2') ?? '';
    other.registry.inject({ match: { path: ztoc }, times: 1, cutAfter: 5 });
    const image = await open(t, other, { ztocs: 'at-once' });
    t.equal(await image.readFile('/a/both', 'utf8'), 'above');
  });
});
