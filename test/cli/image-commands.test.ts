/**
 * `ls`, `cat`, `stat` and `explain` as a user runs them on images in a registry
 * and in layouts.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';

import { optionBytes } from '../../lib/cli/command.js';
import { readCommandLine } from '../../lib/cli/command-line.js';
import { layerOf, pushIndexedImage } from '../image/sample-image.js';
import { command, fails, finished, type Outcome, start } from './run-command.js';
import { BIG, makeLayout, NAMES, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const registry = await startRegistry(t);
const repository = repositoryOf(t, registry);
const layers = await sampleLayers();
await pushIndexedImage(repository, layers, { tag: 'latest' });
const image = `${registry.host}/demo/app`;

function lines({ stdout }: Outcome): string[] {
  return stdout.toString().split('\n').slice(0, -1);
}

/** As the command does it, without a process: for what ends before anything is written. */
async function readHelp(...args: string[]): Promise<string> {
  const request = await readCommandLine([...args, '--help']);
  return request.kind === 'print' ? request.text : '';
}

t.test('help names every command, and each explains itself', async t => {
  const overview = await readHelp();
  const names = ['ls', 'cat', 'cp', 'stat', 'explain', 'convert'].concat(
    ['create', 'push', 'copy', 'ls', 'info'].map(name => `index ${name}`),
  );
  for (const name of names) {
    t.match(overview, new RegExp(`^  ${name} `, 'm'));
    const text = await readHelp(...name.split(' '));
    t.match(text, `Usage: seekable-oci ${name} `);
    for (const option of ['plain-http', 'ca', 'user', 'password-stdin', 'hosts-dir', 'platform', 'index']) {
      t.match(text, `--${option}`, `${name} --${option}`);
    }
    for (const option of ['cache-dir', 'json', 'quiet', 'debug']) {
      t.match(text, `--${option}`, `${name} --${option}`);
    }
  }
  const group = await readHelp('index');
  t.match(group, 'index create');
  t.notMatch(group, 'ztoc build');
});

