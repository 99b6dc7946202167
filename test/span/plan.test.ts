/** Which requests a read makes: joining, half-open ranges, what is not fetched. */

import t from 'tap';
import {
  missingRuns,
  nextStep,
  planSteps,
  runRange,
  type SpanState,
  spansOf,
  takeStep,
  type WantedStep,
} from '../../lib/span/plan.js';
import { worthwhileGap } from '../../lib/span/request-reach.js';
import type { Span, SpanTable } from '../../lib/span/span-table.js';
import { GZIP } from '../../lib/ztoc/codec/gzip.js';
import fc from '../property.js';

const NO_LIMITS = { requestBytes: Number.POSITIVE_INFINITY, decodedBytes: Number.POSITIVE_INFINITY };

/** A table of spans of these sizes; every other one begins inside a byte and so shares it. */
function table(sizes: readonly { compressed: number; decoded: number }[], implied = false): SpanTable {
  const spans: Span[] = [];
  let compressedStart = 10;
  let uncompressedStart = 0;
  sizes.forEach(({ compressed, decoded }, index) => {
    const bits = index % 2 === 0 ? 0 : 3;
    spans.push({
      index,
      compressedStart: compressedStart - (bits === 0 ? 0 : 1),
      compressedEnd: compressedStart + compressed,
      uncompressedStart,
      uncompressedEnd: uncompressedStart + decoded,
      digest: '',
      bits,
    });
    compressedStart += compressed;
    uncompressedStart += decoded;
  });
  return {
    codec: GZIP,
    compressedSize: compressedStart,
    uncompressedSize: uncompressedStart,
    spanCount: spans.length,
    span: index => spans[index] as Span,
    spanOf: offset => spans.findLastIndex(span => span.uncompressedStart <= offset),
    window: () => undefined,
    fetchStart: index => (implied && index === 0 ? 0 : (spans[index] as Span).compressedStart),
    spanStart: () => ({ decode: async () => new Uint8Array(0), open: undefined }),
  };
}

const FIVE = table(Array.from({ length: 5 }, () => ({ compressed: 40, decoded: 100 })));

t.test('the spans of a range are half-open', async t => {
  t.same(spansOf(FIVE, 0, 1), { first: 0, end: 1 });
  t.same(spansOf(FIVE, 0, 100), { first: 0, end: 1 }, 'a range that ends on a boundary stays in front of it');
  t.same(spansOf(FIVE, 100, 101), { first: 1, end: 2 }, 'one that begins there stays behind it');
  t.same(spansOf(FIVE, 99, 101), { first: 0, end: 2 });
  t.same(spansOf(FIVE, 0, 500), { first: 0, end: 5 });
  for (const at of [0, 100, 500]) t.same(spansOf(FIVE, at, at), { first: 0, end: 0 }, `nothing at ${at}`);
});

t.test('empty spans at one offset: the one that holds the bytes is meant', async t => {
  const spans = table([
    { compressed: 20, decoded: 0 },
    { compressed: 40, decoded: 100 },
    { compressed: 20, decoded: 0 },
    { compressed: 40, decoded: 100 },
  ]);
  t.same(spansOf(spans, 0, 100), { first: 1, end: 2 });
  t.same(spansOf(spans, 100, 101), { first: 3, end: 4 });
  t.same(spansOf(spans, 99, 101), { first: 1, end: 4 }, 'those in between come along');
});

t.test('neighbours are one run, fetched once with the byte they share', async t => {
  t.same(
    nextStep(FIVE, 0, 5, () => 'missing', NO_LIMITS),
    { state: 'missing', first: 0, end: 5 },
  );
  t.same(runRange(FIVE, 0, 5), { start: 10, end: 210 });
  t.same(runRange(FIVE, 1, 3), { start: 49, end: 130 }, 'span 1 begins inside byte 49');
  t.same(runRange(table([{ compressed: 40, decoded: 100 }], true), 0, 1), { start: 0, end: 50 });
});

t.test('cached, shared and huge spans end a run', async t => {
  const states: SpanState[] = ['missing', 'cached', 'missing', 'in-flight', 'huge'];
  t.same(
    planSteps(FIVE, 0, 5, index => states[index] as SpanState, NO_LIMITS),
    states.map((state, index) => ({ state, first: index, end: index + 1 })),
  );
});

t.test('limits divide a run, but never below one span', async t => {
  const steps = (limits: Partial<typeof NO_LIMITS>) =>
    planSteps(FIVE, 0, 5, () => 'missing', { ...NO_LIMITS, ...limits }).map(({ first, end }) => [first, end]);
  t.same(steps({ decodedBytes: 200 }), [
    [0, 2],
    [2, 4],
    [4, 5],
  ]);
  t.same(steps({ requestBytes: 1 }).length, 5);
});

t.test('a run has so many spans at most, however short they are', async t => {
  const spans = table(Array.from({ length: 3000 }, () => ({ compressed: 2, decoded: 1 })));
  const steps = planSteps(spans, 0, 3000, () => 'missing', NO_LIMITS);
  t.same(
    steps.map(({ first, end }) => end - first),
    [...Array(11).fill(256), 184],
  );
});

