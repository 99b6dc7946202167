/**
 * SOCI indexes with real tools around: images of umoci, of buildah and with a
 * layer from every gzip writer, in Debian's docker-registry (so v1 goes by the
 * referrers tag), in layouts and in archives, carried about by skopeo.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openLayer } from '../../lib/image/layer.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { type OpenedLocation, openImageLocation } from '../../lib/registry/image-location.js';
import { OCI_INDEX } from '../../lib/registry/media-types.js';
import type { RegistryTransport } from '../../lib/registry/transport.js';
import type { CreatedIndex } from '../../lib/soci/build-indexes.js';
import { type ConvertImageResult, convertImage } from '../../lib/soci/convert-image.js';
import { copyIndex } from '../../lib/soci/copy-index.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { type FoundIndex, findIndex, type IndexSearch } from '../../lib/soci/find-index.js';
import { loadZtoc } from '../../lib/soci/load-ztoc.js';
import { type PlatformImage, resolveImages } from '../../lib/soci/platform-images.js';
import { pushIndex } from '../../lib/soci/push-index.js';
import { INDEX_DIGEST_ANNOTATION, SOCI_INDEX_TYPE } from '../../lib/soci/soci-index.js';
import { DockerRegistry } from './support/docker-registry.js';
import { GZIP_WRITERS } from './support/gzip-writers.js';
import {
  BUILDAH_NEEDS_ROOT,
  buildahImage,
  layerTree,
  umociImage,
  unpackedTree,
  writersImage,
} from './support/images.js';
import { differences } from './support/layer-reading.js';
import { treeDifferences } from './support/sample-tree.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

const OPTIONS = { minLayerSize: 0, spanSize: 128 * 1024 };
const skip = needs('docker-registry', 'skopeo', 'umoci', 'tar', 'python3');
const skipWriters = needs(...new Set(GZIP_WRITERS.map(({ tool }) => tool)));
const folder = await workspace(t);
const layout = join(folder, 'layout');
if (!skip) await umociImage(folder, layout, 'v1');

interface Bench {
  readonly registry: DockerRegistry;
  readonly transport: RegistryTransport;
  readonly folder: string;
  readonly open: (location: string) => OpenedLocation;
}

async function start(t: Test): Promise<Bench> {
  const registry = await DockerRegistry.start(t);
  const transport = registry.client(t);
  const open = (location: string): OpenedLocation => {
    const opened = openImageLocation(location, transport);
    t.teardown(() => opened.repository.close());
    return opened;
  };
  return { registry, transport, folder: await workspace(t), open };
}

async function onlyImage({ repository, reference }: OpenedLocation): Promise<PlatformImage> {
  const { images } = await resolveImages(repository, reference);
  if (images.length !== 1) throw new Error(`${repository.name}: expected one image, found ${images.length}`);
  return images[0]!;
}

async function search(location: OpenedLocation): Promise<IndexSearch> {
  return await findIndex(location.repository, await onlyImage(location));
}

/** Finds the image's index and reads every file of every layer with it. */
async function readAll(t: Test, location: OpenedLocation, via: FoundIndex['via']): Promise<void> {
  const { repository } = location;
  const image = await onlyImage(location);
  const { found } = await findIndex(repository, image);
  t.equal(found?.via, via, `${repository.name}: found by ${via}`);
  for (const [position, descriptor] of image.manifest.layers.entries()) {
    const listed = found?.index.ztocs.find(({ layerDigest }) => layerDigest === descriptor.digest);
    if (listed === undefined) throw new Error(`no ztoc for layer ${position}`);
    const ztoc = await loadZtoc(repository, listed, descriptor);
    const source = await repository.openBlob(descriptor);
    await using layer = await openLayer(source, ztoc, { ztocDigest: listed.digest, closeSource: true });
    const tree = await layerTree(await repository.getBlob(descriptor));
    t.same(await differences(layer, tree), [], `layer ${position}: ${tree.size} files`);
  }
}

