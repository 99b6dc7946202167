/** What a wrong layer or a forged ztoc can do: be refused with a typed error, each by the rule that catches it. */
import t from 'tap';
import { configure, settings } from '../../lib/span/read-context.js';
import { SpanReader, type WindowVerification } from '../../lib/span/reader.js';
import type { Ztoc } from '../../lib/ztoc/ztoc.js';
import { CountingSource, forgetSpans } from './counting-source.js';
import {
  forgeDigest,
  forgeWindow,
  members,
  noise,
  sample,
  standardSample,
  tarOf,
  textLike,
} from './sample-layers.js';

const DEFAULTS = settings();
t.afterEach(() => {
  configure({ ...DEFAULTS });
});

const { tar, layer, ztoc } = await standardSample();

function readerOf(table: Ztoc, verifyWindows?: WindowVerification) {
  const source = new CountingSource(layer);
  forgetSpans();
  return { source, reader: new SpanReader(source, table, { verifyWindows }) };
}

/** Bytes in the middle of span `index`. */
function inside(index: number): [number, number] {
  const { uncompressedStart, uncompressedEnd } = ztoc.span(index);
  return [uncompressedStart + 10, uncompressedEnd - 10];
}

t.test('a span that arrives damaged is fetched once more', async t => {
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    const { reader, source } = readerOf(ztoc, verifyWindows);
    source.intercept = ({ start }, bytes) => {
      const at = ztoc.span(3).compressedStart + 100 - start;
      if (source.reads.length === 1) bytes[at] = (bytes[at] as number) ^ 1;
      return bytes;
    };
    const [start, end] = [inside(2)[0], inside(5)[1]];
    t.ok(tar.subarray(start, end).equals(await reader.read(start, end)), verifyWindows);
    t.match(reader.stats, { requests: 2, digestRetries: 1 });
    t.match(source.ranges[1]?.[1], ztoc.span(3).compressedEnd, 'only that span');
    await reader.close();
  }
});

t.test('a span that is wrong twice is a typed error with the facts', async t => {
  const span = ztoc.span(3);
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    const damaged = readerOf(ztoc, verifyWindows);
    damaged.source.intercept = ({ start, end }, bytes) => {
      const at = span.compressedEnd - 1 - start;
      if (start + at < end && at >= 0) bytes[at] = (bytes[at] as number) ^ 1;
      return bytes;
    };
    const facts = { span: 3, compressedStart: span.compressedStart, compressedEnd: span.compressedEnd };
    await t.rejects(damaged.reader.read(...inside(3)), {
      code: 'ERR_SOCI_SPAN_DIGEST',
      data: { ...facts, expected: span.digest, found: /^sha256:[0-9a-f]{64}$/ },
      message: new RegExp(
        `span 3 of layer under test, bytes ${span.compressedStart} to ${span.compressedEnd}`,
      ),
    });
    t.match(damaged.reader.stats, { digestRetries: 1 });
    await t.resolves(damaged.reader.read(...inside(1)), 'other spans are not affected');
    await damaged.reader.close();

    const forged = readerOf(forgeDigest(ztoc, 3), verifyWindows);
    await t.rejects(forged.reader.read(...inside(3)), {
      code: 'ERR_SOCI_SPAN_DIGEST',
      data: { ...facts, expected: `sha256:${'0'.repeat(64)}`, found: span.digest },
    });
    await forged.reader.close();
  }
});

t.test('uncompressed layers are checked the same way', async t => {
  const plain = await sample(tar, { compression: 'uncompressed' });
  const source = new CountingSource(plain.layer);
  forgetSpans();
  const reader = new SpanReader(source, forgeDigest(plain.ztoc, 2));
  const { uncompressedStart: start, uncompressedEnd: end } = plain.ztoc.span(2);
  await t.rejects(reader.read(start, end), { code: 'ERR_SOCI_SPAN_DIGEST' });
  t.equal(source.reads.length, 2);
  t.ok(tar.subarray(0, start).equals(await reader.read(0, start)));
  await reader.close();
});

t.test('a forged window is found whenever its neighbour is decoded', async t => {
  const forged = forgeWindow(ztoc, 4);
  const wrong = { code: 'ERR_SOCI_WINDOW_MISMATCH', data: { span: 4 } };
  const both = [inside(3)[0], inside(4)[1]] as const;

  const together = readerOf(forged);
  // Whichever is decoded first: span 4 itself may already contradict the window after it.
  const either = { code: 'ERR_SOCI_WINDOW_MISMATCH', message: /window of span [45] / };
  await t.rejects(together.reader.read(...both), either, 'both in one read');
  await together.reader.close();

  const before = readerOf(forged);
  await t.rejects(before.reader.read(...inside(3)), wrong, 'the span in front of it alone');
  await t.rejects(before.reader.read(...inside(1)), wrong, 'and nothing that ztoc says is used after that');
  await before.reader.close();

  // The oldest byte of the window, which nothing refers to: the span itself still decodes to the right bytes.
  const after = readerOf(forgeWindow(ztoc, 4, 0));
  t.ok(tar.subarray(...inside(4)).equals(await after.reader.read(...inside(4))));
  await t.rejects(after.reader.read(...inside(3)), wrong, 'the span in front of it, after the forged one');
  await after.reader.close();

  const far = readerOf(forged);
  t.ok(tar.subarray(...inside(6)).equals(await far.reader.read(...inside(6))), 'far away it does no harm');
  await far.reader.close();
});

