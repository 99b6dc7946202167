/**
 * Whole images, opened from Debian's docker-registry, layouts and archives and
 * read file by file: umoci, which unpacks the same image, is the judge. And what
 * a read costs, by the registry's own log.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';

import type { OpenImageOptions } from '../../lib/image/image-options.js';
import { openImage } from '../../lib/image/open-image.js';
import { type OpenedLocation, openImageLocation } from '../../lib/registry/image-location.js';
import type { RegistryTransport } from '../../lib/registry/transport.js';
import { convertImage } from '../../lib/soci/convert-image.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { pushIndex } from '../../lib/soci/push-index.js';
import { fixturePath, startTransport } from '../registry/fixture.js';
import { DockerRegistry, PASSWORD, USER } from './support/docker-registry.js';
import { GZIP_WRITERS } from './support/gzip-writers.js';
import { imageDifferences } from './support/image-reading.js';
import {
  BUILDAH_NEEDS_ROOT,
  buildahImage,
  umociImage,
  unpackedTree,
  writersImage,
} from './support/images.js';
import { run } from './support/process.js';
import type { TreeEntry } from './support/sample-tree.js';
import { needs } from './support/tools.js';
import { workspace } from './support/workspace.js';

const OPTIONS = { minLayerSize: 0, spanSize: 64 * 1024 };
const skip = needs('docker-registry', 'skopeo', 'umoci', 'tar');
const skipWriters = needs(...new Set(GZIP_WRITERS.map(({ tool }) => tool)));
const folder = await workspace(t);
const layout = join(folder, 'layout');
if (!skip) await umociImage(folder, layout, 'v1');
const tree = skip ? new Map<string, TreeEntry>() : await unpackedTree(join(folder, 'tree'), layout, 'v1');

function opener(t: Test, transport: RegistryTransport): (location: string) => OpenedLocation {
  return location => {
    const opened = openImageLocation(location, transport);
    t.teardown(() => opened.repository.close());
    return opened;
  };
}

/** Reads everything; true when it was read by the ztocs of an index. */
async function readsAs(
  t: Test,
  location: string,
  expected: ReadonlyMap<string, TreeEntry>,
  options: OpenImageOptions,
): Promise<boolean> {
  await using image = await openImage(location, options);
  t.same(await imageDifferences(image, expected), [], `${location}: ${expected.size} files and folders`);
  return image.layers.every(({ opened }) => opened === 'index');
}

t.test('the same files from wherever it is', { skip }, async t => {
  const registry = await DockerRegistry.start(t);
  const transport = registry.client(t);
  const open = opener(t, transport);
  const image = `${registry.host}/app:v1`;
  await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${image}`);
  t.notOk(await readsAs(t, image, tree, { transport }), 'without an index');
  await t.rejects(openImage(image, { transport, missingZtoc: 'fail' }), { code: 'ERR_SOCI_NO_ZTOC' });

  await pushIndex(await createIndex(open(image), OPTIONS));
  t.ok(await readsAs(t, image, tree, { transport, missingZtoc: 'fail' }), 'with a v1 index');

  const converted = `${registry.host}/app:v2`;
  await convertImage(open(image), open(converted), OPTIONS);
  t.ok(await readsAs(t, converted, tree, { transport, missingZtoc: 'fail' }), 'with a v2 index');

  const carried = `${registry.host}/carried:v2`;
  await registry.skopeo('copy', ['--all'], `docker://${converted}`, `docker://${carried}`);
  t.ok(await readsAs(t, carried, tree, { transport, missingZtoc: 'fail' }), 'carried by skopeo');
  t.ok(await readsAs(t, carried, tree, { transport, platform: 'linux/arm64' }), 'its platform named');

  const archive = `oci-archive:${join(folder, 'archive.tar')}:v2`;
  await convertImage(open(image), open(archive), OPTIONS);
  t.ok(await readsAs(t, archive, tree, { missingZtoc: 'fail' }), 'in an archive');

  const docker = `${registry.host}/docker:v1`;
  await registry.skopeo('copy', ['--format', 'v2s2'], `oci:${layout}:v1`, `docker://${docker}`);
  await pushIndex(await createIndex(open(docker), OPTIONS));
  t.ok(await readsAs(t, docker, tree, { transport, missingZtoc: 'fail' }), 'as Docker schema 2');
});

for (const tool of ['skopeo', 'buildah'] as const) {
  const missing = tool === 'buildah' && (needs('buildah') || BUILDAH_NEEDS_ROOT);
  t.test(`a docker archive of ${tool}`, { skip: skip || missing }, async t => {
    const scratch = await workspace(t);
    const made = join(scratch, 'made');
    const archive = `docker-archive:${join(scratch, 'saved.tar')}:app:1`;
    if (tool === 'skopeo') {
      await run('skopeo', ['copy', `oci:${layout}:v1`, archive]);
    } else {
      await buildahImage(join(scratch, 'buildah'), archive);
    }
    await run('skopeo', ['copy', archive, `oci:${made}:v1`]);
    const expected = await unpackedTree(join(scratch, 'unpacked'), made, 'v1');
    await readsAs(t, archive, expected, {});
    await readsAs(t, archive.replace(/:app:1$/, ''), expected, {});
  });
}

