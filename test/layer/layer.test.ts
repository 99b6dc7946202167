/** One layer as files: paths, links, ranges, handles, header checks, what it costs, closing. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type Layer, type OpenLayerOptions, openLayer } from '../../lib/image/layer.js';
import type { EntryFields } from '../../lib/tar/entry.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { RAW } from '../../lib/ztoc/codec/raw.js';
import { encodeTarZinfo } from '../../lib/ztoc/codec/tar-zinfo.js';
import { encodeZtoc } from '../../lib/ztoc/encode.js';
import { Ztoc } from '../../lib/ztoc/ztoc.js';
import { CountingSource, forgetSpans } from '../span/counting-source.js';
import {
  forgeText,
  noise,
  type Sample,
  sample,
  type TarEntry,
  tarOf,
  textLike,
} from '../span/sample-layers.js';

async function open(
  one: Sample,
  options: OpenLayerOptions = {},
): Promise<{ layer: Layer; source: CountingSource }> {
  const source = new CountingSource(one.layer);
  forgetSpans();
  return { source, layer: await openLayer(source, one.ztoc, options) };
}

const TEXT = textLike(400_000);
const ENTRIES: readonly TarEntry[] = [
  { name: './', type: 'directory' },
  { name: './etc/', type: 'directory' },
  { name: './etc/hello', body: Buffer.from('hello\n') },
  { name: './etc/empty', body: Buffer.alloc(0) },
  { name: './usr/share/text', body: TEXT },
  { name: './hard', type: 'link', linkname: './etc/hello' },
  { name: './harder', type: 'link', linkname: 'hard' },
  { name: './nowhere', type: 'link', linkname: 'etc/missing' },
  { name: './self', type: 'link', linkname: 'self' },
  { name: './soft', type: 'symlink', linkname: 'etc/hello' },
  { name: './absolute', type: 'symlink', linkname: '/etc/../etc/hello' },
  { name: './above', type: 'symlink', linkname: '../../../etc/hello' },
  { name: './lib', type: 'symlink', linkname: 'usr/share' },
  { name: './usr/up', type: 'symlink', linkname: '..' },
  { name: './loop', type: 'symlink', linkname: 'loop2' },
  { name: './loop2', type: 'symlink', linkname: 'loop' },
  { name: './dangling', type: 'symlink', linkname: 'etc/missing' },
  { name: './hardsoft', type: 'link', linkname: 'soft' },
  { name: './null', type: 'character-device', devmajor: 1, devminor: 3 },
  { name: './pipe', type: 'fifo' },
  { name: './twice', body: Buffer.from('first\n') },
  { name: './first', type: 'link', linkname: 'twice' },
  { name: './twice', body: Buffer.from('second\n') },
  { name: './late', type: 'link', linkname: 'comes/later' },
  { name: './comes/later', body: Buffer.from('later\n') },
  { name: './tail', body: noise(100_000) },
];
const standard = await sample(await tarOf(ENTRIES));

t.test('every file, whole and in ranges', async t => {
  const { layer } = await open(standard);
  const files = new Map(
    ENTRIES.filter(({ body }) => body !== undefined).map(({ name, body }) => [name, body]),
  );
  for (const [name, body] of files) t.same(await layer.readFile(name), body, name);
  t.equal([...layer.entries()].length, ENTRIES.length);
  for (const [start, end] of [
    [0, 1],
    [100_000, 300_000],
    [399_999, 400_000],
    [399_999, 1e9],
    [500_000, 600_000],
    [5, 5],
  ] as const) {
    t.same(
      await layer.readFile('usr/share/text', { start, endExclusive: end }),
      TEXT.subarray(start, end),
      `${start} to ${end}`,
    );
  }
  t.same(await layer.readFile('usr/share/text', { start: 399_990 }), TEXT.subarray(399_990));
  for (const wrong of [
    { start: -1 },
    { endExclusive: -1 },
    { start: 2, endExclusive: 1 },
    { start: 0.5 },
    { endExclusive: Number.NaN },
  ]) {
    await t.rejects(layer.readFile('etc/hello', wrong), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
  await layer.close();
});

t.test('paths are cleaned, and may be bytes', async t => {
  const { layer } = await open(standard);
  for (const path of [
    'etc/hello',
    '/etc/hello',
    './etc//hello',
    'etc/../../etc/./hello',
    Buffer.from('etc/hello'),
  ]) {
    t.equal(String(await layer.readFile(path)), 'hello\n', String(path));
    t.equal(String(await layer.readFile(path, { followSymlinks: false })), 'hello\n', String(path));
  }
  await layer.close();
  const name = Buffer.from([0x66, 0xff, 0xfe]);
  const bytes = Buffer.from(await tarOf([{ name: 'fAB', body: Buffer.from('raw\n') }]));
  name.copy(bytes, 0);
  const sum = bytes.subarray(0, 512).reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const raw = await open(await sample(bytes));
  t.equal(String(await raw.layer.readFile(name)), 'raw\n');
  await t.rejects(raw.layer.readFile(name.toString()), { code: 'ENOENT' });
  await raw.layer.close();
});

t.test('errors are those of node:fs', async t => {
  const { layer, source } = await open(standard);
  const cases: [string, { code: string; [field: string]: unknown }, boolean?][] = [
    ['missing', { code: 'ENOENT', syscall: 'open', path: 'missing', errno: -2 }],
    ['etc', { code: 'EISDIR' }],
    ['/', { code: 'EISDIR' }],
    ['usr', { code: 'EISDIR', message: /EISDIR: .*, open 'usr'/ }],
    ['usr/shar', { code: 'ENOENT' }],
    ['nowhere', { code: 'ENOENT', message: /etc\/missing/ }],
    ['self', { code: 'ENOENT', message: /hard link to "self"/ }],
    ['soft', { code: 'EINVAL', message: /symbolic link.*followSymlinks: true/ }, false],
    ['null', { code: 'EINVAL', message: /character device/ }],
    ['pipe', { code: 'EINVAL', message: /fifo/ }],
    ['lib/missing', { code: 'ENOENT' }, false],
    ['loop', { code: 'ELOOP' }],
    ['loop', { code: 'EINVAL' }, false],
    ['loop/x', { code: 'ELOOP' }, false],
    ['dangling', { code: 'ENOENT' }],
    ['lib', { code: 'EISDIR' }],
    ['etc/hello/x', { code: 'ENOTDIR' }],
    ['pipe', { code: 'EINVAL' }, false],
  ];
  for (const [path, error, followSymlinks] of cases) {
    await t.rejects(layer.readFile(path, { followSymlinks }), error, path);
    await t.rejects(layer.open(path, { followSymlinks }), error, path);
    t.throws(() => layer.explain(path, { followSymlinks }), error, path);
  }
  t.equal(source.reads.length, 0, 'before anything is fetched');
  await layer.close();
});

t.test('links', async t => {
  const { layer } = await open(standard);
  const hard: [string, string][] = [
    ['hard', 'hello\n'],
    ['harder', 'hello\n'],
    ['first', 'first\n'],
    ['twice', 'second\n'],
    ['late', 'later\n'],
  ];
  for (const [path, text] of hard) t.equal(String(await layer.readFile(path)), text, path);
  for (const path of ['soft', 'absolute', 'above', 'hardsoft', 'usr/up/etc/hello', 'lib/../../etc/hello']) {
    t.equal(String(await layer.readFile(path)), 'hello\n', path);
  }
  t.same(
    await layer.readFile('lib/text', { followSymlinks: false }),
    TEXT,
    'directories on the way are followed',
  );
  t.equal(layer.lookup('soft', { followSymlinks: false }).type, 'symlink');
  t.equal(layer.lookup('hard').name, './etc/hello');
  t.equal(layer.lookup('soft').name, './etc/hello');
  t.throws(() => layer.lookup('missing'), { code: 'ENOENT', syscall: 'stat' });
  await layer.close();
});

t.test('an empty file through the link right behind it', async t => {
  const { layer } = await open(
    await sample(
      await tarOf([
        { name: 'empty', body: Buffer.alloc(0) },
        { name: 'hard', type: 'link', linkname: 'empty' },
        { name: 'void', body: Buffer.alloc(0) },
        { name: 'soft', type: 'symlink', linkname: 'void' },
      ]),
    ),
  );
  t.equal((await layer.readFile('hard')).length, 0);
  const file = await layer.open('soft');
  t.equal((await file.read(Buffer.alloc(1))).bytesRead, 0);
  t.equal(layer.explain('soft').requests, 0);
  await layer.close();
});

t.test('links are followed to a depth, and hostile ones end soon', async t => {
  const chain = (length: number, type: 'symlink' | 'link'): TarEntry[] =>
    Array.from({ length }, (_, i) => ({
      name: `${type}${i + 1}`,
      type,
      linkname: i === 0 ? 'file' : `${type}${i}`,
    }));
  const deep = 'd/'.repeat(40) + 'x/../'.repeat(20);
  const { layer } = await open(
    await sample(
      await tarOf([
        { name: 'file', body: Buffer.from('deep\n') },
        ...chain(41, 'symlink'),
        ...chain(41, 'link'),
        { name: 'd', type: 'symlink', linkname: deep },
      ]),
    ),
  );
  t.equal(String(await layer.readFile('symlink40')), 'deep\n');
  t.equal(String(await layer.readFile('link40')), 'deep\n');
  await t.rejects(layer.readFile('symlink41'), { code: 'ELOOP' });
  await t.rejects(layer.readFile('link41'), { code: 'ELOOP' });
  await t.rejects(layer.readFile('d'), { code: 'ELOOP' });
  await layer.close();
});

t.test('a file handle', async t => {
  const { layer, source } = await open(standard);
  const file = await layer.open('usr/share/text');
  t.equal(file.size, TEXT.length);
  t.equal(file.entry.name, './usr/share/text');
  t.equal(source.reads.length, 1, 'its header was checked on opening');
  const buffer = Buffer.alloc(100, 1);
  t.same(await file.read(buffer, 10, 50, 1000), { bytesRead: 50, buffer });
  t.same(buffer, Buffer.concat([Buffer.alloc(10, 1), TEXT.subarray(1000, 1050), Buffer.alloc(40, 1)]));
  t.match(await file.read(buffer, 0, 100, TEXT.length - 30), { bytesRead: 30 });
  t.match(await file.read(buffer, 0, 100, TEXT.length), { bytesRead: 0 });
  t.match(await file.read(buffer, 0, 100, TEXT.length + 1000), { bytesRead: 0 });
  const parts = [];
  for (let i = 0; i < 3; i++) parts.push(Buffer.from((await file.read(Buffer.alloc(1000))).buffer));
  t.same(Buffer.concat(parts), TEXT.subarray(0, 3000), 'without a position reads follow each other');
  for (const [offset, length, position] of [
    [-1, 1, 0],
    [0, 101, 0],
    [50, 51, 0],
    [0, 1, -1],
    [0, 0.5, 0],
  ] as const) {
    await t.rejects(file.read(buffer, offset, length, position), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  }
  const reason = new Error('enough');
  await t.rejects(file.read(buffer, 0, 1, 0, { signal: AbortSignal.abort(reason) }), reason);
  await file.close();
  await file.close();
  await t.rejects(file.read(buffer), { code: 'EBADF', syscall: 'read' });
  {
    await using disposed = await layer.open('etc/hello');
    t.equal(disposed.size, 6);
  }
  await layer.close();
});

t.test('header and data are one request, and half-open at a span boundary', async t => {
  // An uncompressed layer: spans of 4096 bytes, so that a file of 3584 behind its header ends where span 0 ends.
  const data = await tarOf([
    { name: 'exact', body: noise(3584) },
    { name: 'next', body: noise(100) },
  ]);
  const one = await sample(data, { spanSize: 4096, compression: 'uncompressed' });
  const { layer, source } = await open(one);
  t.match(layer.explain('exact'), { firstSpan: 0, endSpan: 1, requests: 1, bytes: 4096, cachedSpans: 0 });
  t.same(await layer.readFile('exact'), noise(3584));
  t.same(source.ranges, [[0, 4096]]);
  await layer.readFile('exact', { start: 3584 });
  t.same(source.ranges, [[0, 4096]]);
  t.match(layer.explain('exact'), { requests: 0, bytes: 0, cachedSpans: 1 });
  await layer.readFile('next');
  t.same(source.ranges.slice(1), [[4096, one.layer.length]]);
  await layer.close();
});

t.test('explain tells what a read then costs', async t => {
  for (const verifyHeaders of [true, false]) {
    for (const path of ['etc/hello', 'usr/share/text', 'tail', 'late']) {
      for (const range of [{}, { start: 200_000, endExclusive: 200_100 }]) {
        const { layer, source } = await open(standard, { verifyHeaders });
        const plan = layer.explain(path, range);
        t.equal(source.reads.length, 0);
        await layer.readFile(path, range);
        const { requests, fetchedBytes } = layer.stats;
        t.match(
          plan,
          { requests, bytes: fetchedBytes },
          `${path} ${JSON.stringify(range)}, headers ${verifyHeaders}`,
        );
        await layer.close();
      }
    }
  }
});

t.test('a ztoc that lies about a file is caught by its tar header', async t => {
  const renamed = { ...standard, ztoc: forgeText(standard.ztoc, './etc/hello', './etc/heXXo') };
  const { layer, source } = await open(renamed);
  const lie = { code: 'ERR_SOCI_TAR_HEADER_MISMATCH', data: { entry: './etc/heXXo', field: 'name' } };
  await t.rejects(layer.readFile('etc/heXXo'), lie);
  await t.rejects(layer.readFile('etc/heXXo'), lie, 'a lie is not forgotten');
  await t.rejects(layer.open('etc/heXXo'), lie);
  const stream = layer.createReadStream('etc/heXXo');
  await t.rejects(stream.toArray(), lie);
  await t.rejects(layer.readFile('hard'), { code: 'ERR_SOCI_TAR_HEADER_MISMATCH' }, 'a link that lies, too');
  const { requests } = layer.stats;
  t.same(await layer.readFile('usr/share/text'), TEXT, 'others are not affected');
  t.ok(source.reads.length >= requests);
  await layer.close();

  const trusting = await open(renamed, { verifyHeaders: false });
  t.equal(String(await trusting.layer.readFile('etc/heXXo')), 'hello\n', 'switched off');
  await trusting.layer.close();
});

t.test('a header is checked once', async t => {
  const { layer } = await open(standard);
  await layer.readFile('usr/share/text', { start: 0, endExclusive: 1 });
  const { askedBytes } = layer.stats;
  await layer.readFile('usr/share/text', { start: 1, endExclusive: 2 });
  t.equal(layer.stats.askedBytes, askedBytes + 1);
  await layer.close();
});

t.test('a layer is bound to its ztoc', async t => {
  const source = new CountingSource(standard.layer.subarray(1));
  await t.rejects(openLayer(source, standard.ztoc), {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
    data: { expected: standard.layer.length, found: standard.layer.length - 1 },
  });
  const good = new CountingSource(standard.layer);
  const ztocDigest = `sha256:${'0'.repeat(64)}`;
  for (const ztoc of [standard.ztoc, standard.ztoc.bytes]) {
    await t.rejects(openLayer(good, ztoc, { ztocDigest }), { code: 'ERR_SOCI_ZTOC_DIGEST' });
    forgetSpans();
    const layer = await openLayer(good, ztoc, { ztocDigest: standard.ztoc.digest });
    t.equal(String(await layer.readFile('etc/hello')), 'hello\n');
    await layer.close();
  }
  const reason = new Error('enough');
  await t.rejects(openLayer(good, standard.ztoc, { signal: AbortSignal.abort(reason) }), reason);
  await t.rejects(openLayer(good, new Uint8Array(10)), { code: 'ERR_SOCI_ZTOC_FORMAT' });
});

t.test('what is too large for one buffer is refused before it is allocated', async t => {
  const size = 3 * 2 ** 30;
  const spanSize = 4 * 2 ** 20;
  const entry: EntryFields = {
    name: 'huge',
    type: 'reg',
    offset: 512,
    size: size - 2048,
    headerOffset: 0,
    linkname: '',
    mode: 0o644,
    uid: 0,
    gid: 0,
    uname: '',
    gname: '',
    modTime: '1970-01-01T00:00:00Z',
    devmajor: 0,
    devminor: 0,
    pax: [],
  };
  const bytes = encodeZtoc({
    version: standard.ztoc.version,
    buildToolIdentifier: '',
    algorithm: RAW.algorithm,
    compressedSize: size,
    uncompressedSize: size,
    maxSpanId: size / spanSize - 1,
    spanDigests: Array.from({ length: size / spanSize }, () => `sha256:${'0'.repeat(64)}`),
    checkpoints: encodeTarZinfo({ spanSize, size }),
    entryCount: 1,
    entryAt: () => entry,
  });
  const source = new CountingSource(new Uint8Array(1));
  Object.defineProperty(source, 'size', { value: size });
  forgetSpans();
  const layer = await openLayer(source, bytes, { verifyHeaders: false });
  await t.rejects(layer.readFile('huge'), { code: 'ERR_SOCI_LIMIT', message: /createReadStream/ });
  t.equal(source.reads.length, 0);
  await layer.close();
});

t.test('close', async t => {
  const { layer, source } = await open(standard);
  const file = await layer.open('usr/share/text');
  source.intercept = () => new Promise(() => {});
  const read = t.rejects(file.read(Buffer.alloc(10), 0, 10, 300_000), { code: 'ERR_SOCI_CLOSED' });
  const stream = layer.createReadStream('tail');
  const streamed = t.rejects(stream.toArray(), { code: 'ERR_SOCI_CLOSED' });
  await new Promise(resolve => setImmediate(resolve));
  await Promise.all([layer.close(), layer.close()]);
  await read;
  await streamed;
  await t.rejects(file.read(Buffer.alloc(10)), { code: 'ERR_SOCI_CLOSED' });
  await t.rejects(layer.readFile('etc/hello'), { code: 'ERR_SOCI_CLOSED' });
  t.throws(() => layer.explain('etc/hello'), { code: 'ERR_SOCI_CLOSED' });
  t.equal(source.closed, 0);
  const owner = await open(standard, { closeSource: true });
  {
    await using disposed = owner.layer;
    await disposed.readFile('etc/hello');
  }
  t.equal(owner.source.closed, 1);
});

const corpus = process.env['SEEKABLE_OCI_CORPUS'];
t.test(
  'every file of every reference layer',
  { skip: corpus ? false : 'SEEKABLE_OCI_CORPUS is not set' },
  async t => {
    const root = corpus ?? '';
    for (const name of await readdir(join(root, 'info'))) {
      const blob = /^(.*)\.4194304\.sums$/.exec(name)?.[1];
      if (blob === undefined) continue;
      const bytes = await readFile(join(root, 'blob', blob));
      const stored = join(root, 'ztoc', `${blob}.65536.ztoc`);
      const ztoc = existsSync(stored)
        ? Ztoc.decode(await readFile(stored))
        : (await buildZtoc(bytes, { spanSize: 65536 })).ztoc;
      forgetSpans();
      const layer = await openLayer(new CountingSource(bytes), ztoc);
      const lines = (await readFile(join(root, 'info', name), 'utf8'))
        .split('\n')
        .filter(line => line !== '');
      let wrong = 0;
      for (const line of lines) {
        const [digest, size = '', ...rest] = line.split(' ');
        const content = await layer.readFile(rest.join(' '));
        if (content.length !== Number(size) || createHash('sha256').update(content).digest('hex') !== digest)
          wrong++;
      }
      t.equal(wrong, 0, `${blob}: ${lines.length} files`);
      await layer.close();
    }
  },
);

t.test('arguments of the wrong type are named', async t => {
  const source = new CountingSource(standard.layer);
  const wrong: [unknown, unknown, RegExp][] = [
    ['layer.tar.gz', standard.ztoc, /expected a RangeSource .* for source, received string/],
    [standard.layer, standard.ztoc, /expected a RangeSource .* received (Buffer|Uint8Array)/],
    [undefined, standard.ztoc, /expected a RangeSource .* received undefined/],
    [Promise.resolve(source), standard.ztoc, /expected a RangeSource .* received Promise/],
    [source, 'layer.ztoc', /expected a Ztoc or its bytes .* for ztoc, received string/],
    [source, null, /expected a Ztoc or its bytes .* received null/],
  ];
  for (const [layer, ztoc, message] of wrong) {
    forgetSpans();
    const opening = openLayer(layer as CountingSource, ztoc as Ztoc);
    await t.rejects(opening, { code: 'ERR_SOCI_INVALID_ARGUMENT', message });
  }
});

t.test('names of options that no call has are refused', async t => {
  const { layer } = await open(standard);
  const unknown = { strat: 1, followSymlink: true } as object;
  const calls: Record<string, () => unknown> = {
    lookup: () => layer.lookup('usr', unknown),
    readFile: () => layer.readFile('usr', unknown),
    open: () => layer.open('usr', unknown),
    createReadStream: () => layer.createReadStream('usr', unknown),
    createTarStream: () => layer.createTarStream(unknown),
    tarChunks: () => layer.tarChunks(unknown),
    explain: () => layer.explain('usr', unknown),
    tree: () => layer.tree(unknown),
  };
  for (const [name, call] of Object.entries(calls)) {
    await t.rejects(
      Promise.resolve().then(call),
      { code: 'ERR_SOCI_INVALID_ARGUMENT', message: /the options of/ },
      name,
    );
  }
  await layer.close();
});

t.test(
  "a whiteout below a file, as umoci writes where a file takes a directory's place, hides no file",
  async t => {
    const { layer } = await open(
      await sample(
        await tarOf([
          { name: 'etc/was-folder', body: Buffer.from('a file now') },
          { name: 'etc/was-folder/.wh.inside', body: Buffer.alloc(0) },
        ]),
      ),
    );
    t.equal((await layer.readFile('etc/was-folder')).toString(), 'a file now');
    t.throws(() => layer.lookup('etc/was-folder/.wh.inside'), { code: 'ENOTDIR' });
    await layer.close();
  },
);
