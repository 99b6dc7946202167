/** Random access to the tar stream: right bytes, few requests, shared work, leaving, closing. */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { configure, defaultContext, settings } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import fc from '../property.js';
import { CountingSource, forgetSpans, gate } from './counting-source.js';
import {
  asVersion1,
  gzipWithName,
  members,
  noise,
  type Sample,
  sample,
  standardSample,
  tarOf,
  textLike,
} from './sample-layers.js';

const DEFAULTS = settings();
t.afterEach(() => {
  configure({ ...DEFAULTS });
});

const standard = await standardSample();

function readerOf({ layer, ztoc }: Sample): { source: CountingSource; reader: SpanReader } {
  const source = new CountingSource(layer);
  forgetSpans();
  return { source, reader: new SpanReader(source, ztoc) };
}

/** The range that every byte of span `index` lies in. */
function rangeOf({ ztoc }: Sample, index: number): [number, number] {
  const span = ztoc.span(index);
  return [span.uncompressedStart, Math.min(span.uncompressedEnd, ztoc.uncompressedSize)];
}

t.test('what is taken is handed on as it was decoded, or copied when somebody else reads it', async t => {
  const { source, reader } = readerOf(standard);
  const [start, end] = rangeOf(standard, 3);
  const alone = await Promise.all(reader.take(start + 10, end + 1));
  t.ok(standard.tar.subarray(start + 10, end + 1).equals(Buffer.concat(alone)));
  t.equal(alone[0]?.byteOffset, 10, 'a view of the decoded span');
  t.equal(defaultContext.cache.size, 0);
  const arrival = gate();
  source.intercept = async (_, bytes) => {
    await arrival.opened;
    return bytes;
  };
  const [part] = reader.take(start + 10, end);
  const read = reader.read(start, end);
  arrival.open();
  const taken = await part;
  t.equal(taken?.byteOffset, 0, 'a copy');
  taken?.fill(0);
  t.ok(standard.tar.subarray(start, end).equals(await read));
  t.equal(reader.stats.sharedSpans, 1);
  t.throws(() => reader.take(0, standard.tar.length + 1), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  await reader.close();
  t.throws(() => reader.take(0, 1), { code: 'ERR_SOCI_CLOSED' });
});

t.test('every kind of layer reads as its tar', async t => {
  const data = await tarOf([
    { name: 'text', body: textLike(300_000) },
    { name: 'noise', body: noise(150_000) },
    { name: 'zeros', body: Buffer.alloc(3_000_000) },
  ]);
  const samples: Record<string, Sample> = {
    gzip: await sample(data),
    'many small members': await sample(data, { layer: members(data, 10_000) }),
    'empty members around': await sample(data, {
      layer: Buffer.concat([members(Buffer.alloc(1), 1).subarray(0, 0), members(data, 1_000_000)]),
    }),
    'header with a name': await sample(data, { layer: gzipWithName(data) }),
    'one span': await sample(data, { spanSize: 1 << 30 }),
    uncompressed: await sample(data, { compression: 'uncompressed' }),
  };
  for (const [name, one] of Object.entries(samples)) {
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      const { layer, ztoc } = one;
      forgetSpans();
      const reader = new SpanReader(new CountingSource(layer), ztoc, { verifyWindows });
      const whole = await reader.read(0, ztoc.uncompressedSize);
      t.ok(
        data.subarray(0, whole.length).equals(whole),
        `${name}, ${verifyWindows}, ${ztoc.spanCount} spans`,
      );
      await reader.close();
      const second = new SpanReader(new CountingSource(layer), ztoc, { verifyWindows });
      for (let i = ztoc.spanCount - 1; i >= 0; i--) {
        const [start, end] = rangeOf(one, i);
        if (!data.subarray(start, end).equals(await second.read(start, end))) t.fail(`${name}, span ${i}`);
      }
      await second.close();
    }
  }
});

t.test('any range, with and without a cache, through any limits', async t => {
  const { tar, ztoc } = standard;
  const size = ztoc.uncompressedSize;
  const range = fc
    .tuple(fc.nat(size), fc.nat(size))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  await fc.assert(
    fc.asyncProperty(
      fc.array(range, { minLength: 1, maxLength: 6 }),
      fc.record({
        cacheBytes: fc.constantFrom(0, 100_000, 1 << 27),
        memoryBytes: fc.constantFrom(0, 200_000, 1 << 28),
        maxRequestBytes: fc.constantFrom(1, 50_000, 1 << 25),
        readConcurrency: fc.constantFrom(1, 4),
        decodeConcurrency: fc.constantFrom(1, 2),
      }),
      async (ranges, limits) => {
        configure(limits);
        const { reader } = readerOf(standard);
        const all = await Promise.all(ranges.map(([start, end]) => reader.read(start, end)));
        await reader.close();
        return all.every((bytes, i) => tar.subarray(...(ranges[i] as [number, number])).equals(bytes));
      },
    ),
    { numRuns: 40 },
  );
  t.equal(defaultContext.memory.held, 0);
});