t.test('options stand before, between and behind the words of a command', async t => {
  const words = async (...args: string[]) => {
    const request = await readCommandLine(args);
    return request.kind === 'run' ? request.invocation : request;
  };
  const expected = await words('ls', image, '/etc', '--quiet', '--platform', 'linux/amd64');
  t.same(await words('--quiet', '--platform', 'linux/amd64', 'ls', image, '/etc'), expected);
  t.same(await words('--platform=linux/amd64', 'ls', '--quiet', image, '/etc'), expected);
  const listed = await words('index', 'ls', image, '--json');
  t.same(await words('--json', 'index', 'ls', image), listed);
  t.same(await words('index', '--json', 'ls', image), listed);
  t.match(await words('ls', '-la', image), { options: { long: true, all: true } });
  await t.rejects(readCommandLine(['--quiet']), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

t.test('help and the version, as people ask for them', async t => {
  const ask = (...args: string[]) => readCommandLine(args);
  t.same(await ask('help', 'ls'), await ask('ls', '--help'));
  t.same(await ask('help', 'index', 'create'), await ask('index', 'create', '-h'));
  t.same(await ask('help', 'index'), await ask('index', '--help'));
  t.same(await ask('--quiet', '--help'), await ask('help'));
  for (const word of ['-v', 'version', '--version']) t.same(await ask(word), { kind: 'version' });
});

t.test('sizes have units', t => {
  const bytes = (size: string) => optionBytes({ operands: [], options: { size } }, 'size', 1);
  t.equal(bytes('4194304'), 4194304);
  t.equal(bytes('4MiB'), 4194304);
  t.equal(bytes('512kib'), 524288);
  t.equal(bytes('10MB'), 10_000_000);
  for (const wrong of ['', '0', '0MiB', '-1', '1k', '1.5MiB', '4 MiB', '9007199254740993', '9999999TiB']) {
    t.throws(() => bytes(wrong), { code: 'ERR_SOCI_INVALID_ARGUMENT' }, wrong);
  }
  t.end();
});

t.test('with --json an error is one object on standard error', async t => {
  for (const [args, status, code] of [
    [['--json', 'cat', image, '/nothing'], 1, 'ENOENT'],
    [['ls', '--json', `${image}:none`], 1, 'ERR_SOCI_REGISTRY_NOT_FOUND'],
    [['ls', '--json'], 2, 'ERR_SOCI_INVALID_ARGUMENT'],
  ] as const) {
    const outcome = await command(args);
    t.equal(outcome.status, status);
    const { error } = JSON.parse(outcome.stderr);
    t.equal(error.code, code);
    t.type(error.message, 'string');
  }
});

t.test('wrong usage is status 2, before any request', async t => {
  const before = registry.requests.length;
  const wrong = [
    ['ls'],
    ['ls', image, '/', 'more'],
    ['ls', image, ''],
    ['cat', image],
    ['stat', image],
    ['explain', image, '/a', '/b'],
    ['cp', image, '/tmp'],
    ['cp', `${image}:etc`, '/tmp'],
    ['cp', `https://${image}`, '/tmp'],
    ['cp', `${image}:/etc`, ''],
    ['ls', image, '--platform', 'linux/amd64', '--platform', 'linux/arm64'],
    ['ls', image, '--user', 'me'],
    ['ls', image, '--password-stdin'],
    ['ls', image, '--plain-http', '--hosts-dir', '/nowhere'],
    ['ls', `sha256:${'0'.repeat(64)}`],
    ['index', 'create'],
    ['index', 'create', image, '--span-size', '0'],
    ['index', 'create', image, '--min-layer-size', '1k'],
    ['index', 'create', image, '--existing', 'no'],
    ['index', 'create', image, '--optimizations', 'all'],
    ['index', 'create', image, '--platform', 'linux', '--all-platforms'],
    ['index', 'create', image, '--index', 'none'],
    ['index', 'push', image, image],
    ['index', 'nonsense'],
    ['convert', image],
  ];
  for (const args of wrong) {
    fails(t, await command(args), 'ERR_SOCI_INVALID_ARGUMENT', 2);
  }
  t.equal(registry.requests.length, before);
});

t.test('ls', async t => {
  t.same(lines(await command(['ls', image])), ['big', 'dev', 'etc', 'lib', 'noted', 'usr']);
  t.same(lines(await command(['ls', image, '/etc'])), ['link', 'motd', 'os-release'], 'whiteouts applied');
  t.same(lines(await command(['ls', image, 'lib/'])), ['alias', 'tool'], 'a link to a directory is one');
  t.same(lines(await command(['ls', image, '/etc/link'])), ['/etc/link'], 'a file stands for itself');
  t.same(lines(await command(['ls', '-R', image])), NAMES);

  t.test('-l: mode, links, owner, size, time, target', async t => {
    const listed = lines(await command(['ls', '-lR', image]));
    const line = (name: string) => listed.find(each => each.includes(` ${name}`));
    t.match(line('etc'), /^drwxr-x--- +2 0\/0 +0 2020-02-02T02:02:02Z etc$/);
    t.match(line('etc/os-release'), /^-rw-r----- +1 3\/4 +10 2020-02-02T02:02:02Z etc\/os-release$/);
    t.match(line('usr/lib/tool'), /^-rwsr-xr-x +2 /);
    t.match(line('etc/link'), /^lrw.* etc\/link -> os-release$/);
    t.match(line('dev/null'), /^crw-rw-rw- .* 1,3 /);
    t.match(line('dev/pipe'), /^p/);
    t.match(line('dev/broken'), /^\?--------- dev\/broken$/, 'a hard link to nothing is shown as such');
  });

  t.test('--json', async t => {
    const list = JSON.parse((await command(['ls', '-R', '--json', image])).stdout.toString());
    t.same(
      list.map(({ path }: { path: string }) => path),
      NAMES,
    );
    const entry = (path: string) => list.find((each: { path: string }) => each.path === path);
    t.same(entry('etc/os-release'), {
      path: 'etc/os-release',
      type: 'reg',
      mode: 0o640,
      size: 10,
      uid: 3,
      gid: 4,
      nlink: 1,
      mtime: '2020-02-02T02:02:02Z',
    });
    t.match(entry('etc/link'), { type: 'symlink', target: 'os-release' });
    t.match(entry('dev/null'), { type: 'char', device: '1,3' });
    t.same(entry('dev/broken'), { path: 'dev/broken', type: 'missing' });
    const empty = await command(['ls', '--json', image, '/noted']);
    t.equal(JSON.parse(empty.stdout.toString()).length, 1);
  });

  t.test('fetches no layer', async t => {
    const before = registry.requests.length;
    await command(['ls', '-lR', image]);
    const sizes = new Set(layers.map(({ descriptor }) => descriptor.digest));
    const paths = registry.requests.slice(before).map(({ path }) => path);
    t.ok(paths.length > 0);
    t.notOk(paths.some(path => sizes.has(path.split('/').at(-1) ?? '')));
  });

  t.test('names that would move the cursor are escaped, those that are no text too', async t => {
    const names = ['red\u001b[31m\nforged', 'turn\u202eed', '..hidden'];
    const hostile = names.map(name => ({ name, body: Buffer.from('x') }));
    const raw = { name: 'raw', body: Buffer.from('x'), pax: { path: 'caf\u00e9' } };
    const layer = await layerOf([...hostile, raw, { name: 'to', type: 'symlink', linkname: '\u001b[2J' }]);
    await pushIndexedImage(repository, [layer], { tag: 'names' });
    const listed = (await command(['ls', '-l', `${image}:names`])).stdout.toString();
    for (const control of ['\u001b', '\u202e']) t.notOk(listed.includes(control));
    t.match(listed, 'red\\x1b[31m\\x0aforged');
    t.match(listed, 'turn\\u202eed');
    t.match(listed, 'to -> \\x1b[2J');
    t.match(listed, 'caf\u00e9');
    const json = JSON.parse((await command(['ls', '--json', `${image}:names`])).stdout.toString());
    t.ok(
      json.some(({ path }: { path: string }) => path === names[0]),
      'as it is in JSON',
    );
    const { stderr } = await command(['cat', `${image}:names`, '/no\u001b[31m']);
    t.notOk(stderr.includes('\u001b'), 'in messages too');
  });
});

t.test('cat', async t => {
  const { status, stdout, stderr } = await command(['cat', image, '/etc/link', 'big', '/etc/motd']);
  t.equal(status, 0, stderr);
  const expected = Buffer.concat([Buffer.from('ID=sample\n'), BIG, Buffer.from('welcome\n')]);
  t.ok(stdout.equals(expected), 'links followed, exactly the bytes');

  for (const [path, code] of [
    ['/nothing', 'ENOENT'],
    ['/etc/removed', 'ENOENT'],
    ['/etc', 'EISDIR'],
    ['/etc/motd/x', 'ENOTDIR'],
    ['/dev/null', 'EINVAL'],
  ] as const) {
    fails(t, await command(['cat', image, path]), code);
  }
  fails(t, await command(['cat', `${image}:none`, '/x']), 'ERR_SOCI_REGISTRY_NOT_FOUND');
  fails(t, await command(['cat', '/no/reference', '/x']), 'ERR_SOCI_REFERENCE');
  fails(t, await command(['cat', 'oci:/no/such/folder', '/x']), 'ERR_SOCI_LAYOUT');

  t.test('a reader that goes away ends it quietly', async t => {
    const child = start(['cat', image, '/big']);
    const outcome = finished(child);
    child.stdout?.destroy();
    const { status, stderr } = await outcome;
    t.equal(stderr, '');
    t.equal(status, 141);
  });

  t.test('a layer that changed is found out before a byte is printed', async t => {
    registry.inject({ match: { path: layers[0]!.descriptor.digest }, corrupt: 100 });
    const outcome = await command(['cat', image, '/etc/os-release']);
    registry.clearFaults();
    fails(t, outcome, 'ERR_SOCI_SPAN_DIGEST');
  });
});

t.test('SIGINT ends a wait for a registry with 130', async t => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  t.teardown(() => silent.closeAllConnections());
  t.teardown(() => silent.close());
  await new Promise(resolve => silent.once('listening', resolve));
  const child = start(['ls', `127.0.0.1:${(silent.address() as AddressInfo).port}/app`]);
  const outcome = finished(child);
  await new Promise(resolve => silent.once('request', resolve));
  child.kill('SIGINT');
  const { status, stdout, stderr } = await outcome;
  t.equal(status, 130);
  t.equal(stdout.length, 0);
  t.equal(stderr, '');
});

t.test('stat', async t => {
  const text = (await command(['stat', image, '/etc/os-release'])).stdout.toString();
  t.match(text, /^path +\/etc\/os-release$/m);
  t.match(text, /^type +regular file$/m);
  t.match(text, /^size +10 bytes$/m);
  t.match(text, /^mode +0640 -rw-r-----$/m);
  t.match(text, /^owner +3\/4$/m);
  t.match(text, /^modified +2020-02-02T02:02:02Z$/m);
  t.match(text, new RegExp(`^layer +0 ${layers[0]!.descriptor.digest}$`, 'm'));
  t.match((await command(['stat', image, '/etc/link'])).stdout.toString(), 'symbolic link');
  t.match((await command(['stat', image, '/dev/null'])).stdout.toString(), 'character device 1,3');

  const followed = JSON.parse(
    (await command(['stat', '-L', '--json', image, '/etc/link'])).stdout.toString(),
  );
  t.match(followed, { path: '/etc/os-release', type: 'reg', layer: { position: 0 }, xattrs: [] });
  const noted = JSON.parse((await command(['stat', '--json', image, '/noted'])).stdout.toString());
  t.same(noted.xattrs, [{ name: 'user.note', value: 'hello' }]);
  fails(t, await command(['stat', image, '/dev/broken']), 'ENOENT');
});

t.test('explain', async t => {
  const text = (await command(['explain', image, '/etc/link'])).stdout.toString();
  t.match(text, /^path +\/etc\/os-release, 10 B$/m);
  t.match(text, new RegExp(`^layer +0 of 2, ${layers[0]!.descriptor.digest}`, 'm'));
  t.match(text, /^spans +1: 0 to 0$/m);
  t.match(text, /^fetch .* in 1 request: [0-9.]+ % of the layer, [0-9.]+ % of the image's layers$/m);
  t.match(text, /^index +sha256:[0-9a-f]{64} \(v1, by referrer\)$/m);
  const plan = JSON.parse((await command(['explain', '--json', image, '/big'])).stdout.toString());
  t.match(plan, { path: '/big', layer: 0, size: BIG.length, ztoc: 'index', index: { version: 'v1' } });
  t.ok(plan.endSpan - plan.firstSpan > 20);
  t.ok(plan.bytes > 0 && plan.bytes <= plan.layerSize && plan.layerSize < plan.imageSize);
  fails(t, await command(['explain', image, '/etc']), 'EISDIR');
});

t.test('layouts and archives are read in the same way', async t => {
  const { operand, folder, repository: layout } = makeLayout(t);
  await pushIndexedImage(layout, layers, { tag: 'v1' });
  for (const name of [operand, `${operand}:v1`]) {
    t.equal((await command(['cat', name, '/etc/motd'])).stdout.toString(), 'welcome\n');
  }
  const archive = `oci-archive:${folder}.tar`;
  t.equal((await command(['convert', operand, `${archive}:v2`, '--min-layer-size', '0'])).status, 0);
  t.same(lines(await command(['ls', '-R', archive])), NAMES);
});
