/**
 * `seekable-oci cp`: what it writes, and that nothing in an image, nor anything
 * that an image left behind earlier, makes it write elsewhere.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';

import { UsageError } from '../../lib/cli/command.js';
import { splitImagePath } from '../../lib/cli/image-path.js';
import { childPath } from '../../lib/cli/tree-writer.js';
import { layerOf, packLayer, pushIndexedImage } from '../image/sample-image.js';
import type { TarEntry } from '../span/sample-layers.js';
import { command, fails, finished, start } from './run-command.js';
import { BIG, LOWER, repositoryOf, sampleLayers, startRegistry } from './sample-images.js';

const registry = await startRegistry(t);
const repository = repositoryOf(t, registry);
await pushIndexedImage(repository, await sampleLayers(), { tag: 'latest' });
const image = `${registry.host}/demo/app`;

async function pushed(tag: string, entries: readonly TarEntry[]): Promise<string> {
  await pushIndexedImage(repository, [await layerOf(entries)], { tag });
  return `${image}:${tag}`;
}

/** A folder to copy into, beside one that must stay as it is. */
function folders(t: Test) {
  const folder = t.testdir({ dest: {}, outside: { precious: 'untouched' } });
  const outside = join(folder, 'outside');
  const unharmed = (): boolean =>
    readdirSync(outside).join() === 'precious' &&
    readFileSync(join(outside, 'precious'), 'utf8') === 'untouched';
  return { folder, dest: join(folder, 'dest'), outside, unharmed };
}

t.test('IMAGE:PATH is divided where a path begins', async t => {
  const digest = `sha256:${'0'.repeat(64)}`;
  for (const [text, name, path] of [
    ['app:/etc', 'app', '/etc'],
    ['app:1.0:/etc/a:/b', 'app:1.0', '/etc/a:/b'],
    ['host:5000/app:1.0:/', 'host:5000/app:1.0', '/'],
    [`host/app@${digest}:/x`, `host/app@${digest}`, '/x'],
    ['oci:dir:/etc', 'oci:dir', '/etc'],
    ['oci:/abs/dir:/etc', 'oci:/abs/dir', '/etc'],
    ['oci:/abs/dir:tag:/etc', 'oci:/abs/dir:tag', '/etc'],
    ['oci-archive:/abs/file.tar:/etc', 'oci-archive:/abs/file.tar', '/etc'],
  ] as const) {
    t.same(splitImagePath(text), { image: name, path }, text);
  }
  for (const text of ['app', 'app:etc', ':/etc', '/etc', 'https://host/app:/etc', '']) {
    t.throws(
      () => splitImagePath(text),
      new UsageError('expected IMAGE:/PATH, with a path that begins with /'),
    );
  }
});

