/** findIndex, loadZtoc and copyIndex: the right index for an image, and nothing from a hostile registry. */

import t from 'tap';
import { subscribe } from '../../lib/observe/channels.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { OCI_MANIFEST, OCTET_STREAM } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import { convertImage } from '../../lib/soci/convert-image.js';
import { copyIndex } from '../../lib/soci/copy-index.js';
import { type CreateIndexOptions, createIndex } from '../../lib/soci/create-index.js';
import { type FoundIndex, findIndex, type IndexSearch, listIndexes } from '../../lib/soci/find-index.js';
import { loadZtoc } from '../../lib/soci/load-ztoc.js';
import { type PlatformImage, resolveImages } from '../../lib/soci/platform-images.js';
import { pushIndex } from '../../lib/soci/push-index.js';
import {
  EMPTY_CONFIG,
  encodeSociIndex,
  INDEX_DIGEST_ANNOTATION,
  SOCI_INDEX_TYPE,
  type ZtocDescriptor,
} from '../../lib/soci/soci-index.js';
import type { Fault } from '../../lib/testing/testing.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { failure, openRepository, sampleBytes, startRegistry, startTransport } from '../registry/fixture.js';
import {
  AMD64,
  ARM64,
  at,
  describe,
  emptyLayout,
  GZIP_LAYER,
  gzipLayer,
  json,
  pushIndexOf,
  pushSample,
  type SampleLayer,
} from './sample-image.js';

const ALL: CreateIndexOptions = { minLayerSize: 0 };
const layerA = await gzipLayer({ 'etc/passwd': 'root', data: sampleBytes(50_000) });
const layerB = await gzipLayer({ app: sampleBytes(20_000, 2) });
const NOWHERE = `sha256:${'0'.repeat(64)}`;

async function imageAt(repository: Repository, reference = 'latest'): Promise<PlatformImage> {
  return (await resolveImages(repository, reference)).images[0]!;
}

async function pushV1(
  repository: Repository,
  options: CreateIndexOptions = {},
  reference = 'latest',
): Promise<string> {
  const created = await createIndex(at(repository, reference), { ...ALL, ...options });
  await pushIndex(created, { existing: 'allow' });
  return created.indexes[0]!.descriptor.digest;
}

function summary({ status, found, attempts }: IndexSearch): unknown {
  return {
    status,
    via: found?.via,
    attempts: attempts.map(({ version, outcome }) => `${version} ${outcome}`),
  };
}

async function ztocOf(repository: Repository, { bytes }: SampleLayer): Promise<ZtocDescriptor> {
  const { ztoc, layerDigest } = await buildZtoc(bytes);
  const blob = describe(ztoc.bytes, OCTET_STREAM);
  await repository.pushBlob(blob, ztoc.bytes);
  return { ...blob, layerDigest, layerMediaType: GZIP_LAYER, spanSize: ztoc.spanSize, disableXattrs: false };
}

/** Pushes an index as somebody may have made it. */
async function pushForged(
  repository: Repository,
  ztocs: readonly ZtocDescriptor[],
  subject: Descriptor | undefined,
  buildToolIdentifier = 'somebody',
): Promise<string> {
  const version = subject === undefined ? 'v2' : 'v1';
  const index = encodeSociIndex({ version, ztocs, prefetches: [], subject, buildToolIdentifier });
  await repository.pushBlob(describe(EMPTY_CONFIG, OCTET_STREAM), EMPTY_CONFIG);
  await repository.pushManifest(index.bytes, OCI_MANIFEST);
  return index.descriptor.digest;
}