t.test('what one small file costs', { skip }, async t => {
  const registry = await DockerRegistry.start(t);
  const converted = `${registry.host}/app:v2`;
  const transport = registry.client(t);
  const open = opener(t, transport);
  const made = await convertImage(open(`oci:${layout}:v1`), open(converted), OPTIONS);
  const { manifest } = made.indexes[0]!.image;
  const size = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
  const before = (await registry.requests(0, 'GET')).length;

  await using image = await openImage(converted, { transport: registry.client(t) });
  const plan = await image.explain('/etc/os-release');
  t.equal(await image.readFile('/etc/os-release', 'utf8'), 'NAME="second"\n');
  t.match(image.stats, { requests: plan.requests, fetchedBytes: plan.bytes }, 'as planned');

  // The image index, the manifest, the config, the SOCI index, three ztocs; then the spans.
  const asked = (await registry.requests(before + 7 + plan.requests, 'GET')).slice(before);
  t.equal(asked.length, 7 + plan.requests, asked.map(({ method, path }) => `${method} ${path}`).join('\n'));
  const spans = asked.filter(({ status }) => status === 206);
  t.equal(spans.length, plan.requests);
  t.equal(
    spans.reduce((sum, { bytes }) => sum + bytes, 0),
    plan.bytes,
    `${plan.bytes} of ${size} bytes of layers`,
  );
  t.ok(plan.bytes < size / 4);

  await image.readFile('/etc/os-release');
  t.equal((await registry.requests(0, 'GET')).length, before + asked.length, 'nothing is asked for twice');
});

t.test('TLS and a password', { skip }, async t => {
  const registry = await DockerRegistry.start(t, { tls: true, password: true });
  const image = `${registry.host}/secret/app:v1`;
  await registry.skopeo('copy', [], `oci:${layout}:v1`, `docker://${image}`);
  const access = {
    env: {},
    hosts: { [registry.host]: { ca: await readFile(fixturePath('tls', 'ca.pem'), 'utf8') } },
    credentials: () => ({ username: USER, password: PASSWORD }),
  };
  await readsAs(t, image, tree, access);
  await t.rejects(openImage(image, { ...access, credentials: null }), { code: 'ERR_SOCI_REGISTRY_AUTH' });
});

t.test('zstd layers, as skopeo writes them', { skip }, async t => {
  const registry = await DockerRegistry.start(t);
  const transport = registry.client(t);
  const image = `${registry.host}/zstd:v1`;
  await registry.skopeo('copy', ['--dest-compress-format', 'zstd'], `oci:${layout}:v1`, `docker://${image}`);
  const { repository, reference } = opener(t, transport)(image);
  const { manifest } = await repository.getManifest(reference);
  const types = manifest.kind === 'manifest' ? manifest.layers.map(({ mediaType }) => mediaType) : [];
  t.ok(types.length === 3 && types.every(type => type.endsWith('+zstd')), types.join());
  await readsAs(t, image, tree, { transport });
  await t.rejects(createIndex({ repository, reference }, OPTIONS), { code: 'ERR_SOCI_INDEX_EMPTY' });
});

t.test('a layer from every gzip writer', { skip: skip || skipWriters }, async t => {
  const scratch = await workspace(t);
  const made = join(scratch, 'made');
  await writersImage(scratch, made, 'v1');
  const open = opener(t, startTransport(t));
  await pushIndex(await createIndex(open(`oci:${made}:v1`), OPTIONS));
  const expected = await unpackedTree(join(scratch, 'unpacked'), made, 'v1');
  t.ok(await readsAs(t, `oci:${made}:v1`, expected, { missingZtoc: 'fail' }));
});

t.test('buildah', { skip: skip || needs('buildah') || BUILDAH_NEEDS_ROOT }, async t => {
  const scratch = await workspace(t);
  const registry = await DockerRegistry.start(t);
  const transport = registry.client(t);
  const made = join(scratch, 'made');
  await buildahImage(join(scratch, 'buildah'), `oci:${made}:v1`);
  const expected = await unpackedTree(join(scratch, 'unpacked'), made, 'v1');
  await readsAs(t, `oci:${made}:v1`, expected, {});
  const open = opener(t, transport);
  const converted = `${registry.host}/buildah:v2`;
  await convertImage(open(`oci:${made}:v1`), open(converted), OPTIONS);
  t.ok(await readsAs(t, converted, expected, { transport, missingZtoc: 'fail' }));
});
