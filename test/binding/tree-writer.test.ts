/**
 * The tree writer behind lib/native-tree.ts: what becomes of a batch, where its
 * contents come from, and what a caller may and may not do with it. What each
 * kind of operation does is tested in native/test/.
 */
import { lstatSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { createIndexer, type IndexerOptions } from '../../lib/binding.js';
import { AbortedError } from '../../lib/native-failure.js';
import { MAX_BATCH_BYTES, TREE_FLAG, TREE_OPERATION, TreeWriter } from '../../lib/native-tree.js';
import { GZIP_OPTIONS, LAYER, TAR } from './small-layer.js';
import { batchOf, type Operation, openTree } from './tree-batch.js';

const MIB = 1024 * 1024;
const supported = process.platform === 'win32' ? { skip: 'trees are not written on Windows' } : {};
const INVALID = { name: 'SociError', code: 'ERR_SOCI_INVALID_ARGUMENT' };
const NOTHING_SKIPPED = { skippedOwners: 0, skippedXattrs: 0, skippedDevices: 0 };

t.test('executes a batch', supported, async t => {
  const directory = t.testdir();
  const tree = openTree(directory);
  tree.add(0, Buffer.from('header and contents'));
  const result = await tree.run(
    batchOf(
      { kind: 'FILE', path: 'dir/file', tarOffset: 11, length: 8, mode: 0o751, time: 1e9, flags: 6 },
      { kind: 'SYMBOLIC_LINK', path: 'link', link: '../🔗' },
      { kind: 'HARD_LINK', path: 'again', link: 'dir/file' },
      { kind: 'BEGIN_FILE', path: 'sparse', id: 3 },
      { kind: 'PIECE', id: 3, tarOffset: 0, length: 6, fileOffset: 2 },
      { kind: 'END_FILE', id: 3, fileOffset: 10 },
    ),
  );
  t.strictSame(result, NOTHING_SKIPPED);
  await tree.close();
  const file = path.join(directory, 'dir/file');
  t.equal(readFileSync(file, 'utf8'), 'contents');
  t.equal(lstatSync(file).mode & 0o7777, 0o751);
  t.equal(lstatSync(file).mtimeMs, 1e12);
  t.equal(lstatSync(file).nlink, 2);
  t.equal(readlinkSync(path.join(directory, 'link')), '../🔗');
  t.equal(readFileSync(path.join(directory, 'sparse'), 'utf8'), '\0\0header\0\0');
});

t.test('says which operation failed, where and why', supported, async t => {
  const directory = t.testdir({ there: '' });
  const tree = openTree(directory);
  const { failed } = await tree.run(
    batchOf(
      { kind: 'DIRECTORY', path: 'made' },
      { kind: 'FILE', path: 'there' },
      { kind: 'FILE', path: 'not-reached' },
    ),
  );
  t.strictSame(failed, { operation: 1, call: 'open', errno: constants.errno.EEXIST });
  t.strictSame(readdirSync(directory).sort(), ['made', 'there']);
  const contents = await tree.run(batchOf({ kind: 'FILE', path: 'file', length: 1 }));
  t.strictSame(contents.failed, { operation: 0, call: 'write', errno: constants.errno.ENODATA });
  await tree.close();
});

t.test('does nothing of a batch that is malformed', supported, async t => {
  const directory = t.testdir();
  const tree = openTree(directory);
  const parse = { operation: 1, call: 'parse', errno: constants.errno.EINVAL };
  for (const operation of [
    { kind: 'FILE', path: '../outside' },
    { kind: 'FILE', path: '/outside' },
    { kind: 'FILE', path: 'a//b' },
    { kind: 'FILE', path: '' },
    { kind: 'HARD_LINK', path: 'link', link: 'a/..' },
  ] satisfies Operation[]) {
    const { failed } = await tree.run(batchOf({ kind: 'DIRECTORY', path: 'made' }, operation));
    t.strictSame(failed, parse, JSON.stringify(operation));
  }
  const { failed } = await tree.run(new Uint8Array(3));
  t.strictSame(failed, { ...parse, operation: 0 });
  t.strictSame(readdirSync(directory), []);
  await tree.close();
});

t.test('executes batches beside each other', supported, async t => {
  const directory = t.testdir();
  for (const width of [1, 3, undefined]) {
    const tree = openTree(directory, { width });
    tree.add(0, TAR);
    const runs: Promise<unknown>[] = [];
    for (let batch = 0; batch < 20; batch++) {
      const operations: Operation[] = [];
      for (let i = 0; i < 50; i++) {
        const name = `${width}/${batch % 3}/${batch}-${i}`;
        operations.push({ kind: 'FILE', path: name, tarOffset: batch * 50 + i, length: 100 });
      }
      runs.push(tree.run(batchOf(...operations)));
    }
    for (const result of await Promise.all(runs)) t.strictSame(result, NOTHING_SKIPPED);
    await tree.close();
    for (let batch = 0; batch < 20; batch++) {
      const name = path.join(directory, `${width}/${batch % 3}/${batch}-49`);
      const from = batch * 50 + 49;
      t.ok(readFileSync(name).equals(TAR.subarray(from, from + 100)), name);
    }
  }
});

t.test('holds the tar from the last release on', supported, async t => {
  const tree = openTree(t.testdir());
  t.equal(tree.heldBytes, 0);
  tree.add(512, TAR.subarray(512, 2000));
  tree.add(2000, TAR.subarray(2000));
  t.equal(tree.heldBytes, TAR.length - 512);
  t.strictSame(Buffer.from(tree.read(1000, 3000)), TAR.subarray(1000, 4000));
  t.equal(tree.read(1000, 0).length, 0);
  tree.release(1500);
  t.equal(tree.heldBytes, TAR.length - 1500);
  t.throws(() => tree.read(1499, 1), {
    ...INVALID,
    message: 'expected bytes of the tar that are held for offset and length, received offset 1499, length 1',
  });
  t.throws(() => tree.read(1500, TAR.length), INVALID);
  t.throws(() => tree.add(0, TAR), {
    ...INVALID,
    message: `expected ${TAR.length} (where the bytes before end) for offset, received offset 0`,
  });
  tree.release(Number.MAX_SAFE_INTEGER);
  t.equal(tree.heldBytes, 0);
  await tree.close();
});

t.test('gets what an indexer decodes', supported, async t => {
  const noise = Buffer.alloc(6 * MIB);
  for (let i = 0; i < noise.length; i++) noise[i] = 32 + ((Math.imul(i, 2654435761) >>> (i & 15)) & 31);
  const large = Buffer.concat([TAR, noise, noise]);
  const layers: readonly [string, Buffer, Buffer, Partial<IndexerOptions>][] = [
    ['plain', TAR, TAR, { compression: 'uncompressed' }],
    ['gzip', LAYER, TAR, {}],
    ['gzip, the other engine', LAYER, TAR, { engine: 'fast' }],
    ['plain, large', large, large, { compression: 'uncompressed' }],
    ['decoded ahead', gzipSync(large, { level: 1 }), large, { engine: 'fast', threads: 4 }],
  ];
  for (const [name, layer, tar, options] of layers) {
    const tree = openTree(t.testdir());
    const indexer = createIndexer({ ...GZIP_OPTIONS, spanSize: MIB, ...options, output: tree });
    let produced = 0;
    for (let at = 0; at < layer.length || produced < tar.length; ) {
      for (let pushed = 1; pushed > 0 && at < layer.length; at += pushed) {
        pushed = indexer.push(layer.subarray(at));
      }
      ({ produced } = await indexer.run());
      t.equal(tree.heldBytes, produced, name);
    }
    t.ok(tar.equals(tree.read(0, tar.length)), name);
    await tree.close();
  }
});

t.test('ends a scan into a tree that was closed', supported, async t => {
  const tree = openTree(t.testdir());
  const indexer = createIndexer({ ...GZIP_OPTIONS, output: tree });
  await tree.close();
  indexer.push(LAYER);
  await t.rejects(indexer.run(), AbortedError);
});

t.test('is aborted', supported, async t => {
  const directory = t.testdir();
  const tree = openTree(directory, { width: 1 });
  const runs = Array.from({ length: 50 }, (_, i) =>
    tree.run(batchOf({ kind: 'BEGIN_FILE', path: `file-${i}`, id: i })),
  );
  tree.abort();
  for (const outcome of await Promise.allSettled(runs)) {
    t.ok(outcome.status === 'rejected' && outcome.reason instanceof AbortedError);
  }
  await t.rejects(tree.run(batchOf()), AbortedError);
  t.throws(() => tree.add(0, TAR), AbortedError);
  t.equal(tree.heldBytes, 0);
  await tree.close();
});

t.test('closes what it has opened', { skip: process.platform !== 'linux' && 'no /proc' }, async t => {
  const directory = t.testdir();
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  for (const end of ['close', 'abort'] as const) {
    const tree = openTree(directory);
    await tree.run(batchOf({ kind: 'BEGIN_FILE', path: end, id: 1 }));
    t.equal(open(), before + 2);
    await tree[end]();
    t.equal(open(), before);
  }
});

t.test('refuses what is wrong', supported, async t => {
  const directory = t.testdir({ file: '' });
  const options = { owners: true, privileged: true };
  t.throws(() => new TreeWriter({ ...options, root: -1 }), INVALID);
  t.throws(() => new TreeWriter({ ...options, root: 999_999 }), {
    ...INVALID,
    message: 'expected an open directory for root, received "EBADF"',
  });
  const file = openSync(path.join(directory, 'file'), 'r');
  t.throws(() => new TreeWriter({ ...options, root: file }), {
    ...INVALID,
    message: 'expected an open directory for root, received "ENOTDIR"',
  });
  t.throws(() => openTree(directory, { width: 0 }), INVALID);
  t.throws(() => openTree(directory, { owners: 1 as never }), INVALID);

  const tree = openTree(directory);
  await t.rejects(tree.run(new Uint8Array(MAX_BATCH_BYTES + 8)), INVALID);
  await t.rejects(tree.run('batch' as never), INVALID);
  t.throws(() => tree.add(-1, TAR), INVALID);
  t.throws(() => tree.add(0, [] as never), INVALID);
  t.throws(() => tree.release(0.5), INVALID);
  const run = tree.run(batchOf({ kind: 'DIRECTORY', path: 'made' }));
  await t.rejects(tree.close(), INVALID);
  await run;
  await tree.close();
  await tree.close();
  await t.rejects(tree.run(batchOf()), INVALID);
  t.throws(() => createIndexer({ ...GZIP_OPTIONS, output: { native: {} } as never }), {
    message: 'Illegal invocation',
  });
});

t.test('numbers its operations and flags one by one', async t => {
  t.strictSame(
    Object.values(TREE_OPERATION),
    Array.from({ length: 12 }, (_, i) => i + 1),
  );
  t.strictSame(
    Object.values(TREE_FLAG),
    Array.from({ length: 8 }, (_, i) => 2 ** i),
  );
});
