/** Layers whose compressor never ends a block: a span is then the whole layer, whatever was asked for. */
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { openLayer } from '../../lib/image/layer.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { largestSpan } from '../../lib/ztoc/largest-span.js';
import { verifyZtoc } from '../../lib/ztoc/verify.js';
import fc from '../property.js';
import { oneBlockGzip } from './one-block-gzip.js';
import { noise, tarOf, textLike } from './sample-layers.js';

const MIB = 1024 * 1024;
const SPAN = { spanSize: 65_536 };

t.test('the writer writes what gunzip reads', async () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.nat({ max: 70_000 }).map(length => Buffer.alloc(length, 'abcde')),
    fc.nat({ max: 40_000 }).map(length => noise(length)),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 5 }), parts => {
      const data = Buffer.concat(parts);
      return gunzipSync(oneBlockGzip(data)).equals(data);
    }),
    { numRuns: 40 },
  );
});

const bodies = { first: textLike(3 * MIB, 1), middle: textLike(4000, 2), last: textLike(9 * MIB, 3) };
const tar = await tarOf(Object.entries(bodies).map(([name, body]) => ({ name, body })));
const layer = oneBlockGzip(tar);
const { ztoc } = await buildZtoc(layer, SPAN);

t.test('it has one span, which both engines find, and which says why it is so large', async t => {
  t.equal(ztoc.spanCount, 1);
  t.equal(largestSpan(ztoc).block, tar.length - SPAN.spanSize);
  const { ztoc: other } = await buildZtoc(layer, { ...SPAN, engine: 'zlib' });
  t.same(other.bytes, ztoc.bytes);
  await verifyZtoc(layer, ztoc);
});

for (const [how, maxSpanBytes] of Object.entries({ 'in memory': 64 * MIB, 'in slices': MIB })) {
  t.test(`its files are read, ${how}`, async t => {
    const context = new ReadContext({ maxSpanBytes, cacheBytes: 0 });
    const opened = await openLayer(new BufferSource(layer), ztoc, { context });
    for (const name of ['middle', 'last', 'first'] as const) {
      t.ok(bodies[name].equals(await opened.readFile(name)), name);
    }
    t.ok(tar.equals(await buffer(opened.createTarStream())));
    await opened.close();
  });
}

t.test('a small file costs what lies before it, and no byte twice', async t => {
  const context = new ReadContext({ maxSpanBytes: MIB, cacheBytes: 0 });
  const opened = await openLayer(new BufferSource(layer), ztoc, { context });
  t.ok(bodies.middle.equals(await opened.readFile('middle')));
  const { decodedBytes, fetchedBytes } = opened.stats;
  t.ok(decodedBytes <= 2 * MIB, 'the blocks of the file, handed out');
  t.equal(fetchedBytes, ztoc.span(0).compressedEnd - ztoc.span(0).compressedStart);
  t.ok(context.temporary.reserved < layer.length + 6 * MIB, 'nothing behind it was decoded');
  t.ok(bodies.first.subarray(0, 1000).equals(await opened.readFile('first', { endExclusive: 1000 })));
  t.match(opened.stats, { decodedBytes, fetchedBytes }, 'what was passed over is there');
  await opened.close();
  t.equal(context.temporary.reserved, 0);
});