/** What a registry answers to somebody who knows nothing of this package. */
async function plainGet(registry: DockerRegistry, path: string, accept = '*/*'): Promise<Buffer> {
  const answer = await fetch(`http://${registry.host}/v2/${path}`, { headers: { accept } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

async function checkStored(
  t: Test,
  registry: DockerRegistry,
  name: string,
  result: { readonly indexes: readonly CreatedIndex<{ readonly digest: string }>[] },
): Promise<void> {
  for (const { bytes, descriptor, layers } of result.indexes) {
    const stored = await plainGet(registry, `${name}/manifests/${descriptor.digest}`, descriptor.mediaType);
    t.ok(stored.equals(bytes), 'the index is stored byte for byte');
    for (const { ztoc } of layers) {
      const stored = await plainGet(registry, `${name}/blobs/${ztoc.digest}`);
      t.equal(sha256Digest(stored), ztoc.digest, 'a ztoc too');
    }
  }
}

t.test('v1: created, pushed beside the image, found, copied', { skip }, async t => {
  const { registry, open } = await start(t);
  const image = `${registry.host}/app:v1`;
  await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${image}`);
  const location = open(image);
  const before = await location.repository.resolve(location.reference);
  t.match(await search(location), { status: 'none', found: undefined });

  const created = await createIndex(location, OPTIONS);
  t.equal(created.indexes[0]?.layers.length, 3);
  t.match(await pushIndex(created), [{ outcome: 'pushed' }]);
  t.match(await pushIndex(created), [{ outcome: 'existed' }], 'twice is once');
  t.same(await location.repository.resolve(location.reference), before, 'the image is what it was');
  await checkStored(t, registry, 'app', created);
  const tag = before.digest.replace(':', '-');
  const listed = JSON.parse((await plainGet(registry, `app/manifests/${tag}`, OCI_INDEX)).toString());
  t.match(listed.manifests, [
    { digest: created.indexes[0]?.descriptor.digest, artifactType: SOCI_INDEX_TYPE.v1 },
  ]);
  await readAll(t, open(image), 'referrer');

  t.test('a second index replaces nothing, and the choice is the same for everybody', async t => {
    const other = await createIndex(location, { ...OPTIONS, buildToolIdentifier: 'another tool' });
    t.match(await pushIndex(other, { existing: 'skip' }), [{ outcome: 'skipped' }]);
    t.match(await pushIndex(other), [{ outcome: 'pushed', existing: [{}] }]);
    const digests = [created, other].map(({ indexes }) => indexes[0]!.descriptor.digest);
    const { found, attempts } = await search(open(image));
    t.equal(found?.descriptor.digest, digests[0], 'the first listed');
    t.match(attempts.at(-1), { outcome: 'not-chosen', digest: digests[1] });
  });

  t.test('skopeo copies the image without its index; copyIndex brings it', async t => {
    const copy = `${registry.host}/copy/of/app:v1`;
    await registry.skopeo('copy', [], `docker://${image}`, `docker://${copy}`);
    t.match(await search(open(copy)), { status: 'none' });
    const { copied, without, refused } = await copyIndex(open(image), open(copy));
    t.match([copied.length, without.length, refused.length], [2, 0, 0]);
    await readAll(t, open(copy), 'referrer');
  });

  t.test('made in a layout, then pushed to where the image is', async t => {
    const local = join(await workspace(t), 'local');
    await registry.skopeo('copy', [], `oci:${layout}:v1`, `oci:${local}:v1`);
    await pushIndex(await createIndex(open(`oci:${local}:v1`), OPTIONS));
    await readAll(t, open(`oci:${local}:v1`), 'referrer');
    const target = `${registry.host}/from/layout:v1`;
    await registry.skopeo('copy', [], `oci:${local}:v1`, `docker://${target}`);
    await copyIndex(open(`oci:${local}:v1`), open(target));
    await readAll(t, open(target), 'referrer');
  });
});

t.test('v2: converted between registries, layouts and archives', { skip }, async t => {
  const { registry, open, folder } = await start(t);
  const image = `${registry.host}/app:v1`;
  await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${image}`);
  const expected = await unpackedTree(join(folder, 'original'), layout, 'v1');

  const places = {
    registry: `${registry.host}/converted:v2`,
    'same repository': `${registry.host}/app:v2`,
    layout: `oci:${join(folder, 'converted')}:v2`,
    archive: `oci-archive:${join(folder, 'converted.tar')}:v2`,
  };
  const results = new Map<string, ConvertImageResult>();
  const archive = `oci-archive:${join(folder, 'source.tar')}:v1`;
  await registry.skopeo('copy', [], `docker://${image}`, archive);
  for (const [name, source, target] of [
    ['registry to registry', image, places.registry],
    ['registry to the same repository', image, places['same repository']],
    ['layout to registry', `oci:${layout}:v1`, `${registry.host}/from-layout:v2`],
    ['archive to layout', archive, places.layout],
    ['registry to archive', image, places.archive],
  ] as const) {
    const result = await convertImage(open(source), open(target), OPTIONS);
    results.set(name, result);
    await readAll(t, open(target), 'annotation');
  }
  const digests = new Set([...results.values()].map(({ descriptor }) => descriptor.digest));
  t.equal(digests.size, 1, 'the same image, wherever from and to');
  await checkStored(t, registry, 'converted', results.get('registry to registry')!);
  const [digest] = digests;

  t.test('converting the result again changes nothing', async t => {
    const again = await convertImage(open(places.registry), open(`${registry.host}/again:v3`), OPTIONS);
    t.equal(again.descriptor.digest, digest);
  });

  t.test('the other tools still understand it', async t => {
    const inspected = JSON.parse(
      (
        await registry.skopeo('inspect', ['--override-arch', 'arm64'], `docker://${places.registry}`)
      ).toString(),
    );
    t.match(inspected, { Architecture: 'arm64', Env: ['GREETING=hello'], Digest: digest });
    const raw = JSON.parse(
      (await registry.skopeo('inspect', ['--raw'], `docker://${places.registry}`)).toString(),
    );
    const [manifest, soci] = raw.manifests as Descriptor[];
    t.equal(manifest?.annotations?.[INDEX_DIGEST_ANNOTATION], soci?.digest);

    const copy = join(await workspace(t), 'copy');
    const one = ['--override-arch', 'arm64'];
    await registry.skopeo('copy', one, `docker://${places.registry}`, `oci:${copy}:v2`);
    const unpacked = await unpackedTree(join(folder, 'one'), copy, 'v2');
    t.same(treeDifferences(unpacked, expected), [], 'umoci unpacks the same files');
    await registry.skopeo('copy', one, places.archive, `oci:${copy}:v3`);
  });

  t.test('skopeo copy --all takes the index along', async t => {
    const copy = `${registry.host}/carried:v2`;
    await registry.skopeo('copy', ['--all'], `docker://${places.registry}`, `docker://${copy}`);
    await readAll(t, open(copy), 'annotation');
    // skopeo 1.9 knows no artifactType in an image index and writes the index anew without it.
    const again = await convertImage(open(copy), open(`${registry.host}/carried:again`), OPTIONS);
    t.equal(again.descriptor.digest, digest, 'what it dropped is mended');
    const local = join(await workspace(t), 'local');
    await registry.skopeo('copy', ['--all'], `docker://${places.registry}`, `oci:${local}:v2`);
    await readAll(t, open(`oci:${local}:v2`), 'annotation');
    await registry.skopeo('copy', ['--all'], places.layout, `docker://${registry.host}/from-layout:v3`);
    await readAll(t, open(`${registry.host}/from-layout:v3`), 'annotation');
  });
});

t.test('Docker schema 2', { skip }, async t => {
  const { registry, open } = await start(t);
  const image = `${registry.host}/docker:v1`;
  await registry.skopeo('copy', ['--format', 'v2s2'], `oci:${layout}:v1`, `docker://${image}`);
  await pushIndex(await createIndex(open(image), OPTIONS));
  await readAll(t, open(image), 'referrer');
  const target = `${registry.host}/docker:v2`;
  await convertImage(open(image), open(target), OPTIONS);
  await readAll(t, open(target), 'annotation');
  const copy = join(await workspace(t), 'copy');
  await registry.skopeo('copy', ['--override-arch', 'arm64'], `docker://${target}`, `oci:${copy}:v2`);
});

t.test('a layer from every gzip writer', { skip: skip || skipWriters }, async t => {
  const { registry, open, folder } = await start(t);
  const made = join(folder, 'made');
  await writersImage(folder, made, 'v1');
  const image = `${registry.host}/writers:v1`;
  await registry.skopeo('copy', [], `oci:${made}:v1`, `docker://${image}`);
  const created = await createIndex(open(image), OPTIONS);
  t.same(created.indexes[0]?.skipped, [], 'no layer is left out');
  await pushIndex(created);
  await readAll(t, open(image), 'referrer');
});

t.test('buildah', { skip: skip || needs('buildah') || BUILDAH_NEEDS_ROOT }, async t => {
  const { registry, open, folder } = await start(t);
  const made = join(folder, 'made');
  await buildahImage(join(folder, 'buildah'), `oci:${made}:v1`);
  const image = `${registry.host}/buildah:v1`;
  await registry.skopeo('copy', [], `oci:${made}:v1`, `docker://${image}`);
  const result = await convertImage(open(image), open(`${registry.host}/buildah:v2`), OPTIONS);
  t.equal(result.indexes[0]?.layers.length, 3);
  await readAll(t, open(`${registry.host}/buildah:v2`), 'annotation');
  const entry = JSON.parse(await readFile(join(made, 'index.json'), 'utf8')).manifests[0] as Descriptor;
  const { found } = await search(open(`${registry.host}/buildah:v2`));
  t.equal(found?.index.ztocs.length, 3, `of ${entry.digest}`);
});
