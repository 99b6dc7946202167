/** What `explain` says and what a read then asks the registry for: number, ranges and bytes, for every kind of layer. */
import t, { type Test } from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import { ReadContext } from '../../lib/span/read-context.js';
import type { TestRegistry } from '../../lib/testing/testing.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { textLike } from '../span/sample-layers.js';
import { layerOf, type Packing, pushImage, pushIndexedImage, type SampleLayer } from './sample-image.js';

const BIG = textLike(600_000, 1);

interface Asked {
  readonly requests: number;
  readonly bytes: number;
}

/** What was asked for of the layers since the last time; each range lies in its layer. */
function askedOf(t: Test, registry: TestRegistry, layers: readonly SampleLayer[]): Asked {
  const asked = { requests: 0, bytes: 0 };
  for (const { method, path, headers } of registry.requests) {
    const layer = layers.find(({ descriptor }) => path.endsWith(descriptor.digest));
    if (method !== 'GET' || layer === undefined) continue;
    const { size } = layer.descriptor;
    const [, first = '0', last = String(size - 1)] = /^bytes=(\d+)-(\d+)$/.exec(headers['range'] ?? '') ?? [];
    t.ok(Number(first) <= Number(last) && Number(last) < size, `${first}-${last} of ${size}`);
    asked.requests += 1;
    asked.bytes += Number(last) - Number(first) + 1;
  }
  registry.requests.length = 0;
  return asked;
}

for (const packing of ['gzip', 'uncompressed', 'zstd'] satisfies Packing[]) {
  for (const indexed of packing === 'zstd' ? [false] : [true, false]) {
    t.test(`${packing}, ${indexed ? 'with an index' : 'without one'}`, async t => {
      const registry = await startRegistry(t);
      const repository = openRepository(startTransport(t), registry);
      const layers = [
        await layerOf(
          [
            { name: 'big', body: BIG },
            { name: 'small', body: Buffer.from('small') },
          ],
          packing,
        ),
        await layerOf([{ name: 'other', body: textLike(200_000, 2) }], packing),
      ];
      await (indexed ? pushIndexedImage : pushImage)(repository, layers, { tag: 'v1' });
      await using context = new ReadContext({ maxReadAheadBytes: 0 });
      await using image = await openImage({ repository, reference: 'v1' }, { context });
      registry.requests.length = 0;

      const first = await image.explain('/small');
      t.match(askedOf(t, registry, layers), { requests: 0 }, 'nothing of what it explains is fetched');
      if (indexed) {
        t.notOk('wholeLayers' in first);
      } else {
        const sizes = layers.map(({ bytes }, layer) => ({ layer, bytes: bytes.length }));
        t.match(first, { wholeLayers: sizes });
        await image.readdir('/');
        const { requests, bytes } = first;
        t.same(askedOf(t, registry, layers), { requests, bytes }, 'each layer as a whole, once');
        t.match(image.stats, { requests, fetchedBytes: bytes });
      }

      const ranges = [
        { path: '/big', start: 300_000, endExclusive: 300_010 },
        { path: '/big', start: 200_000, endExclusive: 420_000 },
        { path: '/small' },
        { path: '/big' },
        { path: '/other' },
        { path: '/big' },
      ];
      for (const { path, ...range } of ranges) {
        const { requests, bytes } = await image.explain(path, range);
        t.same(askedOf(t, registry, layers), { requests: 0, bytes: 0 });
        const before = image.stats;
        await image.readFile(path, range);
        const what = `${path} ${range.start ?? ''}`;
        t.same(askedOf(t, registry, layers), { requests, bytes }, `${what}: asked for as explained`);
        t.equal(image.stats.requests - before.requests, requests, 'and counted');
        t.equal(image.stats.fetchedBytes - before.fetchedBytes, bytes);
      }
    });
  }
}
