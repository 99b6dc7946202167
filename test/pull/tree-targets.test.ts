/** `rootfs:` and `overlay:`: files, and nothing that looks finished and is not. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { checkDecompressor } from '../../lib/plain/decompressor-check.js';
import { pullImage } from '../../lib/pull/pull-image.js';
import type { PullTarget } from '../../lib/pull/pull-target.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { Store } from '../../lib/store/store.js';
import { layerOf, pushImage, pushIndexedImage, type SampleLayer } from '../image/sample-image.js';
import { linuxOnly } from '../posix/linux-only.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { noise, textLike } from '../span/sample-layers.js';
import { IS_ROOT } from '../unpack/fixture.js';

const BIG = Buffer.concat([textLike(700_000), noise(500_000)]);
const LAYERS: readonly SampleLayer[] = [
  await layerOf([
    { name: 'etc/', type: 'directory', mode: 0o755 },
    { name: 'etc/name', body: Buffer.from('lower') },
    { name: 'etc/gone', body: Buffer.from('x') },
    { name: 'bin/', type: 'directory' },
    { name: 'bin/tool', body: BIG, mode: 0o755 },
    { name: 'bin/alias', type: 'link', linkname: 'bin/tool', mode: 0o755 },
    { name: 'sbin', type: 'symlink', linkname: 'bin' },
  ]),
  await layerOf([
    { name: 'etc/.wh.gone', body: Buffer.alloc(0) },
    { name: 'etc/name', body: Buffer.from('upper') },
  ]),
  await layerOf([{ name: 'srv/zstd', body: textLike(300_000, 5) }], 'zstd'),
  await layerOf([{ name: 'srv/plain', body: textLike(300_000, 6) }], 'uncompressed'),
];

async function setting(t: Test, push: typeof pushImage = pushImage, layers = LAYERS) {
  const registry = await startRegistry(t);
  const transport = startTransport(t);
  const repository = openRepository(transport, registry);
  const pushed = await push(repository, layers, { tag: 'v1' });
  registry.requests.length = 0;
  const folder = t.testdir({});
  const image = `${registry.host}/demo/app:v1`;
  const pull = (
    targets: readonly (string | PullTarget)[],
    options: Partial<Parameters<typeof pullImage>[1]> = {},
  ) => pullImage(image, { transport, ...options, targets });
  return { registry, repository, transport, folder, image, pull, pushed };
}

/** The image as one tree. */
function whole(t: Test, root: string): void {
  t.equal(readFileSync(join(root, 'etc/name'), 'utf8'), 'upper');
  t.notOk(existsSync(join(root, 'etc/gone')));
  t.ok(readFileSync(join(root, 'bin/tool')).equals(BIG));
  t.equal(lstatSync(join(root, 'bin/alias')).ino, lstatSync(join(root, 'bin/tool')).ino);
  t.equal(lstatSync(join(root, 'bin/tool')).mode & 0o777, 0o755);
  t.equal(readlinkSync(join(root, 'sbin')), 'bin');
  t.equal(readFileSync(join(root, 'srv/zstd')).length, 300_000);
  t.equal(readFileSync(join(root, 'srv/plain')).length, 300_000);
}

/** What is in a folder but for what says what was unpacked. */
function visible(folder: string): string[] {
  return readdirSync(folder).filter(name => !name.endsWith('.seekable-oci-image.json'));
}

t.test('all layers as one file system, and each by itself', linuxOnly, async t => {
  const { pull, folder } = await setting(t);
  const result = await pull([`rootfs:${folder}/root`, `overlay:${folder}/layers`]);
  whole(t, join(folder, 'root'));
  t.match(result.targets, [{ outcome: 'written' }, { outcome: 'written' }]);
  const [root, layers] = result.targets;
  t.match(root?.tree?.layers, [
    {
      layer: 0,
      digest: LAYERS[0]?.descriptor.digest,
      diffId: LAYERS[0]?.diffId,
      entries: 7,
      ztoc: undefined,
    },
    { layer: 1, why: /as one stream: there is no SOCI index/ },
    { layer: 2, why: /not gzip/ },
    { layer: 3 },
  ]);
  const { layers: described, lowerdir } = JSON.parse(
    readFileSync(join(folder, 'layers/layers.json'), 'utf8'),
  );
  t.match(
    described.map(({ digest }: { digest: string }) => digest),
    LAYERS.map(({ descriptor }) => descriptor.digest),
  );
  t.equal(lowerdir, `lowerdir=${[3, 2, 1, 0].map(at => join(folder, 'layers', String(at))).join(':')}`);
  t.equal(layers?.tree?.lowerdir, lowerdir);
  t.equal(readFileSync(join(folder, 'layers/0/etc/name'), 'utf8'), 'lower');
  t.equal(readFileSync(join(folder, 'layers/1/etc/name'), 'utf8'), 'upper');
  if (IS_ROOT) t.ok(lstatSync(join(folder, 'layers/1/etc/gone')).isCharacterDevice());
  t.same(visible(folder).sort(), ['layers', 'root'], 'nothing is left of what was in the making');
});

