/** The options that all commands on images share: which index, which cache, which platform, who, and how. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

import { defaultCacheDirectory } from '../../lib/cli/cache-directory.js';
import { layerOf, pushImage, pushIndex, pushIndexedImage, ztocOf } from '../image/sample-image.js';
import { fixturePath } from '../registry/fixture.js';
import { CACHE, command, fails } from './run-command.js';
import { makeLayout, pushTwoPlatforms, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const PASSWORD = 'correct horse battery';

const registry = await startRegistry(t);
const repository = repositoryOf(t, registry);
const layers = await sampleLayers();
await pushIndexedImage(repository, layers, { tag: 'latest' });
const image = `${registry.host}/demo/app`;

t.test('--index names the index that is used, or none', async t => {
  const named = await pushImage(repository, layers, { tag: 'named' });
  const foreign = await pushIndex(repository, named, [await ztocOf(layers[0]!, 500_000)]);
  const other = `${image}:named`;
  const explain = async (...args: string[]) =>
    JSON.parse((await command(['explain', '--json', other, '/big', ...args])).stdout.toString());
  t.match(await explain('--index', foreign), { index: { digest: foreign, via: 'digest' } });
  t.notOk('index' in (await explain('--index', 'none')));
  const missing = `sha256:${'1'.repeat(64)}`;
  fails(t, await command(['cat', other, '/big', '--index', missing]), 'ERR_SOCI_REGISTRY_NOT_FOUND');
  for (const name of ['ls', 'stat']) {
    const misspelt = await command([name, other, '/big', '--index', 'nnoe']);
    fails(t, misspelt, 'ERR_SOCI_INVALID_ARGUMENT', 2);
    t.match(misspelt.stderr, "--index: expected a digest (sha256:…) or 'none', received 'nnoe'");
  }
});

t.test('an image without an index: layers are read once, said so, and kept', async t => {
  const { operand, folder, repository: layout } = makeLayout(t);
  const layer = await layerOf([{ name: 'alone', body: Buffer.from('yes') }]);
  await pushImage(layout, [layer], { tag: 'one' });
  const cache = `${folder}.cache`;
  const args = ['cat', operand, '/alone', '--cache-dir', cache];
  const first = await command(args);
  t.equal(first.stdout.toString(), 'yes');
  t.match(
    first.stderr,
    /^layer 0 sha256:[0-9a-f]{12} has no ztoc that can be used: reading all of it \(.*\), once; 'index create' on the image avoids it\n$/,
  );
  t.ok(readdirSync(cache).includes('ztocs'));
  const second = await command(args);
  t.equal(second.stdout.toString(), 'yes');
  t.equal(second.stderr, '');
  const quiet = await command([...args.slice(0, 3), '--quiet', '--cache-dir', join(cache, 'other')]);
  t.equal(quiet.stderr, '', '--quiet');
});

t.test("the default cache is the user's own", async t => {
  t.equal(defaultCacheDirectory({ XDG_CACHE_HOME: '/somewhere' }), '/somewhere/seekable-oci');
  t.match(defaultCacheDirectory({}), /[\\/]\.cache[\\/]seekable-oci$/);
  t.equal(defaultCacheDirectory({ XDG_CACHE_HOME: 'relative' }), defaultCacheDirectory({}));
  t.equal(statSync(CACHE).mode & 0o777, 0o700);
  const open = join(t.testdir({}), 'cache');
  mkdirSync(join(open, 'seekable-oci'), { recursive: true });
  chmodSync(join(open, 'seekable-oci'), 0o777);
  const { status, stderr } = await command(['ls', image], undefined, { XDG_CACHE_HOME: open });
  t.equal(status, 0);
  t.match(stderr, /^nothing is kept for the next time \(--cache-dir\): others may write to /);
});

t.test("platforms: the one named, the host's, else the only one", async t => {
  const own = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const lower = (text: string) => layerOf([{ name: 'which', body: Buffer.from(text) }]);
  await pushTwoPlatforms(repository, layers, 'multi');
  const only = await lower('foreign');
  await pushImage(repository, [only], { tag: 'only', platform: { os: 'linux', architecture: 's390x' } });
  t.equal((await command(['cat', `${image}:only`, '/which', '--quiet'])).stdout.toString(), 'foreign');
  const named = await command([
    'cat',
    `${image}:multi`,
    '/etc/motd',
    '--platform',
    `linux/${own}`,
    '--quiet',
  ]);
  t.equal(named.stdout.toString(), 'welcome\n');
  const missing = await command(['ls', `${image}:multi`, '--platform', 'linux/riscv64']);
  fails(t, missing, 'ERR_SOCI_PLATFORM');
  t.match(missing.stderr, 'it has linux/amd64, linux/arm64');
});

t.test('--user and --password-stdin', async t => {
  for (const type of ['basic', 'bearer'] as const) {
    const guarded = await startRegistry(t, { auth: { type, username: 'me', password: PASSWORD } });
    const credentials = () => ({ username: 'me', password: PASSWORD });
    await pushIndexedImage(repositoryOf(t, guarded, { credentials }), layers, { tag: 'latest' });
    const args = ['cat', `${guarded.host}/demo/app`, '/etc/motd', '--debug'];
    const login = ['--user', 'me', '--password-stdin'];
    for (const end of ['', '\n', '\r\n']) {
      const good = await command([...args, ...login], Buffer.from(PASSWORD + end));
      t.equal(good.status, 0, good.stderr);
      t.equal(good.stdout.toString(), 'welcome\n');
      t.match(good.stderr, /^debug: 401 (HEAD|GET) http:/m, '--debug tells the requests');
      t.notMatch(good.stderr, PASSWORD);
      t.notMatch(good.stderr, Buffer.from(`me:${PASSWORD}`).toString('base64'));
    }
    const bad = await command([...args.slice(0, 3), ...login], Buffer.from('something wrong'));
    t.equal(bad.status, 1);
    t.match(bad.stderr, /\[ERR_SOCI_REGISTRY_(AUTH|DENIED)\]\n$/);
    t.notMatch(bad.stderr, 'something wrong');
    t.equal((await command(args.slice(0, 3))).status, 1, 'nobody gets in without');
  }
  fails(t, await command(['ls', image, '--user', 'me', '--password-stdin']), 'ERR_SOCI_INVALID_ARGUMENT', 2);

  t.test('passwords that were typed in the wrong place are not repeated', async t => {
    const typed = [
      ['ls', image, '--user', 'me:topsecret', '--password-stdin'],
      ['ls', 'me:topsecret@registry.example/app'],
      ['ls', 'https://me:topsecret@registry.example/app'],
      ['cp', 'me:topsecret@registry.example:5000/app:/etc', '/tmp'],
      ['ls', image, '--password-stdin=topsecret'],
    ];
    for (const args of typed) {
      const outcome = await command(args, Buffer.from('x'));
      fails(t, outcome, 'ERR_SOCI_INVALID_ARGUMENT', 2);
      t.notMatch(outcome.stderr, 'topsecret');
    }
  });
});

t.test('folders and files without their prefix', async t => {
  const { operand, folder } = makeLayout(t);
  await pushImage(repositoryOf(t, registry), layers, { tag: 'v' });
  writeFileSync(`${folder}.tar`, 'x');
  mkdirSync(folder, { recursive: true });
  for (const [path, expected] of [
    [folder, `expected oci:${folder} for`],
    [`${folder}.tar`, `expected oci-archive:${folder}.tar for`],
    [`oci:${folder}.tar:v`, `is a file; expected oci-archive:${folder}.tar for`],
    [`oci-archive:${folder}:v`, `is a folder; expected oci:${folder} for`],
    [`docker-archive:${folder}`, `is a folder; expected oci:${folder} for`],
  ] as const) {
    const outcome = await command(['ls', path]);
    fails(t, outcome, 'ERR_SOCI_INVALID_ARGUMENT', 2);
    t.match(outcome.stderr, expected);
  }
  t.ok(operand.startsWith('oci:'));
  const outcome = await command(['ls', `docker://${image}`, '/']);
  t.equal(outcome.status, 0, outcome.stderr);
});

t.test('an index that is named but was not copied is said', async t => {
  const digest = `sha256:${'2'.repeat(64)}`;
  const annotations = { 'com.amazon.soci.index-digest': digest };
  await pushImage(repository, layers, { tag: 'dangling', annotations });
  const { stderr, status } = await command(['ls', `${image}:dangling`, '/']);
  t.equal(status, 0, stderr);
  t.match(stderr, /the SOCI index sha256:222222222222 of the image is not used: .*404/);
});

t.test('--timeout and --retries', async t => {
  const silent = await startRegistry(t);
  silent.inject({ match: { path: '/manifests/' }, reply: () => new Promise(() => {}) });
  const args = ['ls', `${silent.host}/demo/app`, '--timeout', '0.05'];
  for (const retries of ['0', '2']) {
    silent.requests.length = 0;
    const outcome = await command([...args, '--retries', retries]);
    fails(t, outcome, 'ERR_SOCI_HTTP_TIMEOUT');
    t.match(outcome.stderr, /no reply within 50 ms/);
    t.equal(silent.requests.length, Number(retries) + 1);
  }
  for (const wrong of [
    ['--timeout', '0'],
    ['--timeout', 'soon'],
    ['--retries', '-1'],
    ['--retries', '1.5'],
    ['--hedge', '49'],
    ['--hedge', '99.95'],
    ['--hedge', 'soon'],
  ]) {
    fails(t, await command(['ls', image, ...wrong]), 'ERR_SOCI_INVALID_ARGUMENT', 2);
  }
});

t.test('--hedge', async t => {
  const { stdout, status, stderr } = await command(['ls', image, '/', '--hedge', '99.5']);
  t.equal(status, 0, stderr);
  t.same(stdout, (await command(['ls', image, '/'])).stdout);
});

t.test('--ca and --hosts-dir', async t => {
  const [key = '', cert = ''] = ['server.key', 'server.pem'].map(name =>
    readFileSync(fixturePath('tls', name), 'utf8'),
  );
  const secure = await startRegistry(t, { tls: { key, cert } });
  const ca = fixturePath('tls', 'ca.pem');
  const hosts = { [secure.host]: { ca: readFileSync(ca, 'utf8') } };
  await pushIndexedImage(repositoryOf(t, secure, { hosts }), layers, { tag: 'latest' });
  const args = ['cat', `${secure.host}/demo/app`, '/etc/motd'];
  t.equal((await command([...args, '--ca', ca])).stdout.toString(), 'welcome\n');
  t.equal((await command(args)).status, 1, 'not trusted otherwise');
  // Nothing that was named and is not there is passed over, and the message names the option.
  for (const option of ['--ca', '--hosts-dir']) {
    const missing = await command([...args, option, '/no/such/file']);
    fails(t, missing, 'ERR_SOCI_INVALID_ARGUMENT', 2);
    t.match(missing.stderr, `${option}: `);
  }

  const folder = t.testdir({});
  mkdirSync(join(folder, 'app.example'));
  writeFileSync(
    join(folder, 'app.example', 'hosts.toml'),
    `server = "https://${secure.host}"\nca = "${ca}"\n`,
  );
  const mirrored = await command(['cat', 'app.example/demo/app', '/etc/motd', '--hosts-dir', folder]);
  t.equal(mirrored.stdout.toString(), 'welcome\n', mirrored.stderr);
});
