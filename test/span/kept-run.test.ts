/** Spans whose bytes a store has: read by the jobs that decode them, and as ever where these do not find them right. */
import { openSync, readdirSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { Store } from '../../lib/store/store.js';
import { digestOf, Origin, watchStores } from '../store/sample-blob.js';
import { sample, tarOf, textLike } from './sample-layers.js';

const { tar, layer, ztoc } = await sample(await tarOf([{ name: 'text', body: textLike(1_500_000) }]), {
  spanSize: 65536,
});
const BLOB = { bytes: layer, digest: digestOf(layer), size: layer.length };
const HEX = BLOB.digest.slice('sha256:'.length);
/** Some spans in the middle, which do not make the layer whole. */
const KEPT = { first: 3, end: 7 };
const [START, END] = [ztoc.span(KEPT.first).uncompressedStart, ztoc.span(KEPT.end - 1).uncompressedEnd];

interface Given {
  readonly folder: string;
  readonly store: Store;
  readonly heard: string[];
}

async function given(t: Test): Promise<Given> {
  const folder = join(t.testdir({}), 'store');
  const store = await Store.open(folder, { maxBytes: 2 ** 30 });
  t.teardown(() => store.close());
  await reading(store, new Origin(BLOB), reader => reader.read(START, END));
  return { folder, store, heard: watchStores(t) };
}

/** Reads with a memory of its own, and nothing fetched that is not asked for. */
async function reading<T>(
  store: Store,
  origin: Origin,
  work: (reader: SpanReader, source: Awaited<ReturnType<Store['open']>>) => Promise<T>,
): Promise<T> {
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const source = await store.open(BLOB, origin);
  const reader = new SpanReader(source, ztoc, { context });
  try {
    return await work(reader, source);
  } finally {
    await reader.close();
    await source.close();
  }
}

function kept(bytes: Uint8Array): boolean {
  return tar.subarray(START, END).equals(bytes);
}

t.test('no byte of them passes the thread of script', async t => {
  const { store, heard } = await given(t);
  const origin = new Origin(BLOB);
  await reading(store, origin, async (reader, source) => {
    const fail = async (): Promise<never> => {
      throw new Error('read by script');
    };
    Object.assign(source, { read: fail, readInto: fail });
    t.ok(kept(await reader.read(START, END)));
    const { diskBytes, fetchedBytes, requests } = reader.stats.lanes.demand;
    t.equal(diskBytes, ztoc.span(KEPT.end - 1).compressedEnd - ztoc.fetchStart(KEPT.first));
    t.equal(fetchedBytes, diskBytes);
    t.equal(requests, 1);
    await t.rejects(reader.read(0, 10), /read by script/, 'of what is not kept they do');
  });
  t.strictSame(origin.reads, []);
  t.strictSame(heard, []);
});

t.test('a whole blob, too', async t => {
  const { store } = await given(t);
  await reading(store, new Origin(BLOB), reader => reader.read(0, ztoc.uncompressedSize));
  t.match(await store.list(), [{ state: 'whole' }]);
  const origin = new Origin(BLOB);
  await reading(store, origin, async (reader, source) => {
    Object.assign(source, { readInto: undefined, read: undefined });
    t.ok(tar.subarray(0, ztoc.uncompressedSize).equals(await reader.read(0, ztoc.uncompressedSize)));
  });
  t.strictSame(origin.reads, []);
});

t.test('of what is damaged only that is fetched, and it is mended', async t => {
  const { folder, store, heard } = await given(t);
  const path = join(folder, 'partial', 'sha256', HEX);
  const at = ztoc.span(5).compressedStart + 5000;
  writeSync(openSync(path, 'r+'), Buffer.from([(layer[at] as number) ^ 1]), 0, 1, at);
  const origin = new Origin(BLOB);
  await reading(store, origin, async reader => {
    t.ok(kept(await reader.read(START, END)));
    t.equal(reader.stats.digestRetries, 0);
  });
  t.strictSame(
    origin.reads.map(({ offset, length }) => [offset, length]),
    [[Math.floor(at / 4096) * 4096, 4096]],
  );
  t.strictSame(heard, ['damage 4096']);
  await reading(store, origin, async reader => t.ok(kept(await reader.read(START, END))));
  t.equal(origin.reads.length, 1);
});

t.test('a file that ends early, and a journal that does', async t => {
  const { folder, store } = await given(t);
  const path = join(folder, 'partial', 'sha256', HEX);
  const good = readFileSync(path);
  truncateSync(path, ztoc.span(5).compressedStart);
  await reading(store, new Origin(BLOB), async reader => t.ok(kept(await reader.read(START, END))));
  t.ok(good.equals(readFileSync(path).subarray(0, good.length)));
  const journal = `${path}.journal`;
  truncateSync(journal, 40);
  const origin = new Origin(BLOB);
  await reading(store, origin, async reader => t.ok(kept(await reader.read(START, END))));
  t.not(origin.reads.length, 0);
});

t.test('bytes that are as they were written, and wrong all the same, are fetched afresh', async t => {
  const { folder, store } = await given(t);
  const wrong = Uint8Array.from(layer);
  wrong[ztoc.span(4).compressedStart + 100] = (wrong[ztoc.span(4).compressedStart + 100] as number) ^ 1;
  await store.remove(BLOB.digest);
  const filling = await store.open(BLOB, new Origin({ ...BLOB, bytes: wrong }));
  await filling.read(
    ztoc.fetchStart(KEPT.first),
    ztoc.span(KEPT.end).compressedEnd - ztoc.fetchStart(KEPT.first),
  );
  await filling.close();
  t.ok(readdirSync(join(folder, 'partial', 'sha256')).includes(HEX));
  const origin = new Origin(BLOB);
  await reading(store, origin, async reader => {
    t.ok(kept(await reader.read(START, END)));
    t.equal(reader.stats.digestRetries, 1);
  });
  t.ok(origin.reads.every(({ fresh }) => fresh));
});

t.test('while others evict it, and after it was closed', async t => {
  const { store } = await given(t);
  const origin = new Origin(BLOB);
  await reading(store, origin, async (reader, source) => {
    await store.remove(BLOB.digest);
    t.ok(kept(await reader.read(START, END)));
    t.strictSame(origin.reads, []);
    await source.close();
    await t.rejects(reader.read(0, 100), { code: 'ERR_SOCI_CLOSED' });
  });
});

t.test('whoever leaves is told why, and nobody else', async t => {
  const { store } = await given(t);
  await reading(store, new Origin(BLOB), async reader => {
    const controller = new AbortController();
    const leaving = reader.read(START, END, { signal: controller.signal });
    const staying = reader.read(START, END);
    controller.abort(new Error('enough'));
    await t.rejects(leaving, /enough/);
    t.ok(kept(await staying));
  });
});
