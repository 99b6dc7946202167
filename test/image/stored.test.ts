/** Images of registries behind a store: the second time nothing is asked but what the tag names, offline nothing at all. */
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import { DirectoryFiles } from '../../lib/registry/layout-files.js';
import { LayoutRepository } from '../../lib/registry/layout-repository.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { Store } from '../../lib/store/store.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { noise } from '../span/sample-layers.js';
import { watchStores } from '../store/sample-blob.js';
import { layerOf, pushImage, pushIndexedImage } from './sample-image.js';

const BODY = noise(300_000);
const layers = [
  await layerOf([
    { name: 'a', body: Buffer.from('first') },
    { name: 'large', body: BODY },
  ]),
  await layerOf([{ name: 'b', body: Buffer.from('second') }]),
];

interface Given {
  readonly registry: Awaited<ReturnType<typeof startRegistry>>;
  readonly folder: string;
  readonly store: Store;
  /** Opens the image in a context of its own, and tells what was asked of the registry meanwhile. */
  read<T>(
    work: (image: Image) => Promise<T>,
    options?: OpenImageOptions,
  ): Promise<{ result: T; requests: string[] }>;
}

async function given(t: Test, indexed: 'indexed' | 'not indexed' = 'indexed'): Promise<Given> {
  const registry = await startRegistry(t);
  const name = `${registry.host}/demo/app`;
  const transport = startTransport(t);
  const repository = openRepository(transport, registry);
  if (indexed === 'indexed') await pushIndexedImage(repository, layers, { tag: 'latest' });
  else await pushImage(repository, layers, { tag: 'latest' });
  const folder = join(t.testdir({}), 'store');
  const store = await Store.open(folder, { maxBytes: 2 ** 30 });
  t.teardown(() => store.close());
  return {
    registry,
    folder,
    store,
    read: async (work, options = {}) => {
      const before = registry.requests.length;
      // Spans that were decoded are another cache, and not this one.
      const context = new ReadContext();
      await using image = await openImage(name, { transport, context, store, ...options });
      const result = await work(image);
      const requests = registry.requests
        .slice(before)
        .map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`);
      return { result, requests };
    },
  };
}

const readAll = async (image: Image): Promise<void> => {
  t.equal((await image.readFile('/a', 'utf8')).toString(), 'first');
  t.equal((await image.readFile('/b', 'utf8')).toString(), 'second');
  t.equal(Buffer.compare(await image.readFile('/large'), BODY), 0);
};

t.test('the second time only the tag is resolved', async t => {
  const { read, registry, store } = await given(t);
  const cold = await read(readAll);
  t.ok(cold.requests.length >= 7, cold.requests.join());
  const warm = await read(readAll);
  t.same(warm.requests, ['HEAD manifests/latest']);
  const digest = cold.requests.find(request => request.startsWith('GET referrers/'))?.split('/')[1];
  const before = registry.requests.length;
  const transport = startTransport(t);
  await using image = await openImage(`${registry.host}/demo/app@${digest}`, {
    transport,
    context: new ReadContext({}, { store }),
  });
  await readAll(image);
  t.equal(registry.requests.length, before, 'and of an image that is named by its digest nothing is asked');
});

t.test('offline: no request, no credentials', async t => {
  const { read, registry } = await given(t);
  await read(readAll);
  const credentials = (): never => {
    throw new Error('credentials were asked for');
  };
  const before = registry.requests.length;
  const { requests } = await read(readAll, { offline: true });
  t.same(requests, []);
  await registry.close();
  await read(readAll, { offline: true, credentials, transport: undefined });
  t.equal(registry.requests.length, before);
  await t.rejects(read(readAll, { offline: true, store: undefined }), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
    message: /expected a store/,
  });
});

t.test('offline: what is missing is named', async t => {
  const { read, registry } = await given(t);
  const name = `${registry.host}/demo/app`;
  await t.rejects(read(readAll, { offline: true }), {
    code: 'ERR_SOCI_OFFLINE',
    message: `${name}:latest: its manifest is wanted, but not in the store, and offline nothing is fetched`,
  });
  await read(image => image.readFile('/a'));
  const { result, requests } = await read(
    async image => {
      t.equal((await image.readFile('/a', 'utf8')).toString(), 'first');
      return await image.readFile('/large').catch(error => error);
    },
    { offline: true },
  );
  t.same(requests, []);
  const { digest } = layers[0]!.descriptor;
  t.match(result, { code: 'ERR_SOCI_OFFLINE', data: { digest } });
  t.match(result.message, new RegExp(`^${name}@${digest}: bytes \\d+ to \\d+ of \\d+ are wanted`));
  await t.rejects(read(readAll, { offline: true, platform: 'linux/arm64' }), { code: 'ERR_SOCI_PLATFORM' });
});

t.test('a tag that moves is followed', async t => {
  const { read, registry } = await given(t);
  await read(readAll);
  const other = [await layerOf([{ name: 'a', body: Buffer.from('other') }])];
  await pushImage(openRepository(startTransport(t), registry), other, { tag: 'latest' });
  const { result } = await read(image => image.readFile('/a', 'utf8'));
  t.equal(result.toString(), 'other');
  const offline = await read(image => image.readFile('/a', 'utf8'), { offline: true });
  t.equal(offline.result.toString(), 'other');
});

t.test('layers without an index: the ztoc that was built and the layer are kept', async t => {
  const { read, folder } = await given(t, 'not indexed');
  const { requests } = await read(readAll);
  const fetched = requests.filter(request => request.startsWith('GET blobs/'));
  t.equal(fetched.length, 3, 'config, and each layer once');
  t.same((await read(readAll, { offline: true })).requests, []);
  const whole = readdirSync(join(folder, 'blobs', 'sha256'));
  for (const { descriptor } of layers) t.ok(whole.includes(descriptor.digest.slice(7)));
});

t.test('completion', async t => {
  const { read } = await given(t);
  const cold = await read(image => image.completion());
  t.match(cold.result, { proved: false });
  t.equal(cold.result?.blobs.length, 4, 'manifest, config, two layers');
  t.equal(cold.result?.blobs.filter(({ proved }) => proved).length, 2);
  const streamed = await read(async image => {
    await readAll(image);
  });
  t.ok(streamed);
  const after = await read(image => image.completion());
  t.ok(after.result!.present > cold.result!.present);
  t.ok(after.result!.present <= after.result!.size);
  const { result } = await read(image => image.completion(), { store: undefined });
  t.equal(result, undefined);
});

t.test('whatever is damaged in the store: the files are right, and no more is fetched than that', async t => {
  const heard = watchStores(t);
  const { read, folder } = await given(t);
  const cold = await read(readAll);
  await read(readAll);
  const files = (readdirSync(folder, { recursive: true }) as string[]).filter(name =>
    /[0-9a-f]{64}/.test(name),
  );
  t.ok(files.length > 10);
  for (const name of files) {
    const path = join(folder, name);
    const bytes = readFileSync(path);
    if (bytes.length === 0) continue;
    bytes[bytes.length >> 1]! ^= 0x10;
    writeFileSync(path, bytes);
    chmodSync(path, 0o600);
    const { requests } = await read(readAll);
    t.ok(requests.length < cold.requests.length, `${name}: ${requests.join()}`);
    // A layer that was whole is fetched again as it is read.
    await read(readAll);
    t.same((await read(readAll)).requests, ['HEAD manifests/latest'], 'mended');
  }
  t.ok(heard.some(event => event.startsWith('damage')));
  t.notOk(heard.includes('refused'));
});

t.test('with a store, the cache folder keeps nothing of it a second time', async t => {
  const { read, folder } = await given(t, 'not indexed');
  const cacheDirectory = join(folder, '..', 'cache');
  await read(readAll, { cacheDirectory });
  t.same(readdirSync(cacheDirectory), []);
});

t.test('of images of this machine only the ztocs are kept that were built', async t => {
  const { store, folder: near } = await given(t);
  const folder = join(near, '..', 'layout');
  const layout = new LayoutRepository(new DirectoryFiles(folder, 'oci:layout'));
  await pushImage(layout, layers, { tag: 'latest' });
  await using image = await openImage(`oci:${folder}:latest`, { store, context: new ReadContext() });
  await readAll(image);
  const kept = (await store.list()).map(({ digest }) => digest);
  t.equal(kept.length, 2);
  for (const { descriptor } of layers) t.notOk(kept.includes(descriptor.digest));
  t.equal(await image.completion(), undefined);
});
