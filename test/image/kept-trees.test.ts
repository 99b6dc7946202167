/** Merged trees in a store: read back as they were made, and made again whenever what is there is not that. */
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { KeptTrees, type KnownTree } from '../../lib/image/kept-trees.js';
import { openImage } from '../../lib/image/open-image.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { Store } from '../../lib/store/store.js';
import type { BuildTreeOptions } from '../../lib/tree/build-tree.js';
import type { LayerNote } from '../../lib/tree/layer-note.js';
import { INODE, INODE_BYTES, type TreeTable, VERSION } from '../../lib/tree/tree-table.js';
import { BUILD_TOOL_IDENTIFIER } from '../../lib/ztoc/build-tool.js';
import fc from '../property.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { failure, MemoryDisk } from '../store/memory-disk.js';
import { watchStores } from '../store/sample-blob.js';
import { layerOf, pushImage, pushIndexedImage, type SampleLayer } from './sample-image.js';

/** Enough for its tree to be kept. */
const NAMES = 600;
const many = await layerOf([
  { name: 'opt/', type: 'directory' },
  { name: 'lib', type: 'symlink', linkname: 'usr' },
  ...Array.from({ length: NAMES }, (_, at) => ({
    name: `opt/${at % 7}/file-${at}`,
    body: Buffer.from(`${at}`),
  })),
]);
const upper = await layerOf([
  { name: 'opt/3/.wh.file-3', body: Buffer.alloc(0) },
  { name: 'lib/through', body: Buffer.from('a link below') },
]);
const few = await layerOf([{ name: 'one', body: Buffer.from('1') }]);

const RULES: BuildTreeOptions = { whiteouts: 'apply', semantics: 'overlay', maxNames: 4_000_000 };

interface Given {
  readonly folder: string;
  readonly store: Store;
  /** Opens the image anew, with no memory but the store's. */
  open(options?: OpenImageOptions): Promise<Image>;
  /** What the image shows. */
  show(options?: OpenImageOptions): Promise<Shown>;
}

interface Shown {
  readonly table: TreeTable;
  readonly notes: readonly LayerNote[];
  readonly ztocs: readonly string[];
}

async function given(
  t: Test,
  layers: readonly SampleLayer[] = [many, upper],
  push: 'indexed' | 'not indexed' = 'indexed',
): Promise<Given> {
  const registry = await startRegistry(t);
  const transport = startTransport(t);
  const repository = openRepository(transport, registry);
  await (push === 'indexed' ? pushIndexedImage : pushImage)(repository, layers, { tag: 'latest' });
  const folder = join(t.testdir({}), 'store');
  const store = await Store.open(folder, { maxBytes: 2 ** 30 });
  t.teardown(() => store.close());
  const open = (options: OpenImageOptions = {}): Promise<Image> =>
    openImage(`${registry.host}/demo/app`, { transport, context: new ReadContext(), store, ...options });
  const show = async (options: OpenImageOptions = {}): Promise<Shown> => {
    await using image = await open(options);
    const { table, notes } = await image.tree();
    return { table, notes, ztocs: image.layers.map(({ ztoc }) => ztoc?.digest ?? '') };
  };
  return { folder, store, open, show };
}

async function knownIn({ store }: Pick<Given, 'store'>, { ztocs }: Pick<Shown, 'ztocs'>): Promise<KnownTree> {
  const known = await new KeptTrees(store, RULES).known(ztocs);
  if (known === undefined) throw new Error('expected the tree to be known');
  return known;
}

function blobPath({ folder }: Pick<Given, 'folder'>, digest: string): string {
  return join(folder, 'blobs', 'sha256', digest.slice('sha256:'.length));
}

t.test('the second time it is read, and is the same', async t => {
  const place = await given(t);
  const heard = watchStores(t);
  const made = await place.show({ store: undefined });
  const first = await place.show();
  const second = await place.show();
  t.ok(made.table.nameCount > NAMES);
  t.ok(made.notes.length > 0, 'with notes');
  for (const shown of [first, second]) {
    t.equal(Buffer.compare(shown.table.bytes, made.table.bytes), 0);
    t.strictSame(shown.notes, made.notes);
  }
  const { digest, notes } = await knownIn(place, made);
  t.equal(digest, sha256Digest(made.table.bytes));
  t.strictSame(notes, made.notes);
  t.strictSame(heard, []);
  // That it was read is seen when the store has another one.
  const other = Uint8Array.from(made.table.bytes);
  other[INODE_BYTES + INODE.mtime] = 7;
  const planted = sha256Digest(other);
  await place.store.put(planted, other);
  const question = [
    'tree',
    BUILD_TOOL_IDENTIFIER,
    `${VERSION}`,
    RULES.whiteouts,
    RULES.semantics,
    `${RULES.maxNames}`,
    ...made.ztocs,
  ];
  await place.store.remember(question, { digest: planted, size: other.length, notes: [] });
  t.equal(Buffer.compare((await place.show()).table.bytes, other), 0);
  await using image = await place.open();
  t.equal(await image.readFile('/opt/4/file-4', 'utf8'), '4', 'by path, the first question too');
  t.ok(image.loaded);
});