t.test('the index that is named, else the one in the manifest, else a referrer', async t => {
  const layout = await emptyLayout(t);
  await pushSample(layout, [layerA, layerB], { tag: 'latest' });
  const image = await imageAt(layout);
  t.same(summary(await findIndex(layout, image)), {
    status: 'none',
    via: undefined,
    attempts: ['v2 absent', 'v1 absent'],
  });
  const v1 = await pushV1(layout);
  const found = await findIndex(layout, image);
  t.same(summary(found), { status: 'found', via: 'referrer', attempts: ['v2 absent'] });
  t.equal(found.found?.descriptor.digest, v1);
  t.equal(sha256Digest((found.found as FoundIndex).bytes), v1);
  t.same(summary(await findIndex(layout, image, { order: ['v2'] })), {
    status: 'none',
    via: undefined,
    attempts: ['v2 absent'],
  });
  t.same(summary(await findIndex(layout, image, { index: v1, order: [] })), {
    status: 'found',
    via: 'digest',
    attempts: [],
  });
  await convertImage(at(layout), at(layout, 'lazy'), ALL);
  const lazy = await imageAt(layout, 'lazy');
  t.match(summary(await findIndex(layout, lazy)), { status: 'found', via: 'annotation' });
  const own = await pushV1(layout, {}, 'lazy');
  t.match(summary(await findIndex(layout, lazy)), { via: 'annotation' });
  const list = await listIndexes(layout, lazy);
  t.same(
    list.indexes.map(({ via, index }) => `${via} ${index.version}`),
    ['annotation v2', 'referrer v1'],
  );
  const preferred = await findIndex(layout, lazy, { order: ['v1', 'v2'] });
  t.equal(preferred.found?.descriptor.digest, own);
});

t.test("an index that is named must be there and be the image's", async t => {
  const layout = await emptyLayout(t);
  await pushSample(layout, [layerA], { tag: 'latest' });
  await pushSample(layout, [layerB], { tag: 'other' });
  const image = await imageAt(layout);
  const other = await pushV1(layout, {}, 'other');
  const cases: Readonly<Record<string, string>> = {
    [NOWHERE]: 'ERR_SOCI_REGISTRY_NOT_FOUND',
    'sha512:00': 'ERR_SOCI_DIGEST_INVALID',
    latest: 'ERR_SOCI_DIGEST_INVALID',
    [other]: 'ERR_SOCI_INDEX_MISMATCH',
    [image.descriptor.digest]: 'ERR_SOCI_INDEX_FORMAT',
  };
  for (const [index, code] of Object.entries(cases)) {
    t.equal((await failure(findIndex(layout, image, { index }))).code, code, index);
  }
});

t.test('a dangling annotation does not hide a referrer', async t => {
  const layout = await emptyLayout(t);
  await pushSample(layout, [layerA], { tag: 'latest', annotations: { [INDEX_DIGEST_ANNOTATION]: NOWHERE } });
  const image = await imageAt(layout);
  t.same(summary(await findIndex(layout, image)), {
    status: 'none',
    via: undefined,
    attempts: ['v2 unusable', 'v1 absent'],
  });
  await pushV1(layout);
  t.same(summary(await findIndex(layout, image)), {
    status: 'found',
    via: 'referrer',
    attempts: ['v2 unusable'],
  });
});

t.test('what the annotation names must be a v2 index for these layers', async t => {
  const layout = await emptyLayout(t);
  const b = await ztocOf(layout, layerB);
  const a = await ztocOf(layout, layerA);
  const subject = await pushSample(layout, [layerA]);
  const cases: Readonly<Record<string, readonly [string, RegExp]>> = {
    'for other layers': [await pushForged(layout, [b], undefined), /none of its ztocs/],
    'of version 1': [await pushForged(layout, [a], subject), /expected a v2 index/],
    'no index': [subject.digest, /expected a SOCI index/],
    'no digest': ['latest', /expected a sha256 digest/],
  };
  for (const [name, [digest, message]] of Object.entries(cases)) {
    await pushSample(layout, [layerA], { tag: 'latest', annotations: { [INDEX_DIGEST_ANNOTATION]: digest } });
    const search = await findIndex(layout, await imageAt(layout), { order: ['v2'] });
    t.match(
      search,
      { status: 'none', attempts: [{ version: 'v2', outcome: 'unusable', digest, message }] },
      name,
    );
  }
});

