/** Spans larger than memory allows: through a temporary file, in blocks, within bounds. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { configure, defaultContext, settings } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { CountingSource, forgetSpans } from './counting-source.js';
import {
  forgeDigest,
  forgeWindow,
  gzipWithName,
  members,
  noise,
  sample,
  tarOf,
  textLike,
} from './sample-layers.js';

const DEFAULTS = settings();
const directory = await mkdtemp(join(tmpdir(), 'huge-'));
t.teardown(() => rm(directory, { recursive: true }));
t.beforeEach(() => {
  configure({ ...DEFAULTS, maxSpanBytes: 500_000, tempDirectory: directory });
});
t.afterEach(async () => {
  assert.deepEqual(await readdir(directory), [], 'no file is left');
  assert.equal(defaultContext.temporary.reserved, 0, 'no space is left taken');
  assert.equal(defaultContext.memory.held, 0);
});

const data = await tarOf([
  { name: 'text', body: textLike(4_000_000) },
  { name: 'noise', body: noise(6_000_000) },
]);
const whole = await sample(data, { spanSize: 1 << 30 });
const size = whole.ztoc.uncompressedSize;

t.test('a layer of one span', async t => {
  const layers = {
    gzip: whole,
    members: await sample(data, { spanSize: 1 << 30, layer: members(data, 700_000) }),
    name: await sample(data, { spanSize: 1 << 30, layer: gzipWithName(data) }),
    uncompressed: await sample(data, { spanSize: 1 << 30, compression: 'uncompressed' }),
  };
  for (const [name, { layer, ztoc }] of Object.entries(layers)) {
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      const source = new CountingSource(layer);
      forgetSpans();
      const reader = new SpanReader(source, ztoc, { verifyWindows });
      for (const [start, end] of [
        [5_000_000, 5_100_000],
        [0, 1],
        [1_048_575, 1_048_577],
        [size - 100, size],
        [0, size],
      ] as const) {
        t.ok(data.subarray(start, end).equals(await reader.read(start, end)), `${name}, ${verifyWindows}`);
      }
      const ranges = source.ranges.sort(([a], [b]) => a - b);
      t.ok(
        ranges.every(([start], i) => i === 0 || start === ranges[i - 1]?.[1]),
        'every compressed byte is fetched once',
      );
      t.ok(Math.max(...source.ranges.map(([start, end]) => end - start)) <= 4 * 1024 * 1024);
      await reader.close();
    }
  }
});

t.test('between ordinary spans, with windows on both sides', async t => {
  // Small spans of text, then stored noise that deflate puts into one large stretch.
  const mixed = await sample(data, { spanSize: 3_000_000 });
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    configure({ maxSpanBytes: 2_000_000 });
    forgetSpans();
    const reader = new SpanReader(new CountingSource(mixed.layer), mixed.ztoc, { verifyWindows });
    t.ok(data.subarray(0, size).equals(await reader.read(0, size)));
    await reader.close();
    const forged = forgeWindow(mixed.ztoc, 2);
    forgetSpans();
    const second = new SpanReader(new CountingSource(mixed.layer), forged, { verifyWindows });
    const end = mixed.ztoc.span(1).uncompressedEnd;
    await t.rejects(second.read(end - 10, end), { code: 'ERR_SOCI_WINDOW_MISMATCH', data: { span: 2 } });
    await second.close();
  }
});

t.test('reading on does not begin again', async t => {
  configure({ cacheBytes: 0 });
  forgetSpans();
  const reader = new SpanReader(new CountingSource(whole.layer), whole.ztoc);
  const block = 1024 * 1024;
  for (let at = 0; at < 8 * block; at += block) await reader.read(at, at + block);
  t.equal(reader.stats.decodedBytes, 8 * block);
  await reader.close();
});

t.test('what was passed over is kept: no read begins again, while there is room to spare', async t => {
  configure({ cacheBytes: 0 });
  const far = 7_000_000;
  const near = 1_000_000;
  for (const verifyWindows of ['neighbours', 'chain'] as const) {
    forgetSpans();
    const reader = new SpanReader(new CountingSource(whole.layer), whole.ztoc, { verifyWindows });
    t.ok(data.subarray(far, far + 10).equals(await reader.read(far, far + 10)));
    const { decodedSpans } = reader.stats;
    t.ok(data.subarray(near, near + 10).equals(await reader.read(near, near + 10)));
    t.equal(reader.stats.decodedSpans, decodedSpans);
    await reader.close();
  }
  configure({ tempBytes: whole.layer.length + 100 });
  const tight = new SpanReader(new CountingSource(whole.layer), whole.ztoc);
  t.ok(data.subarray(far, far + 10).equals(await tight.read(far, far + 10)));
  t.ok(data.subarray(near, near + 10).equals(await tight.read(near, near + 10)));
  t.equal(tight.stats.decodedSpans, 2);
  t.equal(defaultContext.temporary.reserved, whole.layer.length - 10, 'what others may need is left to them');
  await tight.close();
});

t.test('decoded blocks are cached like spans, and readers share one download', async t => {
  const source = new CountingSource(whole.layer);
  forgetSpans();
  const reader = new SpanReader(source, whole.ztoc);
  t.match(reader.plan([{ start: 0, end: 10 }]), { bytes: whole.layer.length - 10, cachedSpans: 0 });
  const reads = Array.from({ length: 5 }, () => reader.read(3_000_000, 3_000_100));
  for (const bytes of await Promise.all(reads)) t.ok(data.subarray(3_000_000, 3_000_100).equals(bytes));
  t.equal(reader.stats.decodedSpans, 1);
  t.equal(reader.stats.fetchedBytes, whole.layer.length - 10);
  t.match(reader.plan([{ start: 0, end: 10 }]), { bytes: 0, requests: 0, cachedSpans: 1 });
  await reader.close();
});

t.test('the digest comes first: nothing of a damaged span is decoded', async t => {
  const damage = (times: number): CountingSource => {
    const source = new CountingSource(whole.layer);
    let left = times;
    source.intercept = ({ start }, bytes) => {
      if (start > 1_000_000 && left-- > 0) bytes[0] = (bytes[0] as number) ^ 1;
      return bytes;
    };
    return source;
  };
  forgetSpans();
  const once = new SpanReader(damage(1), whole.ztoc);
  t.ok(data.subarray(0, 10).equals(await once.read(0, 10)));
  t.equal(once.stats.digestRetries, 1);
  await once.close();
  forgetSpans();
  const always = new SpanReader(damage(1000), whole.ztoc);
  await t.rejects(always.read(0, 10), { code: 'ERR_SOCI_SPAN_DIGEST', data: { span: 0 } });
  t.equal(always.stats.decodedBytes, 0);
  await always.close();
  forgetSpans();
  const forged = new SpanReader(new CountingSource(whole.layer), forgeDigest(whole.ztoc, 0));
  await t.rejects(forged.read(0, 10), { code: 'ERR_SOCI_SPAN_DIGEST' });
  await forged.close();
});

t.test('disk space is bounded', async t => {
  configure({ tempBytes: whole.layer.length - 1000 });
  forgetSpans();
  const reader = new SpanReader(new CountingSource(whole.layer), whole.ztoc);
  await t.rejects(reader.read(0, 10), { code: 'ERR_SOCI_LIMIT', data: { limit: 'tempBytes' } });
  configure({ tempBytes: whole.layer.length });
  t.ok(data.subarray(0, 10).equals(await reader.read(0, 10)), 'a later read may find room');
  await reader.close();
});

t.test('memory stays small, whatever the size of the span', async t => {
  configure({ cacheBytes: 2 << 20, memoryBytes: 0 });
  const zeros = await sample(await tarOf([{ name: 'zeros', body: Buffer.alloc(150 << 20) }]), {
    spanSize: 2 ** 40,
  });
  forgetSpans();
  const reader = new SpanReader(new CountingSource(zeros.layer), zeros.ztoc);
  globalThis.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  const target = new Uint8Array(1000);
  await reader.readInto(target, 100 << 20);
  t.ok(target.every(byte => byte === 0));
  const used = process.memoryUsage().arrayBuffers - before;
  t.ok(used < 50 << 20, `${used} bytes`);
  await reader.close();
});

t.test('leaving and closing at any moment', async t => {
  for (let i = 0; i < 25; i++) {
    const source = new CountingSource(whole.layer);
    source.intercept = async (_, bytes) => {
      await delay(randomInt(4));
      return bytes;
    };
    forgetSpans();
    const reader = new SpanReader(source, whole.ztoc);
    const leaver = new AbortController();
    const left = reader.read(0, size, { signal: leaver.signal }).then(
      bytes => t.ok(data.subarray(0, size).equals(bytes)),
      (error: Error) => t.match(error.message, /left|closed/),
    );
    const at = randomInt(size - 10);
    const other = reader.read(at, at + 10).then(
      bytes => t.ok(data.subarray(at, at + 10).equals(bytes)),
      (error: Error) => t.match(error, { code: 'ERR_SOCI_CLOSED' }),
    );
    await delay(randomInt(30));
    leaver.abort(new Error('left'));
    await left;
    if (i % 2 === 0) await other;
    await reader.close();
    await other;
    if (defaultContext.temporary.reserved !== 0) t.fail('a file is left after close');
  }
});
