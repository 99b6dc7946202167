/** What is fetched before anybody asks for it: ahead of one who reads a file on and on, and the rest of a layer. */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openLayer } from '../../lib/image/layer.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import type { Span } from '../../lib/span/span-table.js';
import { Store } from '../../lib/store/store.js';
import { DrippingSource } from '../span/dripping-source.js';
import { forgeWindow, noise, type Sample, sample, tarOf, textLike } from '../span/sample-layers.js';
import { Origin, watchStores } from '../store/sample-blob.js';

const body = Buffer.concat([noise(2_000_000), textLike(1_000_000)]);
const data = await sample(
  await tarOf([
    { name: 'before', body: noise(6_000_000, 5) },
    { name: 'file', body },
    { name: 'behind', body: noise(300_000, 9) },
  ]),
  { spanSize: 200_000 },
);
const CHUNK = 50_000;

interface Subject {
  readonly source: DrippingSource;
  readonly context: ReadContext;
  readonly layer: Awaited<ReturnType<typeof openLayer>>;
}

async function open(
  t: Test,
  { settings = {}, of = data }: { settings?: ConstructorParameters<typeof ReadContext>[0]; of?: Sample } = {},
): Promise<Subject> {
  const context = new ReadContext(settings);
  const source = new DrippingSource(of.layer);
  source.pieceBytes = 100_000;
  const layer = await openLayer(source, of.ztoc, { context });
  t.teardown(async () => {
    await layer.close();
    await context.close();
    if (context.memory.held !== 0) throw new Error(`${context.memory.held} bytes are still held`);
  });
  return { source, context, layer };
}

/** Lets what is under way come to its end. */
async function settled({ source }: Subject): Promise<void> {
  for (let idle = 0; idle < 30; idle++) {
    await turn();
    if (source.reads.some(read => read.at < read.end && read.signal?.aborted !== true)) idle = 0;
  }
}

t.test('reading a file from front to back', async t => {
  const subject = await open(t);
  const { source, layer } = subject;
  await using file = await layer.open('file');
  const buffer = Buffer.alloc(CHUNK);
  let asked = 0;
  for (let at = 0; at < body.length; at += CHUNK) {
    const before = source.reads.length;
    const { bytesRead } = await file.read(buffer);
    t.ok(body.subarray(at, at + bytesRead).equals(buffer.subarray(0, bytesRead)));
    await settled(subject);
    if (source.reads.slice(before).some(({ lane }) => lane === 'demand')) asked++;
  }
  t.ok(asked <= 2, `${asked} reads had to wait for a request of their own`);
  const { demand, prefetch } = layer.stats.lanes;
  t.not(prefetch.requests, 0);
  t.equal(prefetch.askedBytes, 0);
  t.equal(prefetch.wastedBytes, 0, 'all of it was asked for in the end');
  t.ok(prefetch.fetchedBytes > demand.fetchedBytes);
  t.equal(layer.stats.requests, demand.requests + prefetch.requests);
  t.equal(layer.stats.fetchedBytes, demand.fetchedBytes + prefetch.fetchedBytes);
  t.ok(demand.memoryBytes > 0);
});

t.test('ranges of readFile that follow each other', async t => {
  const subject = await open(t);
  const { source, layer } = subject;
  for (let start = 0; start < 4 * CHUNK; start += CHUNK) {
    const range = { start, endExclusive: start + CHUNK };
    const found = await layer.readFile('file', range);
    t.ok(body.subarray(start, start + CHUNK).equals(found));
  }
  await settled(subject);
  t.ok(source.reads.some(({ lane }) => lane === 'prefetch'));
});

t.test('reads here and there, and one of all, fetch nothing ahead', async t => {
  const subject = await open(t);
  const { source, layer } = subject;
  await using file = await layer.open('file');
  const buffer = Buffer.alloc(100);
  for (const position of [0, 1_000_000, 500_000, 2_000_000, 100]) await file.read(buffer, 0, 100, position);
  await layer.readFile('behind');
  await settled(subject);
  t.ok(source.reads.every(({ lane }) => lane === 'demand'));
});

t.test('the setting bounds it, and 0 switches it off', async t => {
  for (const [maxReadAheadBytes, most] of [
    [0, 0],
    [300_000, 600_000],
  ] as const) {
    const subject = await open(t, { settings: { maxReadAheadBytes } });
    const { layer } = subject;
    await using file = await layer.open('file');
    const buffer = Buffer.alloc(CHUNK);
    for (let i = 0; i < 3; i++) await file.read(buffer);
    await settled(subject);
    const { prefetch } = layer.stats.lanes;
    t.ok(prefetch.decodedBytes <= most, `${prefetch.decodedBytes} of ${most}`);
    t.equal(prefetch.requests > 0, most > 0);
  }
});