t.test(
  'of several referrers the first listed is used, as the reference does, and the others are not fetched',
  async t => {
    for (const referrers of [true, false]) {
      const registry = await startRegistry(t, { referrers, pageSize: 2 });
      const repository = openRepository(startTransport(t), registry);
      const subject = await pushSample(repository, [layerA, layerB], { tag: 'latest' });
      const image = await imageAt(repository);
      const a = await ztocOf(repository, layerA);
      const b = await ztocOf(repository, layerB);
      const fewer = [await pushForged(repository, [a], subject), await pushForged(repository, [b], subject)];
      const full: string[] = [];
      for (const tool of ['x', 'y', 'z']) full.push(await pushForged(repository, [a, b], subject, tool));
      const artifactType = SOCI_INDEX_TYPE.v1;
      const listed = await repository.referrers(subject.digest, { artifactType });
      t.same(
        listed.map(({ digest }) => digest),
        [...fewer, ...full],
        'in the order of the registry',
      );
      registry.requests.length = 0;
      const search = await findIndex(repository, image);
      t.equal(search.found?.descriptor.digest, fewer[0]);
      t.equal(search.found?.covered, 1);
      t.match(
        search.attempts.filter(({ digest }) => digest !== undefined),
        [fewer[1], ...full].map(digest => ({
          outcome: 'not-chosen',
          digest,
          message: /is listed before it/,
        })),
      );
      t.equal(registry.requests.filter(({ path }) => path.includes('manifests/sha256:')).length, 1);

      const none = { status: 404, headers: {} };
      registry.inject({ match: { path: fewer[0]! }, reply: none });
      const next = await findIndex(repository, image);
      t.equal(next.found?.descriptor.digest, fewer[1], 'one that cannot be used is passed over');
      t.match(
        next.attempts.find(({ digest }) => digest === fewer[0]),
        { outcome: 'unusable' },
      );
      registry.clearFaults();
    }
  },
);

t.test('a referrer of another image, or of none of the layers, is not used', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const subject = await pushSample(repository, [layerA], { tag: 'latest' });
  const other = await pushSample(repository, [layerA], { platform: ARM64 });
  const a = await ztocOf(repository, layerA);
  const b = await ztocOf(repository, layerB);
  const wrong = [await pushForged(repository, [a], other), await pushForged(repository, [b], subject)];
  const manifests = wrong.map(digest => ({
    mediaType: OCI_MANIFEST,
    digest,
    size: 1,
    artifactType: SOCI_INDEX_TYPE.v1,
  }));
  // The registry claims that both refer to the image, and that there is a third which it does not have.
  manifests.push({ mediaType: OCI_MANIFEST, digest: NOWHERE, size: 1, artifactType: SOCI_INDEX_TYPE.v1 });
  const body = Buffer.from(
    json({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }),
  );
  const reply = { status: 200, headers: { 'content-type': 'application/vnd.oci.image.index.v1+json' }, body };
  registry.inject({ match: { path: '/referrers/' }, reply });
  const search = await findIndex(repository, await imageAt(repository));
  t.same(summary(search), {
    status: 'none',
    via: undefined,
    attempts: ['v2 absent', 'v1 unusable', 'v1 unusable', 'v1 unusable'],
  });
});

t.test('"could not ask" is not "there is none"', async t => {
  const broken: Readonly<Record<string, Fault>> = {
    'no answer': { match: { path: '/referrers/' }, cutAfter: -1 },
    denied: { match: { path: '/referrers/' }, reply: { status: 403, headers: {} } },
    'an index that cannot be fetched': {
      match: { path: /manifests\/sha256/, method: 'GET' },
      skip: 0,
      reply: { status: 500, headers: {} },
    },
  };
  for (const [name, fault] of Object.entries(broken)) {
    const registry = await startRegistry(t);
    const repository = openRepository(startTransport(t), registry);
    await pushSample(repository, [layerA], { tag: 'latest' });
    await pushV1(repository);
    const image = await imageAt(repository);
    registry.inject(fault);
    const search = await findIndex(repository, image);
    t.same(
      summary(search),
      { status: 'unreachable', via: undefined, attempts: ['v2 absent', 'v1 unreachable'] },
      name,
    );
    t.match(search.attempts[1], { error: { name: 'SociError' } });
    registry.clearFaults();
    t.equal((await findIndex(repository, image)).status, 'found', 'and nothing of it is remembered');
  }
});

