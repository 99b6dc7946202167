/** What a cache folder keeps of registries: fetched once, the digest held against it each time. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { layerOf, pushIndexedImage } from '../image/sample-image.js';
import { openRepository, startRegistry, startTransport } from './fixture.js';

const layers = [
  await layerOf([{ name: 'a', body: Buffer.from('first') }]),
  await layerOf([{ name: 'b', body: Buffer.from('second') }]),
];

async function indexed(t: Test) {
  const registry = await startRegistry(t);
  const transport = startTransport(t);
  await pushIndexedImage(openRepository(transport, registry), layers, { tag: 'latest' });
  const name = `${registry.host}/demo/app`;
  const read = async (options: OpenImageOptions): Promise<readonly string[]> => {
    const before = registry.requests.length;
    // Spans that were decoded are another cache, and not this one.
    const context = new ReadContext();
    await using image = await openImage(name, { transport, context, ...options });
    t.equal((await image.readFile('/a')).toString(), 'first');
    // The tag of referrers is asked beside their API, whose answer may call that off before it is sent.
    return registry.requests
      .slice(before)
      .filter(({ path }) => !path.includes('/manifests/sha256-'))
      .map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`);
  };
  return { registry, read };
}

t.test('ztocs, index and config are fetched once; tag, referrers and layers are asked each time', async t => {
  const { read } = await indexed(t);
  const cacheDirectory = t.testdir({});
  const cold = await read({ cacheDirectory });
  const warm = await read({ cacheDirectory });
  const layer = layers[0]!.descriptor.digest;
  t.equal(warm.length, 3, warm.join(', '));
  t.match([...warm].sort(), [`GET blobs/${layer}`, 'GET manifests/latest', /^GET referrers\/sha256:/]);
  t.equal(cold.length, warm.length + 4, 'config, index and two ztocs');
  t.equal((await read({})).length, cold.length, 'without a folder nothing is kept');
});

t.test('what was damaged in the folder is fetched again, and mended', async t => {
  const { read } = await indexed(t);
  const cacheDirectory = t.testdir({});
  const cold = await read({ cacheDirectory });
  const folder = join(cacheDirectory, 'blobs', 'sha256');
  for (const name of readdirSync(folder)) writeFileSync(join(folder, name), 'forged');
  t.equal((await read({ cacheDirectory })).length, cold.length);
  t.equal((await read({ cacheDirectory })).length, cold.length - 4);
});

t.test('no more is left than maxCacheBytes says', async t => {
  const { read } = await indexed(t);
  const cacheDirectory = t.testdir({});
  const cold = await read({ cacheDirectory, maxCacheBytes: 0 });
  t.same(readdirSync(join(cacheDirectory, 'blobs', 'sha256')), []);
  t.equal((await read({ cacheDirectory, maxCacheBytes: 0 })).length, cold.length);
});

t.test('a folder that cannot be used is an error before anything is asked', async t => {
  const { read, registry } = await indexed(t);
  const file = join(t.testdir({ file: '' }), 'file');
  const before = registry.requests.length;
  await t.rejects(read({ cacheDirectory: join(file, 'cache') }), { code: 'ERR_SOCI_OUTPUT' });
  t.equal(registry.requests.length, before);
});
