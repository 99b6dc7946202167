/**
 * Images whose tag the store has seen before: while the registry is asked what it names, the image that it named is
 * opened from the store. Nothing comes of that before the answer, nothing is asked for its sake, and nothing is left of
 * it when the tag has moved.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Image } from '../../lib/image/image.js';
import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import type { RegistryRepository } from '../../lib/registry/registry-repository.js';
import { ReadContext } from '../../lib/span/read-context.js';
import { type Disk, SYSTEM_DISK } from '../../lib/store/disk.js';
import { Store } from '../../lib/store/store.js';
import type { TestRegistry } from '../../lib/testing/testing.js';
import { openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { layerOf, pushIndexedImage } from './sample-image.js';

/** Of so many files that the merged tree is kept. */
const body = Buffer.from('now');
const old = await layerOf(
  Array.from({ length: 600 }, (_, at) => ({ name: `dir/file-${at}`, body: Buffer.from(`${at}`) })),
);
const other = await layerOf([{ name: 'dir/file-7', body }]);

interface Given {
  readonly registry: TestRegistry;
  readonly repository: RegistryRepository;
  readonly folder: string;
  readonly store: Store;
  /** Digests in the store by what they are. */
  readonly digests: { readonly config: string; readonly manifest: string; readonly ztoc: string };
  open(options?: OpenImageOptions): Promise<Image>;
  /** What was asked of the registry since this was called last. */
  asked(): string[];
  /** Settles when a file of the store whose name ends so is looked for. */
  looked(digest: string): Promise<void>;
}

/** All of an image is read once, through a store. */
async function given(t: Test): Promise<Given> {
  const registry = await startRegistry(t);
  const transport = startTransport(t);
  const repository = openRepository(transport, registry);
  const image = await pushIndexedImage(repository, [old], { tag: 'latest' });
  const folder = join(t.testdir({}), 'store');
  const watched = new Map<string, () => void>();
  const disk: Disk = {
    ...SYSTEM_DISK,
    stat: path => {
      watched.get(path.slice(-64))?.();
      return SYSTEM_DISK.stat(path);
    },
  };
  const store = await Store.open(folder, { maxBytes: 2 ** 30, disk });
  t.teardown(() => store.close());
  let before = 0;
  const place = {
    registry,
    repository,
    folder,
    store,
    open: (options: OpenImageOptions = {}) =>
      openImage(`${registry.host}/demo/app`, { transport, context: new ReadContext(), store, ...options }),
    asked: () => {
      const requests = registry.requests.slice(before);
      before = registry.requests.length;
      return requests.map(({ method, path }) => `${method} ${path.split('/').slice(-2).join('/')}`);
    },
    looked: (digest: string) =>
      new Promise<void>(resolve => {
        watched.set(digest.slice(-64), resolve);
      }),
  };
  const first = await place.open();
  await first.load();
  t.equal(await first.readFile('dir/file-7', 'utf8'), '7');
  const [layer] = first.layers;
  const digests = {
    config: first.manifest.manifest.config.digest,
    manifest: image.descriptor.digest,
    ztoc: layer?.ztoc?.digest ?? '',
  };
  await first.close();
  place.asked();
  return { ...place, digests };
}

/** Answers no HEAD before it is told to. */
function holdHead(registry: TestRegistry): () => void {
  let release = (): void => {};
  const held = new Promise<void>(resolve => {
    release = resolve;
  });
  registry.inject({ match: { method: 'HEAD' }, until: () => held });
  return release;
}

function blob(folder: string, digest: string): string {
  return join(folder, 'blobs', 'sha256', digest.slice('sha256:'.length));
}

t.test('all that the store has is read meanwhile, and nothing handed out', async t => {
  const place = await given(t);
  const release = holdHead(place.registry);
  const ztocRead = place.looked(place.digests.ztoc);
  let isOpen = false;
  const opening = place.open().then(image => {
    isOpen = true;
    return image;
  });
  await ztocRead;
  await setImmediate();
  t.notOk(isOpen);
  release();
  await using image = await opening;
  t.equal(image.manifest.descriptor.digest, place.digests.manifest);
  t.equal(await image.readFile('dir/file-7', 'utf8'), '7');
  t.strictSame(place.asked(), ['HEAD manifests/latest']);
});