t.test('it fails nothing, and ends with the file and with the layer', async t => {
  for (const ending of ['failed', 'file', 'layer'] as const) {
    const subject = await open(t);
    const { source, layer } = subject;
    source.before = read => {
      if (read.lane !== 'prefetch') return undefined;
      return ending === 'failed' ? Promise.reject(new Error('failed')) : new Promise(() => {});
    };
    const file = await layer.open('file');
    const buffer = Buffer.alloc(CHUNK);
    for (let i = 0; i < 2; i++) await file.read(buffer);
    await settled({ ...subject, source: new DrippingSource(data.layer) });
    const ahead = source.reads.find(({ lane }) => lane === 'prefetch');
    t.ok(ahead);
    if (ending === 'failed') {
      for (let i = 0; i < 20; i++) await file.read(buffer);
      t.ok(body.subarray(21 * CHUNK, 22 * CHUNK).equals(buffer));
    }
    if (ending === 'file') await file.close();
    if (ending === 'layer') await layer.close();
    await turn();
    if (ending !== 'failed') t.equal(ahead?.signal?.aborted, true, ending);
    source.before = undefined;
  }
});

t.test('a forged window that only reading ahead has met is nobody’s error before he comes to it', async t => {
  const spans = data.ztoc.spanOf(data.ztoc.locate('file')?.offset ?? 0);
  const forged = { ...data, ztoc: forgeWindow(data.ztoc, spans + 4) };
  const subject = await open(t, { of: forged });
  const { layer } = subject;
  await using file = await layer.open('file');
  const buffer = Buffer.alloc(CHUNK);
  for (let i = 0; i < 2; i++) await file.read(buffer);
  await settled(subject);
  await file.read(buffer);
  t.ok(body.subarray(2 * CHUNK, 3 * CHUNK).equals(buffer));
  await t.rejects(layer.readFile('file'), { code: 'ERR_SOCI_WINDOW_MISMATCH' });
});

t.test('the rest of a layer of which much was asked for', async t => {
  const { ztoc } = data;
  const much = Math.floor(0.45 * ztoc.uncompressedSize);
  for (const [settings, whole] of [
    [{}, true],
    [{ maxReadAheadBytes: 0 }, false],
    [{ maxReadAheadBytes: ztoc.uncompressedSize - 1 }, false],
    [{ cacheBytes: ztoc.uncompressedSize }, false],
  ] as const) {
    await using context = new ReadContext(settings);
    const source = new DrippingSource(data.layer);
    source.pieceBytes = 500_000;
    const reader = new SpanReader(source, ztoc, { context });
    await reader.read(0, 1000);
    await settled({ source } as Subject);
    t.equal(reader.stats.lanes.prefetch.requests, 0);
    await reader.read(1000, much);
    await settled({ source } as Subject);
    t.equal(
      reader.stats.lanes.prefetch.requests,
      0,
      'one read of much says nothing about what comes after it',
    );
    await reader.read(0, 1);
    await settled({ source } as Subject);
    const { prefetch } = reader.stats.lanes;
    t.equal(prefetch.requests > 0, whole);
    t.equal(prefetch.wastedBytes > 0, whole);
    if (whole) {
      const { requests } = reader.stats;
      await reader.read(much, ztoc.uncompressedSize);
      t.equal(reader.stats.requests, requests);
      t.equal(reader.stats.lanes.prefetch.wastedBytes, 0);
    }
    await reader.close();
    t.equal(context.memory.held, 0);
  }
});

t.test('a store keeps it as it is stored', async t => {
  const { ztoc, layer } = data;
  await using store = await Store.open(t.testdir(), { maxBytes: 2 ** 30 });
  const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  const source = new DrippingSource(layer);
  source.pieceBytes = 500_000;
  const stored = await store.open({ digest, size: layer.length }, source);
  await using context = new ReadContext();
  const reader = new SpanReader(stored, ztoc, { context });
  await reader.read(0, Math.floor(0.45 * ztoc.uncompressedSize));
  await reader.read(0, 1);
  const { decodedSpans } = reader.stats;
  await settled({ source } as Subject);
  // Until it is written.
  while ((await store.completion({ digest, size: layer.length })).present !== layer.length) await turn();
  t.ok(reader.stats.decodedSpans <= decodedSpans, 'nothing is decoded that nobody has asked for');
  await reader.close();
  await stored.close();
  t.equal(context.memory.held, 0);
});

