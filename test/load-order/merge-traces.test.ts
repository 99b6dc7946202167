/** Many runs made one load order: what all read first, what hardly any did last, and the same however it is given. */
import t from 'tap';
import type { Trace, TraceRead } from '../../lib/image/recording.js';
import { earliestReads } from '../../lib/load-order/earliest-reads.js';
import { mergeTraces, traceOf } from '../../lib/load-order/merge-traces.js';
import { encodeLoadOrder, type Load, parseLoadOrder } from '../../lib/soci/load-order.js';
import fc from '../property.js';

const IMAGE = `sha256:${'a'.repeat(64)}`;
const SIZE = 100_000;

const read = (path: string, ms: number, start = 0, end = SIZE): TraceRead => ({
  path,
  size: SIZE,
  start,
  end,
  ms,
});
const run = (...reads: TraceRead[]): Trace => ({ image: IMAGE, reads });
const shown = ({ path, start, end, urgency, runs, ms }: Load): unknown[] => [
  path,
  start,
  end,
  urgency,
  runs,
  ms,
];

t.test('one run is its reads in order, in blocks of 4 KiB, each byte once', async t => {
  const order = mergeTraces(
    [run(read('/b', 0, 100, 200), read('/a', 3), read('/b', 5, 0, 9000), read('/b', 9, SIZE - 1, SIZE))],
    'start',
  );
  t.same(order.loads.map(shown), [
    ['/b', 0, 4096, 1, 1, 0],
    ['/a', 0, SIZE, 1, 1, 3],
    ['/b', 4096, 12_288, 1, 1, 5],
    ['/b', 98_304, SIZE, 1, 1, 9],
  ]);
});

t.test('ten runs: by how many read it, then by the median time; what was in one of ten is last', async t => {
  const runs = Array.from({ length: 10 }, (_, at) => {
    const reads = [read('/always', 50 + at)];
    if (at < 9) reads.push(read('/mostly', 1));
    if (at < 5) reads.push(read('/half', at));
    if (at < 4) reads.push(read('/sometimes', 0));
    if (at === 7) reads.push(read('/once', 0));
    return run(...reads.sort((a, b) => a.ms - b.ms));
  });
  const order = mergeTraces(runs, 'start');
  t.same(
    order.loads.map(shown),
    [
      ['/always', 0, SIZE, 1, 10, 54],
      ['/mostly', 0, SIZE, 3, 9, 1],
      ['/half', 0, SIZE, 3, 5, 2],
      ['/sometimes', 0, SIZE, 5, 4, 0],
      ['/once', 0, SIZE, 7, 1, 0],
    ].sort((a, b) => Number(a[3]) - Number(b[3]) || Number(a[5]) - Number(b[5])),
  );
  t.strictSame(mergeTraces([...runs].reverse(), 'start'), order, 'in whatever order they are given');
});

t.test('a file of which runs read different parts is cut where they differ', async t => {
  const order = mergeTraces([run(read('/a', 1)), run(read('/a', 7, 0, 8192))], 'start');
  t.same(order.loads.map(shown), [
    ['/a', 0, 8192, 1, 2, 1],
    ['/a', 8192, SIZE, 3, 1, 1],
  ]);
});

t.test('traces of different images, or none, are refused', async t => {
  const other = { ...run(), image: `sha256:${'b'.repeat(64)}` };
  const code = 'ERR_SOCI_LOAD_ORDER_MISMATCH';
  t.throws(() => mergeTraces([run(), other], 'x'), { code });
  const grown = { ...read('/a', 1), size: SIZE + 1 };
  t.throws(() => mergeTraces([run(read('/a', 1)), run(grown)], 'x'), { code, message: /\/a/ });
  t.throws(() => mergeTraces([], 'x'), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.throws(() => mergeTraces(Array(1001).fill(run()), 'x'), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
});

const reads = fc.array(
  fc.record({
    path: fc.constantFrom('/a', '/b', '/c'),
    from: fc.nat(SIZE - 1),
    length: fc.nat(30_000),
    ms: fc.nat(50),
  }),
  { maxLength: 30 },
);
const runs = fc.array(
  reads.map(all =>
    run(...all.map(({ path, from, length, ms }) => read(path, ms, from, Math.min(SIZE, from + length)))),
  ),
  { minLength: 1, maxLength: 6 },
);

t.test('every byte that a run read is loaded once, with as many runs as read its block', async t => {
  fc.assert(
    fc.property(runs, traces => {
      const order = mergeTraces(traces, 'x');
      t.strictSame(parseLoadOrder(encodeLoadOrder(order), 'x'), order, 'it is a good document');
      const readBy = (path: string, byte: number): number =>
        traces.filter(({ reads }) =>
          reads.some(each => {
            const inBlock =
              Math.floor(each.start / 4096) * 4096 <= byte && byte < Math.ceil(each.end / 4096) * 4096;
            return each.path === path && each.start < each.end && inBlock;
          }),
        ).length;
      for (const path of ['/a', '/b', '/c']) {
        for (let byte = 0; byte < SIZE; byte += 2048) {
          const found = order.loads.filter(
            each => each.path === path && each.start <= byte && byte < each.end,
          );
          const count = readBy(path, byte);
          t.equal(found.length, count > 0 ? 1 : 0);
          t.ok((found[0]?.runs ?? 0) <= count);
        }
      }
    }),
    { numRuns: 30 },
  );
});

t.test(
  'merging does not depend on the order of the runs, and one run merged again stays as it is',
  async t => {
    fc.assert(
      fc.property(runs, fc.nat(5), (traces, turn) => {
        const order = mergeTraces(traces, 'x');
        const turned = [...traces.slice(turn % traces.length), ...traces.slice(0, turn % traces.length)];
        t.strictSame(mergeTraces(turned, 'x'), order);
        const single = mergeTraces(traces.slice(0, 1), 'x');
        t.strictSame(mergeTraces([traceOf(single)], 'x'), single);
      }),
      { numRuns: 60 },
    );
    t.throws(() => traceOf(mergeTraces([run(), run()], 'x')), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  },
);

t.test('the first read of a piece counts, however often it is read', async t => {
  const pieces = earliestReads([
    [
      { start: 0, end: 10, ms: 1 },
      { start: 5, end: 20, ms: 2 },
      { start: 0, end: 30, ms: 3 },
    ],
    [{ start: 5, end: 10, ms: 9 }],
  ]);
  t.strictSame(pieces, [
    { start: 0, end: 5, times: [1] },
    { start: 5, end: 10, times: [1, 9] },
    { start: 10, end: 20, times: [2] },
    { start: 20, end: 30, times: [3] },
  ]);
  const many = Array.from({ length: 200_000 }, (_, at) => ({ start: 0, end: at + 1, ms: at }));
  t.equal(earliestReads([many]).length, 200_000, 'in time that grows with their number');
});
