/** What a pull leaves where, what it asks for, and what it asks for the second time. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pullImage } from '../../lib/pull/pull-image.js';
import { openImageLocation } from '../../lib/registry/image-location.js';
import { Store } from '../../lib/store/store.js';
import { linuxOnly } from '../posix/linux-only.js';
import { collect, startTransport } from '../registry/fixture.js';
import { watchStores } from '../store/sample-blob.js';
import { blobIn, DIGESTS, filesIn, LAYERS, listedIn, setting } from './sample-pull.js';

t.test('three places from one download, and once more for one request', async t => {
  const { image, transport, folder, requests, pushed } = await setting(t);
  const layout = join(folder, 'layout');
  const targets = [
    `oci:${layout}:v1`,
    `oci-archive:${folder}/app.tar:v1`,
    `docker-archive:${folder}/docker.tar`,
  ];
  const heard = watchStores(t);
  const progress: string[] = [];
  const result = await pullImage(image, {
    targets,
    transport,
    onProgress: ({ digest, bytes, size, totalBytes, totalSize }) => {
      t.ok(bytes <= size && totalBytes <= totalSize);
      if (bytes === size) progress.push(digest);
    },
  });
  t.equal(result.digest, pushed.descriptor.digest);
  t.same(
    result.targets.map(({ outcome }) => outcome),
    ['written', 'written', 'written'],
  );
  t.same(
    result.blobs.map(({ layer, outcome }) => [layer, outcome]),
    [
      [undefined, 'fetched'],
      [0, 'fetched'],
      [1, 'fetched'],
      [2, 'fetched'],
    ],
  );
  t.equal(result.fetched, result.size);
  t.same([...progress].sort(), [pushed.config.digest, ...DIGESTS].sort());
  const asked = requests();
  t.same(
    asked.map(({ path }) => path.split('/').at(-1)).sort(),
    ['v1', pushed.config.digest, ...DIGESTS].sort(),
    'everything once',
  );
  t.same(heard, ['completed', 'completed', 'completed'], 'proved as it came, and by nothing else');
  for (const [at, digest] of DIGESTS.entries())
    t.ok(blobIn(layout, { digest })?.equals(LAYERS[at]!), `layer ${at}`);
  t.match(listedIn(layout), [
    { digest: pushed.descriptor.digest, annotations: { 'org.opencontainers.image.ref.name': 'v1' } },
  ]);
  const hexes = [pushed.descriptor, pushed.config, ...pushed.layers].map(({ digest }) =>
    digest.replace(':', '/'),
  );
  t.same(
    filesIn(folder),
    [
      'app.tar',
      'docker.tar',
      ...['index.json', 'oci-layout', ...hexes.map(hex => `blobs/${hex}`)].map(name => `layout/${name}`),
    ].sort(),
    'and nothing else',
  );
  for (const place of [
    `oci:${layout}:v1`,
    `oci-archive:${folder}/app.tar:v1`,
    `docker-archive:${folder}/docker.tar`,
  ]) {
    const { repository, reference } = openImageLocation(place, transport);
    const { manifest } = await repository.getManifest(reference);
    for (const [at, layer] of ('layers' in manifest ? manifest.layers : []).entries()) {
      const source = await repository.openBlob(layer);
      t.ok((await collect(source.stream())).equals(LAYERS[at]!), `${place} ${at}`);
      await source.close();
    }
    await repository.close();
  }

  const files = ['app.tar', 'docker.tar', 'layout/index.json'].map(name => join(folder, name));
  const before = files.map(file => statSync(file).ino);
  const again = await pullImage(image, { targets, transport });
  t.same(
    requests().map(({ path }) => path),
    ['/v2/demo/app/manifests/v1'],
  );
  t.same(
    again.targets.map(({ outcome }) => outcome),
    ['unchanged', 'unchanged', 'unchanged'],
  );
  t.same(
    again.blobs.map(({ outcome }) => outcome),
    ['present', 'present', 'present', 'present'],
  );
  t.equal(again.bytesPerSecond, undefined);
  t.same(
    files.map(file => statSync(file).ino),
    before,
  );
});

t.test('ranges, none over a multiple of 8 MiB, and as many as the chunk size says', async t => {
  const { image, transport, folder, requests } = await setting(t, LAYERS.slice(0, 2));
  const layout = join(folder, 'layout');
  const limits = { concurrentDownloadChunkSize: 3 * 2 ** 20 };
  const result = await pullImage(image, { targets: [`oci:${layout}`], transport, limits });
  t.match(result.blobs.at(1)?.why, /in ranges/);
  const ranges = requests()
    .filter(({ path }) => path.endsWith(DIGESTS[0]!))
    .map(({ range }) => range);
  const mib = 2 ** 20;
  t.same(ranges.sort(), [
    `bytes=0-${3 * mib - 1}`,
    `bytes=${3 * mib}-${6 * mib - 1}`,
    `bytes=${6 * mib}-${8 * mib - 1}`,
    `bytes=${8 * mib}-${9 * mib + 4}`,
  ]);
  for (const [at, digest] of DIGESTS.slice(0, 2).entries())
    t.ok(blobIn(layout, { digest })?.equals(LAYERS[at]!), `layer ${at}`);
});

t.test('archives have the same bytes, whatever the order in which blobs come', async t => {
  const { image, transport, folder, registry } = await setting(t);
  await pullImage(image, {
    targets: [`oci-archive:${folder}/a.tar:v1`, `docker-archive:${folder}/c.tar`],
    transport,
  });
  registry.inject({ match: { path: DIGESTS[1]! }, delay: 50 });
  await pullImage(image, {
    targets: [`oci-archive:${folder}/b.tar:v1`, `docker-archive:${folder}/d.tar`],
    transport,
    limits: { concurrentDownloadChunkSize: 2 ** 20 },
  });
  t.ok(readFileSync(`${folder}/a.tar`).equals(readFileSync(`${folder}/b.tar`)));
  t.ok(readFileSync(`${folder}/c.tar`).equals(readFileSync(`${folder}/d.tar`)));
});

t.test('a store: what it has is not fetched, and it owes nothing to the layout', linuxOnly, async t => {
  const { image, transport, folder, requests, pushed } = await setting(t);
  const layout = join(folder, 'layout');
  await using store = await Store.open(join(folder, 'store'), { maxBytes: 2 ** 30 });
  const { repository } = openImageLocation(image, startTransport(t));
  const source = await store.open(pushed.layers[0]!, await repository.openBlob(pushed.layers[0]!));
  await source.read(0, 5 * 2 ** 20);
  await source.close();
  requests();
  const result = await pullImage(image, { targets: [`oci:${layout}`], transport, store });
  t.equal(result.blobs[1]?.outcome, 'resumed');
  t.equal(result.blobs[1]?.fetched, LAYERS[0]!.length - 5 * 2 ** 20);
  t.match(await store.completion(pushed.layers[0]!), { proved: true });
  writeFileSync(join(layout, 'blobs', DIGESTS[0]!.replace(':', '/')), 'spoilt');
  t.equal(await store.verify(pushed.layers[0]!), 0, "the store's is another file");
  requests();
  const again = await pullImage(image, { targets: [`oci:${layout}`], transport, store });
  t.same(
    requests().map(({ method, path }) => [method, path]),
    [['HEAD', '/v2/demo/app/manifests/v1']],
  );
  t.same(
    again.blobs.map(({ outcome }) => outcome),
    ['present', 'kept', 'present', 'present'],
    'what was spoilt is put right',
  );
  t.ok(blobIn(layout, { digest: DIGESTS[0]! })?.equals(LAYERS[0]!));
  requests();
  await pullImage(image, { targets: [`oci:${folder}/offline:x`], transport, store, offline: true });
  t.same(requests(), []);
});

t.test('what one target has the others get from there', async t => {
  const { image, transport, folder, requests } = await setting(t);
  await pullImage(image, { targets: [`oci:${folder}/a`], transport });
  requests();
  const result = await pullImage(image, {
    targets: [`oci:${folder}/a`, `oci-archive:${folder}/b.tar`],
    transport,
  });
  t.same(
    result.blobs.map(({ outcome }) => outcome),
    ['copied', 'copied', 'copied', 'copied'],
  );
  t.equal(requests().length, 1);
});

t.test('an image that is on this machine: copied, and nothing kept', async t => {
  const { image, transport, folder, requests, pushed } = await setting(t);
  await pullImage(image, { targets: [`oci-archive:${folder}/a.tar:x`], transport });
  requests();
  const result = await pullImage(`oci-archive:${folder}/a.tar:x`, {
    targets: [`oci:${folder}/b:y`],
    transport,
  });
  t.equal(result.digest, pushed.descriptor.digest);
  t.same(
    result.blobs.map(({ outcome }) => outcome),
    ['copied', 'copied', 'copied', 'copied'],
  );
  t.same(requests(), []);
  t.ok(blobIn(`${folder}/b`, { digest: DIGESTS[0]! })?.equals(LAYERS[0]!));
});
