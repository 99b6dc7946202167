/** Layers as they come: compressed in any way, with and without a ztoc, and files of any size and shape in them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { sha256Digest } from '../../lib/registry/digest.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import type { LayerToUnpack } from '../../lib/unpack/layer-pass.js';
import { unpackWith } from '../../lib/unpack/unpack-image.js';
import type { UnpackImageOptions } from '../../lib/unpack/unpack-options.js';
import type { UnpackImageResult } from '../../lib/unpack/unpack-result.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { zstd } from '../image/sample-image.js';
import { noise, textLike } from '../span/sample-layers.js';
import { concat, header, padded, pax } from '../tar/tar-builder.js';
import { type DiskEntry, walkDisk } from './disk-walk.js';
import { failureOf, OPEN, scratchFolder } from './fixture.js';
import { tarOf } from './sample-tar.js';

/** Files in pieces, an empty one, a second name, and zeros behind the end that count for the diffID. */
const TAR = Buffer.concat([
  tarOf([
    { name: 'large', body: Buffer.concat([noise(1_500_000), textLike(2_700_000)]) },
    'dir/',
    { name: 'dir/small', body: textLike(70_000) },
    'dir/empty',
    { name: 'dir/exact', body: noise(2 ** 20) },
    'again = large',
  ]),
  Buffer.alloc(300_000),
]);
const DIFF_ID = sha256Digest(TAR);
const GZIP = gzipSync(TAR);

interface Unpacked {
  readonly result: UnpackImageResult;
  readonly files: readonly DiskEntry[];
}

async function unpacked(
  t: Test,
  layer: LayerToUnpack,
  options: Partial<UnpackImageOptions> = {},
): Promise<Unpacked> {
  const directory = join(scratchFolder(t), 'root');
  const result = await unpackWith({ target: 'merged', directory, layers: [layer], ...options }, OPEN);
  return { result, files: walkDisk(directory) };
}

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const sums = (files: readonly DiskEntry[]): unknown =>
  files.filter(({ sha256 }) => sha256 !== null).map(({ path, sha256, nlink }) => [path, sha256, nlink]);

t.test('the same files, whatever a layer is compressed with', async t => {
  const { ztoc } = await buildZtoc(GZIP, { spanSize: 200_000 });
  const plain = await buildZtoc(TAR, { spanSize: 300_000 });
  const squeezed = zstd(TAR);
  const inputs: Readonly<Record<string, LayerToUnpack>> = {
    plain: { content: TAR, digest: DIFF_ID },
    gzip: { content: GZIP, digest: sha256Digest(GZIP) },
    zstd: { content: squeezed, digest: sha256Digest(squeezed) },
    'a source': { content: new BufferSource(GZIP, 'layer'), digest: sha256Digest(GZIP) },
    'small chunks': { content: pieces(GZIP, 1000), digest: sha256Digest(GZIP) },
    'decompressed elsewhere': { content: pieces(TAR, 77_777) },
    'by spans': { content: new BufferSource(GZIP, 'layer'), ztoc, digest: sha256Digest(GZIP) },
    'by spans of a plain tar': { content: new BufferSource(TAR, 'layer'), ztoc: plain.ztoc },
  };
  const expected = sums((await unpacked(t, inputs['plain'] as LayerToUnpack)).files);
  t.strictSame(
    (expected as unknown[][]).map(([path]) => path),
    ['again', 'dir/empty', 'dir/exact', 'dir/small', 'large'],
  );
  for (const [name, layer] of Object.entries(inputs)) {
    const { result, files } = await unpacked(t, { ...layer, diffId: DIFF_ID });
    t.strictSame(sums(files), expected, name);
    t.match(result.layers, [{ diffId: DIFF_ID, unpackedSize: TAR.length, entries: 6 }], name);
  }
});

t.test('the ztoc of a layer is made on the way', async t => {
  const { ztoc } = await buildZtoc(GZIP, { spanSize: 100_000, buildToolIdentifier: 'x' });
  const ztocs = { spanSize: 100_000, buildToolIdentifier: 'x' };
  const made = await unpacked(t, { content: GZIP }, { ztocs });
  t.strictSame(made.result.layers[0]?.ztoc?.digest, ztoc.digest);
  t.match((await unpacked(t, { content: GZIP }, { ztocs: false })).result.layers, [{ ztoc: undefined }]);
});

t.test('little memory suffices', async t => {
  const { files } = await unpacked(t, { content: TAR }, { heldBytes: 1 });
  t.equal(files.find(({ path }) => path === 'large')?.size, 4_200_000);
});

t.test('digests of other algorithms', async t => {
  const sha512 = (bytes: Uint8Array): string =>
    `sha512:${spawnSync('sha512sum', { input: bytes }).stdout.toString().slice(0, 128)}`;
  await unpacked(t, { content: GZIP, digest: sha512(GZIP), diffId: sha512(TAR) });
  const failure = await failureOf(unpacked(t, { content: GZIP, diffId: sha512(GZIP) }));
  t.match(failure, { code: 'ERR_SOCI_DIGEST_MISMATCH' });
});

