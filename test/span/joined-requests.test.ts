/** Spans that are asked for in one turn of the event loop share requests, whoever asks. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { SourceKeeping } from '../../lib/source/range-source.js';
import { BOUNDARY_BYTES } from '../../lib/source/request-pieces.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import fc from '../property.js';
import { CountingSource } from './counting-source.js';
import { DrippingSource } from './dripping-source.js';
import { noise, type Sample, sample, standardSample, tarOf } from './sample-layers.js';

const standard = await standardSample();
/** Spans of about 1 MB, over two boundaries. */
const long = await sample(await tarOf([{ name: 'noise', body: noise(18_000_000) }]), { spanSize: 1_000_000 });

function spanBytes({ ztoc }: Sample, index: number): [number, number] {
  const span = ztoc.span(index);
  return [span.uncompressedStart, Math.min(span.uncompressedEnd, ztoc.uncompressedSize)];
}

function contextOf(settings: ConstructorParameters<typeof ReadContext>[0] = {}): ReadContext {
  return new ReadContext({ maxReadAheadBytes: 0, ...settings });
}

t.test('neighbours of many readers are one request', async t => {
  await using context = contextOf();
  const source = new CountingSource(standard.layer);
  const reader = new SpanReader(source, standard.ztoc, { context });
  const { ztoc } = standard;
  const plan = reader.plan([{ start: 0, end: 1 }]);
  t.equal(plan.requests, 1);
  const reads = Array.from({ length: ztoc.spanCount }, (_, i) => spanBytes(standard, ztoc.spanCount - 1 - i));
  const found = await Promise.all(reads.map(([start, end]) => reader.read(start, end)));
  for (const [i, [start, end]] of reads.entries()) t.ok(standard.tar.subarray(start, end).equals(found[i]!));
  t.same(source.ranges, [[ztoc.fetchStart(0), ztoc.span(ztoc.spanCount - 1).compressedEnd]]);
  await reader.close();
});

t.test('one by one where that is switched off', async t => {
  await using context = contextOf();
  context.planning.joins = false;
  const source = new CountingSource(standard.layer);
  const reader = new SpanReader(source, standard.ztoc, { context });
  await Promise.all([0, 1, 2].map(index => reader.read(...spanBytes(standard, index))));
  t.equal(source.reads.length, 3);
  await reader.close();
});

t.test('lanes share nothing, and one who comes to wait raises all of a request', async t => {
  await using context = contextOf();
  const source = new CountingSource(standard.layer);
  const reader = new SpanReader(source, standard.ztoc, { context });
  const read = (index: number, lane: 'demand' | 'background') =>
    reader.read(...spanBytes(standard, index), { lane });
  const all = await context.memory.acquire(2 ** 30);
  const reads = [read(4, 'background'), read(0, 'demand'), read(5, 'background'), read(1, 'demand')];
  await turns(2);
  reads.push(read(5, 'demand'));
  all.release();
  await Promise.all(reads);
  const { ztoc } = standard;
  t.same(
    source.ranges.sort((a, b) => a[0] - b[0]),
    [
      [ztoc.fetchStart(0), ztoc.span(1).compressedEnd],
      [ztoc.fetchStart(4), ztoc.span(5).compressedEnd],
    ],
  );
  t.ok(source.reads.every(({ lane }) => lane === 'demand'));
  await reader.close();
});

t.test('who leaves before the turn is over has asked for nothing', async t => {
  await using context = contextOf();
  const source = new CountingSource(standard.layer);
  const reader = new SpanReader(source, standard.ztoc, { context });
  const controller = new AbortController();
  const left = new Error('left');
  const leaving = reader.read(...spanBytes(standard, 0), { signal: controller.signal });
  const staying = reader.read(...spanBytes(standard, 1));
  controller.abort(left);
  await t.rejects(leaving, left);
  await staying;
  t.same(source.ranges, [[standard.ztoc.fetchStart(1), standard.ztoc.span(1).compressedEnd]]);
  const closing = t.rejects(reader.read(...spanBytes(standard, 5)), { code: 'ERR_SOCI_CLOSED' });
  await reader.close();
  await closing;
  await turn();
  t.equal(source.reads.length, 1, 'nor who is closed');
  t.equal(context.memory.held, 0);
});

t.test('requests end at the boundaries of object stores', async t => {
  await using context = contextOf();
  const source = new DrippingSource(long.layer);
  source.pieceBytes = 1_000_000;
  const reader = new SpanReader(source, long.ztoc, { context });
  const { requests, bytes } = reader.plan([{ start: 0, end: long.ztoc.uncompressedSize }]);
  const read = await reader.read(0, long.ztoc.uncompressedSize);
  t.ok(long.tar.subarray(0, read.length).equals(read));
  t.ok(source.ranges.every(([start, end]) => onOneSide(start, end)));
  t.equal(source.reads.length, requests, 'as the plan says');
  t.equal(reader.stats.fetchedBytes, bytes);
  await reader.close();
});

function onOneSide(start: number, end: number): boolean {
  return Math.floor(start / BOUNDARY_BYTES) === Math.floor((end - 1) / BOUNDARY_BYTES);
}

t.test('any readers, layouts and links: right bytes, each span once, nothing left', async t => {
  const link = fc.option(
    fc.record({
      roundTripMs: fc.option(fc.constantFrom(0, 1, 20, 1e9), { nil: undefined }),
      bytesPerSecond: fc.option(fc.constantFrom(0, 1e5, 25e6), { nil: undefined }),
    }),
    { nil: undefined },
  );
  const reader = fc.record({
    from: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 0, max: 300_000 }),
    lane: fc.constantFrom('demand', 'prefetch', 'background'),
    begins: fc.nat(4),
    leaves: fc.option(fc.nat(8)),
  });
  const layouts: Sample[] = [];
  for (const spanSize of [20_000, 65_536, 200_000, 1 << 30]) {
    layouts.push(await sample(standard.tar, { spanSize }));
  }
  layouts.push(long);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...layouts),
      link,
      fc.array(reader, { minLength: 1, maxLength: 12 }),
      fc.constantFrom(1, 100_000, 1 << 24),
      fc.boolean(),
      async (layout, estimate, readers, maxRequestBytes, keeps) => {
        await using context = contextOf({ maxRequestBytes });
        const source = new DrippingSource(layout.layer);
        source.link = estimate;
        // Reads ask no more of it than this.
        if (keeps) source.keeping = { willKeep: () => true } as SourceKeeping;
        source.pieceBytes = 150_000;
        const spans = new SpanReader(source, layout.ztoc, { context });
        const left = new Error('left');
        let leaves = false;
        await Promise.all(
          readers.map(async one => {
            for (let i = 0; i < one.begins; i++) await turn();
            const controller = new AbortController();
            if (one.leaves !== null) {
              leaves = true;
              void turns(one.leaves).then(() => controller.abort(left));
            }
            const start = Math.floor(one.from * spans.size);
            const end = Math.min(spans.size, start + one.length);
            const { signal } = controller;
            const bytes = await spans
              .read(start, end, { signal, lane: one.lane as 'demand' })
              .catch((error: unknown) => {
                if (error !== left) throw error;
              });
            if (bytes !== undefined && !layout.tar.subarray(start, end).equals(bytes))
              throw new Error('wrong');
          }),
        );
        const { stats } = spans;
        await spans.close();
        if (!leaves && stats.decodedSpans > layout.ztoc.spanCount) return false;
        if (!source.ranges.every(([start, end]) => onOneSide(start, end))) return false;
        return context.memory.held === 0;
      },
    ),
    { numRuns: 60 },
  );
  t.pass('held for all');
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}
