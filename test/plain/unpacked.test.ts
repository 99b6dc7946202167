/** Layers that can have no ztoc: zstd, global PAX headers, sparse files, odd sizes. */
import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import { SparseMap } from '../../lib/layer/sparse-map.js';
import { PlainTarPass } from '../../lib/plain/plain-tar.js';
import { UnpackBudget } from '../../lib/plain/unpack-budget.js';
import { decodeZstd } from '../../lib/plain/zstd-decoder.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import { ReadContext } from '../../lib/span/read-context.js';
import type { EntryFields } from '../../lib/tar/entry.js';
import { LENIENT } from '../../lib/tar/policy.js';
import { TarWalk } from '../../lib/tar/tar-walk.js';
import { layerOf, packLayer, pushImage, type SampleLayer, zstd, zstdFrame } from '../image/sample-image.js';
import fc from '../property.js';
import { collect, failure, openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { noise, tarOf, textLike } from '../span/sample-layers.js';

async function imageOf(
  t: Test,
  layers: readonly SampleLayer[],
  options: OpenImageOptions = {},
): Promise<Image> {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const { descriptor } = await pushImage(repository, layers);
  const cache = new MemoryZtocCache();
  const image = await openImage({ repository, reference: descriptor.digest }, { cache, ...options });
  t.teardown(() => image.close());
  return image;
}

async function folder(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'soci-unpacked-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A tar with the block of another one's global PAX header in front. */
function withGlobalHeader(tar: Buffer): Buffer {
  const header = Buffer.alloc(1024);
  header.write('pax_global_header');
  header.write('0000666\0', 100);
  header.write('00000000021\0', 124);
  header[156] = 'g'.charCodeAt(0);
  header.write('17 comment=hello\n', 512);
  return Buffer.concat([checksummed(header), tar]);
}

function checksummed(header: Buffer): Buffer {
  header.fill(' ', 148, 156);
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** Of a tar whose first entry is to be changed: its header and then everything. */
function changed(tar: Buffer, change: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(tar);
  change(copy);
  checksummed(copy);
  return copy;
}

/** What the pass over an unpacked layer finds; it throws what that throws. */
function walk(tar: Uint8Array, chunk = tar.length): EntryFields[] {
  const entries: EntryFields[] = [];
  const walker = new TarWalk(LENIENT, ({ entry }) => void entries.push(entry.fields));
  const pass = new PlainTarPass('layer', new UnpackBudget(tar.length), undefined);
  for (let at = 0; at < tar.length; at += chunk) {
    pass.push(tar.subarray(at, at + chunk));
    walker.push(tar.subarray(at, at + chunk));
  }
  walker.finish();
  return entries;
}

t.test('a zstd layer is unpacked and read like any other', async t => {
  const big = textLike(500_000, 5);
  const layers = [
    await layerOf(
      [
        { name: 'big', body: big },
        { name: 'zeros', body: Buffer.alloc(300_000) },
      ],
      'zstd',
    ),
    await layerOf([{ name: 'small', body: Buffer.from('gzip') }]),
  ];
  const phases = new Set<string>();
  const image = await imageOf(t, layers, { onProgress: ({ phase }) => void phases.add(phase) });
  t.strictSame(await image.readFile('/big'), big);
  t.strictSame(await image.readFile('/zeros', { start: 5, endExclusive: 300_000 }), Buffer.alloc(299_995));
  t.equal(await image.readFile('/small', 'utf8'), 'gzip');
  t.strictSame(
    image.layers.map(({ opened }) => opened),
    ['unpacked', 'built'],
  );
  t.strictSame([...phases].sort(), ['build', 'unpack']);
});

t.test('zstd is recognised whatever the media type says', async t => {
  const layer = await layerOf([{ name: 'file', body: Buffer.from('bytes') }], 'zstd');
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  const image = await imageOf(t, [{ ...layer, descriptor: { ...layer.descriptor, mediaType } }]);
  t.equal(await image.readFile('/file', 'utf8'), 'bytes');
});

const hasZstd = spawnSync('zstd', ['--version']).status === 0;
const hasGnuTar = /GNU tar/.test(spawnSync('tar', ['--version']).stdout?.toString() ?? '');

t.test('what the zstd tool writes', { skip: hasZstd ? false : 'there is no zstd here' }, async t => {
  const big = Buffer.concat([textLike(900_000, 9), noise(150_000), Buffer.alloc(500_000)]);
  for (const options of [['-1'], ['-19'], ['--long=24'], ['--no-check']]) {
    const { stdout } = spawnSync('zstd', ['-q', '-c', ...options], {
      input: big,
      maxBuffer: 2 ** 26,
    });
    const twice = Buffer.concat([stdout, stdout]);
    const chunks = async function* () {
      for (let at = 0; at < twice.length; at += 70_001) yield twice.subarray(at, at + 70_001);
    };
    t.ok((await collect(decodeZstd(chunks(), 'x'))).equals(Buffer.concat([big, big])), options.join(' '));
  }
});

t.test('zstd in any chunking is the same bytes', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 1, max: 1500 }),
      fc.integer({ min: 1, max: 400 }),
      async (bytes, frameSize, chunk) => {
        const packed = zstd(Buffer.from(bytes), frameSize);
        const chunks = async function* () {
          for (let at = 0; at < packed.length; at += chunk) yield packed.subarray(at, at + chunk);
        };
        t.ok((await collect(decodeZstd(chunks(), 'x', { native: false }))).equals(Buffer.from(bytes)));
      },
    ),
    { numRuns: 50 },
  );
});