t.test('names that are no single component are refused', async t => {
  t.equal(childPath(Buffer.from('/dest'), Buffer.from('..a')).toString(), '/dest/..a');
  t.equal(childPath(Buffer.from('/'), Buffer.from('motd')).toString(), '/motd');
  for (const name of ['', '.', '..', 'a/b', '/etc', '../x', 'a\0b']) {
    t.throws(() => childPath(Buffer.from('/dest'), Buffer.from(name)), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
});

t.test('a file', async t => {
  const { dest } = folders(t);
  const { status, stdout, stderr } = await command(['cp', `${image}:/etc/link`, dest]);
  t.equal(status, 0, stderr);
  t.match(stdout.toString(), /link: 1 file, 0 directories, 0 links, 10 B; .* fetched in 1 request\n$/);
  const written = lstatSync(join(dest, 'link'));
  t.ok(written.isFile(), 'what the link leads to');
  t.equal(written.mode & 0o7777, 0o640);
  t.equal(written.mtimeMs, Date.UTC(2020, 1, 2, 2, 2, 2));
  t.equal(readFileSync(join(dest, 'link'), 'utf8'), 'ID=sample\n');

  await command(['cp', `${image}:/big`, join(dest, 'renamed')]);
  t.ok(readFileSync(join(dest, 'renamed')).equals(BIG));
  t.equal((await command(['cp', `${image}:/etc/motd`, join(dest, 'renamed')])).status, 0);
  t.equal(readFileSync(join(dest, 'renamed'), 'utf8'), 'welcome\n', 'a file gives way');
  t.same(readdirSync(dest).sort(), ['link', 'renamed'], 'and nothing else is left');

  mkdirSync(join(dest, 'motd'));
  fails(t, await command(['cp', `${image}:/etc/motd`, dest]), 'EISDIR');
  fails(t, await command(['cp', `${image}:/etc/motd`, join(dest, 'no/such')]), 'ENOENT');
  fails(t, await command(['cp', `${image}:/nothing`, dest]), 'ENOENT');
  fails(t, await command(['cp', `${image}:/dev/null`, dest]), 'EINVAL');
  fails(t, await command(['cp', `${image}:/etc/motd`, '/dev/null']), 'ERR_SOCI_INVALID_ARGUMENT', 2);
  t.ok(lstatSync('/dev/null').isCharacterDevice());
});

t.test('a tree, with modes, times, links and names', async t => {
  const { dest } = folders(t);
  const target = join(dest, 'root');
  const { status, stdout, stderr } = await command(['cp', '--json', `${image}:/`, target]);
  t.equal(status, 0, stderr);
  t.match(JSON.parse(stdout.toString()), {
    destination: target,
    files: 6,
    links: 2,
    skipped: [
      { path: '/dev/broken' },
      { path: '/dev/null', reason: 'character device' },
      { path: '/dev/pipe' },
    ],
  });
  t.match(stderr, 'skipped /dev/null: character device\n');
  t.same(readdirSync(target).sort(), ['big', 'dev', 'etc', 'lib', 'noted', 'usr']);
  t.same(readdirSync(join(target, 'dev')), []);
  t.equal(readlinkSync(join(target, 'lib')), 'usr/lib');
  t.equal(readlinkSync(join(target, 'etc/link')), 'os-release');
  const etc = lstatSync(join(target, 'etc'));
  t.equal(etc.mode & 0o7777, 0o750);
  t.equal(etc.mtimeMs, Date.UTC(2020, 1, 2, 2, 2, 2), 'of a directory, although files were put into it');
  const tool = lstatSync(join(target, 'usr/lib/tool'));
  t.equal(tool.mode & 0o7777, 0o755, 'set-user-ID would mean another user');
  t.equal(tool.ino, lstatSync(join(target, 'usr/lib/alias')).ino, 'one file with two names');
  t.ok(readFileSync(join(target, 'big')).equals(BIG));

  t.test('into a directory that exists, under its name; again over itself; its content alone', async t => {
    t.equal((await command(['cp', `${image}:/etc`, dest])).status, 0);
    t.equal(readFileSync(join(dest, 'etc/motd'), 'utf8'), 'welcome\n');
    writeFileSync(join(dest, 'etc/motd'), 'changed');
    t.equal((await command(['cp', `${image}:/etc/`, dest])).status, 0);
    t.equal(readFileSync(join(dest, 'etc/motd'), 'utf8'), 'welcome\n');
    t.equal((await command(['cp', `${image}:/etc/.`, dest])).status, 0);
    t.equal(readFileSync(join(dest, 'motd'), 'utf8'), 'welcome\n');
    fails(t, await command(['cp', `${image}:/etc`, join(dest, 'motd')]), 'ENOTDIR');
  });
});

t.test('names with .. and absolute names stay inside', async t => {
  const { folder, dest, unharmed } = folders(t);
  const name = await pushed('dots', [
    { name: '../../outside/precious', body: Buffer.from('evil') },
    { name: `${folder}/outside/precious`, body: Buffer.from('evil') },
    { name: 'a/../../../b', body: Buffer.from('b') },
  ]);
  t.equal((await command(['cp', `${name}:/`, dest])).status, 0);
  t.ok(unharmed());
  t.ok(existsSync(join(dest, 'b')));
  t.same(readdirSync(folder).sort(), ['dest', 'outside']);
  t.equal((await command(['cp', `${name}:/outside/..`, dest])).status, 0);
  t.ok(unharmed());
});

t.test('symbolic links of the image are written, never gone through', async t => {
  const { dest, outside, unharmed } = folders(t);
  const name = await pushed('links', [
    { name: 'absolute', type: 'symlink', linkname: outside },
    { name: 'absolute/precious', body: Buffer.from('evil') },
    { name: 'relative', type: 'symlink', linkname: '../outside' },
    { name: 'relative/precious', body: Buffer.from('evil') },
    { name: 'file', type: 'symlink', linkname: join(outside, 'precious') },
    { name: 'hard', type: 'link', linkname: 'file' },
    { name: 'up', type: 'link', linkname: '../../../outside/precious' },
  ]);
  const { status, stderr } = await command(['cp', `${name}:/`, dest]);
  t.equal(status, 0, stderr);
  t.ok(unharmed());
  t.equal(readlinkSync(join(dest, 'file')), join(outside, 'precious'));

  t.test('nor are those that an earlier copy left behind', async t => {
    const second = await pushed('second', [
      { name: 'absolute/precious', body: Buffer.from('evil') },
      { name: 'relative/precious', body: Buffer.from('evil') },
    ]);
    fails(t, await command(['cp', `${second}:/`, dest]), 'ENOTDIR');
    fails(t, await command(['cp', `${second}:/relative`, dest]), 'ENOTDIR');
    const third = await pushed('third', [{ name: 'file', body: Buffer.from('evil') }]);
    t.equal((await command(['cp', `${third}:/.`, dest])).status, 0);
    t.ok(lstatSync(join(dest, 'file')).isFile(), 'the file is in the place of the link');
    t.ok(unharmed());
  });
});

t.test('DEST itself is not followed when it is a link, unless that is written', async t => {
  const { folder, dest, outside, unharmed } = folders(t);
  const link = join(folder, 'link');
  symlinkSync('dest', link);
  const refused = await command(['cp', `${image}:/etc/motd`, link]);
  fails(t, refused, 'ERR_SOCI_INVALID_ARGUMENT', 2);
  t.match(refused.stderr, `${link} is a symbolic link to a directory; write ${link}/ to copy into that`);
  t.same(readdirSync(dest), []);
  t.equal((await command(['cp', `${image}:/etc/motd`, `${link}/`])).status, 0);
  t.equal(readFileSync(join(dest, 'motd'), 'utf8'), 'welcome\n');
  t.ok(lstatSync(link).isSymbolicLink());

  for (const target of ['precious', 'nowhere']) {
    const other = join(folder, target);
    symlinkSync(join(outside, target), other);
    t.equal((await command(['cp', `${image}:/etc/motd`, other])).status, 0);
    t.ok(lstatSync(other).isFile(), 'a link gives way, as a file does');
    t.ok(unharmed());
  }
});

t.test('set-id bits are dropped, which is said, or kept', async t => {
  const { dest } = folders(t);
  const mode = (name: string) => lstatSync(join(dest, name)).mode & 0o7777;
  const name = await pushed('setid', [{ name: 'usr/lib/tool', body: Buffer.from('x'), mode: 0o4755 }]);
  const dropped = await command(['cp', `${name}:/usr/lib`, join(dest, 'a')]);
  t.match(dropped.stderr, '1 file lost set-user-ID or set-group-ID');
  t.equal(mode('a/tool'), 0o755);
  const kept = await command(['cp', '--preserve-setid', `${name}:/usr/lib`, join(dest, 'b')]);
  t.equal(kept.stderr, '');
  t.equal(mode('b/tool'), 0o4755);
  if (process.getuid?.() === 0) {
    t.equal((await command(['cp', '--same-owner', `${image}:/etc`, join(dest, 'c')])).status, 0);
    t.match(lstatSync(join(dest, 'c/os-release')), { uid: 3, gid: 4 });
  }
});

t.test('a directory that no layer has an entry of gets no time', async t => {
  const { dest } = folders(t);
  const name = await pushed('implied', [{ name: 'some/where/file', body: Buffer.from('x') }]);
  t.equal((await command(['cp', `${name}:/some`, dest])).status, 0);
  t.ok(lstatSync(join(dest, 'some', 'where')).mtimeMs > Date.UTC(2020, 0, 1), 'not 1970');
  // A ustar header: the name at 0, the time as octal digits at 136. The same on every machine.
  const tar = (await command(['cp', `${name}:/some`, '-'])).stdout;
  t.equal(tar.toString('latin1', 0, 6), 'some/\0');
  t.equal(Number.parseInt(tar.toString('latin1', 136, 147), 8), 0);
});

t.test('to - as a tar, with all that the image says of its files', async t => {
  const long = 'n'.repeat(120);
  const name = await pushed('tar', [
    ...LOWER.filter(entry => entry.name !== 'dev/broken'),
    { name: long, body: Buffer.from('long') },
    { name: 'to', type: 'symlink', linkname: `${long}${long}` },
    { name: 'late', body: Buffer.alloc(0), pax: { mtime: '1.5' } },
  ]);
  const { status, stdout, stderr } = await command(['cp', `${name}:/`, '-']);
  t.equal(status, 0, stderr);
  t.equal(stdout.length % 512, 0);
  await pushIndexedImage(repository, [packLayer(stdout)], { tag: 'again' });
  const difference = await command(['diff', '--content', name, `${image}:again`]);
  t.equal(difference.stdout.toString(), '', difference.stderr);
  t.match((await command(['stat', `${image}:again`, '/late'])).stdout.toString(), '1970-01-01T00:00:01.500Z');

  const one = await command(['cp', `${image}:/etc`, '-']);
  t.equal(one.stdout.toString('latin1', 0, 5), 'etc/\0');
  fails(t, await command(['cp', `${image}:/nothing`, '-']), 'ENOENT');
});

t.test('a file that cannot be read to its end is not there', async t => {
  const { dest } = folders(t);
  const layer = await layerOf([{ name: 'rotten', body: BIG }]);
  await pushIndexedImage(repository, [layer], { tag: 'rotten' });
  registry.inject({ match: { path: layer.descriptor.digest }, corrupt: 20_000 });
  const outcome = await command(['cp', `${image}:rotten:/rotten`, dest]);
  registry.clearFaults();
  fails(t, outcome, 'ERR_SOCI_SPAN_DIGEST');
  t.same(readdirSync(dest), []);
});

t.test('SIGINT ends it with 130 and leaves no half of a file', async t => {
  const { dest } = folders(t);
  registry.inject({ match: request => request.headers['range'] !== undefined, stallAfter: 100 });
  const child = start(['cp', `${image}:/big`, dest]);
  const outcome = finished(child);
  // The temporary file appears when the copying begins.
  while (readdirSync(dest).length === 0) await new Promise(resolve => setTimeout(resolve, 5));
  child.kill('SIGINT');
  const { status, stderr } = await outcome;
  registry.clearFaults();
  t.equal(status, 130);
  t.equal(stderr, '');
  t.same(readdirSync(dest), []);
});
