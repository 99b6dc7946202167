/**
 * Readers that come, rise, leave and meet faults in any order: each gets the right bytes or an error that somebody
 * caused, nobody waits for ever, and nothing is left held.
 */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { LANES } from '../../lib/source/lanes.js';
import type { Lane } from '../../lib/source/range-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import fc from '../property.js';
import { CountingSource } from './counting-source.js';
import { asVersion1, noise, type Sample, sample, standardSample, tarOf, textLike } from './sample-layers.js';

const mixed = await tarOf([
  { name: 'text', body: textLike(600_000) },
  { name: 'noise', body: noise(2_500_000) },
  { name: 'more', body: textLike(600_000, 3) },
]);
const SAMPLES: readonly Sample[] = [
  await standardSample(),
  asVersion1(await standardSample()),
  // Of some spans smaller and some larger than the bound below.
  await sample(mixed, { spanSize: 700_000 }),
  await sample(mixed, { spanSize: 1 << 30 }),
  await sample(mixed, { spanSize: 700_000, compression: 'uncompressed' }),
];
const MAX_SPAN_BYTES = 650_000;

type Fault = 'none' | 'damaged' | 'short' | 'failed' | 'late';

const LEFT = new Error('left');
const FAILED = new Error('the source failed');
/** What a fault may look like to a reader. */
const CAUSED: ReadonlySet<unknown> = new Set(['ERR_SOCI_SPAN_DIGEST', 'ERR_SOCI_SOURCE_SHORT']);

/** Per request; after these there are no more. */
const faults = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Fault>('none') },
    { weight: 1, arbitrary: fc.constantFrom<Fault>('damaged', 'short', 'failed', 'late') },
  ),
  { maxLength: 12 },
);

const operation = fc.record({
  reader: fc.nat({ max: 1 }),
  how: fc.constantFrom('read', 'take', 'lend'),
  lane: fc.constantFrom<Lane>(...LANES),
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 0, max: 900_000 }),
  /** Turns of the event loop before it begins, and after that until the reader leaves. */
  begins: fc.nat({ max: 4 }),
  leaves: fc.option(fc.nat({ max: 6 })),
});

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function faultySource({ layer }: Sample, list: readonly Fault[]): CountingSource {
  const source = new CountingSource(layer);
  source.intercept = async (_, bytes) => {
    const fault = list[source.reads.length - 1] ?? 'none';
    if (fault === 'late') for (let i = 0; i < 5; i++) await turn();
    if (fault === 'failed') throw FAILED;
    if (fault === 'damaged') {
      const middle = bytes.length >> 1;
      bytes[middle] = (bytes[middle] as number) ^ 1;
    }
    return fault === 'short' ? bytes.subarray(1) : bytes;
  };
  return source;
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Of parts that were asked for together, once the last has ended: what is still under way would join later reads. */
async function ended<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(parts);
  const failed = results.find(part => part.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return results.flatMap(part => (part.status === 'fulfilled' ? [part.value] : []));
}

/** The bytes of an operation, as they were when they arrived. */
async function perform(reader: SpanReader, one: Operation, signal: AbortSignal): Promise<Buffer> {
  const start = Math.floor(one.from * reader.size);
  const end = Math.min(reader.size, start + one.length);
  const options = { signal, lane: one.lane };
  if (one.how === 'read') return Buffer.from(await reader.read(start, end, options));
  if (one.how === 'take') return Buffer.concat(await ended(reader.take(start, end, options)));
  const lent = await ended(reader.lend(start, end, reader.passMemory(), options));
  const bytes = Buffer.concat(lent.map(part => part.bytes));
  for (const part of lent) part.release();
  return bytes;
}

t.test('any order of reads, aborts and faults', async t => {
  const setting = fc.record({
    sample: fc.constantFrom(...SAMPLES),
    memoryBytes: fc.constantFrom(1, 2_000_000, 1 << 28),
    cacheBytes: fc.constantFrom(0, 1_000_000, 1 << 27),
    maxRequestBytes: fc.constantFrom(1, 1 << 24),
  });
  const operations = fc.array(operation, { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(setting, operations, faults, async (chosen, list, broken) => {
      const { sample: layer, ...settings } = chosen;
      await using context = new ReadContext({ ...settings, maxSpanBytes: MAX_SPAN_BYTES });
      const policies = ['neighbours', 'chain'] as const;
      const sources = policies.map(() => faultySource(layer, broken));
      const readers = policies.map(
        (verifyWindows, i) =>
          new SpanReader(sources[i] as CountingSource, layer.ztoc, { context, verifyWindows }),
      );
      const run = async (one: Operation): Promise<void> => {
        await turns(one.begins);
        const reader = readers[one.reader] as SpanReader;
        const controller = new AbortController();
        if (one.leaves !== null) turns(one.leaves).then(() => controller.abort(LEFT));
        const start = Math.floor(one.from * reader.size);
        try {
          const bytes = await perform(reader, one, controller.signal);
          if (!layer.tar.subarray(start, start + bytes.length).equals(bytes)) throw new Error('wrong bytes');
        } catch (error) {
          if (error === LEFT || error === FAILED || CAUSED.has((error as { code?: unknown }).code)) return;
          throw error;
        }
      };
      await Promise.all(list.map(run));
      for (const source of sources) source.intercept = undefined;
      for (const reader of readers) {
        const bytes = await reader.read(0, reader.size);
        if (!layer.tar.subarray(0, reader.size).equals(bytes)) throw new Error('wrong bytes in the end');
      }
      await Promise.all(readers.map(reader => reader.close()));
      return context.memory.held === 0 && context.temporary.reserved === 0;
    }),
    { numRuns: 40 },
  );
  t.pass('held for all');
});

t.test('a reader that is closed in the middle of everything ends everything', async t => {
  const closed = { code: 'ERR_SOCI_CLOSED' };
  for (const layer of SAMPLES) {
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      await using context = new ReadContext({ maxSpanBytes: MAX_SPAN_BYTES, memoryBytes: 1 });
      const source = new CountingSource(layer.layer);
      const reader = new SpanReader(source, layer.ztoc, { context, verifyWindows });
      const all = await context.memory.acquire(1);
      const reads = LANES.map(lane => reader.read(0, reader.size, { lane }));
      const rejected = Promise.all(reads.map(read => t.rejects(read, closed)));
      await turn();
      await reader.close();
      await rejected;
      all.release();
      t.equal(context.memory.held, 0);
      t.equal(source.reads.length, 0);
    }
  }
});