t.test('of layers whose ztocs were built, too', async t => {
  const place = await given(t, [many, upper], 'not indexed');
  const made = await place.show();
  const blobs = readdirSync(join(place.folder, 'blobs', 'sha256')).sort();
  t.ok(blobs.includes(sha256Digest(made.table.bytes).slice('sha256:'.length)));
  rmSync(blobPath(place, sha256Digest(made.table.bytes)));
  const heard = watchStores(t);
  t.equal(Buffer.compare((await place.show()).table.bytes, made.table.bytes), 0);
  t.strictSame(
    readdirSync(join(place.folder, 'blobs', 'sha256')).sort(),
    blobs,
    'what was taken away is kept again',
  );
  t.strictSame(heard, []);
});

t.test('other rules are other trees', async t => {
  const place = await given(t);
  const overlay = await place.show();
  const spec = await place.show({ semantics: 'spec' });
  t.not(Buffer.compare(overlay.table.bytes, spec.table.bytes), 0);
  t.equal(Buffer.compare((await place.show({ semantics: 'spec' })).table.bytes, spec.table.bytes), 0);
  t.equal(Buffer.compare((await place.show()).table.bytes, overlay.table.bytes), 0);
  const only = await place.show({ onlyLayer: 1 });
  t.ok(only.table.nameCount < 10);
  await t.rejects(place.show({ limits: { maxNames: NAMES } }), { code: 'ERR_SOCI_LIMIT' });
});

t.test('no tree is kept of few names, nor of a layer that was unpacked', async t => {
  const small = await given(t, [few]);
  const shown = await small.show();
  t.equal(await new KeptTrees(small.store, RULES).known(shown.ztocs), undefined);
  const zstd = await layerOf(
    Array.from({ length: NAMES }, (_, at) => ({ name: `${at}`, body: Buffer.alloc(0) })),
    'zstd',
  );
  const unpacked = await given(t, [zstd], 'not indexed');
  const { table } = await unpacked.show();
  t.ok(table.nameCount > NAMES);
  t.notOk(await unpacked.store.has(sha256Digest(table.bytes)));
});

t.test('whatever bit of it is wrong, it is made again, and said', async t => {
  const place = await given(t);
  const made = await place.show();
  const known = await knownIn(place, made);
  const path = blobPath(place, known.digest);
  const good = readFileSync(path);
  const kept = new KeptTrees(place.store, RULES);
  const heard = watchStores(t);
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.nat(7), async (at, bit) => {
      const damaged = Uint8Array.from(good);
      damaged[at] = (damaged[at] as number) ^ (1 << bit);
      writeFileSync(path, damaged);
      t.equal(await kept.read(known), undefined);
      t.strictSame(heard.splice(0), [`damage ${good.length}`]);
    }),
    { numRuns: 200 },
  );
  writeFileSync(path, Buffer.concat([good.subarray(0, 1000), good.subarray(1001)]));
  t.equal(Buffer.compare((await place.show()).table.bytes, good), 0);
  t.strictSame(heard, [`damage ${good.length - 1}`]);
  t.equal(Buffer.compare(readFileSync(path), good), 0, 'mended');
});

t.test('whatever byte of what is known of it is wrong, it is not known', async t => {
  const place = await given(t);
  const made = await place.show();
  const known = await knownIn(place, made);
  const answers = join(place.folder, 'answers');
  const name = readdirSync(answers).find(each =>
    readFileSync(join(answers, each), 'utf8').includes('"tree"'),
  );
  const path = join(answers, name ?? '');
  const good = readFileSync(path);
  const kept = new KeptTrees(place.store, RULES);
  for (let at = 0; at < good.length; at += 1) {
    const damaged = Uint8Array.from(good);
    damaged[at] = (damaged[at] as number) ^ 1;
    writeFileSync(path, damaged);
    t.equal(await kept.known(made.ztocs), undefined, `${at}`);
  }
  t.equal(Buffer.compare((await place.show()).table.bytes, made.table.bytes), 0);
  t.strictSame(await kept.known(made.ztocs), known, 'it is known again');
});

t.test('cut short, empty, something else, gone', async t => {
  const place = await given(t);
  const made = await place.show();
  const { digest } = await knownIn(place, made);
  const path = blobPath(place, digest);
  const ways: readonly (() => void)[] = [
    () => truncateSync(path, 5000),
    () => truncateSync(path, 0),
    () => rmSync(path),
    () => {
      rmSync(path);
      mkdirSync(path);
    },
  ];
  for (const way of ways) {
    way();
    t.equal(Buffer.compare((await place.show()).table.bytes, made.table.bytes), 0);
  }
});

