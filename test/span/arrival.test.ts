/** Spans of one request are handed out as their bytes arrive: proved, and no earlier or later than that. */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { Store } from '../../lib/store/store.js';
import { gate } from './counting-source.js';
import { DrippingSource } from './dripping-source.js';
import { noise, sample, tarOf } from './sample-layers.js';

/** Eight spans or so, of 60 KB each as they are stored. */
const data = await sample(await tarOf([{ name: 'noise', body: noise(500_000) }]), { spanSize: 60_000 });
const { ztoc, layer } = data;

function spanBytes(index: number): [number, number] {
  const span = ztoc.span(index);
  return [span.uncompressedStart, Math.min(span.uncompressedEnd, ztoc.uncompressedSize)];
}

/** Bytes beyond `to` wait until the gate opens. */
function stopAt(source: DrippingSource, to: number) {
  const { opened, open } = gate();
  source.pieceBytes = 1000;
  source.before = read => (read.at + 1000 <= to ? turn() : opened);
  return open;
}

t.test('a span is there when its own bytes are', async t => {
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const source = new DrippingSource(layer);
  const reader = new SpanReader(source, ztoc, { context });
  const open = stopAt(source, ztoc.span(2).compressedEnd + 2000);
  const all = reader.read(0, ztoc.uncompressedSize);
  let later = false;
  const third = reader.read(...spanBytes(3)).then(() => {
    later = true;
  });
  for (const index of [0, 1, 2]) {
    const [start, end] = spanBytes(index);
    t.ok(data.tar.subarray(start, end).equals(await reader.read(start, end)), `span ${index}`);
  }
  t.equal(source.reads.length, 1);
  t.ok((source.reads[0]?.at ?? 0) < ztoc.span(3).compressedEnd, 'the rest is still to come');
  t.notOk(later);
  open();
  await third;
  t.ok(data.tar.subarray(0, ztoc.uncompressedSize).equals(await all));
  t.equal(reader.stats.requests, 1);
  t.equal(reader.stats.decodedSpans, ztoc.spanCount);
  t.equal(context.memory.held, 0);
  await reader.close();
});

t.test('together where that is switched off', async t => {
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  context.planning.overlaps = false;
  const source = new DrippingSource(layer);
  const reader = new SpanReader(source, ztoc, { context });
  const open = stopAt(source, ztoc.span(2).compressedEnd + 2000);
  const all = reader.read(0, ztoc.uncompressedSize);
  for (let i = 0; i < 300; i++) await turn();
  t.equal(reader.stats.decodedSpans, 0);
  open();
  await all;
  await reader.close();
});

t.test('a wrong byte is fetched again, alone, while the others go on', async t => {
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const damaged = Buffer.from(layer);
  const at = ztoc.span(1).compressedStart + 100;
  damaged[at] = (damaged[at] as number) ^ 1;
  const source = new DrippingSource(damaged);
  const open = stopAt(source, ztoc.span(1).compressedEnd + 2000);
  const reader = new SpanReader(source, ztoc, { context });
  const all = t.rejects(reader.read(0, ztoc.uncompressedSize), { code: 'ERR_SOCI_SPAN_DIGEST' });
  const [start, end] = spanBytes(0);
  t.ok(data.tar.subarray(start, end).equals(await reader.read(start, end)));
  while (source.reads.length < 2) await turn();
  t.same(source.ranges[1], [ztoc.fetchStart(1), ztoc.span(1).compressedEnd]);
  t.equal(reader.stats.decodedSpans, 1, 'nothing of what is wrong is decoded');
  open();
  await all;
  await reader.close();
  t.equal(context.memory.held, 0);
});

t.test('a request that breaks off fails those whose bytes are missing, and no others', async t => {
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const source = new DrippingSource(layer);
  const reader = new SpanReader(source, ztoc, { context });
  const broken = new Error('broken');
  source.before = read =>
    read.at > ztoc.span(2).compressedEnd ? Promise.reject(broken) : turn().then(() => {});
  const reads = Array.from({ length: ztoc.spanCount }, (_, index) => reader.read(...spanBytes(index)));
  const results = await Promise.allSettled(reads);
  t.same(
    results.map(({ status }) => status === 'fulfilled'),
    results.map((_, index) => index <= 2),
  );
  t.ok(results.every(result => result.status === 'fulfilled' || result.reason === broken));
  await reader.close();
  t.equal(context.memory.held, 0);
});

