/** Layers in files, whose spans jobs read by themselves: the same bytes, errors and counts as from memory. */
import { appendFileSync, readdirSync, readlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { SociError } from '../../lib/errors.js';
import { type SpanFetchEvent, subscribe } from '../../lib/observe/channels.js';
import { SliceSource } from '../../lib/registry/slice-source.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import { FileSource } from '../../lib/source/file-source.js';
import type { RangeSource } from '../../lib/source/range-source.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { SpanReader } from '../../lib/span/reader.js';
import fc from '../property.js';
import {
  asVersion1,
  forgeDigest,
  forgeWindow,
  gzipWithName,
  members,
  type Sample,
  sample,
  standardSample,
} from './sample-layers.js';

const standard = await standardSample();
const SAMPLES: Readonly<Record<string, Sample>> = {
  standard,
  'many members': await sample(standard.tar, { layer: members(standard.tar, 100_000) }),
  'version 1': asVersion1(await sample(standard.tar, { layer: gzipWithName(standard.tar) })),
  uncompressed: await sample(standard.tar, { compression: 'uncompressed' }),
};

const FOLDER = t.testdir();
let files = 0;

function fileOf(layer: Uint8Array, before = ''): string {
  const path = join(FOLDER, `layer-${files++}`);
  writeFileSync(path, before);
  appendFileSync(path, layer);
  return path;
}

/** What a file is called here, so that messages can be compared with those of bytes in memory. */
const NAME = 'the layer';

async function openFile(t: Test, layer: Uint8Array): Promise<{ path: string; source: RangeSource }> {
  const path = fileOf(layer, 'before it');
  const file = await FileSource.open(path);
  t.teardown(() => file.close());
  return { path, source: new SliceSource(file, NAME, 9, layer.length) };
}

/** How many descriptors of these files are open. */
function openDescriptors(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(FOLDER);
    } catch {
      return false;
    }
  }).length;
}

/** All ways of reading a range, the copied parts of each. */
const WAYS: Readonly<
  Record<string, (reader: SpanReader, start: number, end: number, signal?: AbortSignal) => Promise<Buffer>>
> = {
  read: async (reader, start, end, signal) => Buffer.from(await reader.read(start, end, { signal })),
  take: async (reader, start, end, signal) => Buffer.concat(await ended(reader.take(start, end, { signal }))),
  lend: async (reader, start, end, signal) => {
    const parts = await ended(reader.lend(start, end, reader.passMemory(), { signal }));
    return Buffer.concat(parts.map(({ bytes }) => bytes));
  },
};

/** All of them, or the error of the first that failed, once none is under way any more. */
async function ended<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}

async function outcomeOf(promise: Promise<Buffer>): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    if (!(error instanceof SociError)) throw error;
    const { code, message, data } = error;
    return { code, message, data };
  }
}

t.test('any range of any layer, read in any way, is what memory gives', async t => {
  for (const [name, { layer, ztoc, tar }] of Object.entries(SAMPLES)) {
    for (const verifyWindows of ['neighbours', 'chain'] as const) {
      const { source } = await openFile(t, layer);
      const at = fc.nat({ max: tar.length });
      await fc.assert(
        fc.asyncProperty(at, at, fc.constantFrom(...Object.values(WAYS)), async (a, b, way) => {
          await using context = new ReadContext({ cacheBytes: 100_000 });
          await using reader = new SpanReader(source, ztoc, { context, verifyWindows });
          const [start, end] = a < b ? [a, b] : [b, a];
          return tar.subarray(start, end).equals(await way(reader, start, end));
        }),
        { numRuns: 15, examples: Object.values(WAYS).map(way => [0, tar.length, way]) },
      );
      t.pass(`${name}, ${verifyWindows}`);
    }
  }
});

t.test('a damaged layer or a forged ztoc is refused as in memory, with the same words', async t => {
  const samples = [standard, SAMPLES['many members']] as Sample[];
  const damage = fc.record({
    one: fc.constantFrom(...samples),
    what: fc.constantFrom('bit', 'digest', 'window'),
    where: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    way: fc.constantFrom(...Object.values(WAYS)),
  });
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(damage, async ({ one, what, where, way }) => {
      const layer = Buffer.from(one.layer);
      const span = Math.max(1, Math.floor(where * one.ztoc.spanCount));
      let { ztoc } = one;
      if (what === 'digest') ztoc = forgeDigest(ztoc, span);
      else if (what === 'window') ztoc = forgeWindow(ztoc, span);
      else {
        const at = Math.floor(where * layer.length);
        layer[at] = (layer[at] as number) ^ 4;
      }
      const { source } = await openFile(t, layer);
      const outcomes: unknown[] = [];
      for (const given of [new BufferSource(layer, NAME), source]) {
        await using context = new ReadContext();
        await using reader = new SpanReader(given, ztoc, { context });
        // Only the spans that matter: of two that fail, either may be the first.
        const first = ztoc.span(Math.max(0, span - 1)).uncompressedStart;
        outcomes.push(await outcomeOf(way(reader, what === 'bit' ? 0 : first, reader.size)));
      }
      if (!Buffer.isBuffer(outcomes[0])) refused++;
      t.same(outcomes[1], outcomes[0]);
    }),
    { numRuns: 40 },
  );
  t.ok(refused > 20, `${refused} refused`);
});

