/** Files, and all of the tar, as streams: in order, ahead, in bounded memory, and gone when they are destroyed. */
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { type Layer, type OpenLayerOptions, openLayer } from '../../lib/image/layer.js';
import { BOUNDARY_BYTES } from '../../lib/source/request-pieces.js';
import { configure, settings } from '../../lib/span/read-context.js';
import { CountingSource, forgetSpans, gate } from '../span/counting-source.js';
import {
  forgeDigest,
  forgeWindow,
  members,
  noise,
  type Sample,
  sample,
  tarOf,
  textLike,
} from '../span/sample-layers.js';

const DEFAULTS = settings();
t.afterEach(() => {
  configure({ ...DEFAULTS });
});

const BODY = Buffer.concat([textLike(1_500_000), noise(1_500_000)]);
const standard = await sample(
  await tarOf([
    { name: 'file', body: BODY },
    { name: 'empty', body: Buffer.alloc(0) },
  ]),
);

async function open(
  one: Sample,
  options: OpenLayerOptions = {},
): Promise<{ layer: Layer; source: CountingSource }> {
  const source = new CountingSource(one.layer);
  forgetSpans();
  return { source, layer: await openLayer(source, one.ztoc, options) };
}

async function collect(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray());
}

t.test('a stream gives the file, or a range of it', async t => {
  for (const maxSpanBytes of [DEFAULTS.maxSpanBytes, 10_000]) {
    configure({ maxSpanBytes });
    const { layer } = await open(standard);
    t.ok(BODY.equals(await collect(layer.createReadStream('file'))));
    for (const [start, end] of [
      [0, 1],
      [65_000, 66_000],
      [1_000_000, 2_500_000],
      [BODY.length - 1, BODY.length + 1],
      [7, 7],
    ] as const) {
      const bytes = await collect(layer.createReadStream('file', { start, endExclusive: end }));
      t.ok(BODY.subarray(start, end).equals(bytes), `${start} to ${end}`);
    }
    t.equal((await collect(layer.createReadStream('empty'))).length, 0);
    await layer.close();
  }
});

t.test('every span is fetched once, neighbours together', async t => {
  const { layer, source } = await open(standard);
  await collect(layer.createReadStream('file'));
  const sorted = source.ranges.sort(([a], [b]) => a - b);
  const total = sorted.reduce((sum, [start, end]) => sum + end - start, 0);
  t.ok(total < standard.layer.length + sorted.length, 'but for the bytes that spans share');
  t.ok(sorted.length <= 3, `${sorted.length} requests: the first span alone, the rest in pieces`);
  await layer.close();
});

t.test('the tar of a layer is a stream too', async t => {
  const plain = await sample(standard.tar, { compression: 'uncompressed' });
  const cut = await sample(standard.tar, { layer: members(standard.tar, 300_000) });
  for (const one of [standard, plain, cut]) {
    for (const maxSpanBytes of [DEFAULTS.maxSpanBytes, 10_000]) {
      configure({ maxSpanBytes });
      const { layer } = await open(one);
      t.ok(one.tar.equals(await collect(layer.createTarStream())));
      for (const [start, end] of [
        [0, 1],
        [65_000, 1_000_000],
        [one.tar.length - 1, one.tar.length + 1],
        [one.tar.length, undefined],
        [7, 7],
      ] as const) {
        const bytes = await collect(layer.createTarStream({ start, endExclusive: end }));
        t.ok(one.tar.subarray(start, end).equals(bytes), `${start} to ${end}`);
      }
      await layer.close();
    }
  }
});

t.test('a pass over the tar leaves the cache as it is, and uses what is in it', async t => {
  const { layer, source } = await open(standard);
  const hello = await layer.readFile('file', { endExclusive: 100_000 });
  const requests = source.reads.length;
  t.ok(standard.tar.equals(await collect(layer.createTarStream())));
  const whole = layer.stats;
  t.ok(whole.cacheHits > 0);
  t.ok(hello.equals(await layer.readFile('file', { endExclusive: 100_000 })));
  t.equal(layer.stats.requests, whole.requests, 'still cached');
  t.ok(whole.requests > requests);
  await layer.readFile('file', { start: BODY.length - 1 });
  t.equal(layer.stats.requests, whole.requests + 1, 'not cached by the pass');
  await layer.close();
});

t.test('a chunk of the tar belongs to who reads it, also where a file is read meanwhile', async t => {
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    const { layer, source } = await open(standard, { verifyWindows });
    const arrival = gate();
    source.intercept = async (_, bytes) => {
      await arrival.opened;
      return bytes;
    };
    const stream = layer.createTarStream();
    const spoilt = (async () => {
      for await (const chunk of stream) (chunk as Buffer).fill(0);
    })();
    while (source.reads.length === 0) await delay(1);
    const file = layer.readFile('file');
    arrival.open();
    t.ok(BODY.equals(await file), verifyWindows);
    await spoilt;
    t.ok(BODY.equals(await layer.readFile('file')));
    t.ok(standard.tar.equals(await collect(layer.createTarStream())));
    await layer.close();
  }
});