t.test('an index whose bytes are not those of its digest is not used', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  await pushSample(repository, [layerA], { tag: 'latest' });
  const digest = await pushV1(repository);
  const image = await imageAt(repository);
  registry.inject({ match: { method: 'GET', path: digest }, corrupt: 100 });
  t.match(await findIndex(repository, image), {
    status: 'none',
    attempts: [{ outcome: 'absent' }, { outcome: 'unusable', error: { code: 'ERR_SOCI_DIGEST_MISMATCH' } }],
  });
  registry.clearFaults();
  const huge = {
    status: 200,
    headers: { 'content-type': OCI_MANIFEST },
    body: Buffer.alloc(5 * 2 ** 20, ' '),
  };
  registry.inject({ match: { method: 'GET', path: digest }, reply: huge });
  t.not((await findIndex(repository, image)).status, 'found', 'nor one of five MiB');
});

t.test('of many referrers only some are looked at', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const subject = await pushSample(repository, [layerA], { tag: 'latest' });
  const a = await ztocOf(repository, layerA);
  for (let i = 0; i < 40; i++) await pushForged(repository, [a], subject, `tool ${i}`);
  const image = await imageAt(repository);
  const indexes = async () =>
    (await repository.referrers(subject.digest, { artifactType: SOCI_INDEX_TYPE.v1 })).map(
      ({ digest }) => digest,
    );
  for (const digest of await indexes()) {
    registry.inject({ match: { path: digest }, reply: { status: 404, headers: {} } });
  }
  registry.requests.length = 0;
  const search = await findIndex(repository, image);
  t.equal(search.status, 'none');
  t.equal(search.attempts.filter(({ outcome }) => outcome === 'not-chosen').length, 8);
  t.equal(registry.requests.filter(({ path }) => path.includes('manifests/sha256:')).length, 32);
});

t.test('ztocs are bound to their layers by digest and size', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const subject = await pushSample(repository, [layerA, layerB], { tag: 'latest' });
  const image = await imageAt(repository);
  const a = await ztocOf(repository, layerA);
  const b = await ztocOf(repository, layerB);
  const swapped = [
    { ...a, layerDigest: b.layerDigest },
    { ...b, layerDigest: a.layerDigest },
  ];
  const index = await pushForged(repository, swapped, subject);
  const { found } = await findIndex(repository, image, { index });
  const [first, second] = found!.ztocs as [ZtocDescriptor, ZtocDescriptor];
  t.equal(first.digest, b.digest, 'aligned with the layers, as the index has it');
  t.equal(second.digest, a.digest);
  const [layer] = image.manifest.layers as [Descriptor];
  t.match(await failure(loadZtoc(repository, first, layer)), {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
    data: { field: 'compressedSize', expected: layerB.bytes.length, found: layerA.bytes.length },
  });
  t.match(await failure(loadZtoc(repository, b, layer)), {
    code: 'ERR_SOCI_ZTOC_MISMATCH',
    data: { field: 'layer' },
  });
  t.equal((await loadZtoc(repository, a, layer)).compressedSize, layer.size);
  registry.requests.length = 0;
  const limits = { maxZtocBytes: 100 };
  t.equal((await failure(loadZtoc(repository, a, layer, { limits }))).code, 'ERR_SOCI_LIMIT');
  t.equal(registry.requests.length, 0, 'a ztoc that is too large is not even asked for');
  registry.inject({ match: { path: a.digest }, corrupt: 50 });
  t.equal((await failure(loadZtoc(repository, a, layer))).code, 'ERR_SOCI_DIGEST_MISMATCH');
});