t.test('ranges are checked', async t => {
  const { reader, source } = readerOf(standard);
  const size = standard.ztoc.uncompressedSize;
  for (const [start, end] of [
    [-1, 1],
    [0, size + 1],
    [2, 1],
    [0.5, 1],
    [0, Number.NaN],
  ] as const) {
    await t.rejects(reader.read(start, end), { code: 'ERR_SOCI_INVALID_ARGUMENT' }, `${start} to ${end}`);
  }
  const target = new Uint8Array(10);
  await t.rejects(
    reader.readParts([
      { start: 10, target },
      { start: 19, target },
    ]),
    { code: 'ERR_SOCI_INVALID_ARGUMENT' },
  );
  t.throws(() => new SpanReader(source, standard.ztoc, { verifyWindows: 'none' as 'chain' }), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
  });
  t.equal(source.reads.length, 0);
  await reader.close();
});

t.test('neighbours are one request; boundaries are half-open; nothing is fetched twice', async t => {
  const { reader, source } = readerOf(standard);
  const { ztoc } = standard;
  const [start] = rangeOf(standard, 3);
  const [, end] = rangeOf(standard, 5);
  t.match(reader.plan([{ start, end }]), {
    firstSpan: 3,
    endSpan: 6,
    requests: 1,
    bytes: ztoc.span(5).compressedEnd - ztoc.span(3).compressedStart,
    cachedSpans: 0,
  });
  await reader.read(start, end);
  t.same(source.ranges, [[ztoc.span(3).compressedStart, ztoc.span(5).compressedEnd]]);
  await reader.read(start + 100, end - 100);
  t.equal(source.reads.length, 1, 'from the cache');
  t.match(reader.plan([{ start, end }]), { requests: 0, bytes: 0, cachedSpans: 3 });
  await reader.read(...([rangeOf(standard, 2)[0], rangeOf(standard, 7)[1]] as const));
  t.same(
    source.ranges.slice(1).sort(([a], [b]) => a - b),
    [
      [ztoc.span(2).compressedStart, ztoc.span(2).compressedEnd],
      [ztoc.span(6).compressedStart, ztoc.span(7).compressedEnd],
    ],
    'only what is missing, on both sides of what is there',
  );
  await reader.read(end, end);
  await reader.read(0, 0);
  t.equal(source.reads.length, 3, 'nothing is read for nothing');
  t.match(reader.stats, { requests: 3, decodedSpans: 6, cacheHits: 6, digestRetries: 0 });
  t.equal(
    reader.stats.fetchedBytes,
    source.ranges.reduce((sum, [from, to]) => sum + to - from, 0),
  );
  await reader.close();
});

t.test('parts of one read share a plan', async t => {
  const { reader, source } = readerOf(standard);
  const [first] = rangeOf(standard, 4);
  const [, last] = rangeOf(standard, 5);
  const parts = [
    { start: first, target: new Uint8Array(512) },
    { start: last - 1000, target: new Uint8Array(1000) },
  ];
  await reader.readParts(parts);
  for (const { start, target } of parts) {
    t.ok(standard.tar.subarray(start, start + target.length).equals(target));
  }
  t.equal(source.reads.length, 1);
  await reader.close();
});

t.test('concurrent readers share the spans in flight', async t => {
  const { reader, source } = readerOf(standard);
  const { opened, open } = gate();
  source.intercept = async (_, bytes) => {
    await opened;
    return bytes;
  };
  const [start, end] = [rangeOf(standard, 2)[0], rangeOf(standard, 6)[1]];
  const reads = [
    reader.read(start, end),
    reader.read(start, end),
    reader.read(start + 1, end - 1),
    reader.read(...rangeOf(standard, 4)),
  ];
  await delay(5);
  t.equal(source.reads.length, 1);
  open();
  const all = await Promise.all(reads);
  t.ok(standard.tar.subarray(start, end).equals(all[0] as Uint8Array));
  const { sharedSpans, cacheHits } = reader.stats;
  t.match(reader.stats, { requests: 1, decodedSpans: 5 });
  t.equal(sharedSpans + cacheHits, 11, 'on their way, or there when it was their turn');
  (all[0] as Uint8Array).fill(0);
  t.ok(standard.tar.subarray(start, end).equals(all[1] as Uint8Array), 'nobody gets the memory of another');
  t.ok(standard.tar.subarray(start, end).equals(await reader.read(start, end)), 'nor that of the cache');
  await reader.close();
});

t.test('a reader that leaves takes nothing from the others; the last one ends the request', async t => {
  const { reader, source } = readerOf(standard);
  const { opened, open } = gate();
  source.intercept = async (_, bytes) => {
    await opened;
    return bytes;
  };
  const range = rangeOf(standard, 2);
  const leavers = [new AbortController(), new AbortController()];
  const reads = leavers.map(({ signal }) => reader.read(...range, { signal }));
  await delay(1);
  leavers[0]?.abort(new Error('first'));
  await t.rejects(reads[0] as Promise<unknown>, { message: 'first' });
  t.notOk(source.reads[0]?.signal?.aborted);
  leavers[1]?.abort(new Error('second'));
  await t.rejects(reads[1] as Promise<unknown>, { message: 'second' });
  t.ok(source.reads[0]?.signal?.aborted);

  const again = reader.read(...range);
  await delay(1);
  t.equal(source.reads.length, 2, 'whoever comes later starts anew');
  open();
  t.ok(standard.tar.subarray(...range).equals(await again));
  await reader.close();
  t.equal(defaultContext.memory.held, 0);
});