t.test('zstd that keeps a decoder busy with nothing', async t => {
  const empty = (last: boolean) => Buffer.from([last ? 1 : 0, 0, 0]);
  const header = (exponent: number) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (exponent - 10) << 3]);
  const streams = {
    'large windows': Array.from({ length: 5000 }, () => Buffer.concat([header(27), empty(true)])),
    'a large window': [header(27), ...Array.from({ length: 5000 }, () => empty(false)), empty(true)],
    'empty blocks': [header(10), ...Array.from({ length: 200_000 }, () => empty(false)), empty(true)],
  };
  for (const [name, pieces] of Object.entries(streams)) {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const chunks = async function* () {
      yield Buffer.concat(pieces);
    };
    const error = await failure(collect(decodeZstd(chunks(), 'layer x', { native: false })));
    clearInterval(timer);
    t.match(error, { code: 'ERR_SOCI_LIMIT', message: 'layer x' }, name);
    t.ok(turns > 1, 'and nobody else waits for it meanwhile');
  }
});

t.test('broken zstd', async t => {
  const good = zstd(textLike(1000));
  const decoded = (bytes: Uint8Array) =>
    failure(
      collect(
        decodeZstd(
          (async function* () {
            yield bytes;
          })(),
          'layer x',
          { native: false },
        ),
      ),
    );
  t.match(await decoded(good.subarray(0, -1)), { code: 'ERR_SOCI_LAYER_TRUNCATED', message: 'layer x' });
  t.match(
    await decoded(zstdFrame(Buffer.from('x'), 31 << 3)),
    { code: 'ERR_SOCI_LIMIT' },
    'a window of 2 TiB',
  );
  const single = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
  t.match(await decoded(single), { code: 'ERR_SOCI_LIMIT' }, 'content of 4 GiB in one segment');
  const dictionary = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x38, 7, 1, 0, 0]);
  t.match(await decoded(dictionary), { code: 'ERR_SOCI_ZSTD_DATA', message: 'dictionary' });
  const reserved = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x38, 7, 0, 0]);
  t.match(await decoded(reserved), { code: 'ERR_SOCI_ZSTD_DATA' });
  const compressed = Buffer.from([
    0x28, 0xb5, 0x2f, 0xfd, 0, 0x38, 0x45, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255,
  ]);
  t.match(await decoded(compressed), { code: 'ERR_SOCI_ZSTD_DATA' }, 'a block that does not decode');
});