t.test('answers that are none, and blobs that are no trees', async t => {
  const place = await given(t);
  const made = await place.show();
  const kept = new KeptTrees(place.store, RULES);
  const known = await knownIn(place, made);
  const question = [
    'tree',
    BUILD_TOOL_IDENTIFIER,
    `${VERSION}`,
    'apply',
    'overlay',
    '4000000',
    ...made.ztocs,
  ];
  const { digest, size } = known;
  const note = { kind: 'whiteout device', layer: 0, path: '/x' };
  const wrong: readonly unknown[] = [
    null,
    'sha256:',
    { size, notes: [] },
    { digest: 'sha256:../../x', size, notes: [] },
    { digest, size: -1.5, notes: [] },
    { digest, size: 2 ** 40, notes: [] },
    { digest, size },
    { digest, size, notes: [null] },
    { digest, size, notes: [{ ...note, kind: 'toString' }] },
    { digest, size, notes: [{ ...note, layer: 2 }] },
    { digest, size, notes: [{ ...note, layer: -1 }] },
    { digest, size, notes: [{ ...note, path: 7 }] },
    { digest, size, notes: new Array(1001).fill(note) },
  ];
  for (const value of wrong) {
    await place.store.remember(question, value);
    t.equal(await kept.known(made.ztocs), undefined, JSON.stringify(value).slice(0, 80));
  }
  t.equal(Buffer.compare((await place.show()).table.bytes, made.table.bytes), 0);
  const noTree = Buffer.from('a blob like any other');
  await place.store.put(sha256Digest(noTree), noTree);
  const answer = { digest: sha256Digest(noTree), size: noTree.length, notes: [] };
  await place.store.remember(question, answer);
  const heard = watchStores(t);
  t.equal(Buffer.compare((await place.show()).table.bytes, made.table.bytes), 0);
  t.strictSame(heard, [`damage ${noTree.length}`]);
  t.equal((await knownIn(place, made)).digest, digest, 'and what is known is right again');
});

t.test('an inode that is not what the table of contents says is not read', async t => {
  const place = await given(t);
  const made = await place.show();
  const other = Uint8Array.from(made.table.bytes);
  const view = new DataView(other.buffer);
  const files = Array.from({ length: made.table.inodeCount }, (_, at) => at + 1).filter(
    inode => made.table.size(inode) === 1 && made.table.mode(inode) >= 0o100000,
  );
  for (const inode of files) view.setUint32(inode * INODE_BYTES + INODE.size, 2, true);
  const question = [
    'tree',
    BUILD_TOOL_IDENTIFIER,
    `${VERSION}`,
    'apply',
    'overlay',
    '4000000',
    ...made.ztocs,
  ];
  await place.store.put(sha256Digest(other), other);
  await place.store.remember(question, { digest: sha256Digest(other), size: other.length, notes: [] });
  await using image = await place.open();
  await t.rejects(image.readFile('/opt/4/file-4'), {
    code: 'ERR_SOCI_TREE_FORMAT',
    message: /expected a file of 1 bytes, as the table of contents says, found one of 2/,
  });
});

t.test('several at a time write the same', async t => {
  const place = await given(t);
  const made = await place.show({ store: undefined });
  const stores = await Promise.all([0, 1, 2, 3].map(() => Store.open(place.folder, { maxBytes: 2 ** 30 })));
  await Promise.all(
    stores.map(store => new KeptTrees(store, RULES).keep({ ...made, table: made.table, notes: made.notes })),
  );
  const kept = await new KeptTrees(place.store, RULES).read(await knownIn(place, made));
  t.equal(Buffer.compare(kept?.table.bytes ?? Buffer.alloc(0), made.table.bytes), 0);
  await Promise.all(stores.map(store => store.close()));
});

t.test('a store that is full, fails, or is closed keeps none, and fails nothing', async t => {
  const place = await given(t);
  const made = await place.show({ store: undefined });
  const disk = new MemoryDisk();
  const store = await Store.open('/store', { disk, maxBytes: 2 ** 30 });
  const kept = new KeptTrees(store, RULES);
  disk.capacityBytes = made.table.bytes.length / 2;
  await kept.keep(made);
  t.equal(await kept.known(made.ztocs), undefined);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  const tiny = new KeptTrees(await Store.open('/tiny', { disk, maxBytes: 1000 }), RULES);
  await tiny.keep(made);
  const known = await tiny.known(made.ztocs);
  t.equal(known && (await tiny.read(known)), undefined);
  disk.fault = (operation, path) => {
    if (operation === 'open' && path.includes('blobs')) throw failure('EIO', path);
  };
  const failing = new KeptTrees(await Store.open('/failing', { disk, maxBytes: 2 ** 30 }), RULES);
  await failing.keep(made);
  const unread = await failing.known(made.ztocs);
  t.equal(unread && (await failing.read(unread)), undefined);
  disk.fault = undefined;
  const closed = await Store.open('/closed', { disk, maxBytes: 2 ** 30 });
  await closed.close();
  await new KeptTrees(closed, RULES).keep(made);
  t.equal(await new KeptTrees(closed, RULES).known(made.ztocs), undefined);
});

t.test('it is evicted like all else', async t => {
  const place = await given(t);
  const made = await place.show();
  const { digest } = await knownIn(place, made);
  const { removed } = await place.store.collect({ maxBytes: 0 });
  t.ok(removed.some(blob => blob.digest === digest));
  t.equal(Buffer.compare((await place.show()).table.bytes, made.table.bytes), 0);
  t.ok(await place.store.has(digest), 'and kept anew');
});
