/** Blobs of servers that ignore Range, that answer it piece by piece, or that tag each answer differently. */
import t, { type Test } from 'tap';
import { TemporarySpace } from '../../lib/files/temporary-file.js';
import { openImage } from '../../lib/image/open-image.js';
import { ReadContext } from '../../lib/span/read-context.js';
import type { TestRegistry } from '../../lib/testing/testing.js';
import { layerOf, pushIndexedImage, pushImage as pushLayers } from '../image/sample-image.js';
import { textLike } from '../span/sample-layers.js';
import {
  blobOf,
  collect,
  failure,
  openRepository,
  pushImage,
  QUICK,
  sampleBytes,
  startRegistry,
  startTransport,
} from './fixture.js';

const LAYER = sampleBytes(100_000);
const BLOB = blobOf(LAYER);
const BLOBS = { method: 'GET', path: '/blobs/' };

function temporarySpace(tempBytes = 1_000_000): TemporarySpace {
  const { tempDirectory } = new ReadContext().settings;
  return new TemporarySpace(() => ({ tempDirectory, tempBytes }));
}

/** Ranges that were asked for of blobs; undefined is all of one. */
function rangesOf(registry: TestRegistry): (string | undefined)[] {
  const blobs = registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'));
  registry.requests.length = 0;
  return blobs.map(({ headers }) => headers['range']);
}

async function servedWithoutRanges(t: Test): Promise<TestRegistry> {
  const registry = await startRegistry(t);
  await pushImage(openRepository(startTransport(t), registry), LAYER, { tag: 'v1' });
  registry.inject({ match: BLOBS, ignoreRange: true });
  registry.requests.length = 0;
  return registry;
}

t.test('a blob of a server that ignores Range is taken whole, once', async t => {
  const registry = await servedWithoutRanges(t);
  const space = temporarySpace();
  const progress: number[] = [];
  const keepWhole = { space, onProgress: (bytes: number) => void progress.push(bytes) };
  const source = await openRepository(startTransport(t), registry).openBlob(BLOB, { keepWhole });
  const reads = [10, 50_000, 99_000].map(async offset => {
    t.same(Buffer.from(await source.read(offset, 500)), Buffer.from(LAYER.subarray(offset, offset + 500)));
  });
  await Promise.all(reads);
  t.same(Buffer.from(await source.read(99_999, 1)), Buffer.from(LAYER.subarray(99_999)));
  t.equal(rangesOf(registry).filter(range => range === undefined).length, 1);
  t.equal(space.reserved, LAYER.length, 'to the temporary space');
  t.same([progress[0], progress.at(-1)], [0, LAYER.length]);
  await source.close();
  t.equal(space.reserved, 0, 'which is given back');
  t.match(await failure(source.read(0, 1)), { code: 'ERR_SOCI_CLOSED' });
});