t.test('pulled again it costs a look, and another image is refused', linuxOnly, async t => {
  const { pull, folder, registry, repository } = await setting(t);
  await pull([`rootfs:${folder}/root`]);
  writeFileSync(join(folder, 'root/etc/name'), 'changed');
  registry.requests.length = 0;
  const again = await pull([`rootfs:${folder}/root`]);
  t.match(again.targets, [{ outcome: 'unchanged', tree: undefined }]);
  t.equal(again.fetched, 0);
  t.same(
    registry.requests
      .map(({ path }) => path)
      .filter(path => path.includes('/blobs/') && !path.includes('config')),
    registry.requests
      .map(({ path }) => path)
      .filter(path => path.includes('/blobs/'))
      .slice(0, 1),
    'at most the config is asked for',
  );
  t.equal(readFileSync(join(folder, 'root/etc/name'), 'utf8'), 'changed');
  await pushImage(repository, LAYERS.slice(0, 1), { tag: 'v1' });
  await t.rejects(pull([`rootfs:${folder}/root`]), {
    code: 'ERR_SOCI_OUTPUT',
    message: /or this image.*found the image sha256/,
  });
  t.equal(readFileSync(join(folder, 'root/etc/name'), 'utf8'), 'changed');
});

t.test('what was unpacked serves other targets nothing, and they fetch', linuxOnly, async t => {
  const { pull, folder } = await setting(t);
  await pull([`rootfs:${folder}/root`]);
  const both = await pull([`rootfs:${folder}/root`, `oci:${folder}/layout:v1`]);
  t.match(both.targets, [{ outcome: 'unchanged' }, { outcome: 'written' }]);
  t.equal(both.fetched, both.size);
});

t.test(
  'layers are decoded by the spans of an index, or make ztocs that the next pull has',
  linuxOnly,
  async t => {
    const gzipped = LAYERS.slice(0, 2);
    const indexed = await setting(t, pushIndexedImage, gzipped);
    const { targets } = await indexed.pull([`rootfs:${indexed.folder}/root`]);
    t.match(targets[0]?.tree?.layers, [{ ztoc: 'index', why: /by spans/ }, { ztoc: 'index' }]);
    t.ok(readFileSync(join(indexed.folder, 'root/bin/tool')).equals(BIG));
    const without = await indexed.pull([`rootfs:${indexed.folder}/other`], { index: false });
    t.match(without.targets[0]?.tree?.layers, [{ ztoc: undefined, why: /there is no SOCI index/ }, {}]);

    const { pull, folder } = await setting(t, pushImage, gzipped);
    await using store = await Store.open(join(folder, 'store'));
    const first = await pull([`overlay:${folder}/one`], { store });
    t.match(first.targets[0]?.tree?.layers, [{ ztoc: 'made' }, { ztoc: 'made' }]);
    const second = await pull([`overlay:${folder}/two`], { store });
    t.match(second.targets[0]?.tree?.layers, [{ ztoc: 'cache', why: /built before/ }, { ztoc: 'cache' }]);
    t.ok(second.fetched < 1000, 'the config');
    t.ok(readFileSync(join(folder, 'two/0/bin/tool')).equals(BIG));
  },
);

t.test('one blob may be several layers', linuxOnly, async t => {
  const [lower, upper] = LAYERS as [SampleLayer, SampleLayer];
  const { pull, folder } = await setting(t, pushImage, [lower, upper, lower]);
  await pull([`rootfs:${folder}/root`]);
  t.equal(readFileSync(join(folder, 'root/etc/name'), 'utf8'), 'lower');
  t.ok(existsSync(join(folder, 'root/etc/gone')));
});

