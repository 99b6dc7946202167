/** One file system over all layers: each call of node:fs/promises, and each of its errors. */
import { constants } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import t, { type Test } from 'tap';

import type { SociError } from '../../lib/errors.js';
import type { Image } from '../../lib/image/image.js';
import { openImage } from '../../lib/image/open-image.js';
import { collect, failure, openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { forgetSpans } from '../span/counting-source.js';
import { type TarEntry, textLike } from '../span/sample-layers.js';
import { layerOf, pushIndexedImage } from './sample-image.js';

const BIG = textLike(400_000, 3);
const LATIN1_NAME = Buffer.from('caf\xe9', 'latin1');

const LOWER: readonly TarEntry[] = [
  { name: './', type: 'directory', mode: 0o755 },
  { name: './etc/', type: 'directory', mode: 0o755 },
  { name: './etc/os-release', body: Buffer.from('ID=sample\n'), mode: 0o644, uid: 3, gid: 4 },
  { name: './etc/removed', body: Buffer.from('lower') },
  { name: './etc/hidden/', type: 'directory' },
  { name: './etc/hidden/lower', body: Buffer.from('lower') },
  { name: './usr/bin/', type: 'directory' },
  {
    name: './usr/bin/tool',
    body: Buffer.from('#!/bin/sh\n'),
    mode: 0o4755,
    mtime: new Date(1_700_000_000_000),
  },
  {
    name: './usr/bin/alias',
    type: 'link',
    linkname: 'usr/bin/tool',
    mode: 0o4755,
    mtime: new Date(1_700_000_000_000),
  },
  { name: './bin', type: 'symlink', linkname: 'usr/bin' },
  { name: './abs', type: 'symlink', linkname: '/etc/os-release' },
  { name: './up', type: 'symlink', linkname: '../../../etc/os-release' },
  { name: './loop', type: 'symlink', linkname: 'loop2' },
  { name: './loop2', type: 'symlink', linkname: 'loop' },
  { name: './dangling', type: 'symlink', linkname: 'nowhere' },
  { name: './big', body: BIG },
  { name: './empty', body: Buffer.alloc(0) },
  { name: './null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
  { name: './disk', type: 'block-device', devmajor: 259, devminor: 300 },
  { name: './pipe', type: 'fifo' },
  { name: './broken', type: 'link', linkname: 'nowhere' },
  {
    name: './with-xattr',
    body: Buffer.from('x'),
    pax: { 'SCHILY.xattr.user.note': 'hello', 'SCHILY.xattr.user.empty': '' },
  },
];

const UPPER: readonly TarEntry[] = [
  { name: 'etc/.wh.removed', body: Buffer.alloc(0) },
  { name: 'etc/hidden/.wh..wh..opq', body: Buffer.alloc(0) },
  { name: 'etc/hidden/upper', body: Buffer.from('upper') },
  { name: 'etc/motd', body: Buffer.from('welcome\n') },
  { name: 'across', type: 'link', linkname: 'etc/os-release' },
  { name: 'made/by/file', body: Buffer.from('implied parents') },
];

async function sampleImage(t: Test, options = {}): Promise<Image> {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const named = await layerOf([{ name: 'placeholder', body: Buffer.from('bytes') }]);
  const tar = Buffer.from(named.tar);
  // tar-stream writes UTF-8 only.
  tar.fill(0, 0, 100);
  LATIN1_NAME.copy(tar, 0);
  tar.fill(' ', 148, 156);
  tar.write(
    `${tar
      .subarray(0, 512)
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  const { packLayer } = await import('./sample-image.js');
  const layers = [await layerOf(LOWER), await layerOf(UPPER), packLayer(tar)];
  const { descriptor } = await pushIndexedImage(repository, layers, { tag: 'fs' });
  const image = await openImage(
    { repository, reference: descriptor.digest },
    { missingZtoc: 'fail', ...options },
  );
  t.teardown(() => image.close());
  return image;
}

async function fails(
  t: Test,
  promise: Promise<unknown>,
  code: string,
  syscall?: string,
  path?: string,
): Promise<SociError> {
  const error = await failure(promise);
  t.equal(error.code, code, error.message);
  if (syscall !== undefined) {
    t.match(error, { syscall, path, errno: Number });
    t.match(error.message, `${code}: `);
    t.match(error.message, `, ${syscall} '${path}'`);
  }
  return error;
}

t.test('readFile', async t => {
  const image = await sampleImage(t);
  t.equal(await image.readFile('/etc/os-release', 'utf8'), 'ID=sample\n');
  t.equal(
    await image.readFile('etc/motd', { encoding: 'latin1' }),
    'welcome\n',
    'a relative path begins at the root',
  );
  t.strictSame(await image.readFile('/big'), BIG);
  t.strictSame(
    await image.readFile('/big', { start: 123_456, endExclusive: 234_567 }),
    BIG.subarray(123_456, 234_567),
  );
  t.strictSame(
    await image.readFile('/big', { start: 399_990, endExclusive: 500_000 }),
    BIG.subarray(399_990),
  );
  t.strictSame(await image.readFile('/big', { start: 500_000 }), Buffer.alloc(0));
  t.strictSame(await image.readFile('/empty'), Buffer.alloc(0));
  t.equal(await image.readFile('/bin/alias', 'utf8'), '#!/bin/sh\n', 'a hard link, through a symbolic one');
  t.equal(await image.readFile('/across', 'utf8'), 'ID=sample\n', 'a hard link to a file of a lower layer');
  t.equal(await image.readFile('/abs', 'utf8'), 'ID=sample\n', 'absolute targets stay inside');
  t.equal(await image.readFile('/up', 'utf8'), 'ID=sample\n', "'..' does not climb above the root");
  t.equal(await image.readFile('/usr/../bin/../../etc/os-release', 'utf8'), 'ID=sample\n');
  t.equal(await image.readFile(LATIN1_NAME, 'utf8'), 'bytes', 'names need not be UTF-8');

  await fails(t, image.readFile('/nowhere'), 'ENOENT', 'open', '/nowhere');
  await fails(t, image.readFile('/etc/removed'), 'ENOENT', 'open', '/etc/removed');
  await fails(t, image.readFile('/etc/.wh.removed'), 'ENOENT', 'open', '/etc/.wh.removed');
  await fails(t, image.readFile('/etc/hidden/lower'), 'ENOENT', 'open', '/etc/hidden/lower');
  await fails(t, image.readFile('/dangling'), 'ENOENT', 'open', '/dangling');
  await fails(t, image.readFile(''), 'ENOENT', 'open', '');
  await fails(t, image.readFile('/etc/motd/x'), 'ENOTDIR', 'open', '/etc/motd/x');
  await fails(t, image.readFile('/etc/motd/'), 'ENOTDIR', 'open', '/etc/motd/');
  await fails(t, image.readFile('/loop'), 'ELOOP', 'open', '/loop');
  await fails(t, image.readFile('/etc'), 'EISDIR', 'open', '/etc');
  await fails(t, image.readFile('/pipe'), 'EINVAL', 'open', '/pipe');
  await fails(t, image.readFile('/null'), 'EINVAL', 'open', '/null');
  const broken = await fails(t, image.readFile('/broken'), 'ENOENT', 'open', '/broken');
  t.match(broken.message, 'hard link to "nowhere", which is in no layer');
  await fails(t, image.readFile('/etc/motd', { start: 5, endExclusive: 2 }), 'ERR_SOCI_INVALID_ARGUMENT');
  await fails(t, image.readFile('/etc\0/motd'), 'ERR_SOCI_INVALID_ARGUMENT');
  await fails(t, image.readFile(7 as unknown as string), 'ERR_SOCI_INVALID_ARGUMENT');
});

t.test('open', async t => {
  const image = await sampleImage(t);
  const file = await image.open('/big');
  t.equal(file.size, BIG.length);
  const buffer = Buffer.alloc(1000);
  t.equal((await file.read(buffer, 10, 100)).bytesRead, 100);
  t.strictSame(buffer.subarray(10, 110), BIG.subarray(0, 100));
  t.equal((await file.read(buffer, 0, 100)).bytesRead, 100, 'reads without a position go on');
  t.strictSame(buffer.subarray(0, 100), BIG.subarray(100, 200));
  t.equal((await file.read(buffer, 0, 1000, BIG.length - 7)).bytesRead, 7);
  t.strictSame(buffer.subarray(0, 7), BIG.subarray(-7));
  t.equal((await file.read(buffer, 0, 10, BIG.length)).bytesRead, 0);
  t.strictSame(await file.readFile(), BIG);
  t.equal(await file.readFile({ encoding: 'latin1', endExclusive: 5 }), BIG.toString('latin1', 0, 5));
  t.strictSame(
    await collect(file.createReadStream({ start: 5, endExclusive: 300_000 })),
    BIG.subarray(5, 300_000),
  );
  t.ok((await file.stat()).isFile());
  await fails(t, file.read(buffer, 990, 100), 'ERR_SOCI_INVALID_ARGUMENT');
  await fails(t, file.read(buffer, 0, 10, -1), 'ERR_SOCI_INVALID_ARGUMENT');
  await file.close();
  await file.close();
  await fails(t, file.read(buffer), 'EBADF', 'read', '/big');
  await fails(t, file.stat(), 'EBADF', 'fstat', '/big');
  await fails(t, file.readFile(), 'EBADF', 'read', '/big');
  t.throws(() => file.createReadStream(), { code: 'EBADF' });
  await fails(t, image.open('/etc'), 'EISDIR', 'open', '/etc');
  await fails(t, image.open('/nowhere'), 'ENOENT', 'open', '/nowhere');
});

t.test('createReadStream', async t => {
  const image = await sampleImage(t);
  t.strictSame(await buffer(image.createReadStream('/big')), BIG);
  t.strictSame(
    await buffer(image.createReadStream('/big', { start: 100, endExclusive: 65_636 })),
    BIG.subarray(100, 65_636),
  );
  t.strictSame(await buffer(image.createReadStream('/empty')), Buffer.alloc(0));
  const chunks: string[] = [];
  for await (const chunk of image.createReadStream('/etc/motd', { encoding: 'utf8' }))
    chunks.push(chunk as string);
  t.strictSame(chunks, ['welcome\n']);
  await fails(t, collect(image.createReadStream('/nowhere')), 'ENOENT', 'open', '/nowhere');
  const left = image.createReadStream('/big');
  left.destroy();
  await new Promise(resolve => left.once('close', resolve));
  t.pass('a stream that is destroyed before it has begun closes');
});

t.test('stat and lstat', async t => {
  const image = await sampleImage(t);
  const tool = await image.stat('/bin/tool');
  t.match(tool, { size: 10, nlink: 2, uid: 0, gid: 0, dev: 0, rdev: 0, blksize: 4096, blocks: 8 });
  t.equal(tool.mode, constants.S_IFREG | 0o4755);
  t.equal(tool.mtimeMs, 1_700_000_000_000);
  t.strictSame(tool.mtime, new Date(1_700_000_000_000));
  t.strictSame([tool.atime, tool.ctime, tool.birthtime], [tool.mtime, tool.mtime, tool.mtime]);
  t.strictSame([tool.atimeMs, tool.ctimeMs, tool.birthtimeMs], [tool.mtimeMs, tool.mtimeMs, tool.mtimeMs]);
  t.ok(tool.isFile());
  t.equal((await image.stat('/bin/alias')).ino, tool.ino, 'hard links share an inode');
  t.match(await image.stat('/across'), { nlink: 2, uid: 3, gid: 4 });

  const link = await image.lstat('/bin');
  t.ok(link.isSymbolicLink());
  t.match(link, { size: 'usr/bin'.length });
  t.equal(link.mode & constants.S_IFMT, constants.S_IFLNK);
  t.ok((await image.lstat('/bin/')).isDirectory(), "a trailing '/' follows");
  t.ok((await image.stat('/bin')).isDirectory());

  const root = await image.stat('/');
  t.equal(root.mode, constants.S_IFDIR | 0o755);
  t.equal((await image.stat('..')).ino, root.ino);
  const implied = await image.stat('/made/by');
  t.match(implied, { uid: 0, gid: 0, nlink: 2, size: 0, mtimeMs: 0 });
  t.equal(implied.mode, constants.S_IFDIR | 0o755);
  t.equal((await image.stat('/made')).nlink, 3);

  const device = await image.stat('/null');
  t.ok(device.isCharacterDevice());
  t.match(device, { rdev: 0x103, size: 0 });
  const disk = await image.stat('/disk');
  t.ok(disk.isBlockDevice());
  t.equal(disk.rdev, (300 & 0xff) + (259 << 8) + (1 << 20), 'as makedev(3)');
  const pipe = await image.stat('/pipe');
  t.ok(pipe.isFIFO());
  t.notOk(pipe.isSocket() || pipe.isFile());

  await fails(t, image.stat('/dangling'), 'ENOENT', 'stat', '/dangling');
  t.ok((await image.lstat('/dangling')).isSymbolicLink());
  await fails(t, image.stat('/loop'), 'ELOOP', 'stat', '/loop');
  await fails(t, image.lstat('/broken'), 'ENOENT', 'lstat', '/broken');
  await fails(t, image.lstat('/etc/motd/x'), 'ENOTDIR', 'lstat', '/etc/motd/x');
});

t.test('readdir', async t => {
  const image = await sampleImage(t);
  t.strictSame(await image.readdir('/etc'), ['hidden', 'motd', 'os-release']);
  t.strictSame(await image.readdir('/etc/hidden'), ['upper']);
  t.strictSame(await image.readdir('/bin'), ['alias', 'tool'], 'a link to a directory is followed');
  t.strictSame(await image.readdir('etc', { recursive: true }), [
    'hidden',
    'hidden/upper',
    'motd',
    'os-release',
  ]);
  const entries = await image.readdir('/', { withFileTypes: true });
  const kinds = Object.fromEntries(
    entries.map(entry => [
      entry.name,
      entry.isDirectory() ? 'dir' : entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other',
    ]),
  );
  t.match(kinds, { etc: 'dir', bin: 'link', big: 'file', null: 'other', made: 'dir', broken: 'other' });
  t.ok(entries.find(entry => entry.name === 'pipe')?.isFIFO());
  t.ok(entries.every(entry => entry.parentPath === '/'));
  const below = await image.readdir('/etc', { withFileTypes: true, recursive: true });
  t.strictSame(
    below.map(({ parentPath, name }) => `${parentPath}|${name}`),
    ['/etc|hidden', '/etc/hidden|upper', '/etc|motd', '/etc|os-release'],
  );
  const names = await image.readdir('/', { encoding: 'buffer' });
  t.ok(names.some(name => name.equals(LATIN1_NAME)));
  await fails(t, image.readdir('/etc/motd'), 'ENOTDIR', 'scandir', '/etc/motd');
  await fails(t, image.readdir('/nowhere'), 'ENOENT', 'scandir', '/nowhere');
});

t.test('opendir', async t => {
  const image = await sampleImage(t);
  const seen: string[] = [];
  for await (const entry of await image.opendir('/etc')) seen.push(entry.name);
  t.strictSame(seen, ['hidden', 'motd', 'os-release']);
  const directory = await image.opendir('/etc', { recursive: true });
  t.equal(directory.path, '/etc');
  t.equal((await directory.read())?.name, 'hidden');
  t.equal((await directory.read())?.parentPath, '/etc/hidden');
  await directory.close();
  t.equal(await directory.read(), null);
  await fails(t, image.opendir('/etc/motd'), 'ENOTDIR', 'opendir', '/etc/motd');
});

t.test('readlink and realpath', async t => {
  const image = await sampleImage(t);
  t.equal(await image.readlink('/bin'), 'usr/bin');
  t.equal(await image.readlink('/up'), '../../../etc/os-release', 'as it is written');
  t.strictSame(await image.readlink('/bin', { encoding: 'buffer' }), Buffer.from('usr/bin'));
  await fails(t, image.readlink('/etc'), 'EINVAL', 'readlink', '/etc');
  await fails(t, image.readlink('/nowhere'), 'ENOENT', 'readlink', '/nowhere');
  t.equal(await image.realpath('/bin/../bin/./tool'), '/usr/bin/tool');
  t.equal(await image.realpath('up'), '/etc/os-release');
  t.equal(await image.realpath('/'), '/');
  await fails(t, image.realpath('/dangling'), 'ENOENT', 'realpath', '/dangling');
});

t.test('access', async t => {
  const image = await sampleImage(t);
  await image.access('/etc/os-release');
  await image.access('/etc/os-release', constants.R_OK);
  await image.access('/bin/tool', constants.X_OK);
  await image.access('/etc', constants.R_OK | constants.X_OK);
  await fails(t, image.access('/etc/os-release', constants.X_OK), 'EACCES', 'access', '/etc/os-release');
  await fails(t, image.access('/etc/os-release', constants.W_OK), 'EROFS', 'access', '/etc/os-release');
  await fails(t, image.access('/nowhere'), 'ENOENT', 'access', '/nowhere');
});

t.test('xattrs', async t => {
  const image = await sampleImage(t);
  const xattrs = await image.xattrs('/with-xattr');
  t.strictSame([...xattrs.keys()].sort(), ['user.empty', 'user.note']);
  t.strictSame(xattrs.get('user.note'), Buffer.from('hello'));
  t.equal((await image.xattrs('/made')).size, 0);
  await fails(t, image.xattrs('/nowhere'), 'ENOENT', 'getxattr', '/nowhere');
});

t.test('glob', async t => {
  const image = await sampleImage(t);
  const found = async (pattern: string | string[], options = {}): Promise<string[]> => {
    const paths: string[] = [];
    for await (const path of image.glob(pattern, options)) paths.push(path);
    return paths;
  };
  t.strictSame(await found('etc/*'), ['etc/hidden', 'etc/motd', 'etc/os-release']);
  t.strictSame(await found('/etc/*'), ['/etc/hidden', '/etc/motd', '/etc/os-release']);
  t.strictSame(await found('**/t?ol'), ['usr/bin/tool'], "'**' follows no links");
  t.strictSame(await found('bin/tool'), ['bin/tool'], 'a written name does');
  t.strictSame(await found('b*n/tool'), ['bin/tool']);
  t.strictSame(await found('etc/{motd,os-*}'), ['etc/motd', 'etc/os-release']);
  t.strictSame(await found('etc/[l-n]*'), ['etc/motd']);
  t.strictSame(await found('etc/[!l-n]*'), ['etc/hidden', 'etc/os-release']);
  t.strictSame(await found('etc/**'), [
    'etc',
    'etc/hidden',
    'etc/hidden/upper',
    'etc/motd',
    'etc/os-release',
  ]);
  t.strictSame(await found('*', { cwd: '/made' }), ['by']);
  t.strictSame(await found(['etc/motd', 'etc/m*']), ['etc/motd'], 'each path once');
  t.strictSame(await found('nowhere/*'), []);
  t.strictSame(await found('etc/motd/*'), []);
  t.strictSame(await found('**/**/**/upper'), ['etc/hidden/upper']);
  for await (const entry of image.glob('etc/m*', { withFileTypes: true })) {
    t.equal(entry.name, 'motd');
    t.ok(entry.isFile());
  }
  const bomb = found('{a,b}'.repeat(12));
  await fails(t, bomb, 'ERR_SOCI_INVALID_ARGUMENT');
  t.strictSame(await found(`${'*a'.repeat(200)}b`), [], 'in no time worth mentioning');
});

t.test('explain tells what a read costs before anything of a layer is fetched', async t => {
  forgetSpans();
  const image = await sampleImage(t);
  const plan = await image.explain('/bin/../../big', { start: 200_000, endExclusive: 200_010 });
  t.match(plan, { path: '/big', layer: 0, size: BIG.length, cachedSpans: 0 });
  const layerDigest = image.layers[0]?.descriptor.digest;
  t.match(plan, { layerDigest });
  t.match(await image.locate('/bin/../../big'), { path: '/big', layer: 0, layerDigest, size: BIG.length });
  t.match(image.stats, { requests: 0, fetchedBytes: 0 });
  await image.readFile('/big', { start: 200_000, endExclusive: 200_010 });
  t.match(image.stats, { requests: plan.requests, fetchedBytes: plan.bytes });
  const again = await image.explain('/big', { start: 200_000, endExclusive: 200_010 });
  t.match(again, { requests: 0, bytes: 0 });
  await fails(t, image.explain('/etc'), 'EISDIR', 'open', '/etc');
});

t.test('what is known of the image itself', async t => {
  const image = await sampleImage(t);
  t.match(image.config, { os: 'linux', architecture: 'amd64', config: { Env: ['A=b'] } });
  t.equal(image.manifest.manifest.layers.length, 3);
  t.equal(image.index?.status, 'found');
  t.match(image.layers, [{ opened: undefined, ztoc: Object, reason: undefined }, {}, {}]);
  t.equal(image.layers[0]?.diffId, image.config?.rootfs.diff_ids[0]);
  await image.load();
  t.match(image.layers, [{ opened: 'index' }, { opened: 'index' }, { opened: 'index' }]);
});

t.test('every call takes a signal, and rejects with its reason', async t => {
  const image = await sampleImage(t);
  const reason = new Error('enough');
  const signal = AbortSignal.abort(reason);
  const calls: Record<string, () => Promise<unknown>> = {
    readFile: () => image.readFile('/big', { signal }),
    open: () => image.open('/big', { signal }),
    stat: () => image.stat('/big', { signal }),
    lstat: () => image.lstat('/big', { signal }),
    access: () => image.access('/big', 0, { signal }),
    readdir: () => image.readdir('/', { signal }),
    opendir: () => image.opendir('/', { signal }),
    readlink: () => image.readlink('/bin', { signal }),
    realpath: () => image.realpath('/bin', { signal }),
    glob: () => image.glob('*', { signal }).next(),
    xattrs: () => image.xattrs('/big', { signal }),
    explain: () => image.explain('/big', { signal }),
    locate: () => image.locate('/big', { signal }),
    load: () => image.load({ signal }),
    completion: () => image.completion({ signal }),
    createReadStream: () => collect(image.createReadStream('/big', { signal })),
  };
  for (const [name, call] of Object.entries(calls)) t.equal(await failure(call()), reason, name);
});

t.test('a closed image answers nothing', async t => {
  const image = await sampleImage(t);
  const file = await image.open('/big');
  await image.close();
  await image.close();
  await fails(t, image.readFile('/big'), 'ERR_SOCI_CLOSED');
  await fails(t, image.stat('/big'), 'ERR_SOCI_CLOSED');
  await fails(t, image.readdir('/'), 'ERR_SOCI_CLOSED');
  await fails(t, file.read(Buffer.alloc(10)), 'ERR_SOCI_CLOSED');
  await fails(t, collect(image.createReadStream('/big')), 'ERR_SOCI_CLOSED');
});

t.test('names of options that no call has are refused, by images and by open files', async t => {
  const image = await sampleImage(t);
  const file = await image.open('/big');
  const unknown = { sgnal: undefined } as object;
  const calls: Record<string, () => unknown> = {
    readFile: () => image.readFile('/big', unknown),
    open: () => image.open('/big', unknown),
    createReadStream: () => image.createReadStream('/big', unknown),
    stat: () => image.stat('/big', unknown),
    lstat: () => image.lstat('/big', unknown),
    access: () => image.access('/big', 0, unknown),
    readdir: () => image.readdir('/', unknown),
    opendir: () => image.opendir('/', unknown),
    readlink: () => image.readlink('/big', unknown),
    realpath: () => image.realpath('/big', unknown),
    glob: () => image.glob('*', unknown).next(),
    xattrs: () => image.xattrs('/big', unknown),
    explain: () => image.explain('/big', unknown),
    locate: () => image.locate('/big', unknown),
    tree: () => image.tree(unknown),
    record: () => image.record(unknown),
    prefetch: () => image.prefetch([], unknown),
    planLoads: () => image.planLoads({ image: '', workload: '', runs: 0, loads: [] }, unknown),
    load: () => image.load(unknown),
    completion: () => image.completion(unknown),
    'file.read': () => file.read(new Uint8Array(1), 0, 1, 0, unknown),
    'file.readFile': () => file.readFile(unknown),
    'file.createReadStream': () => file.createReadStream(unknown),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = await failure(Promise.resolve().then(call));
    t.match(error, { code: 'ERR_SOCI_INVALID_ARGUMENT', message: /did you mean 'signal'/ }, name);
  }
});

t.test('what node:fs means by `end` is not taken for something else', async t => {
  const image = await sampleImage(t);
  const error = await failure(image.readFile('/etc/motd', { end: 3 } as object));
  t.match(error, { code: 'ERR_SOCI_INVALID_ARGUMENT', message: /'?endExclusive'?/ });
  t.equal(String(await image.readFile('/etc/motd', { endExclusive: 3 })), 'wel');
});

t.test('read without a buffer makes one', async t => {
  const image = await sampleImage(t);
  await using file = await image.open('/etc/motd');
  const { bytesRead, buffer } = await file.read();
  t.equal(buffer.length, 16 * 1024);
  t.equal(buffer.subarray(0, bytesRead).toString(), 'welcome\n');
  t.equal((await file.read()).bytesRead, 0);
});

t.test('a loop of calls that are answered at once lets timers fire', async t => {
  const image = await sampleImage(t);
  await image.load();
  let fired = false;
  setTimeout(() => {
    fired = true;
  }, 0);
  for (let i = 0; i < 1e6 && !fired; i += 1) await image.lstat('/etc');
  t.ok(fired);
});

t.test('notes tell where containers see something else, and `semantics` chooses', async t => {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const layers = await Promise.all([
    layerOf([
      { name: 'usr/lib/', type: 'directory' },
      { name: 'lib', type: 'symlink', linkname: 'usr/lib' },
    ]),
    layerOf([{ name: 'lib/x', body: Buffer.from('x') }]),
  ]);
  await pushIndexedImage(repository, layers, { tag: 'through-a-link' });
  const location = { repository, reference: 'through-a-link' };
  await using container = await openImage(location);
  t.same(await container.readdir('/', { recursive: true }), ['lib', 'lib/x', 'usr', 'usr/lib']);
  await using spec = await openImage(location, { semantics: 'spec' });
  t.same(await spec.readdir('/', { recursive: true }), ['lib', 'usr', 'usr/lib', 'usr/lib/x']);
  for (const image of [container, spec]) {
    t.match(await image.notes(), [{ kind: 'path through a lower link', layer: 1, path: '/lib/x' }]);
  }
  await t.rejects(openImage(location, { semantics: 'other' as 'spec' }), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
});
