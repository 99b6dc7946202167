/** `pull`: all of an image to layouts and archives; what is said of it, and with which status. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { layerOf, pushImage } from '../image/sample-image.js';
import { linuxOnly } from '../posix/linux-only.js';
import { DIGESTS, filesIn, LAYERS, listedIn, push } from '../pull/sample-pull.js';
import { command, fails, type Outcome } from './run-command.js';
import { pushTwoPlatforms, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

async function sample(t: Test) {
  const registry = await startRegistry(t);
  const repository = repositoryOf(t, registry);
  await push(repository, LAYERS, { tag: 'v1' });
  registry.requests.length = 0;
  const folder = t.testdir({});
  const image = `${registry.host}/demo/app:v1`;
  const pull = (...args: string[]): Promise<Outcome> => command(['pull', image, ...args]);
  return { registry, repository, folder, image, pull };
}

t.test('a line for each layer, the sum, and what is where', async t => {
  const { pull, folder } = await sample(t);
  const { status, stdout, stderr } = await pull(`oci:${folder}/a:v1`, `oci-archive:${folder}/b.tar:v1`);
  t.equal(status, 0, stderr);
  const text = stdout.toString();
  t.match(
    text,
    /^layer 0 sha256:[0-9a-f]{12} 9\.00 MiB: fetched, [\d.]+ s, [\d.]+ [KMG]iB\/s \(in ranges of the chunk size\)\n/,
  );
  t.match(
    text,
    /\n[\d.]+ MiB of [\d.]+ MiB fetched in [\d.]+ s, [\d.]+ [KMG]iB\/s: 3 layers and 1 other blob\n/,
  );
  t.match(
    text,
    new RegExp(`\nsha256:[0-9a-f]{64}  oci:${folder}/a\nsha256:[0-9a-f]{64}  oci-archive:${folder}/b.tar\n$`),
  );
  t.match(stderr, /^layer \d sha256:[0-9a-f]{12}: [\d.]+ [KM]?i?B are here\n/);
  const again = await pull(`oci:${folder}/a:v1`, `oci-archive:${folder}/b.tar:v1`, '--quiet');
  t.match(again.stdout.toString(), /layer 0 .*: present \(with the right digest\)\n/);
  t.match(again.stdout.toString(), /, as it was\n.*, as it was\n$/);
  t.equal(again.stderr, '');
});

t.test('--json: what was done, and why, for each blob', async t => {
  const { pull, folder, registry } = await sample(t);
  const size = ['--concurrent-download-chunk-size', '2mb', '--max-concurrent-downloads-per-image=-1'];
  const { status, stdout, stderr } = await pull(
    `oci:${folder}/a`,
    '--json',
    ...size,
    '--max-concurrent-downloads',
    '4',
  );
  t.equal(status, 0, stderr);
  const result = JSON.parse(stdout.toString());
  t.match(result, {
    targets: [{ target: `oci:${folder}/a`, outcome: 'written' }],
    absent: [],
    size: result.fetched,
  });
  t.match(result.blobs[1], {
    layer: 0,
    digest: DIGESTS[0],
    size: LAYERS[0]!.length,
    outcome: 'fetched',
    why: /in ranges/,
  });
  t.ok(result.blobs[1].ms > 0 && result.blobs[1].bytesPerSecond > 0);
  const ranges = registry.requests.filter(({ path }) => path.endsWith(DIGESTS[0]!));
  t.equal(ranges.length, 5, 'base 1024, as the configuration file has it');
});

t.test('a store, without requests too; platforms; a tag for none', async t => {
  const { folder, registry, repository } = await sample(t);
  await pushTwoPlatforms(repository, await sampleLayers(), 'both');
  const image = `${registry.host}/demo/app:both`;
  const store = ['--store', join(folder, 'store'), '--quiet'];
  const all = await command([
    'pull',
    image,
    `oci:${folder}/all:x`,
    '--platform',
    'all',
    '--referrers',
    '--sync',
    ...store,
  ]);
  t.equal(all.status, 0, all.stderr);
  t.equal(listedIn(`${folder}/all`).length, 1);
  registry.requests.length = 0;
  const offline = await command([
    'pull',
    image,
    `oci-archive:${folder}/x.tar`,
    '--offline',
    '--sync',
    ...store,
  ]);
  t.equal(offline.status, 0, offline.stderr);
  t.equal(registry.requests.length, 0);
  const nothing = await command([
    'pull',
    `${registry.host}/demo/app:v1`,
    `oci:${folder}/y`,
    '--offline',
    ...store,
  ]);
  fails(t, nothing, 'ERR_SOCI_OFFLINE');
});

t.test('--publish-index: layers too small for a ztoc are no failure', linuxOnly, async t => {
  const { folder, registry, repository } = await sample(t);
  const layer = await layerOf([{ name: 'file', body: Buffer.from('small') }]);
  await pushImage(repository, [layer], { tag: 'small' });
  const image = `${registry.host}/demo/app:small`;
  const store = join(folder, 'store');
  const args = ['pull', image, `rootfs:${folder}/root`, '--publish-index'];
  const { status, stdout, stderr } = await command([...args, '--store', store]);
  t.equal(status, 0, stderr);
  t.match(stderr, /^no SOCI index was pushed: no layer is large enough/m);
  t.ok(stdout.toString().endsWith(`  rootfs:${folder}/root\n`));
  fails(t, await command(args), 'ERR_SOCI_INVALID_ARGUMENT', 2);
});

t.test('usage', async t => {
  const { pull, image, folder, registry } = await sample(t);
  const code = 'ERR_SOCI_INVALID_ARGUMENT';
  fails(t, await command(['pull', image]), code, 2);
  for (const size of ['8m8', 'x', '1e3', '-1', '8mib/s']) {
    fails(t, await pull(`oci:${folder}/a`, `--concurrent-download-chunk-size=${size}`), code, 2);
  }
  for (const count of ['x', '1.5', '']) {
    fails(t, await pull(`oci:${folder}/a`, `--max-concurrent-downloads=${count}`), code, 2);
  }
  fails(
    t,
    await pull(`oci:${folder}/a`, '--max-concurrent-downloads=1', '--max-concurrent-downloads-per-image=2'),
    code,
  );
  fails(t, await pull(join(folder, 'a')), 'ERR_SOCI_REFERENCE');
  fails(t, await pull(`docker://${registry.host}/other`), 'ERR_SOCI_REFERENCE');
  t.equal(registry.requests.length, 0, 'before anything was asked for');
  t.same(filesIn(folder), []);
  const whole = await pull(`oci:${folder}/a`, '--concurrent-download-chunk-size=');
  t.equal(whole.status, 0, 'empty is all of a layer');
});
