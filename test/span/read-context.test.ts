/** What readers share: spans by their content, in one context, as far as they trust the same. */
import t from 'tap';
import { ReadContext, settings } from '../../lib/span/read-context.js';
import { SpanReader, type SpanReaderOptions } from '../../lib/span/reader.js';
import { CountingSource, gate } from './counting-source.js';
import { standardSample } from './sample-layers.js';

const sample = await standardSample();

/** The range of the tar that span `index` decodes to. */
function rangeOf(index: number): [number, number] {
  const { uncompressedStart, uncompressedEnd } = sample.ztoc.span(index);
  return [uncompressedStart, uncompressedEnd];
}

/** Two spans. */
const END = sample.ztoc.span(1).uncompressedEnd;

function readerOf(options: SpanReaderOptions): { reader: SpanReader; source: CountingSource } {
  const source = new CountingSource(sample.layer);
  return { source, reader: new SpanReader(source, sample.ztoc, options) };
}

t.test('readers of the same layer share its spans, also when the first is closed', async t => {
  await using context = new ReadContext();
  const first = readerOf({ context });
  const bytes = await first.reader.read(0, END);
  await first.reader.close();
  const second = readerOf({ context });
  t.ok(Buffer.from(bytes).equals(await second.reader.read(0, END)));
  t.same(second.source.ranges, [], 'nothing is fetched twice');
  t.equal(second.reader.stats.cacheHits, 2);
  await second.reader.close();
});

t.test('contexts share nothing', async t => {
  await using one = new ReadContext();
  await using other = new ReadContext();
  const first = readerOf({ context: one });
  await first.reader.read(0, 10);
  const second = readerOf({ context: other });
  await second.reader.read(0, 10);
  t.equal(second.source.reads.length, 1);
  t.equal(one.cache.size, other.cache.size);
  await Promise.all([first.reader.close(), second.reader.close()]);
  await one.close();
  t.equal(one.cache.size, 0, 'a closed context keeps nothing');
  t.not(other.cache.size, 0);
});

t.test('who proves everything takes nothing from those who do not', async t => {
  await using context = new ReadContext();
  const trusting = readerOf({ context });
  await trusting.reader.read(0, END);
  const proving = readerOf({ context, verifyWindows: 'chain' });
  await proving.reader.read(0, END);
  t.not(proving.source.reads.length, 0);
  t.equal(proving.reader.stats.decodedSpans, 2);
  await Promise.all([trusting.reader.close(), proving.reader.close()]);
});

t.test('a context has settings of its own', async t => {
  const defaults = settings();
  await using context = new ReadContext({ cacheBytes: 0, maxRequestBytes: 1 });
  t.equal(context.settings.memoryBytes, defaults.memoryBytes);
  const { reader, source } = readerOf({ context });
  await reader.read(0, END);
  t.equal(source.reads.length, 2, 'one request a span');
  t.equal(context.cache.size, 0);
  t.equal(context.configure({ maxRequestBytes: 1 << 24 }).maxRequestBytes, 1 << 24);
  await reader.read(0, END);
  t.equal(source.reads.length, 3, 'a change holds for what comes after it');
  t.same(settings(), defaults, 'and for nobody else');
  t.throws(() => new ReadContext({ cacheBites: 1 } as object), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  await reader.close();
});

t.test('a lane reaches the source, and waiting for a span makes it urgent', async t => {
  await using context = new ReadContext({ memoryBytes: 1, maxRequestBytes: 1 });
  const { reader, source } = readerOf({ context });
  const { opened, open } = gate();
  source.intercept = async (_, bytes) => {
    await opened;
    return bytes;
  };
  // The budget lets one request through at a time; the others wait in their lanes.
  const first = reader.read(0, 10);
  const ahead = reader.read(...rangeOf(3), { lane: 'background' });
  const soon = reader.read(...rangeOf(5), { lane: 'prefetch' });
  const wanted = reader.read(...rangeOf(3));
  open();
  await Promise.all([first, ahead, soon, wanted]);
  t.same(
    source.reads.map(({ lane }) => lane),
    ['demand', 'demand', 'prefetch'],
  );
  await reader.close();
});