t.test('an isolated read through a forged window cannot be caught, but by the chain', async t => {
  // Span 9 to 11 are text; a byte of the window that text refers back to.
  const index = 5;
  let undetected = 0;
  for (let at = 32767; at > 32767 - 400 && undetected === 0; at--) {
    const { reader } = readerOf(forgeWindow(ztoc, index, at));
    const bytes = await reader.read(...inside(index)).catch(() => undefined);
    if (bytes !== undefined && !tar.subarray(...inside(index)).equals(bytes)) undetected = at;
    await reader.close();
  }
  t.not(undetected, 0, 'this is why ztoc digests matter');
  const { reader } = readerOf(forgeWindow(ztoc, index, undetected), 'chain');
  await t.rejects(reader.read(...inside(index)), { code: 'ERR_SOCI_WINDOW_MISMATCH', data: { span: index } });
  await reader.close();
});

t.test('a forged window is found for short spans and across members too', async t => {
  const data = await tarOf(
    Array.from({ length: 20 }, (_, i) => ({ name: `f${i}`, body: textLike(7000 + 100 * i, i + 1) })),
  );
  const small = await sample(data, { layer: members(data, 9000), spanSize: 8000 });
  t.ok(
    small.ztoc.span(4).uncompressedEnd - small.ztoc.span(4).uncompressedStart < 32768,
    'shorter than a window',
  );
  forgetSpans();
  const honest = new SpanReader(new CountingSource(small.layer), small.ztoc);
  await honest.read(0, small.ztoc.uncompressedSize);
  await honest.close();
  // The byte lies in front of what span 4 decodes to: inherited from the window before.
  for (const at of [100, 20_000, 32_767]) {
    const position = small.ztoc.span(5).uncompressedStart - 32768 + at;
    if (position < 0) continue;
    forgetSpans();
    const reader = new SpanReader(new CountingSource(small.layer), forgeWindow(small.ztoc, 5, at));
    const { uncompressedStart: start, uncompressedEnd: end } = small.ztoc.span(4);
    await t.rejects(
      reader.read(start, end),
      { code: 'ERR_SOCI_WINDOW_MISMATCH', data: { span: 5 } },
      `byte ${at}`,
    );
    await reader.close();
  }
});

t.test('the chain', async t => {
  const { reader, source } = readerOf(ztoc, 'chain');
  await reader.read(...([inside(6)[0], inside(6)[0]] as const));
  t.equal(source.reads.length, 0, 'nothing is proven for nothing');
  const [start, end] = inside(6);
  const plan = reader.plan([{ start, end }]);
  t.ok(tar.subarray(start, end).equals(await reader.read(start, end)));
  t.match(reader.stats, { requests: plan.requests, fetchedBytes: plan.bytes }, 'as planned');
  t.match(reader.plan([{ start, end }]), { requests: 0, bytes: 0, cachedSpans: 1 });
  t.equal(source.ranges[0]?.[0], 0, 'from the start of the layer');
  t.equal(source.ranges.at(-1)?.[1], ztoc.span(6).compressedEnd, 'to the span that was asked for');
  const { fetchedBytes, requests } = reader.stats;
  await reader.read(...inside(2));
  t.match(reader.stats, { fetchedBytes, requests }, 'what it passed is proven, and cached');
  await reader.close();

  configure({ cacheBytes: 0 });
  const bare = readerOf(ztoc, 'chain');
  for (const index of [6, 2, 6]) {
    t.ok(tar.subarray(...inside(index)).equals(await bare.reader.read(...inside(index))), `span ${index}`);
  }
  const decoded = bare.reader.stats.decodedSpans;
  t.equal(decoded, 7 + 3, 'spans 0 to 6 once in the chain, then each one alone: compared, not chained again');
  const all = [8, 3, 10, 9].map(i => bare.reader.read(...inside(i)));
  t.ok(
    (await Promise.all(all)).every((bytes, i) =>
      tar.subarray(...inside([8, 3, 10, 9][i] as number)).equals(bytes),
    ),
  );
  await bare.reader.close();

  configure({ ...DEFAULTS, memoryBytes: 0 });
  const poor = readerOf(ztoc, 'chain');
  t.ok(tar.subarray(...inside(3)).equals(await poor.reader.read(...inside(3))), 'without room to spare');
  await poor.reader.close();
});

t.test('leaving a chain does not harm it', async t => {
  const { reader, source } = readerOf(ztoc, 'chain');
  source.intercept = async (_, bytes) => {
    await new Promise(resolve => setTimeout(resolve, 5));
    return bytes;
  };
  for (const wait of [0, 1, 6, 8, 10]) {
    const controller = new AbortController();
    const read = reader.read(...inside(8), { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('left')), wait);
    const outcome = await read.then(
      bytes => tar.subarray(...inside(8)).equals(bytes),
      (error: Error) => error.message === 'left',
    );
    t.ok(outcome);
  }
  t.ok(tar.subarray(...inside(8)).equals(await reader.read(...inside(8))));
  source.intercept = () => new Promise(() => {});
  const stuck = t.rejects(reader.read(...inside(12)), { code: 'ERR_SOCI_CLOSED' });
  await reader.close();
  await stuck;
});

t.test('another layer of the same size is refused', async t => {
  forgetSpans();
  const reader = new SpanReader(new CountingSource(noise(layer.length)), ztoc);
  for (let i = 0; i < ztoc.spanCount; i++) {
    await t.rejects(reader.read(...inside(i)), { code: 'ERR_SOCI_SPAN_DIGEST' });
  }
  await reader.close();
});