t.test('of a run, only the spans that somebody waits for are decoded', async t => {
  const { reader, source } = readerOf(standard);
  const { opened, open } = gate();
  source.intercept = async (_, bytes) => {
    await opened;
    return bytes;
  };
  const leaver = new AbortController();
  const wide = reader.read(rangeOf(standard, 2)[0], rangeOf(standard, 6)[1], leaver);
  const narrow = reader.read(...rangeOf(standard, 4));
  leaver.abort(new Error('left'));
  await t.rejects(wide, { message: 'left' });
  open();
  await narrow;
  await delay(20);
  t.match(reader.stats, { requests: 1, decodedSpans: 1 });
  await reader.close();
  t.equal(defaultContext.memory.held, 0);
});

t.test('aborting at any moment: the reason, no late writes, nothing kept', async t => {
  const { ztoc, tar } = standard;
  const reason = new Error('enough');
  await t.rejects(readerOf(standard).reader.read(0, 1, { signal: AbortSignal.abort(reason) }), reason);
  for (let i = 0; i < 40; i++) {
    const { reader, source } = readerOf(standard);
    source.intercept = async (_, bytes) => {
      await delay(randomInt(3));
      return bytes;
    };
    configure({ maxRequestBytes: 50_000, memoryBytes: i % 2 === 0 ? 400_000 : DEFAULTS.memoryBytes });
    const controller = new AbortController();
    const target = new Uint8Array(ztoc.uncompressedSize);
    const read = reader.readInto(target, 0, { signal: controller.signal });
    setTimeout(() => controller.abort(reason), randomInt(12));
    const outcome = await read.then(
      () => 'read',
      (error: unknown) => error,
    );
    if (outcome === 'read') t.ok(tar.subarray(0, target.length).equals(target));
    else {
      if (outcome !== reason) t.fail('the reason is the error', { outcome });
      target.fill(0);
      await delay(5);
      if (target.some(byte => byte !== 0)) t.fail('written to after the end');
    }
    await reader.close();
  }
  t.equal(defaultContext.memory.held, 0);
});

t.test('what the source throws arrives, and the next read tries again', async t => {
  const { reader, source } = readerOf(standard);
  source.intercept = () => Promise.reject(new Error('cable pulled'));
  await t.rejects(reader.read(0, 100_000), { message: 'cable pulled' });
  source.intercept = (_, bytes) => bytes.subarray(1);
  await t.rejects(reader.read(0, 100_000), { code: 'ERR_SOCI_SOURCE_SHORT' });
  source.intercept = undefined;
  t.ok(standard.tar.subarray(0, 100_000).equals(await reader.read(0, 100_000)));
  t.equal(defaultContext.memory.held, 0);
  await reader.close();
});

t.test('close', async t => {
  const { reader, source } = readerOf(standard);
  await reader.read(0, 100);
  const before = defaultContext.cache.size;
  source.intercept = () => new Promise(() => {});
  const reads = [reader.read(200_000, 300_000), reader.read(400_000, 500_000)];
  const rejected = Promise.all(reads.map(read => t.rejects(read, { code: 'ERR_SOCI_CLOSED' })));
  await delay(1);
  await Promise.all([reader.close(), reader.close()]);
  await rejected;
  await t.rejects(reader.read(0, 1), { code: 'ERR_SOCI_CLOSED' });
  await reader.close();
  t.equal(defaultContext.cache.size, before, 'its spans are there for whoever opens the same layer');
  t.equal(source.closed, 0, 'the source is not its own');
  t.equal(defaultContext.memory.held, 0);
});

t.test('a version-1 ztoc implies checkpoint 0, whatever the length of the gzip header', async t => {
  const data = await tarOf([{ name: 'text', body: textLike(300_000) }]);
  for (const layer of [gzipWithName(data), members(data, data.length)]) {
    for (const spanSize of [65536, 1 << 30]) {
      const one = await sample(data, { layer, spanSize });
      const old = asVersion1(one);
      t.ok(old.ztoc.impliedFirstCheckpoint);
      for (const verifyWindows of ['neighbours', 'chain'] as const) {
        const source = new CountingSource(layer);
        forgetSpans();
        const reader = new SpanReader(source, old.ztoc, { verifyWindows });
        const bytes = await reader.read(0, old.ztoc.uncompressedSize);
        t.ok(data.subarray(0, bytes.length).equals(bytes), `${old.ztoc.spanCount} spans, ${verifyWindows}`);
        t.equal(source.reads[0]?.start, 0, 'the header came along');
        await reader.close();
      }
    }
  }
});
