/** How large the largest span is, and whether the layer's compressor is why. */
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { largestSpan } from '../../lib/ztoc/largest-span.js';
import { noise, tarOf } from '../span/sample-layers.js';

t.test('one DEFLATE block that is larger than a span', async t => {
  // zlib ends a block after 16,383 symbols, each of 258 zeros at most.
  const tar = await tarOf([{ name: 'zeros', body: Buffer.alloc(9_000_000) }]);
  const { ztoc } = await buildZtoc(gzipSync(tar), { spanSize: 65536 });
  const { index, compressedSize, uncompressedSize, block } = largestSpan(ztoc);
  t.ok(uncompressedSize > 4_000_000);
  t.equal(block, uncompressedSize - 65536);
  const { compressedStart, compressedEnd } = ztoc.span(index);
  t.equal(compressedSize, compressedEnd - compressedStart);
});

t.test('spans of about the size that was asked for', async t => {
  const tar = await tarOf([{ name: 'noise', body: noise(1_000_000) }]);
  for (const layer of [gzipSync(tar), tar]) {
    const { ztoc } = await buildZtoc(layer, { spanSize: 131_072 });
    const { uncompressedSize, block } = largestSpan(ztoc);
    t.equal(block, undefined);
    t.ok(uncompressedSize < 2 * 131_072);
  }
});
