/** `--store`, `--offline`, `status` and the `store` commands: a store that is filled, looked at, moved and emptied. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pushImage, pushIndexedImage } from '../image/sample-image.js';
import { command, fails } from './run-command.js';
import { BIG, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const registry = await startRegistry(t);
const repository = repositoryOf(t, registry);
const layers = await sampleLayers();
await pushIndexedImage(repository, layers, { tag: 'latest' });
await pushImage(repository, [layers[1]!], { tag: 'plain' });
const image = `${registry.host}/demo/app`;

const asked = () => registry.requests.length;

t.test('the second command asks for the tag alone, and none offline', async t => {
  const store = t.testdir({});
  const cat = (...more: string[]) => command(['cat', image, '/big', '--store', store, ...more]);
  t.ok((await cat()).stdout.equals(BIG));
  const before = asked();
  t.ok((await cat()).stdout.equals(BIG));
  t.equal(asked(), before + 1);
  t.ok((await cat('--offline')).stdout.equals(BIG));
  const explained = await command(['ls', image, '/etc', '--store', store, '--offline']);
  t.match(explained.stdout.toString(), /^motd$/m);
  fails(
    t,
    await command(['cat', `${image}:plain`, '/etc/motd', '--store', store, '--offline']),
    'ERR_SOCI_OFFLINE',
  );
  fails(t, await command(['tags', image, '--store', store, '--offline']), 'ERR_SOCI_OFFLINE');
  t.equal(asked(), before + 1);
  fails(t, await command(['cat', image, '/big', '--offline']), 'ERR_SOCI_INVALID_ARGUMENT', 2);
  fails(t, await command(['cat', image, '/big', '--store', join(store, 'oci-layout')]), 'ERR_SOCI_STORE');
});

t.test('status', async t => {
  const store = t.testdir({});
  const status = (...more: string[]) => command(['status', image, '--store', store, ...more]);
  const cold = await status();
  t.match(cold.stdout.toString(), /^DIGEST +SIZE +THERE +STATE\n/);
  t.match(cold.stdout.toString(), / proved\n[\s\S]* missing\n/);
  t.match(cold.stdout.toString(), / of [\d.]+ [KM]iB: \d+\.\d %\n$/);
  await command(['cat', image, '/big', '/etc/motd', '--store', store]);
  const warm = JSON.parse((await status('--json', '--offline')).stdout.toString());
  t.equal(warm.blobs.length, 4);
  t.ok(warm.present > 0 && warm.present <= warm.size);
  fails(t, await command(['status', image]), 'ERR_SOCI_INVALID_ARGUMENT', 2);
});

t.test('ls, du, verify, rm, gc', async t => {
  const dir = t.testdir({});
  const store = (...args: string[]) => command(['store', ...args, '--store', dir]);
  t.match((await store('ls')).stdout.toString(), /: 0 B of [\d.]+ .iB in 0 blobs\n$/);
  await command(['cat', image, '/big', '--store', dir]);
  const listed = (await store('ls')).stdout.toString();
  t.match(listed, /^whole +sha256:[0-9a-f]{64} +[\d.]+ (B|KiB)/m);
  const { blobs, bytes, names } = JSON.parse((await store('ls', '--json')).stdout.toString());
  t.ok(blobs.length >= 6);
  t.same(names, []);
  const du = JSON.parse((await store('du', '--json')).stdout.toString());
  t.match(du, { total: { blobs: blobs.length, bytes }, named: { blobs: 0 } });
  t.match((await store('du')).stdout.toString(), /^total +\d+ +[\d.]+ /m);
  t.match((await store('verify')).stdout.toString(), /^\d+ blobs, 0 damaged\n$/);

  const folder = join(dir, 'blobs', 'sha256');
  const [victim = ''] = readdirSync(folder);
  const damaged = readFileSync(join(folder, victim));
  damaged[0]! ^= 1;
  writeFileSync(join(folder, victim), damaged);
  const verified = await store('verify');
  t.equal(verified.status, 1);
  t.match(verified.stdout.toString(), `sha256:${victim}  `);
  t.match((await store('verify')).stdout.toString(), ' 0 damaged');

  const [{ digest }] = blobs.filter((blob: { digest: string }) => !blob.digest.endsWith(victim));
  t.equal((await store('rm', digest)).stdout.toString(), `${digest}  removed\n`);
  const unknown = await store('rm', 'no/such:name');
  t.equal(unknown.status, 1);
  t.match(unknown.stderr, 'no/such:name: no image has this name');
  t.match((await store('gc')).stdout.toString(), ': 0 B removed, ');
  t.match((await store('gc', '--max-size', '0')).stdout.toString(), ' removed, 0 B left\n');
  t.match(JSON.parse((await store('gc', '--json')).stdout.toString()), { removed: 0, bytes: 0 });
  fails(t, await command(['store', 'ls']), 'ERR_SOCI_INVALID_ARGUMENT', 2);
});

t.test('export and import: another machine has the image before it asks', async t => {
  const dir = t.testdir({});
  const [one, two] = [join(dir, 'one'), join(dir, 'two')];
  const archive = join(dir, 'image.tar');
  await command(['ls', image, '--store', one]);
  const early = await command(['store', 'export', image, archive, '--quiet', '--offline', '--store', one]);
  fails(t, early, 'ERR_SOCI_OFFLINE');
  t.match(early.stderr, new RegExp(`${layers[0]!.descriptor.digest}|${layers[1]!.descriptor.digest}`));
  const completed = await command(['store', 'export', image, join(dir, 'first.tar'), '--store', one]);
  t.equal(completed.status, 0, completed.stderr);
  const before = asked();
  const exported = await command(['store', 'export', image, archive, '--offline', '--store', one]);
  t.equal(exported.status, 0, exported.stderr);
  t.match(exported.stdout.toString(), `  ${image}:latest\n`);
  const local = await command(['cat', `oci-archive:${archive}`, '/etc/motd']);
  t.equal(local.stdout.toString(), 'welcome\n', 'any tool can read it');

  const imported = await command(['store', 'import', archive, '--store', two]);
  t.equal(imported.status, 0, imported.stderr);
  t.equal(imported.stdout.toString(), exported.stdout.toString());
  const read = await command(['cat', image, '/big', '--store', two, '--offline', '--debug']);
  t.ok(read.stdout.equals(BIG), read.stderr);
  t.match(read.stderr, /SOCI index sha256:[0-9a-f]+ \(v1\), by referrer/);
  t.match(
    (await command(['status', image, '--store', two, '--offline'])).stdout.toString(),
    /: all of it, proved\n$/,
  );
  t.equal(asked(), before);
  const layout = await command(['cat', `oci:${two}:${image}:latest`, '/etc/motd']);
  t.equal(layout.stdout.toString(), 'welcome\n', 'the store is a layout itself');

  t.match(
    (await command(['store', 'gc', '--max-size', '0', '--store', two])).stdout.toString(),
    /: 0 B removed/,
  );
  t.match((await command(['store', 'ls', '--store', two])).stdout.toString(), `${image}:latest`);
  const unnamed = await command(['store', 'rm', `${image}:latest`, '--store', two]);
  t.equal(unnamed.status, 0, unnamed.stderr);
  t.match(
    (await command(['store', 'gc', '--max-size', '0', '--store', two])).stdout.toString(),
    / removed, 0 B left\n$/,
  );
});

t.test('what is built is kept in the store', async t => {
  const dir = t.testdir({});
  const built = await command(['cat', `${image}:plain`, '/etc/motd', '--store', dir]);
  t.match(built.stderr, 'reading all of it');
  const again = await command(['cat', `${image}:plain`, '/etc/motd', '--store', dir, '--offline']);
  t.equal(again.stdout.toString(), 'welcome\n');
  t.notMatch(again.stderr, 'reading all of it');
  const dry = ['index', 'create', `${image}:plain`, '--dry-run', '--min-layer-size', '0', '--store', dir];
  const created = await command(dry);
  t.equal(created.status, 0, created.stderr);
  t.match(created.stdout.toString() + created.stderr, /cache/);
});
