/** The reference's own results on a real two-platform image: ours have the same digests. */
import { existsSync } from 'node:fs';
import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Repository } from '../../lib/registry/repository.js';
import { convertImage } from '../../lib/soci/convert-image.js';
import { type CreateIndexOptions, createIndex } from '../../lib/soci/create-index.js';
import { findIndex } from '../../lib/soci/find-index.js';
import { resolveImages } from '../../lib/soci/platform-images.js';
import { pushIndex } from '../../lib/soci/push-index.js';
import { LayoutStorage, TestRegistry } from '../../lib/testing/testing.js';
import { openRepository, startTransport } from '../registry/fixture.js';
import { ARM64, at, openLayout, TOOL, temporaryFolder } from './sample-image.js';

const CORPUS = process.env['SEEKABLE_OCI_CORPUS'];
const IMAGES = CORPUS === undefined ? undefined : join(CORPUS, '..', 'images');
const skip =
  IMAGES !== undefined && existsSync(IMAGES)
    ? false
    : 'SEEKABLE_OCI_CORPUS is not set or has no images beside it: the reference results are not there';

const RUNS: Readonly<Record<string, CreateIndexOptions>> = {
  'v1-min0': { minLayerSize: 0 },
  'v1-span1m': { minLayerSize: 0, spanSize: 1048576 },
  'v1-xattr': { minLayerSize: 0, optimizations: ['xattr'] },
  'v2-min0': { minLayerSize: 0 },
  'v2-min1m': { minLayerSize: 1_000_000, spanSize: 262144 },
  'v2-xattr': { minLayerSize: 0, optimizations: ['xattr'] },
  'v2-prefetch': {
    minLayerSize: 0,
    spanSize: 65536,
    prefetchFiles: ['etc/passwd', '/usr/share/text.txt'],
  },
};

const blobsOf = async (folder: string): Promise<string[]> =>
  (await readdir(join(folder, 'blobs/sha256'))).sort();

/** Blobs of the layout that were not in the source image. */
async function added(folder: string): Promise<string[]> {
  const before = new Set(await blobsOf(join(IMAGES!, 'multi')));
  return (await blobsOf(folder)).filter(name => !before.has(name));
}

async function expectedRoot(name: string): Promise<string> {
  const index = JSON.parse(await readFile(join(IMAGES!, 'expected', name, 'index.json'), 'utf8'));
  return index.manifests[0].digest;
}

for (const [name, options] of Object.entries(RUNS)) {
  t.test(`${name}: every blob that the reference adds, and no other`, { skip }, async t => {
    const folder = join(await temporaryFolder(t), 'layout');
    const wanted = await blobsOf(join(IMAGES!, 'expected', name));
    const golden = { ...options, buildToolIdentifier: TOOL };
    if (name.startsWith('v1')) {
      await cp(join(IMAGES!, 'multi'), folder, { recursive: true });
      const layout = openLayout(t, folder);
      const created = await createIndex(at(layout, 'multi'), golden);
      t.same(
        created.indexes.map(({ skipped }) => skipped.map(({ reason }) => reason)),
        [[], ['zstd']],
      );
      t.same(
        (await pushIndex(created)).map(({ outcome }) => outcome),
        ['pushed', 'pushed'],
      );
      t.same(await added(folder), wanted);
      const expected = JSON.parse(await readFile(join(IMAGES!, 'expected', name, 'index.json'), 'utf8'));
      const actual = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8'));
      t.same(actual.manifests, expected.manifests, 'and is listed as the reference lists it');
      t.same(
        (await pushIndex(created)).map(({ outcome }) => outcome),
        ['existed', 'existed'],
      );
      return;
    }
    const source = openLayout(t, join(IMAGES!, 'multi'));
    const target = openLayout(t, folder);
    const converted = await convertImage(at(source, 'multi'), at(target, 'multi'), golden);
    t.equal(converted.descriptor.digest, await expectedRoot(name));
    t.same(await added(folder), wanted);
    const again = await convertImage(at(target, 'multi'), at(target, 'again'), golden);
    t.same(again.descriptor, converted.descriptor, 'converting again changes nothing');
    t.same(await added(folder), wanted);
  });
}

t.test('the same digests from registry to registry, and found again in both versions', { skip }, async t => {
  const folder = await temporaryFolder(t);
  const storage = new LayoutStorage({ 'from/app': join(IMAGES!, 'multi'), 'to/app': join(folder, 'to') });
  const registry = await TestRegistry.start({ storage });
  t.teardown(() => registry.close());
  const transport = startTransport(t);
  const source = openRepository(transport, registry, 'from/app');
  const target = openRepository(transport, registry, 'to/app');
  const converted = await convertImage(at(source, 'multi'), at(target, 'lazy'), {
    minLayerSize: 0,
    buildToolIdentifier: TOOL,
  });
  t.equal(converted.descriptor.digest, await expectedRoot('v2-min0'));
  const find = async (repository: Repository, reference: string): Promise<(string | undefined)[]> => {
    const { images } = await resolveImages(repository, reference);
    const searches = await Promise.all(images.map(image => findIndex(repository, image)));
    return searches.map(({ found }) => found && `${found.via} ${found.covered}`);
  };
  t.same(await find(target, 'lazy'), ['annotation 4', 'annotation 2']);
  const created = await createIndex(at(target, 'lazy'), { minLayerSize: 0, platforms: [ARM64] });
  t.equal(created.indexes.length, 1);
});