t.test('no byte of the tar comes out of a span that is wrong, or from behind it', async t => {
  const forgeries = [
    { ztoc: forgeDigest(standard.ztoc, 20), code: 'ERR_SOCI_SPAN_DIGEST', span: 20 },
    { ztoc: forgeWindow(standard.ztoc, 21), code: 'ERR_SOCI_WINDOW_MISMATCH', span: 20 },
  ];
  for (const { ztoc, code, span } of forgeries) {
    const { layer } = await open({ ...standard, ztoc });
    const stream = layer.createTarStream();
    let bytes = 0;
    stream.on('data', chunk => {
      bytes += (chunk as Buffer).length;
    });
    t.match(await once(stream, 'error'), [{ code }]);
    t.ok(bytes <= ztoc.span(span).uncompressedStart, code);
    if (code === 'ERR_SOCI_WINDOW_MISMATCH') await t.rejects(layer.readFile('empty'), { code });
    await layer.close();
  }
});

t.test('closing a layer ends the stream of its tar', async t => {
  const { layer, source } = await open(standard);
  source.intercept = (_, bytes) => delay(20, bytes);
  const stream = layer.createTarStream();
  stream.resume();
  while (source.reads.length === 0) await delay(1);
  const failed = once(stream, 'error').catch((error: unknown) => [error]);
  await layer.close();
  t.match(await failed, [{ code: 'ERR_SOCI_CLOSED' }]);
  await t.rejects(collect(layer.createTarStream()), { code: 'ERR_SOCI_CLOSED' });
});

t.test('besides the piece that is used, one of two spans is under way for each thread', async t => {
  const { layer: bytes, ztoc } = await sample(await tarOf([{ name: 'text', body: textLike(48 << 20) }]), {
    spanSize: 4 << 20,
  });
  for (const decodeConcurrency of [1, 2, 5]) {
    configure({ decodeConcurrency });
    const source = new CountingSource(bytes);
    forgetSpans();
    const layer = await openLayer(source, ztoc);
    const stream = layer.createTarStream();
    stream.read(0);
    await delay(100);
    const begun = source.ranges.filter(([start]) => start % BOUNDARY_BYTES !== 0);
    t.equal(begun.length, 1 + decodeConcurrency, 'fetches before anything was consumed');
    const spans = Array.from({ length: 1 + 2 * decodeConcurrency }, (_, i) => ztoc.span(i));
    t.equal(Math.max(...source.ranges.map(([, end]) => end)), spans.at(-1)?.compressedEnd);
    stream.destroy();
    await layer.close();
  }
});

t.test("errors are the stream's", async t => {
  const { layer } = await open({ ...standard, ztoc: forgeDigest(standard.ztoc, 20) });
  await t.rejects(collect(layer.createReadStream('missing')), { code: 'ENOENT' });
  await t.rejects(collect(layer.createReadStream('file', { start: -1 })), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
  const stream = layer.createReadStream('file');
  let bytes = 0;
  stream.on('data', chunk => {
    bytes += (chunk as Buffer).length;
  });
  const [error] = await once(stream, 'error').catch((reason: unknown) => [reason]);
  t.match(error, { code: 'ERR_SOCI_SPAN_DIGEST' });
  t.ok(bytes <= standard.ztoc.span(20).uncompressedStart, 'nothing from the wrong span or behind it');
  await layer.close();
});

t.test('destroying a stream, and its signal, end what it has under way', async t => {
  for (const how of ['destroy', 'signal']) {
    const { layer, source } = await open(standard);
    source.intercept = () => new Promise(() => {});
    const controller = new AbortController();
    const reason = new Error('enough');
    const stream = layer.createReadStream('file', { signal: controller.signal });
    stream.resume();
    await delay(5);
    t.ok(source.reads.length > 0);
    const failed = once(stream, 'error').catch((error: unknown) => [error]);
    if (how === 'destroy') stream.destroy(reason);
    else controller.abort(reason);
    t.same(await failed, [reason]);
    t.ok(
      source.reads.every(({ signal }) => signal?.aborted),
      how,
    );
    await layer.close();
  }
  const { layer, source } = await open(standard);
  const early = layer.createReadStream('file', { signal: AbortSignal.abort(new Error('before')) });
  await t.rejects(collect(early), { message: 'before' });
  t.equal(source.reads.length, 0);
  for await (const chunk of layer.createReadStream('file')) {
    t.ok((chunk as Buffer).length > 0);
    break;
  }
  await layer.close();
});

t.test('a slow reader of a large file holds a few spans', async t => {
  configure({ cacheBytes: 0 });
  const large = await sample(await tarOf([{ name: 'zeros', body: Buffer.alloc(200 << 20) }]), {
    spanSize: 4 << 20,
  });
  const { layer } = await open(large);
  globalThis.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let bytes = 0;
  for await (const chunk of layer.createReadStream('zeros')) {
    if (bytes % (16 << 20) === 0) {
      await delay(5);
      globalThis.gc?.();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    bytes += (chunk as Buffer).length;
  }
  t.equal(bytes, 200 << 20);
  t.ok(most < 80 << 20, `${most} bytes at most`);
  await layer.close();
});