t.test('programs decompress where they are named', linuxOnly, async t => {
  const { pull, folder } = await setting(t);
  const gzip = await checkDecompressor('decompress_streams.gzip', { path: '/usr/bin/gzip', args: ['-dc'] });
  const { targets } = await pull([`rootfs:${folder}/root`], { unpack: { decompressors: { gzip } } });
  whole(t, join(folder, 'root'));
  t.match(targets[0]?.tree?.layers, [{ why: `by ${gzip.path}` }, {}, { why: /not gzip/ }, {}]);
  const failing = await checkDecompressor('decompress_streams.gzip', { path: '/bin/false', args: [] });
  await t.rejects(pull([`rootfs:${folder}/other`], { unpack: { decompressors: { gzip: failing } } }), {
    code: 'ERR_SOCI_DECOMPRESSOR',
  });
  t.notOk(existsSync(join(folder, 'other')));
});

t.test('a layer that is not what it is said to be', linuxOnly, async t => {
  const wrong = 'f'.repeat(64);
  const rootfs = {
    type: 'layers',
    diff_ids: [...LAYERS.slice(0, 3).map(each => each.diffId), `sha256:${wrong}`],
  };
  for (const kind of ['rootfs', 'overlay']) {
    const { pull, folder } = await setting(t, (repository, layers, options) =>
      pushImage(repository, layers, { ...options, config: { rootfs } }),
    );
    await t.rejects(pull([`${kind}:${folder}/tree`]), {
      code: 'ERR_SOCI_DIGEST_MISMATCH',
      data: { expected: `sha256:${wrong}` },
    });
    t.same(
      visible(folder).filter(name => !name.endsWith('.seekable-oci-pull')),
      [],
      kind,
    );
  }
});

t.test('what is there is left alone', linuxOnly, async t => {
  const { pull, folder, registry } = await setting(t);
  mkdirSync(join(folder, 'full'));
  writeFileSync(join(folder, 'full/mine'), 'mine');
  writeFileSync(join(folder, 'file'), 'mine');
  mkdirSync(join(folder, 'empty'));
  for (const name of ['full', 'file']) {
    await t.rejects(pull([`rootfs:${folder}/${name}`]), {
      code: 'ERR_SOCI_OUTPUT',
      message: /empty directory, or nothing/,
    });
  }
  t.equal(registry.requests.length, 0, 'nothing is asked for in vain');
  t.equal(readFileSync(join(folder, 'full/mine'), 'utf8'), 'mine');
  await pull([`rootfs:${folder}/empty`]);
  whole(t, join(folder, 'empty'));
});

t.test('several pulls into one directory at once', linuxOnly, async t => {
  const { pull, folder } = await setting(t);
  const all = await Promise.all([1, 2, 3].map(() => pull([`rootfs:${folder}/root`])));
  whole(t, join(folder, 'root'));
  const outcomes = all.map(({ targets }) => targets[0]?.outcome);
  t.same(outcomes.sort(), ['unchanged', 'unchanged', 'written']);
});

t.test('limits of unpacking: one layer of all images at a time', linuxOnly, async t => {
  const { pull, folder } = await setting(t);
  const limits = { maxConcurrentUnpacks: 1, maxConcurrentUnpacksPerImage: 1, maxConcurrentDownloads: 1 };
  await Promise.all(
    ['rootfs', 'overlay', 'rootfs'].map((kind, at) => pull([`${kind}:${folder}/tree-${at}`], { limits })),
  );
  whole(t, join(folder, 'tree-0'));
  whole(t, join(folder, 'tree-2'));
});

t.test('a registry that dies in the middle; what had come is not fetched again', linuxOnly, async t => {
  const { pull, folder, registry, pushed } = await setting(t);
  await using store = await Store.open(join(folder, 'store'));
  const last = pushed.layers[3]?.descriptor.digest ?? '';
  registry.inject({ match: { path: last }, cutAfter: 1000 });
  await t.rejects(
    pull([`rootfs:${folder}/root`], { store, transport: startTransport(t, { retry: { retries: 0 } }) }),
    {
      name: 'SociError',
    },
  );
  t.same(
    visible(folder).sort(),
    ['store'].concat(visible(folder).filter(name => name.includes('seekable-oci-pull'))).sort(),
  );
  registry.clearFaults();
  const { fetched } = await pull([`rootfs:${folder}/root`], { store });
  whole(t, join(folder, 'root'));
  t.ok(fetched < LAYERS.reduce((sum, { bytes }) => sum + bytes.length, 0), `${fetched} bytes`);
});

