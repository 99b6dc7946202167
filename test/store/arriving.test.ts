/** What a store says is there while the rest is fetched: whatever it has, in whatever order requests end. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { Store } from '../../lib/store/store.js';
import fc from '../property.js';
import { DrippingSource } from '../span/dripping-source.js';
import { noise } from '../span/sample-layers.js';

const BLOB = noise(600_000);
const DIGEST = `sha256:${createHash('sha256').update(BLOB).digest('hex')}`;
const BLOCK = 4096;

t.test('any blocks there, any range: the first bytes, final', async t => {
  const range = fc
    .tuple(fc.nat(BLOB.length), fc.nat(BLOB.length))
    .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  let folders = 0;
  const root = t.testdir();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(146), fc.integer({ min: 1, max: 30 })), { maxLength: 5 }),
      range,
      fc.constantFrom(1000, 40_000, 1_000_000),
      async (there, [start, end], pieceBytes) => {
        await using store = await Store.open(`${root}/${folders++}`, { maxBytes: 2 ** 30 });
        const descriptor = { digest: DIGEST, size: BLOB.length };
        const filling = await store.open(descriptor, new DrippingSource(BLOB));
        for (const [first, blocks] of there) {
          const from = first * BLOCK;
          await filling.read(from, Math.min(blocks * BLOCK, BLOB.length - from));
        }
        await filling.close();
        const source = new DrippingSource(BLOB);
        source.pieceBytes = pieceBytes;
        const stored = await store.open(descriptor, source);
        let told = 0;
        let wrong = false;
        const copies: [Uint8Array, Buffer][] = [];
        const onBytes = (arrived: Uint8Array): void => {
          wrong ||= arrived.length < told || !BLOB.subarray(start, start + arrived.length).equals(arrived);
          told = arrived.length;
          copies.push([arrived, Buffer.from(arrived)]);
        };
        const bytes = await stored.read(start, end - start, { onBytes });
        await stored.close();
        if (wrong || !BLOB.subarray(start, end).equals(bytes)) return false;
        return copies.every(([arrived, copy]) => copy.equals(arrived));
      },
    ),
    { numRuns: 60 },
  );
  t.pass('held for all');
});
