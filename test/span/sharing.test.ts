/** Spans that readers share in one context: however the readers differ, each gets the bytes of its own layer. */
import t from 'tap';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader, type SpanReaderOptions } from '../../lib/span/reader.js';
import { CountingSource } from './counting-source.js';
import { asVersion1, type Sample, sample, standardSample, tarOf, textLike } from './sample-layers.js';

function readerOf({ layer, ztoc }: Sample, options: SpanReaderOptions) {
  const source = new CountingSource(layer);
  return { source, reader: new SpanReader(source, ztoc, options) };
}

t.test('one holds a span as a whole, the other in blocks', async t => {
  const data = await tarOf([{ name: 'text', body: textLike(3_000_000) }]);
  for (const compression of ['gzip', 'uncompressed'] as const) {
    const whole = await sample(data, { spanSize: 1 << 30, compression });
    const size = whole.ztoc.uncompressedSize;
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      for (const bounds of [
        [1 << 26, 500_000],
        [500_000, 1 << 26],
      ] as const) {
        await using context = new ReadContext();
        for (const maxSpanBytes of bounds) {
          context.configure({ maxSpanBytes });
          const { reader } = readerOf(whole, { context, verifyWindows });
          const read = await reader.read(0, size);
          t.ok(data.subarray(0, size).equals(read), `${compression}, ${verifyWindows}, ${maxSpanBytes}`);
          await reader.close();
        }
      }
    }
  }
});

t.test(
  'what no digest covers is taken from nobody: the header in front of a version-1 ztoc’s span 0',
  async t => {
    const old = asVersion1(await standardSample());
    const size = old.ztoc.uncompressedSize;
    await using context = new ReadContext();
    const first = readerOf(old, { context });
    await first.reader.read(0, size);
    await first.reader.read(0, 1);
    t.equal(first.source.reads.length, 1, 'its own reader keeps it');
    const second = readerOf(old, { context });
    t.ok(old.tar.subarray(0, size).equals(await second.reader.read(0, size)));
    t.same(second.source.ranges, [[0, old.ztoc.span(0).compressedEnd]]);
    await Promise.all([first.reader.close(), second.reader.close()]);
  },
);
