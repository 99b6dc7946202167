/** From an image's reads to a trace, and from a load order to spans: each once, in order, and only what fits. */
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import { openImage } from '../../lib/image/open-image.js';
import type { Load, LoadOrder } from '../../lib/soci/load-order.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { type TarEntry, textLike } from '../span/sample-layers.js';
import { layerOf, pushImage, pushIndex, ztocOf } from './sample-image.js';

const BIG = textLike(600_000, 3);
const LOWER: readonly TarEntry[] = [
  { name: 'first', body: Buffer.from('one') },
  { name: 'big', body: BIG },
  { name: 'bin/tool', body: Buffer.from('tool') },
  { name: 'link', type: 'symlink', linkname: 'big' },
  { name: 'zz-alias', type: 'link', linkname: 'bin/tool' },
];
const UPPER: readonly TarEntry[] = [{ name: 'upper', body: textLike(200_000, 5) }];
const ZSTD: readonly TarEntry[] = [{ name: 'plain', body: Buffer.from('in a zstd layer') }];

async function sampleImage(t: Test): Promise<Image> {
  const repository = openRepository(startTransport(t), await startRegistry(t));
  const layers = [await layerOf(LOWER), await layerOf(UPPER), await layerOf(ZSTD, 'zstd')];
  const pushed = await pushImage(repository, layers);
  await pushIndex(repository, pushed, await Promise.all(layers.slice(0, 2).map(layer => ztocOf(layer))));
  const image = await openImage({ repository, reference: pushed.descriptor.digest });
  t.teardown(() => image.close());
  return image;
}

const load = (path: string, size: number, more: Partial<Load> = {}): Load => ({
  ...{ path, size, start: 0, end: size, urgency: 3 },
  ...more,
});

function orderOf(image: Image, ...loads: Load[]): LoadOrder {
  return { image: image.manifest.descriptor.digest, workload: 'test', runs: 0, loads };
}

t.test('record: reads by whichever call, by a real path, going on where the last one ended', async t => {
  const image = await sampleImage(t);
  await image.readFile('/first');
  const recording = await image.record();
  await image.readFile('link', { start: 10, endExclusive: 20 });
  await image.readFile('/zz-alias');
  const file = await image.open('/big');
  await file.read(Buffer.alloc(30), 0, 30, 20);
  for await (const _ of image.createReadStream('/upper', { start: 100 }));
  const tree = await image.tree();
  await tree.readInto(tree.lookup(tree.root, 'first') as number, 1, Buffer.alloc(10));
  await image.stat('/bin/tool');
  const { image: digest, reads } = recording.stop();
  await image.readFile('/plain');
  t.equal(digest, image.manifest.descriptor.digest);
  t.same(
    reads.map(({ path, size, start, end }) => [path, size, start, end]),
    [
      ['/big', 600_000, 10, 50],
      ['/zz-alias', 4, 0, 4],
      ['/upper', 200_000, 100, 200_000],
      ['/first', 3, 1, 3],
    ],
  );
  t.ok(reads.every(({ ms }, at) => Number.isInteger(ms) && ms >= (reads[at - 1]?.ms ?? 0)));
  t.strictSame(recording.stop().reads, reads, 'it has ended');
});

t.test('record: two at once, and one that is disposed of', async t => {
  const image = await sampleImage(t);
  const outer = await image.record();
  {
    using inner = await image.record();
    await image.readFile('/first');
    t.equal(inner.stop().reads.length, 1);
  }
  await image.readFile('/bin/tool');
  t.equal(outer.stop().reads.length, 2);
});

t.test('record: a million reads at most', async t => {
  const image = await sampleImage(t);
  const { readLog, root } = await image.tree();
  const first = (await image.tree()).lookup(root, 'first') as number;
  const recording = await image.record();
  for (let at = 0; at < 1_000_000; at += 1) readLog.note(first, 0, 1);
  t.equal(recording.stop().reads.length, 1_000_000);
  const longer = await image.record();
  for (let at = 0; at <= 1_000_000; at += 1) readLog.note(first, 0, 1);
  t.throws(() => longer.stop(), { code: 'ERR_SOCI_LIMIT' });
});

t.test('planLoads: spans once, in the order of their first load, neighbours together', async t => {
  const image = await sampleImage(t);
  const order = orderOf(
    image,
    load('/upper', 200_000, { start: 0, end: 10, urgency: 0 }),
    load('/big', 600_000, { start: 300_000, end: 420_000, urgency: 0 }),
    load('/first', 3, { urgency: 2 }),
    load('/link', 600_000, { start: 0, end: 300_000, urgency: 2 }),
    load('/big', 600_000, { start: 420_000, end: 600_000, urgency: 7 }),
  );
  const { steps, omitted } = await image.planLoads(order);
  t.strictSame(omitted, []);
  t.same(
    steps.map(({ layer, urgency, lane }) => [layer, urgency, lane]),
    [
      [1, 0, 'prefetch'],
      [0, 0, 'prefetch'],
      [0, 0, 'prefetch'],
      [0, 2, 'prefetch'],
      [0, 7, 'background'],
    ],
    "the file's tar header first",
  );
  const spans = steps
    .filter(({ layer }) => layer === 0)
    .flatMap(({ firstSpan, endSpan }) =>
      Array.from({ length: endSpan - firstSpan }, (_, at) => firstSpan + at),
    );
  t.equal(new Set(spans).size, spans.length, 'no span twice');
  t.ok(steps.every(({ firstSpan, endSpan, bytes }) => firstSpan < endSpan && bytes > 0));
  t.ok(spans.length > 3);

  // What is loaded by the plan is all that reading by the load order needs.
  const explained = await image.explain('/big', { start: 300_000, endExclusive: 420_000 });
  if ('wholeLayers' in explained) throw new Error('no layer without a ztoc is left');
  for (let span = explained.firstSpan; span < explained.endSpan; span += 1) t.ok(spans.includes(span));
});

t.test('planLoads: what does not fit is left out and said', async t => {
  const image = await sampleImage(t);
  const order = orderOf(
    image,
    load('/nowhere', 3),
    load('/bin', 3),
    load('/big', 600_001),
    load('/plain', 15),
    load('/first/below', 3),
    load('/first', 3),
  );
  const { steps, omitted } = await image.planLoads(order);
  t.same(
    omitted.map(({ load, reason }) => [load.path, reason]),
    [
      ['/nowhere', 'missing'],
      ['/bin', 'missing'],
      ['/big', 'changed'],
      ['/plain', 'unpacked'],
      ['/first/below', 'missing'],
    ],
  );
  t.equal(steps.length, 1);
  t.strictSame(await image.planLoads(order), { steps, omitted }, 'whatever was read meanwhile');
  await t.rejects(image.planLoads(order, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});