t.test('a global PAX header means nothing, as for containerd', async t => {
  const tar = withGlobalHeader(await tarOf([{ name: 'file', body: Buffer.from('bytes') }]));
  for (const packing of ['gzip', 'uncompressed', 'zstd'] as const) {
    const image = await imageOf(t, [packLayer(tar, packing)]);
    t.equal(await image.readFile('/file', 'utf8'), 'bytes', packing);
    t.match(image.layers[0], { opened: 'unpacked', reason: packing === 'zstd' ? String : /global PAX/ });
  }
});

t.test('an entry without data has none, whatever its size says; contiguous files are files', async t => {
  const entries = await tarOf([
    { name: 'dir', type: 'directory' },
    { name: 'file', body: Buffer.from('bytes') },
  ]);
  const sized = changed(entries, header => header.write('00000000777\0', 124));
  const image = await imageOf(t, [packLayer(sized)]);
  t.equal(await image.readFile('/file', 'utf8'), 'bytes');
  t.ok((await image.stat('/dir')).isDirectory());
  const contiguous = changed(await tarOf([{ name: 'file', body: Buffer.from('bytes') }]), header => {
    header[156] = '7'.charCodeAt(0);
  });
  t.equal(await (await imageOf(t, [packLayer(contiguous)])).readFile('/file', 'utf8'), 'bytes');
});

t.test('what containerd does not unpack is an error that names it', async t => {
  const volume = changed(await tarOf([{ name: 'label', body: Buffer.alloc(0) }]), header => {
    header[156] = 'V'.charCodeAt(0);
  });
  const image = await imageOf(t, [packLayer(volume)]);
  t.match(await failure(image.readdir('/')), { code: 'ERR_SOCI_TAR_UNSUPPORTED', message: /label/ });
});