t.test('what was damaged on its way to a store, and nobody has asked for, costs no layer', async t => {
  const { ztoc, layer } = data;
  for (const damaged of ['once', 'always'] as const) {
    const heard = watchStores(t);
    await using store = await Store.open(t.testdir(), { maxBytes: 2 ** 30 });
    const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
    const origin = new Origin({ bytes: layer });
    const at = Math.floor(0.8 * layer.length);
    let left = damaged === 'once' ? 1 : Number.POSITIVE_INFINITY;
    let met = 0;
    origin.intercept = (bytes, offset) => {
      if (at < offset || at >= offset + bytes.length) return bytes;
      met++;
      if (left-- > 0) bytes[at - offset] = (bytes[at - offset] as number) ^ 1;
      return bytes;
    };
    const stored = await store.open({ digest, size: layer.length }, origin);
    await using context = new ReadContext();
    const reader = new SpanReader(stored, ztoc, { context });
    const much = Math.floor(0.45 * ztoc.uncompressedSize);
    const head = await reader.read(0, much);
    await reader.read(0, 1);
    while (met < 2 && !heard.includes('refused')) await turn();
    t.notOk(heard.includes('refused'), damaged);
    if (damaged === 'once') {
      while (!heard.includes('completed') && !heard.includes('refused')) await turn();
      const rest = await reader.read(much, ztoc.uncompressedSize);
      t.ok(Buffer.concat([head, rest]).equals(data.tar));
    } else {
      await stored.keeping?.settled();
      t.ok(Buffer.from(await reader.read(1000, much)).equals(data.tar.subarray(1000, much)));
      await t.rejects(reader.read(much, ztoc.uncompressedSize), { code: 'ERR_SOCI_SPAN_DIGEST' });
    }
    await reader.close();
    await stored.close();
    t.equal(context.memory.held, 0);
  }
});

t.test('what is read over on the way to a store is looked at, too', async t => {
  const { ztoc, layer, tar } = await sample(await tarOf([{ name: 'noise', body: noise(400_000) }]), {
    spanSize: 20_000,
  });
  const heard = watchStores(t);
  await using store = await Store.open(t.testdir(), { maxBytes: 2 ** 30 });
  const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  const origin = new Origin({ bytes: layer });
  const [before, between, behind] = [4, 5, 6].map(index => ztoc.span(index)) as [Span, Span, Span];
  const at = (between.compressedStart + between.compressedEnd) >> 1;
  let damaged = 0;
  origin.intercept = (bytes, offset) => {
    if (at < offset || at >= offset + bytes.length || damaged++ > 0) return bytes;
    bytes[at - offset] = (bytes[at - offset] as number) ^ 1;
    return bytes;
  };
  const stored = await store.open({ digest, size: layer.length }, origin);
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const reader = new SpanReader(stored, ztoc, { context });
  await Promise.all([before, behind].map(span => reader.read(span.uncompressedStart, span.uncompressedEnd)));
  t.equal(damaged, 1, 'it came with what is on both sides of it');
  t.equal(origin.reads.length, 1);
  t.equal(reader.stats.digestRetries, 0);
  for (let span = 0; span < ztoc.spanCount; span++) {
    const { index, uncompressedStart, uncompressedEnd } = ztoc.span(span);
    const wanted = index === between.index ? [] : [reader.read(uncompressedStart, uncompressedEnd)];
    await Promise.all(wanted);
  }
  await stored.keeping?.settled();
  t.notOk(heard.includes('completed'), 'what was wrong is not there');
  t.ok(Buffer.from(await reader.read(0, ztoc.uncompressedSize)).equals(tar));
  await stored.keeping?.settled();
  t.ok(heard.includes('completed'));
  t.notOk(heard.includes('refused'));
  await reader.close();
  await stored.close();
});

const small = await sample(
  await tarOf(Array.from({ length: 60 }, (_, i) => ({ name: `file-${i}`, body: noise(50_000, i) }))),
  { spanSize: 200_000 },
);

async function readFiles(t: Test, subject: Subject, order: readonly number[]): Promise<number> {
  let waited = 0;
  for (const i of order) {
    const before = subject.source.reads.length;
    t.ok(noise(50_000, i).equals(await subject.layer.readFile(`file-${i}`)));
    await settled(subject);
    if (subject.source.reads.slice(before).some(({ lane }) => lane === 'demand')) waited++;
  }
  return waited;
}

t.test('files one after the other as the tar has them', async t => {
  const subject = await open(t, { of: small });
  const waited = await readFiles(t, subject, [...Array(60).keys()]);
  t.ok(waited <= 5, `${waited} of 60 reads had to wait for a request of their own`);
  t.ok(subject.source.reads.some(({ lane }) => lane === 'prefetch'));
  t.equal(subject.layer.stats.lanes.prefetch.wastedBytes, 0, 'all of it was asked for in the end');
});

t.test('files in another order, or too few of them, fetch nothing ahead', async t => {
  const orders = {
    backwards: [...Array(20).keys()].map(i => 59 - i),
    'here and there': Array.from({ length: 5 }, (_, i) => (i * 37) % 60),
    'a few neighbours': [20, 21, 22, 23, 24, 25],
  };
  for (const [name, order] of Object.entries(orders)) {
    const subject = await open(t, { of: small });
    await readFiles(t, subject, order);
    t.ok(
      subject.source.reads.every(({ lane }) => lane === 'demand'),
      name,
    );
  }
});

t.test('the setting switches reading ahead in the order of the tar off', async t => {
  const subject = await open(t, { of: small, settings: { maxReadAheadBytes: 0 } });
  await readFiles(t, subject, [...Array(30).keys()]);
  t.ok(subject.source.reads.every(({ lane }) => lane === 'demand'));
});