t.test('the tag has moved: what it names now is opened, and nothing is asked of the other', async t => {
  const place = await given(t);
  const now = await pushIndexedImage(place.repository, [other], { tag: 'latest' });
  place.asked();
  const release = holdHead(place.registry);
  const ztocRead = place.looked(place.digests.ztoc);
  const opening = place.open();
  await ztocRead;
  release();
  await using image = await opening;
  t.equal(image.manifest.descriptor.digest, now.descriptor.digest);
  t.equal(await image.readFile('dir/file-7', 'utf8'), 'now');
  const asked = place.asked();
  t.strictSame(asked.slice(0, 2), ['HEAD manifests/latest', `GET manifests/${now.descriptor.digest}`]);
  t.equal(new Set(asked).size, asked.length, 'each once');
  await image.close();
  await using again = await place.open();
  t.equal(again.manifest.descriptor.digest, now.descriptor.digest);
  t.strictSame(place.asked(), ['HEAD manifests/latest'], 'and that is what it is presumed to name');
});

t.test('what the store lacks waits for the answer', async t => {
  const place = await given(t);
  rmSync(blob(place.folder, place.digests.config));
  const release = holdHead(place.registry);
  const missed = place.looked(place.digests.config);
  const opening = place.open();
  await missed;
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
  t.strictSame(
    place.asked().filter(request => !request.startsWith('HEAD')),
    [],
  );
  release();
  await using image = await opening;
  t.equal(image.config?.architecture, 'amd64');
  t.strictSame(
    place.asked().filter(request => !request.startsWith('HEAD')),
    [`GET blobs/${place.digests.config}`],
  );
});

t.test('what only files need is not asked for before anybody wants one', async t => {
  const place = await given(t);
  rmSync(blob(place.folder, place.digests.ztoc));
  await using image = await place.open();
  await setImmediate();
  t.strictSame(place.asked(), ['HEAD manifests/latest']);
  t.equal(await image.readFile('dir/file-7', 'utf8'), '7');
  t.strictSame(place.asked(), [`GET blobs/${place.digests.ztoc}`]);
});

t.test('the registry does not answer, or knows no such tag any more', async t => {
  const place = await given(t);
  place.registry.inject({ match: { method: 'HEAD' }, reply: { status: 404, headers: {} }, times: 1 });
  await t.rejects(place.open(), { code: 'ERR_SOCI_REGISTRY_NOT_FOUND' });
  place.registry.inject({ match: { method: 'HEAD' }, reply: { status: 400, headers: {} }, times: 1 });
  await t.rejects(place.open(), { code: 'ERR_SOCI_HTTP_STATUS' });
  place.asked();
  await using image = await place.open();
  t.equal(await image.readFile('dir/file-7', 'utf8'), '7');
  t.strictSame(place.asked(), ['HEAD manifests/latest']);
});

t.test('a failure that has nothing to do with the tag is the same as ever', async t => {
  const place = await given(t);
  await t.rejects(place.open({ platform: 'linux/s390x' }), { code: 'ERR_SOCI_PLATFORM' });
  await t.rejects(place.open({ onlyLayer: 1 }), { code: 'ERR_SOCI_INVALID_ARGUMENT' });
  t.strictSame(place.asked(), ['HEAD manifests/latest', 'HEAD manifests/latest']);
});

t.test('called off in the middle', async t => {
  const place = await given(t);
  const release = holdHead(place.registry);
  const controller = new AbortController();
  const ztocRead = place.looked(place.digests.ztoc);
  const opening = place.open({ signal: controller.signal });
  await ztocRead;
  const reason = new Error('enough');
  controller.abort(reason);
  await t.rejects(opening, reason);
  release();
  await t.rejects(place.open({ signal: controller.signal }), reason);
  const early = new AbortController();
  const called = place.open({ signal: early.signal });
  early.abort(reason);
  await t.rejects(called, reason);
  await using image = await place.open();
  t.equal(await image.readFile('dir/file-7', 'utf8'), '7');
});

t.test('offline nobody is asked, and nothing is presumed', async t => {
  const place = await given(t);
  await using image = await place.open({ offline: true });
  t.equal(await image.readFile('dir/file-7', 'utf8'), '7');
  t.strictSame(place.asked(), []);
});