t.test('another layer, and another tar, are refused', async t => {
  const { ztoc } = await buildZtoc(GZIP, { spanSize: 200_000 });
  const source = new BufferSource(GZIP, 'layer');
  const other = sha256Digest(Buffer.from('other'));
  for (const layer of [
    { content: GZIP, digest: other },
    { content: GZIP, diffId: other },
    { content: zstd(TAR), digest: other },
    { content: source, ztoc, digest: other },
    { content: source, ztoc, diffId: other },
  ]) {
    const failure = await failureOf(unpacked(t, layer));
    t.match(failure, { code: 'ERR_SOCI_DIGEST_MISMATCH', data: { expected: other } });
  }
});

t.test('broken layers', async t => {
  const broken: readonly (readonly [string, Uint8Array])[] = [
    ['ERR_SOCI_LAYER_TRUNCATED', GZIP.subarray(0, 1_000_000)],
    ['ERR_SOCI_LAYER_TRUNCATED', TAR.subarray(0, 1_000_000)],
    ['ERR_SOCI_UNSUPPORTED_COMPRESSION', Buffer.from('BZh91AY&SY')],
    ['ERR_SOCI_TAR_HEADER', concat(header({ name: 'a' }), noise(512))],
  ];
  for (const [code, content] of broken) t.match(await failureOf(unpacked(t, { content })), { code });
  const { ztoc } = await buildZtoc(GZIP);
  t.match(await failureOf(unpacked(t, { content: new BufferSource(TAR, 'l'), ztoc })), {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
  });
  t.match(await failureOf(unpacked(t, { content: pieces(GZIP, 9), ztoc })), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
});

t.test('long names and names of any bytes', async t => {
  const directory = `${'d'.repeat(200)}/`;
  const name = `${directory}${'\xff\x01'.repeat(60)}`;
  const target = 'x/'.repeat(400);
  const { files } = await unpacked(t, {
    content: tarOf([directory, { name, body: 'bytes' }, { name: 'l', type: 'symlink', target }]),
  });
  t.equal(files.find(({ path }) => path === name)?.text, 'bytes');
  t.equal(files.find(({ path }) => path === 'l')?.link, target);
});

t.test("files with holes, in all of GNU tar's forms", async t => {
  const folder = scratchFolder(t);
  mkdirSync(join(folder, 'in'));
  const path = join(folder, 'in', 'holes');
  writeFileSync(path, textLike(5000));
  truncateSync(path, 40_000_000);
  writeFileSync(path, noise(1_300_000), { flag: 'a' });
  // More runs than the old format has in its first header.
  for (let i = 1; i <= 30; i += 1) {
    spawnSync('dd', [
      `of=${path}`,
      'conv=notrunc',
      'bs=4096',
      `seek=${500 * i}`,
      'count=1',
      'if=/dev/urandom',
    ]);
  }
  writeFileSync(join(folder, 'in', 'next'), 'behind it');
  const expected = sums(walkDisk(join(folder, 'in')));
  const forms = [
    ['--format=gnu'],
    ...['0.0', '0.1', '1.0'].map(each => ['--format=pax', `--sparse-version=${each}`]),
  ];
  for (const form of forms) {
    const { stdout } = spawnSync('tar', ['-c', '-S', ...form, '-C', join(folder, 'in'), 'holes', 'next'], {
      maxBuffer: 2 ** 28,
    });
    for (const content of [stdout, gzipSync(stdout)]) {
      const { files, result } = await unpacked(t, { content });
      t.strictSame(sums(files), expected, form.join(' '));
      const blocks = files.find(({ path }) => path === 'holes')?.blocks ?? 0;
      t.ok(blocks < 3000, `${form}: holes stay holes: ${blocks} KiB`);
      t.match(result.layers, [{ ztoc: undefined }]);
    }
  }
});

t.test('what no ztoc can describe is unpacked all the same', async t => {
  const tar = concat(
    pax([['comment', 'x']], 'g'),
    header({ name: 'a', size: 3 }),
    padded('abc'),
    header({ name: 'b', size: 2, type: '7' }),
    padded('de'),
    new Uint8Array(1024),
  );
  const { files } = await unpacked(t, { content: gzipSync(tar) });
  t.strictSame(
    files.slice(1).map(({ path, text }) => `${path} ${text}`),
    ['a abc', 'b de'],
  );
});

t.test('the document beside the directories of layers', async t => {
  const directory = join(scratchFolder(t), 'a:b,c');
  const layers = [{ content: tarOf(['a']) }, { content: gzipSync(tarOf(['b'])) }];
  const { lowerdir, layers: found } = await unpackWith({ target: 'overlay', directory, layers }, OPEN);
  const document = JSON.parse(readFileSync(join(directory, 'layers.json'), 'utf8'));
  const escaped = directory.replace(/[:,]/g, '\\$&');
  t.equal(lowerdir, `lowerdir=${escaped}/1:${escaped}/0`);
  t.match(document, {
    lowerdir,
    layers: found.map(({ diffId }, i) => ({ diffId, directory: join(directory, String(i)) })),
  });
});
