/** That a read waits in its lane wherever it waits, and takes what it joins along. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { LANES, Urgency } from '../../lib/source/lanes.js';
import type { Lane } from '../../lib/source/range-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import { CountingSource } from './counting-source.js';
import { type Sample, sample, standardSample, tarOf, textLike } from './sample-layers.js';

const standard = await standardSample();
const huge = await sample(await tarOf([{ name: 'text', body: textLike(3_000_000) }]), { spanSize: 1 << 30 });

interface Subject {
  readonly what: string;
  readonly layer: Sample;
  readonly verifyWindows: 'neighbours' | 'chain';
}

const SUBJECTS: readonly Subject[] = [
  { what: 'a span', layer: standard, verifyWindows: 'neighbours' },
  { what: 'a step of the chain', layer: standard, verifyWindows: 'chain' },
  { what: 'a huge span', layer: huge, verifyWindows: 'neighbours' },
  { what: 'a huge span in the chain', layer: huge, verifyWindows: 'chain' },
];

for (const { what, layer, verifyWindows } of SUBJECTS) {
  t.test(`${what} that waits for memory is raised by whoever comes to wait for it`, async t => {
    await using context = new ReadContext({ memoryBytes: 1, maxSpanBytes: 500_000 });
    const source = new CountingSource(layer.layer);
    const reader = new SpanReader(source, layer.ztoc, { context, verifyWindows });
    const all = await context.memory.acquire(1);
    const order: string[] = [];
    source.intercept = (_, bytes) => {
      order.push('fetched');
      return bytes;
    };
    const behind = reader.read(0, 100, { lane: 'background' });
    await turn();
    const between = context.memory.acquire(1, { urgency: new Urgency('prefetch') }).then(lease => {
      order.push('prefetch');
      lease.release();
    });
    const wanted = reader.read(0, 100);
    await turn();
    all.release();
    const [expected] = await Promise.all([behind, wanted, between]);
    t.ok(layer.tar.subarray(0, 100).equals(expected));
    t.equal(order[0], 'fetched');
    t.equal(source.reads[0]?.lane, 'demand');
    t.equal(context.memory.held, 0);
    await reader.close();
  });
}

t.test('a lane that there is not is refused before anything is asked for', async t => {
  await using context = new ReadContext();
  const source = new CountingSource(standard.layer);
  const reader = new SpanReader(source, standard.ztoc, { context });
  const lane = 'urgent' as Lane;
  await t.rejects(reader.read(0, 1, { lane }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.throws(() => reader.take(0, 1, { lane }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.equal(source.reads.length, 0);
  for (const known of LANES) t.equal((await reader.read(0, 1, { lane: known })).length, 1);
  await reader.close();
});
