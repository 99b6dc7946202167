/** Layers that the registry or layout need not have, because their descriptors name URLs where they are. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openImage } from '../../lib/image/open-image.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { openImageLocation } from '../../lib/registry/image-location.js';
import type { Repository } from '../../lib/registry/repository.js';
import { createIndex } from '../../lib/soci/create-index.js';
import { MemoryZtocCache } from '../../lib/soci/memory-ztoc-cache.js';
import { layerOf, pushImage, type SampleLayer } from '../image/sample-image.js';
import { failure, openRepository, startRegistry, startTransport } from './fixture.js';

const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';

interface Setting {
  readonly base: SampleLayer;
  readonly places: readonly Repository[];
  /** Where the layer is. */
  readonly url: string;
}

/** A registry and a layout without the base layer, which another repository has. */
async function setting(t: Test): Promise<Setting> {
  const base = await layerOf([{ name: 'base', body: Buffer.from('b') }]);
  const registry = await startRegistry(t);
  await registry.storage.writeBlob('vendor/base', base.descriptor.digest, base.bytes);
  const transport = startTransport(t);
  const { repository: layout } = openImageLocation(`oci:${join(t.testdir({}), 'layout')}`, transport);
  const places = [openRepository(transport, registry), layout];
  return { base, places, url: `http://${registry.host}/v2/vendor/base/blobs/${base.descriptor.digest}` };
}

async function push(repository: Repository, { base }: Setting, urls: readonly string[]): Promise<string> {
  const top = await layerOf([{ name: 'top', body: Buffer.from('t') }]);
  const foreign: Descriptor = { ...base.descriptor, mediaType: FOREIGN, urls };
  const diffIds = { rootfs: { type: 'layers', diff_ids: [base.diffId, top.diffId] } };
  const manifest = { layers: [foreign, top.descriptor] };
  const { descriptor } = await pushImage(repository, [top], { manifest, config: diffIds });
  return descriptor.digest;
}

async function opened(t: Test, repository: Repository, reference: string) {
  const image = await openImage({ repository, reference }, { cache: new MemoryZtocCache() });
  t.teardown(() => image.close());
  return image;
}

t.test('URLs are tried in order where the blob is not', async t => {
  const given = await setting(t);
  for (const repository of given.places) {
    const gone = `${given.url.slice(0, -1)}_`;
    const digest = await push(repository, given, ['ftp://old.example/base', gone, given.url]);
    const image = await opened(t, repository, digest);
    t.strictSame(await image.readdir('/'), ['base', 'top']);
    t.equal(await image.readFile('/base', 'utf8'), 'b');
    const { indexes } = await createIndex({ repository, reference: digest }, { minLayerSize: 0 });
    t.equal(indexes[0]?.layers.length, 2);
  }
});

t.test('nothing has it: the message names the URLs, without their secrets', async t => {
  const given = await setting(t);
  for (const repository of given.places) {
    const gone = `${given.url.slice(0, -1)}_`;
    const digest = await push(repository, given, [`${gone}?X-Amz-Signature=hunter2`]);
    const error = await failure((await opened(t, repository, digest)).readdir('/'));
    t.equal(error.code, 'ERR_SOCI_REGISTRY_NOT_FOUND');
    t.match(error.message, gone);
    t.notMatch(error.message, 'hunter2');
    const { indexes } = await createIndex({ repository, reference: digest }, { minLayerSize: 0 });
    t.match(indexes[0]?.skipped, [{ position: 0, reason: 'not-distributed', message: gone }]);
  }
});

t.test('other bytes are not taken, wherever they come from', async t => {
  const given = await setting(t);
  const [repository] = given.places as [Repository];
  const other = await layerOf([{ name: 'evil', body: Buffer.from('b') }]);
  await repository.pushBlob(other.descriptor, other.bytes);
  const evil = given.url.replace(/vendor\/base\/blobs\/.*/, `demo/app/blobs/${other.descriptor.digest}`);
  const digest = await push(repository, given, [evil]);
  t.match((await failure((await opened(t, repository, digest)).readdir('/'))).code, /NOT_FOUND|MISMATCH/);
});

t.test('metadata services are nobody a document may send us to', async t => {
  const given = await setting(t);
  for (const repository of given.places) {
    const digest = await push(repository, given, ['http://169.254.169.254/latest']);
    const error = await failure((await opened(t, repository, digest)).readdir('/'));
    t.match(error.message, 'a link-local or metadata address');
  }
});