t.test(
  'sparse files of GNU tar, in every form it has',
  { skip: hasGnuTar ? false : 'there is no GNU tar here' },
  async t => {
    const directory = mkdtempSync(join(tmpdir(), 'soci-sparse-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const SIZE = 60 * 8192 + 4096;
    const path = join(directory, 'sparse');
    const handle = await open(path, 'w');
    for (let run = 0; run < 60; run += 1) await handle.write(noise(4096, run + 1), 0, 4096, run * 8192);
    await handle.close();
    truncateSync(path, SIZE + 5);
    writeFileSync(join(directory, 'after'), 'after');
    const expected = readFileSync(path);
    const forms = {
      old: ['--format=gnu'],
      '0.0': ['--format=posix', '--sparse-version=0.0'],
      '0.1': ['--format=posix', '--sparse-version=0.1'],
      '1.0': ['--format=posix', '--sparse-version=1.0'],
    };
    for (const [form, options] of Object.entries(forms)) {
      const args = ['--sparse', '--hole-detection=raw', ...options, '-cf', '-', 'sparse', 'after'];
      const { stdout } = spawnSync('tar', args, { cwd: directory, maxBuffer: 2 ** 26 });
      t.ok(stdout.length < SIZE, `${form}: tar has left the holes out`);
      const image = await imageOf(t, [packLayer(stdout)]);
      t.equal((await image.stat('/sparse')).size, SIZE + 5, form);
      t.ok((await image.readFile('/sparse')).equals(expected), `${form}: content`);
      t.ok((await collect(image.createReadStream('/sparse'))).equals(expected), `${form}: stream`);
      const part = await image.readFile('/sparse', { start: 4000, endExclusive: 100_000 });
      t.ok(part.equals(expected.subarray(4000, 100_000)), `${form}: range`);
      t.equal(await image.readFile('/after', 'utf8'), 'after', `${form}: what follows`);
      t.ok(
        (await image.explain('/sparse', { start: 5000, endExclusive: 6000 })).bytes === 0 || form,
        'a hole costs nothing',
      );
      const whole = walk(stdout);
      for (const chunk of [1, 511, 513, 4097]) {
        const places = (entries: EntryFields[]) =>
          entries.map(({ name, offset, size }) => [name, offset, size]);
        t.strictSame(places(walk(stdout, chunk)), places(whole), `${form}: in chunks of ${chunk}`);
      }
    }
  },
);

t.test('sparse maps that lie', async t => {
  const sparse = async (pax: Record<string, string>, body = Buffer.from('data')) =>
    await tarOf([{ name: 'file', body, pax }]);
  const bad: Record<string, Record<string, string>> = {
    'beyond the end': {
      'GNU.sparse.major': '0',
      'GNU.sparse.minor': '1',
      'GNU.sparse.size': '3',
      'GNU.sparse.map': '0,4',
    },
    overlapping: {
      'GNU.sparse.major': '0',
      'GNU.sparse.minor': '1',
      'GNU.sparse.size': '9',
      'GNU.sparse.map': '0,2,1,2',
    },
    'too short': {
      'GNU.sparse.major': '0',
      'GNU.sparse.minor': '1',
      'GNU.sparse.size': '9',
      'GNU.sparse.map': '0,3',
    },
    odd: {
      'GNU.sparse.major': '0',
      'GNU.sparse.minor': '1',
      'GNU.sparse.size': '9',
      'GNU.sparse.map': '0,3,4',
    },
    'no numbers': {
      'GNU.sparse.major': '0',
      'GNU.sparse.minor': '1',
      'GNU.sparse.size': '9',
      'GNU.sparse.map': 'a,b',
    },
    negative: {
      'GNU.sparse.major': '0',
      'GNU.sparse.minor': '1',
      'GNU.sparse.size': '-9',
      'GNU.sparse.map': '0,4',
    },
    'without a map': { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' },
  };
  for (const [what, pax] of Object.entries(bad)) {
    const tar = await sparse(pax);
    t.throws(() => walk(tar), { code: 'ERR_SOCI_TAR_HEADER' }, what);
  }
  const one = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' };
  for (const map of ['x\n', '-1\n', '1e9\n', '99999999\n', '2\n0\n1\n', `${'1'.repeat(600)}\n`]) {
    const body = Buffer.concat([Buffer.from(map.padEnd(1024, '\0')), Buffer.from('data')]);
    const tar = await sparse(one, body);
    t.throws(() => walk(tar), { code: 'ERR_SOCI_TAR_HEADER' }, JSON.stringify(map));
  }
  t.match(SparseMap.of([{ offset: 0, length: Number.NaN }], 5, 0, 0), 'run 0');
});

t.test('reading through holes is reading the file', t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(20), fc.nat(20)), { maxLength: 12 }),
      fc.nat(20),
      fc.nat(300),
      fc.nat(300),
      (gaps, tail, a, b) => {
        const runs: { offset: number; length: number }[] = [];
        const data: number[] = [];
        const file: number[] = [];
        for (const [gap, length] of gaps) {
          for (let i = 0; i < gap; i += 1) file.push(0);
          runs.push({ offset: file.length, length });
          for (let i = 0; i < length; i += 1) {
            const byte = 1 + ((file.length * 7) % 255);
            file.push(byte);
            data.push(byte);
          }
        }
        for (let i = 0; i < tail; i += 1) file.push(0);
        const map = SparseMap.of(runs, file.length, 1000, data.length) as SparseMap;
        const start = Math.min(a, b, file.length);
        const end = Math.min(Math.max(a, b), file.length);
        const target = new Uint8Array(end - start).fill(0xff);
        for (const part of map.parts(target, start)) {
          for (let i = 0; i < part.target.length; i += 1)
            part.target[i] = data[part.start - 1000 + i] ?? 0xee;
        }
        t.strictSame([...target], file.slice(start, end));
      },
    ),
  );
  t.end();
});

