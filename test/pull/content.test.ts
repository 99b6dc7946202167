/** Which of an image is pulled: one platform or all that is listed, what refers to it, and no more than there may be. */
import t from 'tap';
import { pullImage } from '../../lib/pull/pull-image.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { openImageLocation } from '../../lib/registry/image-location.js';
import { OCI_INDEX } from '../../lib/registry/media-types.js';
import { blobOf, encodeIndex, failure, pushArtifact } from '../registry/fixture.js';
import { blobIn, LAYERS, layerOf, listedIn, push, type Setting, setting } from './sample-pull.js';

const SMALL = LAYERS.slice(2);
const V2 = 'com.amazon.soci.index-digest';

async function list({ registry }: Setting, index: Uint8Array, tag: string): Promise<Descriptor> {
  const descriptor = blobOf(index, OCI_INDEX);
  const { digest, mediaType } = descriptor;
  await registry.storage.writeManifest('demo/app', { digest, mediaType, bytes: index }, tag);
  return descriptor;
}

async function twoPlatforms(t: Parameters<typeof setting>[0]) {
  const at = await setting(t, SMALL);
  const { repository } = at;
  const arm = await push(repository, [layerOf(2000, 40)], { architecture: 'arm64' });
  const note = Buffer.from('neither a manifest nor an index');
  await repository.pushBlob(blobOf(note, 'text/plain'), note);
  const index = encodeIndex([
    { ...at.pushed.descriptor, platform: { os: 'linux', architecture: 'amd64' } },
    { ...arm.descriptor, platform: { os: 'linux', architecture: 'arm64' } },
    blobOf(note, 'text/plain'),
  ]);
  // Registries want to know all that is listed as a manifest, and a note is none.
  const root = await list(at, index, 'both');
  at.requests();
  return { ...at, arm, root, note, both: `${at.registry.host}/demo/app:both` };
}

t.test('one platform is a manifest, all of them the image index', async t => {
  const { both, transport, folder, arm, pushed, root, note, requests } = await twoPlatforms(t);
  const one = await pullImage(both, { targets: [`oci:${folder}/one:x`], transport, platform: 'linux/arm64' });
  t.equal(one.digest, arm.descriptor.digest);
  t.notOk(blobIn(`${folder}/one`, pushed.config));
  requests();
  await pullImage(both, { targets: [`oci:${folder}/one:x`], transport, platform: 'linux/arm64' });
  t.equal(requests().length, 1, 'the manifest of the platform is there');
  const all = await pullImage(both, {
    targets: [`oci:${folder}/all:x`, `oci-archive:${folder}/all.tar:x`],
    transport,
    platform: 'all',
  });
  t.equal(all.digest, root.digest);
  t.match(listedIn(`${folder}/all`), [{ digest: root.digest, mediaType: OCI_INDEX }]);
  for (const { config, layers } of [arm, pushed]) {
    for (const blob of [config, ...layers]) t.ok(blobIn(`${folder}/all`, blob), blob.digest);
  }
  t.ok(blobIn(`${folder}/all`, blobOf(note)), 'whatever the index lists');
  for (const place of [`oci:${folder}/all`, `oci-archive:${folder}/all.tar`]) {
    const { repository, reference } = openImageLocation(`${place}:x`, transport);
    const { manifest } = await repository.getManifest(reference);
    t.equal(manifest.kind === 'index' && manifest.manifests.length, 3);
    await repository.close();
  }
  const docker = pullImage(both, { targets: [`docker-archive:${folder}/a.tar`], transport, platform: 'all' });
  await t.rejects(docker, { code: 'ERR_SOCI_OUTPUT', message: /one platform and nothing else/ });
});

