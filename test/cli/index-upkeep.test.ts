/** `index verify`, `index rm` and `ztoc fetch`: looking after the indexes that there are. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';

import { Ztoc } from '../../lib/ztoc/ztoc.js';
import { describeZtoc, pushImage, pushIndex, pushIndexedImage, ztocOf } from '../image/sample-image.js';
import { command, fails } from './run-command.js';
import { makeLayout, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const layers = await sampleLayers();

t.test('index verify: right, or which ztoc is wrong', async t => {
  const registry = await startRegistry(t);
  const repository = repositoryOf(t, registry);
  const name = `${registry.host}/demo/app`;
  await pushIndexedImage(repository, layers, { tag: 'good' });
  const good = await command(['index', 'verify', `${name}:good`]);
  t.equal(good.status, 0, good.stderr);
  t.match(good.stdout.toString(), /2 of 2 ztocs are right\n$/);

  const [lower, upper] = [await ztocOf(layers[0]!), await ztocOf(layers[1]!)];
  const forged = Buffer.from(lower.bytes);
  forged.write('etc/os-rolease', forged.indexOf('etc/os-release'));
  // Another config, so that it is another image.
  const image = await pushImage(repository, layers, { tag: 'bad', config: { author: 'somebody else' } });
  await pushIndex(repository, image, [describeZtoc(forged, layers[0]!), upper]);
  const bad = await command(['index', 'verify', '--json', `${name}:bad`]);
  t.equal(bad.status, 1);
  t.match(JSON.parse(bad.stdout.toString()), {
    ok: false,
    ztocs: [
      { position: 0, ok: false, code: 'ERR_SOCI_ZTOC_MISMATCH' },
      { position: 1, ok: true },
    ],
  });
  t.match((await command(['index', 'verify', `${name}:bad`])).stdout.toString(), /layer 0 .* is wrong: /);
});

t.test('index rm: from a registry with a referrers API, and from one with a list under a tag', async t => {
  for (const referrers of [true, false]) {
    const registry = await startRegistry(t, { referrers });
    const repository = repositoryOf(t, registry);
    const name = `${registry.host}/demo/app:latest`;
    const image = await pushImage(repository, layers, { tag: 'latest' });
    const ztocs = await Promise.all(layers.map(layer => ztocOf(layer)));
    const index = await pushIndex(repository, image, ztocs);
    const other = await pushIndex(repository, image, ztocs.slice(0, 1));

    const dry = await command(['index', 'rm', '--dry-run', name, index]);
    t.match(dry.stdout.toString(), 'could be deleted');
    const removed = await command(['index', 'rm', name, index]);
    t.equal(removed.status, 0, removed.stderr);
    const left = await repository.referrers(image.descriptor.digest);
    t.same(
      left.map(({ digest }) => digest),
      [other],
    );
    await t.rejects(repository.getManifest(index), { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' });

    fails(t, await command(['index', 'rm', name, index]), 'ERR_SOCI_REGISTRY_NOT_FOUND');
    fails(t, await command(['index', 'rm', name, image.descriptor.digest]), 'ERR_SOCI_INDEX_FORMAT');
    const others = await pushImage(repository, layers, { config: { author: 'somebody else' } });
    const foreign = await pushIndex(repository, others, ztocs);
    fails(t, await command(['index', 'rm', name, foreign]), 'ERR_SOCI_INDEX_MISMATCH');
  }
});

t.test('index rm: from a layout, whose other entries stay', async t => {
  const { operand, folder, repository } = makeLayout(t);
  const image = await pushImage(repository, layers, { tag: 'v1' });
  const index = await pushIndex(repository, image, [await ztocOf(layers[0]!)]);
  const removed = await command(['index', 'rm', `${operand}:v1`, index, '--json']);
  t.same(JSON.parse(removed.stdout.toString()), {
    digest: index,
    image: image.descriptor.digest,
    deleted: true,
  });
  t.same(await repository.referrers(image.descriptor.digest), []);
  const { manifests } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8'));
  t.match(manifests, [{ digest: image.descriptor.digest }]);
});

t.test('ztoc fetch: by position or digest, whole or not at all', async t => {
  const { operand, folder, repository } = makeLayout(t);
  const image = await pushImage(repository, layers, { tag: 'v1' });
  const ztoc = await ztocOf(layers[0]!);
  await pushIndex(repository, image, [ztoc]);
  const dir = dirname(folder);
  const hex = layers[0]!.descriptor.digest.slice('sha256:'.length);
  for (const layer of ['0', `sha256:${hex}`, hex.slice(0, 12)]) {
    const file = join(dir, 'ztoc');
    const { status, stdout, stderr } = await command(['ztoc', 'fetch', operand, layer, '-o', file, '--json']);
    t.equal(status, 0, stderr);
    t.match(JSON.parse(stdout.toString()), { digest: ztoc.descriptor.digest, layerDigest: `sha256:${hex}` });
    t.equal(Ztoc.decode(readFileSync(file)).digest, ztoc.descriptor.digest);
  }
  t.ok((await command(['ztoc', 'fetch', operand, '0', '-o', '-'])).stdout.equals(Buffer.from(ztoc.bytes)));
  fails(t, await command(['ztoc', 'fetch', operand, '1', '-o', join(dir, 'no')]), 'ERR_SOCI_NO_ZTOC');
  fails(
    t,
    await command(['ztoc', 'fetch', operand, '2', '-o', join(dir, 'no')]),
    'ERR_SOCI_INVALID_ARGUMENT',
    2,
  );
  fails(t, await command(['ztoc', 'fetch', operand, '0']), 'ERR_SOCI_INVALID_ARGUMENT', 2);
});

t.test('what reading has fetched by digest, ztoc fetch and index create do not fetch again', async t => {
  const registry = await startRegistry(t);
  const repository = repositoryOf(t, registry);
  const name = `${registry.host}/demo/app:latest`;
  const image = await pushImage(repository, layers, { tag: 'latest' });
  const ztocs = await Promise.all(layers.map(layer => ztocOf(layer)));
  await pushIndex(repository, image, ztocs);
  const warm = join(t.testdir({}), 'warm');
  const asked = (): string[] => {
    const blobs = registry.requests.filter(
      ({ method, path }) => method === 'GET' && path.includes('/blobs/'),
    );
    registry.requests.length = 0;
    return blobs.map(({ path }) => path.slice(path.lastIndexOf('/') + 1));
  };
  const read = await command(['cat', '--cache-dir', warm, name, '/etc/os-release']);
  t.equal(read.status, 0, read.stderr);
  t.ok(asked().includes(ztocs[0]!.descriptor.digest));

  const fetched = await command(['ztoc', 'fetch', '--cache-dir', warm, name, '0', '-o', '-']);
  t.ok(fetched.stdout.equals(ztocs[0]!.bytes), fetched.stderr);
  t.same(asked(), []);

  const made: string[] = [];
  for (const folder of [join(dirname(warm), 'cold'), warm]) {
    const options = ['--reuse', '--dry-run', '--json', '--min-layer-size', '0', '--span-size', '65536'];
    options.push('--cache-dir', folder);
    const outcome = await command(['index', 'create', name, ...options]);
    t.equal(outcome.status, 0, outcome.stderr);
    const { indexes } = JSON.parse(outcome.stdout.toString());
    made.push(indexes[0].digest);
    const found = asked().filter(digest => ztocs.some(ztoc => ztoc.descriptor.digest === digest));
    t.equal(found.length, folder === warm ? 0 : 2, 'ztocs that were fetched');
  }
  t.equal(made[0], made[1], 'the result is the same either way');
});