t.test('an unpacked layer is kept in the cache folder, and made again when it is damaged there', async t => {
  const cacheDirectory = await folder(t);
  const layer = await layerOf([{ name: 'file', body: textLike(100_000) }], 'zstd');
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const { descriptor } = await pushImage(repository, [layer]);
  const read = async () => {
    registry.requests.length = 0;
    const image = await openImage({ repository, reference: descriptor.digest }, { cacheDirectory });
    t.strictSame(await image.readFile('/file'), textLike(100_000));
    await image.close();
    return registry.requests.some(({ path }) => path.endsWith(layer.descriptor.digest));
  };
  t.equal(await read(), true);
  t.strictSame(readdirSync(join(cacheDirectory, 'tars')), [`${layer.diffId.slice(7)}.tar`]);
  t.equal(await read(), false, 'the layer is not fetched again');
  const path = join(cacheDirectory, 'tars', `${layer.diffId.slice(7)}.tar`);
  const damaged = readFileSync(path);
  damaged[700] = (damaged[700] ?? 0) ^ 1;
  writeFileSync(path, damaged);
  t.equal(await read(), true);
  t.ok(readFileSync(path).equals(layer.tar));
});

t.test('a kept layer that others use meanwhile is still the same', async t => {
  const cacheDirectory = await folder(t);
  const layer = await layerOf([{ name: 'file', body: textLike(3_000_000) }], 'zstd');
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const { descriptor } = await pushImage(repository, [layer]);
  const open = async () => {
    const image = await openImage({ repository, reference: descriptor.digest }, { cacheDirectory });
    t.teardown(() => image.close());
    await image.lstat('/file');
    return image;
  };
  // Each opening notes in the file's time that it was used, which is no change of what it holds.
  const images = [await open(), await open(), await open()];
  const path = join(cacheDirectory, 'tars', `${layer.diffId.slice(7)}.tar`);
  utimesSync(path, 1, 1);
  for (const image of images) t.strictSame(await image.readFile('/file'), textLike(3_000_000));
});

t.test('unpacking is bounded and checked, and leaves nothing behind when it fails', async t => {
  const cacheDirectory = await folder(t);
  const left = () => {
    try {
      return readdirSync(join(cacheDirectory, 'tars'));
    } catch {
      return [];
    }
  };
  const bomb = packLayer(await tarOf([{ name: 'zeros', body: Buffer.alloc(50_000_000) }]), 'zstd');
  t.ok(bomb.bytes.length < 500_000);
  for (const options of [{ cacheDirectory }, {}]) {
    const limits = { maxUnpackedBytes: 10_000_000 };
    const bounded = await imageOf(t, [bomb], { ...options, limits });
    t.match(await failure(bounded.readdir('/')), {
      code: 'ERR_SOCI_LIMIT',
      data: { limit: 'maxUnpackedBytes' },
    });
    const layer = await layerOf([{ name: 'file', body: Buffer.from('x') }], 'zstd');
    const lying = await imageOf(t, [{ ...layer, diffId: `sha256:${'0'.repeat(64)}` }], options);
    const error = await failure(lying.readdir('/'));
    t.match(error, { code: 'ERR_SOCI_DIGEST_MISMATCH', message: 'diff_ids' });
    const cut = layer.tar.subarray(0, 512);
    const truncated = await imageOf(t, [packLayer(Buffer.from(cut), 'zstd')], options);
    t.match(await failure(truncated.readdir('/')), { code: 'ERR_SOCI_LAYER_TRUNCATED' });
    t.strictSame(left(), []);
  }
});

t.test('layers that are small each are bounded together', async t => {
  const layers = await Promise.all(
    ['a', 'b', 'c'].map(async name => packLayer(await tarOf([{ name, body: Buffer.alloc(40_000) }]), 'zstd')),
  );
  for (const options of [{}, { cacheDirectory: await folder(t) }]) {
    const bounded = await imageOf(t, layers, { ...options, limits: { maxUnpackedBytes: 100_000 } });
    t.match(await failure(bounded.readdir('/')), { code: 'ERR_SOCI_LIMIT' });
    const roomy = await imageOf(t, layers, { ...options, limits: { maxUnpackedBytes: 130_000 } });
    t.strictSame(await roomy.readdir('/'), ['a', 'b', 'c']);
    const again = await imageOf(t, layers, { ...options, limits: { maxUnpackedBytes: 100_000 } });
    t.match(await failure(again.readdir('/')), { code: 'ERR_SOCI_LIMIT' }, 'kept or not');
  }
});