t.test('what refers to an image, and to that', async t => {
  for (const referrers of [true, false]) {
    const at = await setting(t, SMALL, { referrers });
    const { repository, image, transport, folder, pushed } = at;
    const signature = await pushArtifact(repository, pushed.descriptor, 'application/x.signature', 'one');
    const countersigned = await pushArtifact(repository, signature, 'application/x.signature', 'two');
    const targets = [`oci:${folder}/layout:v1`];
    await pullImage(image, { targets, transport });
    t.notOk(blobIn(`${folder}/layout`, signature), 'only when they are wanted');
    const result = await pullImage(image, { targets, transport, referrers: true });
    t.match(result.targets, [{ outcome: 'written' }]);
    for (const each of [signature, countersigned]) t.ok(blobIn(`${folder}/layout`, each), each.digest);
    const layout = openImageLocation(targets[0]!, transport).repository;
    t.match(await layout.referrers(pushed.descriptor.digest), [{ digest: signature.digest }]);
    t.match(await layout.referrers(signature.digest), [{ digest: countersigned.digest }]);
    await layout.close();
    t.match((await pullImage(image, { targets, transport, referrers: true })).targets, [
      { outcome: 'unchanged' },
    ]);
  }
});

t.test(
  'a SOCI index that the manifest names comes with what refers to it, and one that is gone is told',
  async t => {
    const { repository, registry, transport, folder } = await setting(t, SMALL);
    const index = await push(repository, [layerOf(300, 50)], {});
    const named = async (digest: string, tag: string) =>
      await push(repository, SMALL, { tag, manifest: { annotations: { [V2]: digest } } });
    await named(index.descriptor.digest, 'indexed');
    const image = `${registry.host}/demo/app:indexed`;
    await pullImage(image, { targets: [`oci:${folder}/a`], transport, referrers: true });
    for (const blob of [index.descriptor, ...index.layers]) t.ok(blobIn(`${folder}/a`, blob), blob.digest);
    await named(`sha256:${'1'.repeat(64)}`, 'gone');
    await pullImage(`${registry.host}/demo/app:gone`, {
      targets: [`oci:${folder}/b`],
      transport,
      referrers: true,
    });
  },
);

t.test('an index that lists what is not there', async t => {
  const at = await setting(t, SMALL);
  const gone = { ...at.pushed.descriptor, digest: `sha256:${'1'.repeat(64)}` };
  await list(at, encodeIndex([at.pushed.descriptor, gone]), 'partly');
  const { transport, folder } = at;
  const image = `${at.registry.host}/demo/app:partly`;
  const result = await pullImage(image, { targets: [`oci:${folder}/a`], transport, platform: 'all' });
  t.match(result.absent, [{ digest: gone.digest }]);
  for (const layer of at.pushed.layers) t.ok(blobIn(`${folder}/a`, layer), layer.digest);
});

t.test('bounds: documents that lead ever deeper, or name too much', async t => {
  const { repository, registry, transport, folder, pushed } = await setting(t, SMALL);
  let inner = pushed.descriptor;
  for (let depth = 0; depth < 6; depth++) {
    inner = await repository.pushManifest(encodeIndex([inner]), OCI_INDEX, { tag: `deep${depth}` });
  }
  const image = `${registry.host}/demo/app:deep5`;
  const targets = [`oci:${folder}/a`];
  const error = await failure(pullImage(image, { targets, transport, platform: 'all' }));
  t.match(error, { code: 'ERR_SOCI_LIMIT', message: /nested deeper than 4/ });
  const blobs = Array.from({ length: 15_000 }, (_, at) => ({
    mediaType: 'text/plain',
    digest: `sha256:${String(at).padStart(64, '0')}`,
    size: 1,
  }));
  registry.inject({
    match: { path: '/manifests/many' },
    reply: {
      status: 200,
      headers: { 'content-type': OCI_INDEX },
      body: encodeIndex(blobs),
    },
  });
  const many = pullImage(`${registry.host}/demo/app:many`, { targets, transport, platform: 'all' });
  await t.rejects(many, { code: 'ERR_SOCI_LIMIT', message: /more than 2000 entries/ });
});
