/** `index …` and `convert` as a user runs them, between registries, layouts and archives. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';

import { layerOf, pushImage, type SampleLayer } from '../image/sample-image.js';
import { command, fails, type Outcome } from './run-command.js';
import { makeLayout, pushTwoPlatforms, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const ALL = ['--min-layer-size', '0'];

const layers = await sampleLayers();
const small = await layerOf([{ name: 'small', body: Buffer.from('x') }], 'zstd');

function json({ stdout, stderr }: Outcome) {
  try {
    return JSON.parse(stdout.toString());
  } catch {
    throw new Error(`no JSON: ${stdout} ${stderr}`);
  }
}

async function twoPlatforms(t: Test, more: readonly SampleLayer[] = []) {
  const registry = await startRegistry(t);
  const repository = repositoryOf(t, registry);
  const images = await pushTwoPlatforms(repository, [...layers, ...more]);
  return { registry, repository, images, name: `${registry.host}/demo/app:multi` };
}

t.test('index create: all platforms, pushed, told line by line', async t => {
  const { name, images, repository } = await twoPlatforms(t, [small]);
  const { status, stdout, stderr } = await command(['index', 'create', name, ...ALL]);
  t.equal(status, 0, stderr);
  const printed = stdout.toString().trimEnd().split('\n');
  t.equal(printed.length, 2);
  t.match(printed[0], /^sha256:[0-9a-f]{64} {2}linux\/amd64 {2}2 of 3 layers, .* of ztocs {2}pushed$/);
  t.match(printed[1], /linux\/arm64 .* pushed$/);
  t.match(stderr, /^layer sha256:[0-9a-f]{12} .*: ztoc of .* (built|from the cache)$/m, 'one line per layer');
  t.match(stderr, /^layer .*: skipped, zstd: /m);
  t.match(stderr, /^manifest sha256:[0-9a-f]{12}: pushed$/m);
  const referrers = await repository.referrers(images[0]!.descriptor.digest);
  t.equal(referrers[0]?.digest, printed[0]?.split(' ')[0]);

  t.test('--json, again: the same index is there', async t => {
    const result = json(await command(['index', 'create', name, '--json', '--quiet', ...ALL]));
    t.same(result.empty, []);
    t.same(result.absent, []);
    t.equal(result.indexes.length, 2);
    const [first] = result.indexes;
    t.match(first, {
      digest: referrers[0]?.digest,
      version: 'v1',
      platform: 'linux/amd64',
      image: images[0]!.descriptor.digest,
      outcome: 'existed',
      missingFiles: [],
    });
    t.match(first.layers[0], {
      position: 0,
      digest: layers[0]!.descriptor.digest,
      ztoc: DIGEST,
      origin: 'cache',
    });
    t.match(first.skipped, [{ position: 2, reason: 'zstd', message: String }]);
  });

  t.test('--existing, --dry-run, --platform, --force, --reuse', async t => {
    const create = (...args: string[]) =>
      command(['index', 'create', name, ...ALL, '--platform', 'linux/amd64', ...args]);
    const other = ['--span-size', '65536'];
    t.match(json(await create('--json', '--dry-run', ...other)), { indexes: [{ outcome: 'not pushed' }] });
    t.equal((await repository.referrers(images[0]!.descriptor.digest)).length, 1);
    const skipped = await create('--json', '--existing', 'skip', ...other);
    t.match(json(skipped), { skipped: [{ existing: [String] }] });
    t.match(skipped.stderr, /^image sha256:[0-9a-f]{12} has 1 other SOCI index: skipped$/m);
    const again = json(
      await create('--json', '--reuse', '--dry-run', '--cache-dir', join(t.testdir({}), 'c')),
    );
    t.equal(again.indexes[0].layers[0].origin, 'verified');
    const warned = await create('--json', ...other);
    t.match(json(warned), { indexes: [{ outcome: 'pushed' }] });
    t.match(warned.stderr, 'has 1 other SOCI index: pushed');
    const forced = json(await create('--json', '--force', '--quiet', '--dry-run'));
    t.equal(forced.indexes[0].layers[0].origin, 'built');
    const named = json(await create('--json', '--dry-run', '--index', referrers[0]!.digest));
    t.equal(named.indexes[0].layers[0].origin, 'index');
  });

  t.test('--prefetch-file, --prefetch-files-json, --optimizations, --build-tool-identifier', async t => {
    const list = join(t.testdir({ list: '["/big", "/none"]', wrong: '{"a": 1}', broken: '[' }), 'list');
    const args = ['index', 'create', name, ...ALL, '--dry-run', '--platform', 'linux/amd64'];
    const more = ['--prefetch-file', 'etc/motd', '--prefetch-files-json', list];
    const tool = ['--build-tool-identifier', 'a tool', '--optimizations', 'xattr'];
    const outcome = await command([...args, '--json', ...more, ...tool]);
    const [index] = json(outcome).indexes;
    t.equal(index.prefetches.length, 2);
    t.same(index.missingFiles, ['/none']);
    t.match(outcome.stderr, 'no layer with a ztoc has /none');
    for (const name of ['wrong', 'broken']) {
      const file = list.replace(/list$/, name);
      fails(t, await command([...args, '--prefetch-files-json', file]), 'ERR_SOCI_INVALID_ARGUMENT', 2);
    }
    fails(t, await command([...args, '--prefetch-files-json', `${list}.not`]), 'ENOENT');
  });

  t.test('nothing to index is a failure', async t => {
    const outcome = await command(['index', 'create', name, '--quiet']);
    fails(t, outcome, 'ERR_SOCI_INDEX_EMPTY');
    t.match(outcome.stderr, '6 too-small');
  });
});

t.test('index ls and index info', async t => {
  const { name, images, registry } = await twoPlatforms(t);
  const none = await command(['index', 'ls', name]);
  t.equal(none.status, 0);
  t.equal(none.stdout.length, 0);
  t.match(none.stderr, /^image sha256:[0-9a-f]{12} \(linux\/amd64\) has no SOCI index$/m);
  t.same(json(await command(['index', 'ls', '--json', '--quiet', name])), []);
  fails(
    t,
    await command(['index', 'info', name, '--platform', 'linux/amd64']),
    'ERR_SOCI_REGISTRY_NOT_FOUND',
  );

  await command(['index', 'create', name, ...ALL]);
  await command(['index', 'create', name, '--platform', 'linux/amd64', '--min-layer-size', '1000']);
  const list = json(await command(['index', 'ls', '--json', name]));
  t.equal(list.length, 3);
  t.match(list[0], { version: 'v1', platform: 'linux/amd64', layers: '2/2', used: true, digest: DIGEST });
  t.match(list[1], { platform: 'linux/amd64', layers: '1/2', used: false });
  t.match(list[2], { platform: 'linux/arm64', image: images[1]!.descriptor.digest, used: true });
  const table = (await command(['index', 'ls', name])).stdout.toString().trimEnd().split('\n');
  t.match(table[0], /^DIGEST +VERSION +PLATFORM +LAYERS +ZTOCS +STATE +BUILD TOOL$/);
  t.match(table[1], /^sha256:[0-9a-f]{64} +v1 +linux\/amd64 +2\/2 .* used +seekable-oci\//);
  t.equal(json(await command(['index', 'ls', '--json', name, '--index', list[1].digest])).length, 1);

  const byImage = json(await command(['index', 'info', '--json', name, '--platform', 'linux/amd64']));
  t.match(byImage, {
    digest: list[0].digest,
    version: 'v1',
    via: 'referrer',
    image: images[0]!.descriptor.digest,
    ztocs: [{ layerDigest: layers[0]!.descriptor.digest }, { layerDigest: layers[1]!.descriptor.digest }],
    document: { schemaVersion: 2, subject: { digest: images[0]!.descriptor.digest } },
  });
  const app = `${registry.host}/demo/app`;
  const byDigest = json(await command(['index', 'info', '--json', `${app}@${list[1].digest}`]));
  t.match(byDigest, { digest: list[1].digest, via: 'digest' });
  const text = (
    await command(['index', 'info', name, '--platform', 'linux/amd64', '--index', list[1].digest])
  ).stdout.toString();
  t.match(text, `index   ${list[1].digest}, v1, named by its digest`);
  t.match(text, /^ztoc +sha256:\S+ for layer sha256:\S+, .*, spans of 4.00 MiB$/m);

  t.test('"there is none" is not said when nobody could be asked', async t => {
    registry.inject({ match: { path: '/referrers/' }, reply: { status: 403, headers: {} } });
    const outcome = await command(['index', 'ls', name]);
    const info = await command(['index', 'info', name, '--platform', 'linux/amd64']);
    registry.clearFaults();
    t.equal(outcome.status, 1);
    t.match(outcome.stderr, '[ERR_SOCI_REGISTRY_DENIED]');
    t.match(info.stderr, '[ERR_SOCI_REGISTRY_DENIED]');
  });
});

t.test('index push and index copy: v1 indexes follow their image', async t => {
  const { operand, repository: layout } = makeLayout(t);
  const image = await pushImage(layout, layers, { tag: 'one' });
  t.equal((await command(['index', 'create', operand, ...ALL, '--quiet'])).status, 0);
  const [made] = json(await command(['index', 'ls', operand, '--json']));

  const registry = await startRegistry(t);
  const target = `${registry.host}/demo/app:one`;
  fails(t, await command(['index', 'push', operand, target]), 'ERR_SOCI_REGISTRY_NOT_FOUND');
  await pushImage(repositoryOf(t, registry), layers, { tag: 'one' });
  const pushed = await command(['index', 'push', operand, target, '--quiet']);
  t.equal(pushed.stdout.toString(), `${made.digest}  linux/amd64  copied\n`, pushed.stderr);
  t.match(json(await command(['index', 'ls', target, '--json'])), [{ digest: made.digest, used: true }]);

  const second = await startRegistry(t, { referrers: false });
  await pushImage(repositoryOf(t, second), layers, { tag: 'two' });
  const there = `${second.host}/demo/app:two`;
  const copied = json(await command(['index', 'copy', target, there, '--json', '--quiet']));
  t.same(copied, {
    copied: [{ digest: made.digest, platform: 'linux/amd64', image: image.descriptor.digest }],
    without: [],
    refused: [],
  });
  t.equal((await command(['cat', there, '/etc/motd'])).stdout.toString(), 'welcome\n');
  const unknown = `sha256:${'2'.repeat(64)}`;
  fails(
    t,
    await command(['index', 'copy', target, there, '--index', unknown]),
    'ERR_SOCI_REGISTRY_NOT_FOUND',
  );
});

t.test('convert: from anywhere to anywhere, and again without a change', async t => {
  const { name, registry } = await twoPlatforms(t);
  const { folder, operand } = makeLayout(t);
  const dry = json(
    await command(['convert', name, `${operand}:v2`, ...ALL, '--dry-run', '--json', '--quiet']),
  );
  t.match(dry, { digest: DIGEST, written: false });
  t.notOk(existsSync(folder), 'nothing was written');

  const first = json(await command(['convert', name, `${operand}:v2`, ...ALL, '--json', '--quiet']));
  t.match(first, { digest: dry.digest, written: true, indexes: [{ version: 'v2' }, { version: 'v2' }] });
  const archive = `oci-archive:${folder}.tar:v2`;
  const back = `${registry.host}/demo/back:v2`;
  for (const [from, to] of [
    [`${operand}:v2`, archive],
    [archive, back],
  ] as const) {
    const { stdout, stderr } = await command(['convert', from, to, ...ALL, '--quiet']);
    t.match(stdout.toString(), `${first.digest}  the converted image\n`, stderr);
  }
  const list = json(await command(['index', 'ls', back, '--json']));
  t.match(list, [
    { version: 'v2', platform: 'linux/amd64', used: true },
    { version: 'v2', platform: 'linux/arm64', used: true },
  ]);
  const cat = await command(['cat', back, '/etc/motd', '--platform', 'linux/arm64', '--debug']);
  t.equal(cat.stdout.toString(), 'welcome\n');
  t.match(cat.stderr, /^debug: SOCI index sha256:[0-9a-f]{64} \(v2\), by annotation$/m);

  const digest = `${registry.host}/demo/app@${first.digest}`;
  fails(t, await command(['convert', name, digest, ...ALL]), 'ERR_SOCI_REFERENCE');
  const file = join(t.testdir({}), 'there');
  writeFileSync(file, 'precious');
  t.equal((await command(['convert', name, `oci-archive:${file}`, ...ALL, '--quiet'])).status, 1);
  t.equal(readFileSync(file, 'utf8'), 'precious', 'what is no archive is left alone');
});

t.test('the password is for the registry that is written to', async t => {
  const auth = { type: 'basic', username: 'me', password: 'secret' } as const;
  const source = await startRegistry(t);
  await pushImage(repositoryOf(t, source), layers, { tag: 'one' });
  const target = await startRegistry(t, { auth });
  const { status, stderr } = await command(
    [
      'convert',
      `${source.host}/demo/app:one`,
      `${target.host}/demo/app:two`,
      ...ALL,
      '--user',
      'me',
      '--password-stdin',
    ],
    Buffer.from('secret\n'),
  );
  t.equal(status, 0, stderr);
  t.notOk(
    source.requests.some(({ headers }) => headers['authorization'] !== undefined),
    'the other one never sees it',
  );
});