t.test('an abort ends the search with its reason', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  await pushSample(repository, [layerA], { tag: 'latest' });
  const digest = await pushV1(repository);
  const image = await imageAt(repository);
  const reason = new Error('enough');
  t.equal(await failure(findIndex(repository, image, { signal: AbortSignal.abort(reason) })), reason);
  for (const path of ['/referrers/', digest]) {
    const controller = new AbortController();
    registry.clearFaults();
    registry.inject({
      match: request => {
        if (!request.path.includes(path)) return false;
        setImmediate(() => controller.abort(reason));
        return true;
      },
      stallAfter: 1,
    });
    t.equal(await failure(findIndex(repository, image, { signal: controller.signal })), reason, path);
  }
});

t.test('v1 indexes follow an image that was copied without them', async t => {
  const layout = await emptyLayout(t);
  const amd64 = await pushSample(layout, [layerA]);
  const arm64 = await pushSample(layout, [layerB], { platform: ARM64 });
  const list = [
    { ...amd64, platform: AMD64 },
    { ...arm64, platform: ARM64 },
  ];
  await pushIndexOf(layout, list);
  await pushIndex(await createIndex(at(layout), { ...ALL, platforms: [AMD64] }));
  const small = await createIndex(at(layout), { ...ALL, platforms: [AMD64], spanSize: 8192 });
  await pushIndex(small);
  const registry = await startRegistry(t);
  const target = openRepository(startTransport(t), registry);
  const notThere = await failure(copyIndex(at(layout), at(target)));
  t.equal(notThere.code, 'ERR_SOCI_REGISTRY_NOT_FOUND', 'the image goes first');
  await pushSample(target, [layerA]);
  await pushSample(target, [layerB], { platform: ARM64 });
  await pushIndexOf(target, list);
  const named = await copyIndex(at(layout), at(target), { index: small.indexes[0]!.descriptor.digest });
  t.equal(named.copied.length, 1);
  t.equal((await target.referrers(amd64.digest)).length, 1);
  const steps: string[] = [];
  const end = subscribe('seekable-oci:soci:index', ({ type }) => steps.push(type));
  const { copied, without } = await copyIndex(at(layout), at(target));
  end();
  t.ok(steps.includes('blob-pushed'), 'without a callback too, every step is on its channel');
  t.equal(steps.at(-1), 'manifest-pushed');
  t.equal(copied.length, 2);
  t.same(
    without.map(({ platform }) => platform),
    [ARM64],
  );
  t.equal((await target.referrers(amd64.digest)).length, 2);
  const { images } = await resolveImages(target, 'latest');
  const { found } = await findIndex(target, images[0]!);
  await loadZtoc(target, found!.ztocs[0]!, images[0]!.manifest.layers[0]!);
  const back = await emptyLayout(t);
  await pushSample(back, [layerA], { tag: 'latest' });
  await copyIndex(at(target), at(back));
  t.equal((await back.referrers(amd64.digest, { artifactType: SOCI_INDEX_TYPE.v1 })).length, 2);
});

t.test('an index is not copied to an image that it was not made for', async t => {
  const source = await emptyLayout(t);
  await pushSample(source, [layerA], { tag: 'latest' });
  const index = await pushV1(source);
  const target = await emptyLayout(t);
  await pushSample(target, [layerA], { tag: 'latest', annotations: { rebuilt: 'yes' } });
  t.match(await failure(copyIndex(at(source), at(target))), {
    code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
    message: /exact manifest digests/,
  });
  t.equal((await failure(copyIndex(at(source), at(target), { index }))).code, 'ERR_SOCI_INDEX_MISMATCH');
  await convertImage(at(source), at(source, 'lazy'), ALL);
  const lazy = await imageAt(source, 'lazy');
  const v2 = lazy.manifest.annotations![INDEX_DIGEST_ANNOTATION]!;
  const copying = copyIndex(at(source), at(source, 'lazy'), { index: v2 });
  t.match(await failure(copying), { code: 'ERR_SOCI_INDEX_MISMATCH', message: /copied with its image/ });
});