t.test('reading is counted, told and foretold as it is of memory', async t => {
  const { layer, ztoc, tar } = standard;
  const { source } = await openFile(t, layer);
  const results: unknown[] = [];
  for (const given of [new BufferSource(layer, NAME), source]) {
    const fetches: Omit<SpanFetchEvent, 'ms'>[] = [];
    const unsubscribe = subscribe('seekable-oci:span:fetch', ({ ms, ...event }) => {
      t.ok(ms >= 0);
      fetches.push(event);
    });
    await using context = new ReadContext({ maxRequestBytes: 100_000 });
    await using reader = new SpanReader(given, ztoc, { context });
    const plan = reader.plan([{ start: 0, end: tar.length }]);
    await reader.read(0, tar.length, { lane: 'prefetch' });
    await reader.read(5, 10);
    unsubscribe();
    t.equal(fetches.length, plan.requests);
    t.ok(plan.requests > 1);
    // Jobs of later requests may end before those of earlier ones.
    fetches.sort((a, b) => a.offset - b.offset);
    results.push({ plan, fetches, stats: reader.stats });
  }
  t.same(results[1], results[0]);
});

t.test('a file that is short, changes, or is closed is refused as readInto would', async t => {
  const { layer, ztoc, tar } = standard;
  const changes: [string, (path: string, file: FileSource) => unknown, { code: string; message: RegExp }][] =
    [
      ['shrinks', path => truncateSync(path, 1000), { code: 'ERR_SOCI_SOURCE_CHANGED', message: /now 1000/ }],
      ['grows', path => appendFileSync(path, 'x'), { code: 'ERR_SOCI_SOURCE_CHANGED', message: /it had/ }],
      [
        'is touched',
        path => utimesSync(path, 1, 1),
        { code: 'ERR_SOCI_SOURCE_CHANGED', message: /modification/ },
      ],
      [
        'is overwritten',
        path =>
          writeFileSync(
            path,
            layer.map(byte => byte ^ 1),
          ),
        { code: 'ERR_SOCI_SOURCE_CHANGED', message: /modification/ },
      ],
      ['is closed', (_, file) => file.close(), { code: 'ERR_SOCI_CLOSED', message: /layer-\d+ is closed$/ }],
    ];
  for (const [name, change, expected] of changes) {
    for (const [how, way] of Object.entries(WAYS)) {
      const path = fileOf(layer);
      const file = await FileSource.open(path);
      await using context = new ReadContext();
      await using reader = new SpanReader(file, ztoc, { context });
      await reader.read(0, 10);
      await change(path, file);
      await t.rejects(way(reader, tar.length >> 1, tar.length), expected, `${name}, ${how}`);
      t.equal(reader.stats.digestRetries, 0, 'and not read again');
      t.equal((await reader.read(0, 10)).length, 10, 'what is decoded already is at hand');
      await file.close();
    }
  }
  const short = layer.subarray(0, layer.length - 100);
  const file = await FileSource.open(fileOf(short));
  await using context = new ReadContext();
  await using reader = new SpanReader(file, ztoc, { context });
  t.equal((await reader.read(0, 10)).length, 10);
  await t.rejects(reader.read(tar.length - 1, tar.length), { code: 'ERR_SOCI_SOURCE_RANGE' });
  await file.close();
  t.equal(openDescriptors(), 0);
});

t.test('a digest that is wrong once is asked for again', async t => {
  const { layer, ztoc, tar } = standard;
  const { compressedEnd } = ztoc.span(3);
  const damaged = Buffer.from(layer);
  damaged[compressedEnd - 5] = (damaged[compressedEnd - 5] as number) ^ 1;
  const path = fileOf(damaged);
  const file = await FileSource.openTouchable(path);
  await using context = new ReadContext();
  await using reader = new SpanReader(file, ztoc, { context });
  // The disk, say, has it right when the bytes are asked for again.
  const { readInto } = file;
  file.readInto = async (target, offset, options) => {
    writeFileSync(path, layer);
    await readInto.call(file, target, offset, options);
  };
  const { uncompressedStart, uncompressedEnd } = ztoc.span(3);
  const bytes = await reader.read(uncompressedStart, uncompressedEnd);
  t.ok(tar.subarray(uncompressedStart, uncompressedEnd).equals(bytes));
  t.match(reader.stats, { requests: 2, digestRetries: 1 });
  await file.close();
});

t.test('an abort at any moment is the reason, and leaves neither memory nor descriptors taken', async t => {
  const { layer, ztoc, tar } = await sample(standard.tar, { spanSize: 20_000 });
  const path = fileOf(layer);
  const file = await FileSource.open(path);
  await using context = new ReadContext({ cacheBytes: 0 });
  await using reader = new SpanReader(file, ztoc, { context });
  const reason = new Error('enough');
  for (const way of Object.values(WAYS)) {
    for (let turns = 0; turns < 25; turns++) {
      const controller = new AbortController();
      const reading = outcomeOf(way(reader, 0, tar.length, controller.signal)).catch(error => error);
      for (let i = 0; i < turns; i++) await (i % 2 === 0 ? Promise.resolve() : turn());
      controller.abort(reason);
      const outcome = await reading;
      t.ok(outcome === reason || (Buffer.isBuffer(outcome) && tar.equals(outcome)), `after ${turns}`);
    }
  }
  await reader.close();
  t.equal(context.memory.held, 0);
  t.equal(openDescriptors(), 1, 'the file itself');
  await file.close();
  t.equal(openDescriptors(), 0);
});

t.test('spans that are under way are shared', async t => {
  const { layer, ztoc, tar } = standard;
  const { source } = await openFile(t, layer);
  await using context = new ReadContext();
  await using reader = new SpanReader(source, ztoc, { context });
  const controller = new AbortController();
  const left = reader.read(0, tar.length, { signal: controller.signal });
  const all = await Promise.all([
    reader.read(0, tar.length),
    reader.read(0, tar.length),
    t.rejects(left, { name: 'AbortError' }),
    Promise.resolve().then(() => controller.abort()),
  ]);
  t.ok(tar.equals(all[0]) && tar.equals(all[1]));
  t.equal(reader.stats.decodedSpans, ztoc.spanCount);
});
