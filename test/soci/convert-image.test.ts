/** convertImage: what changes in an image, what must not, and that it works between any two places. */
import { join } from 'node:path';
import t from 'tap';
import { ArchiveFiles } from '../../lib/registry/archive-files.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { LayoutRepository } from '../../lib/registry/layout-repository.js';
import type { ImageIndex, ImageManifest } from '../../lib/registry/manifest.js';
import {
  DOCKER_CONFIG,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../lib/registry/media-types.js';
import { selectManifest } from '../../lib/registry/platform-selection.js';
import type { Repository } from '../../lib/registry/repository.js';
import { type ConvertImageOptions, convertImage } from '../../lib/soci/convert-image.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { findIndex } from '../../lib/soci/find-index.js';
import type { IndexEvent } from '../../lib/soci/index-event.js';
import { resolveImages } from '../../lib/soci/platform-images.js';
import { pushIndex } from '../../lib/soci/push-index.js';
import { SOCI_INDEX_TYPE } from '../../lib/soci/soci-index.js';
import { failure, openRepository, sampleBytes, startRegistry, startTransport } from '../registry/fixture.js';
import {
  AMD64,
  ARM64,
  at,
  DOCKER_LAYER,
  describe,
  emptyLayout,
  GZIP_LAYER,
  gzipLayer,
  json,
  pushAttestation,
  pushIndexOf,
  pushSample,
  type SampleLayer,
  temporaryFolder,
} from './sample-image.js';

const ALL: ConvertImageOptions = { minLayerSize: 0 };
const SOCI_V2 = SOCI_INDEX_TYPE.v2;

const layerA = await gzipLayer({ 'etc/passwd': 'root', data: sampleBytes(50_000) });
const layerB = await gzipLayer({ app: sampleBytes(20_000, 2) });
const docker = ({ bytes }: SampleLayer): SampleLayer => ({ bytes, mediaType: DOCKER_LAYER });

async function indexAt(repository: Repository, reference: string): Promise<ImageIndex> {
  return (await repository.getManifest(reference)).manifest as ImageIndex;
}

async function manifestOf(repository: Repository, descriptor: Descriptor): Promise<ImageManifest> {
  return (await repository.getManifest(descriptor)).manifest as ImageManifest;
}

/** Two platforms, an attestation each, and an entry of somebody else's. */
async function pushMulti(repository: Repository): Promise<Record<'amd64' | 'arm64' | 'proof', Descriptor>> {
  const annotations = { 'org.example': 'manifest' };
  const amd64 = await pushSample(repository, [layerA, layerB], { annotations });
  const arm64 = await pushSample(repository, [layerA], { platform: ARM64 });
  const proof = await pushAttestation(repository, amd64);
  await pushIndexOf(repository, [
    {
      ...amd64,
      platform: AMD64,
      annotations: { 'org.example': 'descriptor', 'org.other': 'kept' },
      data: 'b2xk',
      urls: ['https://old.example/'],
    },
    { ...arm64, platform: ARM64 },
    proof,
    await pushAttestation(repository, arm64),
  ]);
  return { amd64, arm64, proof };
}

t.test('each image names its index, and the image index lists both', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  const { amd64, arm64, proof } = await pushMulti(source);
  const { descriptor, indexes, bytes } = await convertImage(at(source), at(target), ALL);
  t.equal((await target.resolve('latest')).digest, descriptor.digest);
  t.equal(descriptor.size, bytes.length);
  const { manifests } = await indexAt(target, 'latest');
  t.equal(manifests.length, 6);
  const [image, other, attestation, , soci, otherSoci] = manifests as Descriptor[] as [
    Descriptor,
    ...Descriptor[],
  ];
  t.same(image.platform, AMD64);
  t.same(
    image.annotations,
    {
      'com.amazon.soci.index-digest': indexes[0]!.descriptor.digest,
      'org.example': 'manifest',
      'org.other': 'kept',
    },
    "the old descriptor's annotations joined with the manifest's, which win",
  );
  t.equal(image.data, undefined, 'embedded content was the old one');
  t.equal(image.urls, undefined);
  const manifest = await manifestOf(target, image);
  t.equal(manifest.annotations?.['com.amazon.soci.index-digest'], indexes[0]!.descriptor.digest);
  t.same(
    { ...(attestation as Descriptor).annotations },
    { ...proof.annotations, 'vnd.docker.reference.digest': image.digest },
    'attestations are pointed to the new digest',
  );
  t.equal((attestation as Descriptor).digest, proof.digest, 'but keep their own');
  t.match(await manifestOf(target, proof), { kind: 'manifest' });
  t.same(soci, {
    mediaType: OCI_MANIFEST,
    digest: indexes[0]!.descriptor.digest,
    size: indexes[0]!.descriptor.size,
    annotations: { 'com.amazon.soci.image-manifest-digest': image.digest },
    platform: AMD64,
    artifactType: SOCI_V2,
  });
  t.same(otherSoci?.platform, ARM64, 'verbatim: v8 stays');
  t.not(other!.digest, arm64.digest);
  t.notOk(await target.hasBlob(amd64.digest), 'the old manifest is not part of the new image');
  for (const layer of manifest.layers) t.ok(await target.hasBlob(layer.digest));
  const { images } = await resolveImages(target, 'latest');
  for (const each of images)
    t.match(await findIndex(target, each), { status: 'found', found: { via: 'annotation' } });
});