t.test('what nobody waits for any more is called off, however much of it was used', async t => {
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const source = new DrippingSource(layer);
  const reader = new SpanReader(source, ztoc, { context });
  const open = stopAt(source, ztoc.span(1).compressedEnd + 2000);
  const controller = new AbortController();
  const left = new Error('left');
  const all = t.rejects(reader.read(0, ztoc.uncompressedSize, { signal: controller.signal }), left);
  const first = reader.read(...spanBytes(0));
  await first;
  t.equal(source.reads[0]?.signal?.aborted, false);
  controller.abort(left);
  await all;
  await turn();
  t.equal(source.reads[0]?.signal?.aborted, true);
  open();
  await reader.close();
  t.equal(context.memory.held, 0);
});

t.test('closing at every stage ends everything', async t => {
  for (let pieces = 0; pieces <= layer.length / 10_000 + 3; pieces += 3) {
    await using context = new ReadContext({ maxReadAheadBytes: 0 });
    const source = new DrippingSource(layer);
    const reader = new SpanReader(source, ztoc, { context });
    const reads = Promise.allSettled([reader.read(0, ztoc.uncompressedSize), reader.read(...spanBytes(1))]);
    for (let i = 0; i < pieces; i++) await turn();
    await reader.close();
    for (const result of await reads) {
      if (result.status === 'rejected') t.equal(result.reason.code, 'ERR_SOCI_CLOSED');
    }
    t.equal(context.memory.held, 0, `after ${pieces} turns`);
  }
});

t.test('a store passes on what arrives, and its own', async t => {
  await using store = await Store.open(t.testdir(), { maxBytes: 2 ** 30 });
  const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  const before = new DrippingSource(layer);
  const filling = await store.open({ digest, size: layer.length }, before);
  // Some blocks in front, and some in the middle, are there already.
  await filling.read(0, 5000);
  await filling.read(200_000, 5000);
  await filling.close();

  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const source = new DrippingSource(layer);
  const stored = await store.open({ digest, size: layer.length }, source);
  const reader = new SpanReader(stored, ztoc, { context });
  const open = stopAt(source, ztoc.span(2).compressedEnd + 2000);
  const all = reader.read(0, ztoc.uncompressedSize);
  const [start, end] = spanBytes(2);
  t.ok(data.tar.subarray(start, end).equals(await reader.read(start, end)));
  t.ok((source.reads[0]?.at ?? 0) < ztoc.span(3).compressedEnd);
  open();
  t.ok(data.tar.subarray(0, ztoc.uncompressedSize).equals(await all));
  t.not(reader.stats.lanes.demand.diskBytes, 0);
  await reader.close();
  await stored.close();
});

t.test('a source that tells lies of what has arrived costs requests, and nothing else', async t => {
  const lies: Record<
    string,
    (told: (arrived: Uint8Array) => void, target: Uint8Array) => Promise<void> | void
  > = {
    'all is there at once': (told, target) => told(target),
    'more than there is': (told, target) => told(new Uint8Array(2 * target.length)),
    'memory of somebody else': (told, target) => told(noise(target.length, 3)),
    'when it is too late': async (told, target) => {
      await turn();
      setImmediate(() => told(target.subarray(0, 10)));
    },
    'less and less': (told, target) => {
      for (let length = 1000; length > 0; length -= 100) told(target.subarray(0, length));
    },
  };
  for (const [what, lie] of Object.entries(lies)) {
    await using context = new ReadContext({ maxReadAheadBytes: 0 });
    const source = new DrippingSource(layer);
    const { readInto } = source;
    source.readInto = async (target, offset, options = {}) => {
      const { onBytes, ...rest } = options;
      const lying = onBytes && lie(onBytes, target);
      await readInto.call(source, target, offset, rest);
      await lying;
    };
    const reader = new SpanReader(source, ztoc, { context });
    const found = await reader.read(0, ztoc.uncompressedSize);
    t.ok(data.tar.subarray(0, found.length).equals(found), what);
    await reader.close();
    t.equal(context.memory.held, 0);
  }
});

t.test('a source that cannot say what its link is like fails the read, and the process goes on', async t => {
  await using context = new ReadContext({ maxReadAheadBytes: 0 });
  const source = new DrippingSource(layer);
  const broken = new Error('no link');
  let asked = 0;
  Object.defineProperty(source, 'link', {
    get: () => {
      // Planning asks first, and the request when it begins.
      if (++asked % 2 === 0) throw broken;
    },
  });
  const reader = new SpanReader(source, ztoc, { context });
  await t.rejects(reader.read(...spanBytes(0)), broken);
  await reader.close();
  t.equal(source.reads.length, 0);
  t.equal(context.memory.held, 0);
});
