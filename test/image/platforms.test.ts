/** One rule of platforms for every way to name an image: its descriptor's, else its config's. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { DirectoryFiles } from '../../lib/registry/layout-files.js';
import { REF_NAME } from '../../lib/registry/layout-index.js';
import { LayoutRepository } from '../../lib/registry/layout-repository.js';
import { OCI_INDEX } from '../../lib/registry/media-types.js';
import { formatPlatform, hostPlatform, parsePlatform } from '../../lib/registry/platform.js';
import type { Repository } from '../../lib/registry/repository.js';
import { convertImage } from '../../lib/soci/convert-image.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { encodeIndex, failure, openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { layerOf, pushImage } from './sample-image.js';

const HOST = hostPlatform();
const OTHER = { os: 'linux', architecture: HOST.architecture === 's390x' ? 'riscv64' : 's390x' };
const HOST_NAME = `${HOST.os}/${HOST.architecture}`;
const OTHER_NAME = `${OTHER.os}/${OTHER.architecture}`;

async function push(repository: Repository, name: string, platform: typeof OTHER): Promise<Descriptor> {
  const layer = await layerOf([{ name, body: Buffer.from(name) }]);
  return (await pushImage(repository, [layer], { platform })).descriptor;
}

async function names(t: Test, repository: Repository, reference?: string, platform?: string) {
  const image = await openImage({ repository, reference }, { platform, index: false });
  t.teardown(() => image.close());
  return await image.readdir('/');
}

t.test('an image without an index is for what its config says', async t => {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const { digest } = await push(repository, 'other', OTHER);
  t.strictSame(await names(t, repository, digest), ['other'], 'the only one, without a wish');
  t.strictSame(await names(t, repository, digest, OTHER_NAME), ['other']);
  const error = await failure(names(t, repository, digest, 'linux/386'));
  t.match(error, { code: 'ERR_SOCI_PLATFORM', data: { platforms: [OTHER_NAME] } });
  t.match(error.message, `no image for linux/386; it has ${OTHER_NAME}`);
});

t.test('a config that had to be read for its platform is fetched once', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const image = await push(repository, 'other', OTHER);
  const host = await push(repository, 'host', HOST);
  await repository.pushManifest(encodeIndex([host, image]), OCI_INDEX, { tag: 'silent' });
  for (const reference of [image.digest, 'silent']) {
    registry.requests.length = 0;
    const opened = await openImage({ repository, reference }, { platform: OTHER_NAME, index: false });
    t.teardown(() => opened.close());
    const { digest } = opened.manifest.manifest.config;
    t.equal(registry.requests.filter(({ path }) => path.endsWith(digest)).length, 1, reference);
  }
});

t.test('entries without a platform are images too, for reading and for indexing', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const entries = [await push(repository, 'other', OTHER), await push(repository, 'host', HOST)];
  await repository.pushManifest(encodeIndex(entries), OCI_INDEX, { tag: 'both' });
  await repository.pushManifest(encodeIndex(entries.slice(0, 1)), OCI_INDEX, { tag: 'one' });
  t.strictSame(await names(t, repository, 'both'), ['host']);
  t.strictSame(await names(t, repository, 'both', OTHER_NAME), ['other']);
  t.strictSame(await names(t, repository, 'one'), ['other']);
  for (const tag of ['both', 'one']) {
    const error = await failure(names(t, repository, tag, 'linux/386'));
    t.match(error, { code: 'ERR_SOCI_PLATFORM', data: { platforms: [OTHER_NAME] } }, tag);
  }
  const place = { repository, reference: 'both' };
  const { indexes } = await createIndex(place, { minLayerSize: 0 });
  t.strictSame(
    indexes.map(({ image }) => image.platform),
    [OTHER, HOST],
  );
});

t.test('configs are asked only where no descriptor fits', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const stated = { ...(await push(repository, 'host', HOST)), platform: HOST };
  const silent = await push(repository, 'other', OTHER);
  await repository.pushManifest(encodeIndex([silent, stated]), OCI_INDEX, { tag: 'mixed' });
  registry.requests.length = 0;
  const image = await openImage({ repository, reference: 'mixed' }, { index: false });
  t.teardown(() => image.close());
  t.equal(registry.requests.length, 3, 'index, manifest and config of the one that is read');
});

t.test('more entries without a platform than anybody asks about', async t => {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const one = await push(repository, 'other', OTHER);
  const many = Array.from({ length: 251 }, () => one);
  await repository.pushManifest(encodeIndex(many), OCI_INDEX, { tag: 'many' });
  t.match(await failure(names(t, repository, 'many')), { code: 'ERR_SOCI_LIMIT', data: { limit: 250 } });
});

t.test('a layout that lists one manifest per platform', async t => {
  const layoutOf = async (platforms: readonly (typeof OTHER)[], tags: readonly (string | undefined)[]) => {
    const files = new DirectoryFiles(join(t.testdir({}), 'layout'), 'oci:layout');
    const repository = new LayoutRepository(files);
    const manifests: Descriptor[] = [];
    for (const [at, platform] of platforms.entries()) {
      const name = `${platform.architecture}-${at}`;
      const annotations = tags[at] === undefined ? {} : { [REF_NAME]: tags[at] };
      manifests.push({ ...(await push(repository, name, platform)), annotations });
    }
    await files.write('index.json', [encodeIndex(manifests)], undefined);
    return repository;
  };
  for (const tags of [
    ['t', 't'],
    [undefined, undefined],
  ]) {
    const repository = await layoutOf([OTHER, HOST], tags);
    const [reference] = tags;
    t.strictSame(await names(t, repository, reference), [`${HOST.architecture}-1`]);
    t.strictSame(await names(t, repository, reference, OTHER_NAME), [`${OTHER.architecture}-0`]);
    const error = await failure(names(t, repository, reference, 'linux/386'));
    t.match(error, { code: 'ERR_SOCI_PLATFORM', data: { platforms: [OTHER_NAME, HOST_NAME] } });
    const { indexes } = await createIndex({ repository, reference }, { minLayerSize: 0 });
    t.equal(indexes.length, 2);
  }
  const converted = await layoutOf([OTHER, HOST], ['t', 't']);
  const place = { repository: converted, reference: 't' };
  await convertImage(place, { repository: converted, reference: 't' }, { minLayerSize: 0 });
  t.strictSame(await names(t, converted, 't', OTHER_NAME), [`${OTHER.architecture}-0`], 'converted in place');
  const twins = await layoutOf([HOST, HOST], ['t', 't']);
  t.match((await failure(names(t, twins, 't'))).message, '2 images could be meant', 'of one platform');
  const tagged = await layoutOf([OTHER, HOST], ['a', 'b']);
  t.match((await failure(names(t, tagged))).message, '2 images could be meant; it has a, b');
});

t.test('reading and indexing choose by one rule: the best for the platform, then the first', async t => {
  const arm = (variant?: string) => ({ os: 'linux', architecture: 'arm', ...(variant && { variant }) });
  const amd64 = { os: 'linux', architecture: 'amd64' };
  const x86 = { os: 'linux', architecture: '386' };
  const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' };
  const cases = [
    { offered: [arm('v6'), arm('v7')], wanted: 'linux/arm/v7', chosen: 1 },
    { offered: [arm('v6'), arm('v5')], wanted: 'linux/arm', chosen: 0 },
    { offered: [x86, amd64], wanted: 'linux/amd64', chosen: 1 },
    { offered: [x86, arm64], wanted: 'linux/amd64', chosen: 0 },
    { offered: [arm('v7'), arm64], wanted: 'linux/arm64', chosen: 1 },
    { offered: [arm64], wanted: 'linux/arm64', chosen: 0 },
    { offered: [arm('v7')], wanted: 'linux/arm/v6', chosen: undefined },
    { offered: [amd64], wanted: 'linux/386', chosen: undefined },
  ];
  for (const stated of [true, false]) {
    const repository = openRepository(startTransport(t), await startRegistry(t));
    for (const { offered, wanted, chosen } of cases) {
      const entries: Descriptor[] = [];
      for (const [at, platform] of offered.entries()) {
        const pushed = await push(repository, `file-${at}`, platform);
        entries.push(stated ? { ...pushed, platform } : pushed);
      }
      const { digest } = await repository.pushManifest(encodeIndex(entries), OCI_INDEX);
      const what = `${wanted} of ${offered.map(formatPlatform).join()}, ${stated ? 'stated' : 'by configs'}`;
      const options = { minLayerSize: 0, platforms: [parsePlatform(wanted)] };
      const reading = names(t, repository, digest, wanted);
      const indexing = createIndex({ repository, reference: digest }, options);
      if (chosen === undefined) {
        for (const error of await Promise.all([failure(reading), failure(indexing)])) {
          t.match(error, { code: 'ERR_SOCI_PLATFORM' }, what);
        }
        continue;
      }
      const [read, { indexes }] = await Promise.all([reading, indexing]);
      t.strictSame(read, [`file-${chosen}`], what);
      t.strictSame(
        indexes.map(({ image }) => image.descriptor.digest),
        [entries[chosen]?.digest],
        what,
      );
    }
  }
});