t.test('converting again changes nothing; other options replace the index in its place', async t => {
  const source = await emptyLayout(t);
  await pushMulti(source);
  const first = await convertImage(at(source), at(source, 'lazy'), ALL);
  const second = await convertImage(at(source, 'lazy'), at(source, 'lazy'), ALL);
  t.equal(second.descriptor.digest, first.descriptor.digest);
  const third = await convertImage(at(source, 'lazy'), at(source, 'lazy'), { ...ALL, spanSize: 8192 });
  t.not(third.descriptor.digest, first.descriptor.digest);
  t.equal((await indexAt(source, 'lazy')).manifests.length, 6);
  const back = await convertImage(at(source, 'lazy'), at(source, 'lazy'), ALL);
  t.equal(back.descriptor.digest, first.descriptor.digest);
});

t.test('one platform again: the other one keeps its index, which nobody else needs to know', async t => {
  const source = await emptyLayout(t);
  await pushMulti(source);
  await convertImage(at(source), at(source, 'lazy'), ALL);
  const before = (await indexAt(source, 'lazy')).manifests;
  await convertImage(at(source, 'lazy'), at(source, 'lazy'), { ...ALL, platforms: [AMD64], spanSize: 8192 });
  const after = (await indexAt(source, 'lazy')).manifests;
  t.same(
    after.map((entry, position) => entry.digest === before[position]?.digest),
    [false, true, true, true, false, true],
  );
});

t.test('only some platforms: the others are copied byte for byte', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  const { amd64 } = await pushMulti(source);
  const { indexes } = await convertImage(at(source), at(target), { ...ALL, platforms: [ARM64] });
  t.equal(indexes.length, 1);
  const { manifests } = await indexAt(target, 'latest');
  t.match(manifests[0], { digest: amd64.digest, data: 'b2xk' });
  t.ok(await target.hasBlob(describe(layerB.bytes, '').digest), 'with its layers');
  t.equal(manifests.filter(({ artifactType }) => artifactType === SOCI_V2).length, 1);
});