t.test('its bytes are compared with the digest before one of them is used', async t => {
  const registry = await servedWithoutRanges(t);
  registry.clearFaults();
  registry.inject({ match: BLOBS, ignoreRange: true, corrupt: 99_999 });
  const space = temporarySpace();
  const source = await openRepository(startTransport(t), registry).openBlob(BLOB, { keepWhole: { space } });
  t.match(await failure(source.read(0, 10)), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
  t.equal(space.reserved, 0);
  await source.close();
});

t.test('there may be no room for it', async t => {
  const registry = await servedWithoutRanges(t);
  const keepWhole = { space: temporarySpace(10_000) };
  const source = await openRepository(startTransport(t), registry).openBlob(BLOB, { keepWhole });
  t.match(await failure(source.read(0, 10)), {
    code: 'ERR_SOCI_LIMIT',
    message: /ignores Range requests, so all 100000 bytes have to be kept, but .*tempBytes/,
  });
  await source.close();
});

t.test('a blob that is closed while it arrives', async t => {
  const registry = await servedWithoutRanges(t);
  registry.clearFaults();
  registry.inject({ match: BLOBS, skip: 1, stallAfter: 1000 });
  registry.inject({ match: BLOBS, ignoreRange: true });
  const space = temporarySpace();
  const source = await openRepository(startTransport(t), registry).openBlob(BLOB, { keepWhole: { space } });
  const reading = failure(source.read(0, 10));
  while (space.reserved === 0) await new Promise(resolve => setImmediate(resolve));
  await source.close();
  t.match(await reading, { code: 'ERR_SOCI_CLOSED' });
  t.equal(space.reserved, 0);
});

t.test('a stream that nobody goes on to read takes up no space once its blob is closed', async t => {
  const registry = await servedWithoutRanges(t);
  const space = temporarySpace();
  const source = await openRepository(startTransport(t), registry).openBlob(BLOB, { keepWhole: { space } });
  await source.stream()[Symbol.asyncIterator]().next();
  t.equal(space.reserved, LAYER.length, 'what passes is kept');
  await source.close();
  t.equal(space.reserved, 0);
});

t.test('what breaks off at such a server is said to have broken off', async t => {
  const registry = await servedWithoutRanges(t);
  registry.clearFaults();
  registry.inject({ match: BLOBS, ignoreRange: true, cutAfter: 90_000 });
  const space = temporarySpace();
  const source = await openRepository(startTransport(t), registry).openBlob(BLOB, { keepWhole: { space } });
  for (const ask of [() => collect(source.stream()), () => source.read(0, 10)]) {
    const { code, message } = await failure(ask());
    t.match(code, /ERR_SOCI_SOURCE_SHORT|ERR_SOCI_HTTP_NETWORK/);
    t.notMatch(message, /Range/);
    t.equal(space.reserved, 0);
  }
  await source.close();
});

t.test('mirrors', async t => {
  const origin = await startRegistry(t);
  const mirror = await servedWithoutRanges(t);
  const hosts = { [origin.host]: { mirrors: [{ url: mirror.url }] } };
  const repository = openRepository(startTransport(t, { hosts }), origin);
  const read = async (space: TemporarySpace): Promise<Buffer> => {
    const source = await repository.openBlob(BLOB, { keepWhole: { space } });
    try {
      await source.read(5, 10);
      return Buffer.from(await source.read(50, 10));
    } finally {
      await source.close();
    }
  };
  t.same(await read(temporarySpace()), Buffer.from(LAYER.subarray(50, 60)));
  t.same(rangesOf(origin), ['bytes=5-14'], 'one that serves no ranges is used when nobody else has the blob');
  t.same(rangesOf(mirror), ['bytes=5-14', undefined]);
  await pushImage(openRepository(startTransport(t), origin), LAYER);
  const space = temporarySpace(0);
  t.same(await read(space), Buffer.from(LAYER.subarray(50, 60)));
  t.same(rangesOf(origin), ['bytes=5-14', 'bytes=50-59'], 'whoever serves ranges comes first');
  t.same(rangesOf(mirror), ['bytes=5-14']);
});

t.test('ranges that are answered piece by piece are asked on for', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t, { retry: { retries: 0 } }), registry);
  await repository.pushBlob(BLOB, LAYER);
  const inPieces = (most: number): void =>
    registry.inject({
      match: BLOBS,
      reply: ({ headers }) => {
        const [, start = 0, last = 0] = (/^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '') ?? []).map(
          Number,
        );
        const end = Math.min(last + 1, start + most);
        const range = `bytes ${start}-${end - 1}/${LAYER.length}`;
        return { status: 206, headers: { 'content-range': range }, body: LAYER.subarray(start, end) };
      },
    });
  const source = await repository.openBlob(BLOB);
  t.teardown(() => source.close());
  inPieces(30_000);
  registry.requests.length = 0;
  t.same(Buffer.from(await source.read(10, 80_000)), Buffer.from(LAYER.subarray(10, 80_010)));
  t.same(rangesOf(registry), ['bytes=10-80009', 'bytes=30010-80009', 'bytes=60010-80009']);
  registry.clearFaults();
  inPieces(100);
  t.match(await failure(source.read(10, 80_000)), { code: 'ERR_SOCI_SOURCE_SHORT' }, 'not drop by drop');
});

t.test('replicas that tag and date each answer for themselves serve one blob', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  await repository.pushBlob(BLOB, LAYER);
  for (const [number, cutAfter] of [undefined, 30_000, undefined, undefined].entries()) {
    const date = new Date(1.7e12 + number * 1e6).toUTCString();
    const headers = { etag: `"${number}"`, 'last-modified': date };
    registry.inject({ match: BLOBS, times: 1, headers, ...(cutAfter === undefined ? {} : { cutAfter }) });
  }
  const source = await repository.openBlob(BLOB);
  t.teardown(() => source.close());
  await source.read(0, 10);
  t.same(Buffer.from(await source.read(0, 80_000)), Buffer.from(LAYER.subarray(0, 80_000)));
  t.notOk(registry.requests.some(({ headers }) => headers['if-range'] !== undefined));
  await source.read(10, 10);
});

t.test('images are read from such servers, with an index and without, and say so', async t => {
  const body = textLike(300_000, 1);
  for (const indexed of [true, false]) {
    const registry = await startRegistry(t);
    const repository = openRepository(startTransport(t), registry);
    const layers = [await layerOf([{ name: 'a/one', body }])];
    await (indexed
      ? pushIndexedImage(repository, layers, { tag: 'v1' })
      : pushLayers(repository, layers, { tag: 'v1' }));
    registry.inject({ match: BLOBS, ignoreRange: true });
    const phases = new Set<string>();
    const image = await openImage(
      { repository, reference: 'v1' },
      { context: new ReadContext(), retry: QUICK, onProgress: ({ phase }) => void phases.add(phase) },
    );
    t.strictSame(await image.readFile('/a/one'), body);
    t.same([...phases], indexed ? ['download'] : ['build']);
    const ofLayer = ({ method, path }: { readonly method: string; readonly path: string }) =>
      method === 'GET' && path.endsWith(layers[0]!.descriptor.digest);
    const asked = registry.requests.filter(ofLayer).map(({ headers }) => headers['range']);
    // With an index the first read asks for a span; without one nothing is asked for but the layer.
    t.match(asked, indexed ? [/^bytes=/, undefined] : [/^bytes=0-/]);
    t.equal(asked.length, indexed ? 2 : 1);
    await image.close();
  }
});