t.test('what an image unpacked to and threw away does not count', async t => {
  const budget = new UnpackBudget(1000);
  const pass = new PlainTarPass('x', budget, {});
  pass.push(Buffer.alloc(600));
  t.throws(() => budget.take(401, 'y'), { code: 'ERR_SOCI_LIMIT', message: 'y' });
  pass.discard();
  budget.take(1000, 'y');
  t.end();
});

t.test('broken gzip that has to be unpacked', async t => {
  const tar = withGlobalHeader(await tarOf([{ name: 'file', body: noise(200_000) }]));
  const good = packLayer(tar);
  for (const [what, bytes, code] of [
    ['cut', good.bytes.subarray(0, -5000), 'ERR_SOCI_LAYER_TRUNCATED'],
    [
      'damaged',
      Buffer.concat([good.bytes.subarray(0, 90_000), noise(100_000)]),
      /ERR_SOCI_(DEFLATE_DATA|DIGEST_MISMATCH)/,
    ],
  ] as const) {
    const descriptor = { ...good.descriptor, digest: sha256Digest(bytes), size: bytes.length };
    const image = await imageOf(t, [{ ...good, bytes: Buffer.from(bytes), descriptor }]);
    t.match(await failure(image.readdir('/')), { code }, what);
  }
});

t.test('a layer whose first bytes are refused is let go, with what was kept of it', async t => {
  const good = await layerOf([{ name: 'file', body: noise(300_000) }], 'zstd');
  const hugeWindow = Buffer.concat([Buffer.from('28b52ffd00ff', 'hex'), noise(300_000)]);
  for (const [what, bytes, code] of [
    ['no packing that is known', noise(300_000), 'ERR_SOCI_UNSUPPORTED_COMPRESSION'],
    ['a window beyond the limit', hugeWindow, 'ERR_SOCI_LIMIT'],
  ] as const) {
    const registry = await startRegistry(t);
    const repository = openRepository(startTransport(t), registry);
    const layer = { ...good.descriptor, digest: sha256Digest(bytes), size: bytes.length };
    const { descriptor } = await pushImage(repository, [
      { ...good, bytes: Buffer.from(bytes), descriptor: layer },
    ]);
    // Of such servers the bytes are kept on their way, for reads to come.
    registry.inject({ match: { method: 'GET', path: '/blobs/' }, ignoreRange: true });
    await using context = new ReadContext();
    const image = await openImage({ repository, reference: descriptor.digest }, { context });
    t.match(await failure(image.readdir('/')), { code }, what);
    await image.close();
    t.equal(context.temporary.reserved, 0, what);
  }
});

t.test('an abort ends the unpacking', async t => {
  const layer = await layerOf([{ name: 'file', body: noise(3_000_000) }], 'zstd');
  const controller = new AbortController();
  const reason = new Error('enough');
  const image = await imageOf(t, [layer], {
    onProgress: ({ bytes }) => {
      if (bytes > 100_000) controller.abort(reason);
    },
  });
  t.equal(await failure(image.readdir('/', { signal: controller.signal })), reason);
  t.strictSame(await image.readdir('/'), ['file'], 'and the next one begins anew');
});

t.test('limits of the table of a plain tar', async t => {
  const tar = await tarOf([
    { name: 'a', body: Buffer.from('a') },
    { name: 'b', body: Buffer.from('b') },
  ]);
  const pass = new PlainTarPass('x', new UnpackBudget(1e9), { maxEntries: 1 });
  t.throws(() => pass.push(tar), { code: 'ERR_SOCI_LIMIT' });
});