t.test("somebody else's SOCI entries stay, those of a converted platform are replaced", async t => {
  const source = await emptyLayout(t);
  const amd64 = await pushSample(source, [layerA]);
  const old = await pushSample(source, [layerB]);
  const foreign = await pushSample(source, [layerB], { platform: { ...AMD64, os: 'windows' } });
  const soci = { artifactType: SOCI_V2 };
  const stale = { ...old, ...soci, platform: { ...AMD64, variant: 'v1' } };
  const kept = { ...foreign, ...soci, platform: { architecture: 'amd64', os: 'windows' } };
  await pushIndexOf(source, [
    { ...amd64, platform: AMD64 },
    stale,
    kept,
    { ...stale, annotations: { again: 'x' } },
  ]);
  const { indexes } = await convertImage(at(source), at(source, 'lazy'), ALL);
  const { manifests } = await indexAt(source, 'lazy');
  t.same(
    manifests.slice(1).map(({ digest }) => digest),
    [indexes[0]!.descriptor.digest, foreign.digest],
    'in the place of the first, and the second is gone',
  );
  t.same({ ...manifests[2] }, kept);
});

t.test('SOCI entries that lost their artifactType on the way are known by their annotation', async t => {
  const source = await emptyLayout(t);
  await pushMulti(source);
  const { descriptor } = await convertImage(at(source), at(source, 'lazy'), ALL);
  // What skopeo 1.9 makes of it.
  const manifests = (await indexAt(source, 'lazy')).manifests.map(({ artifactType: _, ...entry }) => entry);
  await pushIndexOf(source, manifests, 'copied');
  t.equal((await resolveImages(source, 'copied')).images.length, 2);
  const amd64 = await selectManifest(source, await source.getManifest('copied'), AMD64);
  t.equal((await findIndex(source, amd64)).status, 'found');
  const again = await convertImage(at(source, 'copied'), at(source, 'again'), ALL);
  t.equal(again.descriptor.digest, descriptor.digest, 'and converting gives it back');
});

t.test('a Docker manifest list becomes an OCI index with OCI manifests, indexed or not', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  const amd64 = await pushSample(source, [docker(layerA)], { docker: true });
  const arm64 = await pushSample(source, [docker(layerB)], { docker: true, platform: ARM64 });
  await pushIndexOf(
    source,
    [
      { ...amd64, platform: AMD64 },
      { ...arm64, platform: ARM64 },
    ],
    'latest',
    true,
  );
  const { descriptor } = await convertImage(at(source), at(target), { ...ALL, platforms: [AMD64] });
  t.equal(descriptor.mediaType, OCI_INDEX);
  const { manifests, mediaType } = await indexAt(target, 'latest');
  t.equal(mediaType, OCI_INDEX);
  t.same(
    manifests.map(entry => entry.mediaType),
    [OCI_MANIFEST, OCI_MANIFEST, OCI_MANIFEST],
  );
  for (const entry of manifests.slice(0, 2)) {
    const manifest = await manifestOf(target, entry);
    t.equal(manifest.mediaType, OCI_MANIFEST);
    t.equal(manifest.config.mediaType, OCI_CONFIG);
    t.equal(manifest.layers[0]!.mediaType, DOCKER_LAYER, 'layers keep their types');
  }
  t.equal((await manifestOf(target, manifests[1]!)).annotations, undefined);
  const again = await convertImage(at(target), at(target), { ...ALL, platforms: [AMD64] });
  t.equal(again.descriptor.digest, descriptor.digest);
});

t.test('a single manifest gets an image index; its platform comes from its config', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  for (const old of [false, true]) {
    const layers = old ? [docker(layerA)] : [layerA];
    const image = await pushSample(source, layers, { docker: old, platform: ARM64, tag: 'latest' });
    t.equal(image.mediaType, old ? DOCKER_MANIFEST : OCI_MANIFEST);
    await convertImage(at(source), at(target), ALL);
    const { manifests } = await indexAt(target, 'latest');
    t.same(
      manifests.map(({ platform }) => platform),
      [ARM64, ARM64],
    );
    t.notOk(Object.keys(manifests[0]!.annotations ?? {}).includes('org.opencontainers.image.ref.name'));
    t.not((await manifestOf(target, manifests[0]!)).config.mediaType, DOCKER_CONFIG);
  }
});