t.test('every plan covers its spans once, in order, and joins all it may', async () => {
  const sizes = fc.array(
    fc.record({ compressed: fc.integer({ min: 2, max: 50 }), decoded: fc.integer({ min: 0, max: 50 }) }),
    { minLength: 1, maxLength: 20 },
  );
  const state = fc.constantFrom<SpanState>('missing', 'cached', 'in-flight', 'huge');
  fc.assert(
    fc.property(
      sizes,
      fc.array(state, { minLength: 20, maxLength: 20 }),
      fc.integer({ min: 1, max: 200 }),
      (spans, states, bound) => {
        const steps = planSteps(table(spans), 0, spans.length, i => states[i] as SpanState, {
          requestBytes: bound,
          decodedBytes: bound,
        });
        let at = 0;
        for (const step of steps) {
          if (step.first !== at || step.end <= at) return false;
          for (; at < step.end; at++) if (states[at] !== step.state) return false;
        }
        const unlimited = planSteps(table(spans), 0, spans.length, i => states[i] as SpanState, NO_LIMITS);
        const joined = unlimited.every(
          ({ state, end }) => state !== 'missing' || states[end] !== 'missing' || end === spans.length,
        );
        return at === spans.length && joined;
      },
    ),
  );
});

/** All steps of a read that wants these spans. */
function stepsOf(
  spans: SpanTable,
  intervals: readonly (readonly [number, number])[],
  stateOf: (index: number) => SpanState,
  limits: Parameters<typeof takeStep>[3],
): WantedStep[] {
  const wanted = intervals.map(([first, end]) => ({ first, end }));
  const steps: WantedStep[] = [];
  while (wanted.length > 0) steps.push(takeStep(spans, wanted, stateOf, limits));
  return steps;
}

t.test('a gap is read over when it is short enough', async t => {
  const spans = table(Array.from({ length: 8 }, () => ({ compressed: 40, decoded: 100 })));
  const missing = (): SpanState => 'missing';
  const wanted = [
    [0, 1],
    [2, 4],
    [6, 7],
  ] as const;
  const runs = (gapBytes: number) =>
    stepsOf(spans, wanted, missing, { ...NO_LIMITS, gapBytes }).map(step => [...step.spans]);
  t.same(runs(0), [[0], [2, 3], [6]]);
  t.same(runs(39), [[0], [2, 3], [6]]);
  t.same(runs(40), [[0, 2, 3], [6]]);
  t.same(runs(80), [[0, 2, 3, 6]]);
  t.same(missingRuns(spans, [0, 2, 3, 6], missing, { ...NO_LIMITS, gapBytes: 40 }), [[0, 2, 3], [6]]);
});

t.test(
  'what a read finds in a gap it still takes itself, and what is on its way is not fetched twice',
  async t => {
    const spans = table(Array.from({ length: 6 }, () => ({ compressed: 40, decoded: 100 })));
    const states: SpanState[] = ['missing', 'cached', 'missing', 'in-flight', 'missing', 'missing'];
    const steps = stepsOf(spans, [[0, 6]], index => states[index] as SpanState, {
      ...NO_LIMITS,
      gapBytes: 1000,
    });
    t.same(steps, [
      { state: 'missing', spans: [0, 2] },
      { state: 'cached', spans: [1] },
      { state: 'in-flight', spans: [3] },
      { state: 'missing', spans: [4, 5] },
    ]);
  },
);

t.test('every read takes all that it wants once, within the limits', async () => {
  const sizes = fc.array(
    fc.record({ compressed: fc.integer({ min: 2, max: 50 }), decoded: fc.integer({ min: 0, max: 50 }) }),
    { minLength: 20, maxLength: 20 },
  );
  const states = fc.array(fc.constantFrom<SpanState>('missing', 'missing', 'cached', 'in-flight', 'huge'), {
    minLength: 20,
    maxLength: 20,
  });
  const bound = fc.integer({ min: 1, max: 400 });
  const chosen = fc.uniqueArray(fc.nat(19), { minLength: 1 });
  fc.assert(
    fc.property(sizes, states, chosen, bound, bound, (all, found, indexes, bytes, gapBytes) => {
      const spans = table(all);
      const stateOf = (index: number): SpanState => found[index] as SpanState;
      const wanted = indexes.sort((a, b) => a - b);
      const limits = { requestBytes: bytes, decodedBytes: bytes, gapBytes };
      const intervals = wanted.map(index => [index, index + 1] as const);
      const steps = stepsOf(spans, intervals, stateOf, limits);
      for (const { state, spans: run } of steps) {
        if (run.some(index => stateOf(index) !== state)) return false;
        if (run.length === 1) continue;
        const { start, end } = runRange(spans, run[0], (run.at(-1) as number) + 1);
        if (end - start > bytes) return false;
        for (const [i, index] of run.entries()) {
          const next = run[i + 1];
          if (next !== undefined && spans.fetchStart(next) - spans.span(index).compressedEnd > gapBytes)
            return false;
        }
      }
      const taken = steps.flatMap(step => [...step.spans]).sort((a, b) => a - b);
      const missing = wanted.filter(index => stateOf(index) === 'missing');
      const alone = steps.filter(step => step.state === 'missing').map(step => [...step.spans]);
      const joined = missingRuns(spans, missing, stateOf, limits).map(run => [...run]);
      return (
        JSON.stringify(taken) === JSON.stringify(wanted) && JSON.stringify(alone) === JSON.stringify(joined)
      );
    }),
  );
});

t.test('how long a gap is worth reading over', async t => {
  const of = (roundTripMs: number | undefined, bytesPerSecond: number | undefined): number =>
    worthwhileGap({ roundTripMs, bytesPerSecond });
  t.equal(worthwhileGap(undefined), 65536);
  t.equal(of(undefined, 1e6), 65536);
  t.equal(of(20, undefined), 65536);
  t.equal(of(20, 25e6), 250_000);
  t.equal(of(0, 25e6), 0);
  t.equal(of(0.2, 125e6), 12_500);
  t.equal(of(5000, 1e9), 1024 * 1024, 'never more than that');
  for (const odd of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    const bytes = of(odd, 1e6);
    t.ok(Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= 1024 * 1024, `${odd}`);
  }
});