t.test('an abort in the middle', linuxOnly, async t => {
  const { pull, folder, registry, pushed } = await setting(t);
  registry.inject({ match: { path: pushed.layers[3]?.descriptor.digest ?? '' }, stallAfter: 1000 });
  const controller = new AbortController();
  const reason = new Error('enough');
  const pulling = pull([`rootfs:${folder}/root`], {
    signal: controller.signal,
    onProgress: ({ phase, layer }) => {
      if (phase === 'unpack' && layer === 2) controller.abort(reason);
    },
  });
  await t.rejects(pulling, reason);
  t.notOk(existsSync(join(folder, 'root')));
  t.same(
    visible(folder).filter(name => name.includes('partial')),
    [],
  );
});

t.test('blobs that are several layers each, more than are brought at once', linuxOnly, async t => {
  const layers = await Promise.all(
    ['a', 'b', 'c', 'd'].map(name => layerOf([{ name, body: Buffer.from(name) }])),
  );
  const repeated = [...layers, ...layers];
  for (const maxConcurrentDownloads of [1, -1]) {
    const { pull, folder, registry } = await setting(t, pushImage, repeated);
    const limits = { maxConcurrentDownloads };
    await pull([`rootfs:${folder}/root`, `overlay:${folder}/layers`], { limits });
    t.same(readdirSync(join(folder, 'root')), ['a', 'b', 'c', 'd']);
    t.ok(existsSync(join(folder, 'layers/7/d')));
    const fetched = registry.requests.filter(({ path }) => path.endsWith(layers[0]?.descriptor.digest ?? ''));
    t.equal(fetched.filter(({ method }) => method === 'GET').length, 1, 'each is fetched once');
  }
});

t.test('layers that wait for lower ones keep no place from these', linuxOnly, async t => {
  const [lower, upper] = LAYERS as [SampleLayer, SampleLayer];
  const { pull, folder } = await setting(t, pushImage, [lower, upper, lower]);
  // The first blob is there for the last layer long before the one in between comes.
  const limits = { maxConcurrentDownloads: 1, maxConcurrentUnpacks: 2, maxConcurrentUnpacksPerImage: 2 };
  const context = new ReadContext();
  await Promise.all([1, 2].map(at => pull([`overlay:${folder}/tree-${at}`], { limits, context })));
  for (const at of [1, 2]) t.ok(existsSync(join(folder, `tree-${at}/2/etc/name`)));
});

t.test('a directory that is made anew is another one', linuxOnly, async t => {
  const { pull, folder } = await setting(t);
  const root = join(folder, 'root');
  await pull([`rootfs:${root}`]);
  const { ino } = lstatSync(root);
  rmSync(root, { recursive: true });
  // File systems give numbers that became free to what is made next, sooner or later.
  for (let i = 0; i < 64 && !existsSync(root); i++) {
    mkdirSync(join(folder, `${i}`));
    if (lstatSync(join(folder, `${i}`)).ino === ino) renameSync(join(folder, `${i}`), root);
  }
  const { targets } = await pull([`rootfs:${root}`]);
  t.equal(targets[0]?.outcome, 'written');
  whole(t, root);
});

t.test('where one target fails, the trees that are whole are known the next time', linuxOnly, async t => {
  const { pull, folder } = await setting(t);
  const root = join(folder, 'root');
  const failing: PullTarget = {
    name: 'failing:',
    path: '/failing',
    staging: join(folder, '.failing'),
    check: async () => {},
    open: async () => ({
      present: undefined,
      begin: async () => {},
      write: async ({ layer }) => {
        if (layer !== LAYERS.length - 1) return;
        while (!existsSync(root)) await delay(5);
        throw new Error('no more');
      },
      leaveOut: () => {},
      commit: async () => 'written',
      close: async () => {},
    }),
  };
  await t.rejects(pull([`rootfs:${root}`, failing]), { message: 'no more' });
  whole(t, root);
  const { targets, fetched } = await pull([`rootfs:${root}`]);
  t.equal(targets[0]?.outcome, 'unchanged');
  t.equal(fetched, 0);
});