t.test('nested indexes are converted where they are', async t => {
  const source = await emptyLayout(t);
  const amd64 = await pushSample(source, [layerA]);
  const nested = await pushIndexOf(source, [{ ...amd64, platform: AMD64 }], 'inner');
  await pushIndexOf(source, [{ ...nested, annotations: { name: 'inner' } }]);
  const target = await emptyLayout(t);
  await convertImage(at(source), at(target), ALL);
  const [entry] = (await indexAt(target, 'latest')).manifests;
  t.match(entry, { mediaType: OCI_INDEX, annotations: { name: 'inner' } });
  t.equal(((await target.getManifest(entry)).manifest as ImageIndex).manifests.length, 2);
  const { images } = await resolveImages(target, 'latest');
  t.equal((await findIndex(target, images[0]!)).status, 'found');
});

t.test('an image that gets no index is copied as it is; if none does, nothing is written', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  const zstd = { bytes: Buffer.from('zstd'), mediaType: `${GZIP_LAYER.slice(0, -4)}zstd` };
  const amd64 = await pushSample(source, [zstd]);
  const arm64 = await pushSample(source, [layerA], { platform: ARM64 });
  await pushIndexOf(source, [
    { ...amd64, platform: AMD64 },
    { ...arm64, platform: ARM64 },
  ]);
  const { empty } = await convertImage(at(source), at(target), ALL);
  t.equal(empty[0]?.image.descriptor.digest, amd64.digest);
  t.equal((await indexAt(target, 'latest')).manifests[0]?.digest, amd64.digest);
  const nothing = await emptyLayout(t);
  const error = await failure(convertImage(at(source), at(nothing), { ...ALL, platforms: [AMD64] }));
  t.equal(error.code, 'ERR_SOCI_INDEX_EMPTY');
  t.equal((await failure(nothing.listTags())).code, 'ERR_SOCI_LAYOUT');
});

t.test('what the source does not have stays listed and is reported', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  const amd64 = await pushSample(source, [layerA]);
  const gone = { ...describe(Buffer.from('gone'), OCI_MANIFEST), platform: ARM64 };
  const proof = {
    ...describe(Buffer.from('proof'), OCI_MANIFEST),
    platform: { architecture: 'unknown', os: 'unknown' },
  };
  await pushIndexOf(source, [{ ...amd64, platform: AMD64 }, gone, proof]);
  const { absent } = await convertImage(at(source), at(target), ALL);
  t.same(
    absent.map(({ digest }) => digest),
    [gone.digest, proof.digest],
  );
  t.equal((await indexAt(target, 'latest')).manifests.length, 4);
});

t.test('a foreign layer stays where its URLs are', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  const foreign = {
    ...describe(Buffer.from('windows'), 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'),
    urls: ['https://example.com/base'],
  };
  await pushSample(source, [layerA], {
    tag: 'latest',
    extra: { layers: [foreign, describe(layerA.bytes, GZIP_LAYER)] },
  });
  const { indexes } = await convertImage(at(source), at(target), ALL);
  t.match(indexes[0]?.skipped, [{ position: 0, reason: 'not-distributed' }]);
});

t.test('between registry, layout and archive, always with the same result', async t => {
  const registry = await startRegistry(t);
  const transport = startTransport(t);
  const source = openRepository(transport, registry, 'demo/source');
  await pushMulti(source);
  const mounted = openRepository(transport, registry, 'demo/target');
  const layout = await emptyLayout(t);
  const file = join(await temporaryFolder(t), 'image.tar');
  const archive = new LayoutRepository(new ArchiveFiles(file, 'oci-archive:image.tar'));
  t.teardown(() => archive.close());
  const events: IndexEvent[] = [];
  const onEvent = (event: IndexEvent): void => void events.push(event);
  const { descriptor } = await convertImage(at(source), at(mounted, 'lazy'), { ...ALL, onEvent });
  const layer = describe(layerA.bytes, '').digest;
  t.match(
    events.filter(event => event.type === 'blob-pushed' && event.blob.digest === layer),
    [{ result: 'mounted' }],
    'layers are mounted inside a registry',
  );
  registry.requests.length = 0;
  const inLayout = await convertImage(at(source), at(layout, 'lazy'), ALL);
  t.equal(inLayout.descriptor.digest, descriptor.digest);
  const downloads = registry.requests.filter(({ path, method }) => method === 'GET' && path.includes(layer));
  t.equal(downloads.length, 1, 'a layer that is kept here is downloaded once');
  const inArchive = await convertImage(at(layout, 'lazy'), at(archive, 'lazy'), ALL);
  t.equal(inArchive.descriptor.digest, descriptor.digest);
  const reopened = new LayoutRepository(new ArchiveFiles(file, 'oci-archive:image.tar'));
  t.teardown(() => reopened.close());
  t.equal((await reopened.resolve('lazy')).digest, descriptor.digest);
  const back = openRepository(transport, registry, 'demo/back');
  t.equal(
    (await convertImage(at(reopened, 'lazy'), at(back, 'lazy'), ALL)).descriptor.digest,
    descriptor.digest,
  );
});

t.test('a dry run tells the digest and writes nothing', async t => {
  const source = await emptyLayout(t);
  const target = await emptyLayout(t);
  await pushMulti(source);
  const dry = await convertImage(at(source), at(target), { ...ALL, dryRun: true });
  t.equal((await failure(target.listTags())).code, 'ERR_SOCI_LAYOUT');
  const real = await convertImage(at(source), at(target), ALL);
  t.equal(real.descriptor.digest, dry.descriptor.digest);
  const error = await failure(convertImage(at(source), at(target, real.descriptor.digest), ALL));
  t.equal(error.code, 'ERR_SOCI_REFERENCE', 'a result cannot be given a digest');
});

t.test('v1 indexes refer to the unconverted manifest and are left alone', async t => {
  const source = await emptyLayout(t);
  const image = await pushSample(source, [layerA], { tag: 'latest' });
  await pushIndex(await createIndex(at(source), ALL));
  await convertImage(at(source), at(source, 'lazy'), ALL);
  t.equal((await source.referrers(image.digest)).length, 1);
  const { images } = await resolveImages(source, 'lazy');
  t.match(await findIndex(source, images[0]!, { order: ['v1'] }), { status: 'none' });
});

t.test('an abort at any stage leaves no tag behind', async t => {
  const source = await emptyLayout(t);
  await pushMulti(source);
  const reason = new Error('enough');
  const stages = ['layer-started', 'layer-progress', 'layer-done', 'blob-pushed', 'manifest-pushed'] as const;
  for (const stage of stages) {
    const registry = await startRegistry(t);
    const target = openRepository(startTransport(t), registry);
    const controller = new AbortController();
    const onEvent = ({ type }: IndexEvent): void => void (type === stage && controller.abort(reason));
    const converting = convertImage(at(source), at(target), { ...ALL, signal: controller.signal, onEvent });
    t.equal(await failure(converting), reason, stage);
    t.equal((await failure(target.resolve('latest'))).code, 'ERR_SOCI_REGISTRY_NOT_FOUND');
  }
});

t.test('unknown members, odd text and a document-like key survive or vanish as in Go', async t => {
  const source = await emptyLayout(t);
  const annotations = JSON.parse('{"__proto__":"a","<&>":"\\u2028","é":"1","😀":"2","\uffff":"3"}');
  const image = await pushSample(source, [layerA], { annotations });
  const list = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    future: 1,
    manifests: [{ ...image, platform: AMD64, future: 2 }],
  };
  await source.pushManifest(json(list), OCI_INDEX, { tag: 'latest' });
  const { bytes } = await convertImage(at(source), at(source, 'lazy'), ALL);
  const text = Buffer.from(bytes).toString();
  t.notMatch(text, 'future');
  t.match(text, '"__proto__":"a"');
  t.match(text, '"\\u003c\\u0026\\u003e":"\\u2028"');
  t.ok(text.indexOf('\uffff') < text.indexOf('😀'), 'keys are sorted by their UTF-8 bytes');
});
