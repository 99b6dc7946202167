/** Registries that lie, fail and die, and places that are something else: a typed error, and nothing half under its name. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { pullImage } from '../../lib/pull/pull-image.js';
import type { PullResult } from '../../lib/pull/pull-report.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { failure, startTransport } from '../registry/fixture.js';
import { blobIn, DIGESTS, filesIn, LAYERS, layerOf, push, type Setting, setting } from './sample-pull.js';

const RANGES = { concurrentDownloadChunkSize: 2 ** 20 };
const [BIG = ''] = DIGESTS;

/** Blobs that have their names, and whether something is listed. */
function state(folder: string): { blobs: number; listed: boolean; archives: string[] } {
  const names = filesIn(folder).filter(name => !name.includes('seekable-oci-pull'));
  return {
    blobs: names.filter(name => name.startsWith('layout/blobs/')).length,
    listed: names.includes('layout/index.json'),
    archives: names.filter(name => name.endsWith('.tar')),
  };
}

function pulling({ image, folder, transport }: Setting, more: object = {}): () => Promise<PullResult> {
  const targets = [
    `oci:${folder}/layout:v1`,
    `oci-archive:${folder}/app.tar:v1`,
    `docker-archive:${folder}/docker.tar`,
  ];
  return () => pullImage(image, { targets, transport, ...more });
}

/** All that was asked for was written. */
function whole(t: Test, { folder }: Setting): void {
  t.same(state(folder), { blobs: 5, listed: true, archives: ['app.tar', 'docker.tar'] });
  t.same(
    filesIn(folder).filter(name => name.includes('seekable-oci-pull')),
    [],
    'nothing is left of what was in the making',
  );
  for (const [at, digest] of DIGESTS.entries())
    t.ok(blobIn(join(folder, 'layout'), { digest })?.equals(LAYERS[at]!), `layer ${at}`);
}

for (const [how, limits] of [
  ['in one request', {}],
  ['in ranges', RANGES],
] as const) {
  t.test(`${how}: another blob than was asked for`, async t => {
    const at = await setting(t);
    const pull = pulling(at, { limits });
    at.registry.inject({ match: { path: BIG }, times: 1, corrupt: 70_000 });
    const error = await failure(pull());
    t.match(error, { code: 'ERR_SOCI_DIGEST_MISMATCH', data: { digest: BIG } });
    t.match(
      error.message,
      /expected sha256:[0-9a-f]{64}, found sha256:[0-9a-f]{64}; .*nothing of it is kept$/,
    );
    t.match(state(at.folder), { listed: false, archives: [] });
    t.notOk(blobIn(join(at.folder, 'layout'), { digest: BIG }));
    await pull();
    whole(t, at);
  });

  t.test(`${how}: a registry that dies in the middle, and goes on`, async t => {
    const at = await setting(t);
    const pull = pulling(at, { limits });
    const inRanges = how === 'in ranges';
    at.registry.inject({ match: { path: BIG }, times: 1, cutAfter: inRanges ? 1000 : 5_000_000 });
    at.registry.inject({ match: { path: BIG }, skip: inRanges ? 2 : 0, cutAfter: -1 });
    t.match(await failure(pull()), { code: 'ERR_SOCI_HTTP_NETWORK' });
    t.match(state(at.folder), { listed: false, archives: [] });
    at.registry.clearFaults();
    at.requests();
    const result = await pull();
    const big = result.blobs.find(({ digest }) => digest === BIG);
    t.equal(big?.outcome, 'resumed');
    t.ok((big?.fetched ?? 0) < LAYERS[0]!.length - 900_000, `${big?.fetched}`);
    whole(t, at);
  });

  t.test(`${how}: a server that knows no ranges`, async t => {
    const at = await setting(t);
    at.registry.inject({ match: { path: '/blobs/' }, ignoreRange: true });
    const result = await pulling(at, { limits })();
    t.equal(result.fetched, result.size);
    if (how === 'in ranges') t.match(result.blobs[1]?.why, /ignores Range/);
    whole(t, at);
  });

  t.test(`${how}: signed URLs that expire`, async t => {
    const at = await setting(t);
    let signatures = 0;
    at.registry.inject({
      match: ({ path, query }) => path.endsWith(BIG) && !query.has('signature'),
      reply: ({ path }) => {
        signatures++;
        return { status: 307, headers: { location: `${path}?signature=${signatures}` } };
      },
    });
    const uses = new Map<string, number>();
    const isExpired = ({ query }: { query: URLSearchParams }) => {
      const signature = query.get('signature');
      if (signature === null) return false;
      uses.set(signature, (uses.get(signature) ?? 0) + 1);
      return (uses.get(signature) ?? 0) > 2;
    };
    at.registry.inject({ match: request => isExpired(request), reply: { status: 403, headers: {} } });
    at.registry.inject({ match: ({ query }) => query.has('signature'), times: 1, cutAfter: 300_000 });
    await pulling(at, { limits })();
    t.ok(signatures >= 2, `${signatures} signatures`);
    whole(t, at);
  });
}

t.test('ranges that lie', async t => {
  const at = await setting(t);
  const lies = [
    { headers: { 'content-range': 'bytes 1-1048576/9437189' } },
    { headers: { 'content-range': 'bytes 0-1048575/9437188' } },
    { headers: { 'content-range': null } },
  ];
  for (const lie of lies) {
    at.registry.inject({
      match: ({ path, headers }) => path.endsWith(BIG) && headers['range'] !== undefined,
      ...lie,
    });
    const error = await failure(pulling(at, { limits: RANGES })());
    t.match(error.code, /^ERR_SOCI_(HTTP_RANGE|SOURCE_CHANGED)$/, error.message);
    t.match(state(at.folder), { listed: false, archives: [] });
    at.registry.clearFaults();
  }
  await pulling(at, { limits: RANGES })();
  whole(t, at);
});

t.test('sizes that lie', async t => {
  for (const difference of [-1000, 1000, 2 ** 50]) {
    const at = await setting(t, [LAYERS[2]!]);
    const [layer] = at.pushed.layers;
    const lying = { ...layer!, size: layer!.size + difference };
    const { registry, repository } = at;
    await push(repository, [], { tag: 'lie', manifest: { layers: [lying] } });
    for (const limits of [{}, RANGES]) {
      const targets = [`oci:${at.folder}/layout`];
      const error = await failure(
        pullImage(`${registry.host}/demo/app:lie`, { targets, transport: at.transport, limits }),
      );
      t.match(
        error.code,
        /^ERR_SOCI_(HTTP_RANGE|SOURCE_SHORT|SOURCE_CHANGED|DIGEST_MISMATCH)$/,
        error.message,
      );
      t.match(state(at.folder), { blobs: 1, listed: false });
    }
  }
});

t.test('what was kept of another attempt and is wrong is found out, and fetched anew', async t => {
  const at = await setting(t);
  const pull = pulling(at, { limits: RANGES });
  at.registry.inject({ match: { path: BIG }, times: 1, corrupt: 5 });
  at.registry.inject({ match: { path: BIG }, skip: 3, cutAfter: -1 });
  t.match(await failure(pull()), { code: 'ERR_SOCI_HTTP_NETWORK' });
  at.registry.clearFaults();
  const error = await failure(pull());
  t.match(error.message, /had been kept before: pulling again fetches all of it/);
  t.equal((await pull()).blobs.find(({ digest }) => digest === BIG)?.outcome, 'fetched');
  whole(t, at);
});

t.test('places that are something else', async t => {
  const { image, transport, folder, requests } = await setting(t);
  mkdirSync(join(folder, 'full'));
  writeFileSync(join(folder, 'full', 'thesis.txt'), 'all of it');
  writeFileSync(join(folder, 'file'), 'text');
  mkdirSync(join(folder, 'folder'));
  const refused = async (target: string, message: RegExp) => {
    const error = await failure(pullImage(image, { targets: [target], transport }));
    t.match(error, { code: 'ERR_SOCI_OUTPUT', message });
  };
  await refused(
    `oci:${folder}/full`,
    /expected an OCI layout or an empty folder, found a folder with thesis.txt; /,
  );
  await refused(`oci:${folder}/file`, /expected a folder, found something else; /);
  await refused(
    `oci-archive:${folder}/file`,
    /expected an OCI archive, or nothing, found a file without index.json/,
  );
  await refused(`docker-archive:${folder}/file`, /without manifest.json/);
  await refused(`oci-archive:${folder}/folder`, /found no regular file; /);
  await refused(`oci-archive:${folder}/file/x.tar`, /cannot be written/);
  t.equal(requests().filter(({ path }) => path.includes('/blobs/')).length, 0, 'before a blob was asked for');
  t.same(filesIn(folder), ['file', 'full/thesis.txt']);
  mkdirSync(join(folder, 'layout'));
  mkdirSync(join(folder, 'elsewhere'));
  symlinkSync('../elsewhere', join(folder, 'layout', 'blobs'));
  writeFileSync(join(folder, 'layout', 'oci-layout'), '{}');
  await t.rejects(pullImage(image, { targets: [`oci:${folder}/layout`], transport }), {
    code: 'ERR_SOCI_LAYOUT',
  });
  t.same(filesIn(join(folder, 'elsewhere')), [], 'no way out of the layout');
});

t.test('targets that are none', async t => {
  const { image, transport, folder } = await setting(t);
  const refused = async (targets: string[], code: string, message: RegExp) =>
    t.match(await failure(pullImage(image, { targets, transport })), { code, message });
  await refused([], 'ERR_SOCI_INVALID_ARGUMENT', /a target at least/);
  await refused([`oci:${folder}/a`, `oci:${folder}/a:x`], 'ERR_SOCI_INVALID_ARGUMENT', /as many places/);
  await refused([`${folder}/a`], 'ERR_SOCI_REFERENCE', /expected rootfs:DIR.* to pull to/);
  await refused(['rootfs:'], 'ERR_SOCI_REFERENCE', /found no directory/);
  await refused([`oci:${folder}/a@${BIG}`], 'ERR_SOCI_REFERENCE', /a digest/);
  await refused([`docker-archive:${folder}/a:@0`], 'ERR_SOCI_REFERENCE', /the place of an image/);
  const unknown = pullImage(image, { targets: [`oci:${folder}/a`], transport, unknwon: true } as never);
  await t.rejects(unknown, { code: 'ERR_SOCI_INVALID_ARGUMENT', message: /"unknwon"/ });
  const limits = { maxConcurrentDownloads: 2, maxConcurrentDownloadsPerImage: 3 };
  await t.rejects(pullImage(image, { targets: [`oci:${folder}/a`], transport, limits }), {
    code: 'ERR_SOCI_INVALID_ARGUMENT',
    message: /no more for one image than for all .* received maxConcurrentDownloads 2/,
  });
  t.notOk(existsSync(join(folder, 'a')));
});

t.test('an image that is not there leaves nothing behind', async t => {
  const { registry, transport, folder } = await setting(t);
  const targets = [`oci:${folder}/new/layout`, `oci-archive:${folder}/app.tar`];
  await t.rejects(pullImage(`${registry.host}/demo/app:none`, { targets, transport }), {
    code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
  });
  await t.rejects(
    pullImage(`${registry.host}/demo/app:v1`, { targets, transport, platform: 'linux/s390x' }),
    {
      code: 'ERR_SOCI_PLATFORM',
    },
  );
  t.same(filesIn(folder), []);
  t.notOk(existsSync(join(folder, 'new', 'layout')));
});

t.test('an abort in the middle: nothing half, and the rest the next time', async t => {
  const at = await setting(t);
  const controller = new AbortController();
  const onProgress = ({ totalBytes }: { totalBytes: number }) => {
    if (totalBytes > 4 * 2 ** 20) controller.abort(new Error('enough'));
  };
  const pull = pulling(at, { limits: RANGES, signal: controller.signal, onProgress });
  await t.rejects(pull(), { message: 'enough' });
  t.match(state(at.folder), { listed: false, archives: [] });
  t.same(
    filesIn(at.folder).filter(name => name.endsWith('.tmp')),
    [],
  );
  const result = await pulling(at, { limits: RANGES })();
  t.ok(result.fetched < result.size - 2 ** 20, `${result.fetched} of ${result.size}`);
  whole(t, at);
});

t.test('foreign layers: from where they are, and left out where they are nowhere', async t => {
  const at = await setting(t, [LAYERS[2]!]);
  const elsewhere = layerOf(5000, 9);
  const foreign = (path: string) => ({
    mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    digest: 'sha256:'.padEnd(71, '7'),
    size: 5000,
    urls: [`${at.registry.url}${path}`],
  });
  const nowhere = foreign('/none');
  await push(at.repository, [], { tag: 'windows', manifest: { layers: [at.pushed.layers[0], nowhere] } });
  const image = `${at.registry.host}/demo/app:windows`;
  const transport = startTransport(t);
  const result = await pullImage(image, {
    targets: [`oci:${at.folder}/layout`, `oci-archive:${at.folder}/a.tar`],
    transport,
  });
  const left = result.blobs.find(({ digest }) => digest === nowhere.digest);
  t.match(left, { outcome: 'left-out', why: /a foreign layer that is not stored here, nor at its urls/ });
  await t.rejects(pullImage(image, { targets: [`docker-archive:${at.folder}/b.tar`], transport }), {
    code: 'ERR_SOCI_OUTPUT',
    message: /is not to be had/,
  });
  at.registry.inject({ match: { path: '/layer' }, reply: { status: 200, headers: {}, body: elsewhere } });
  const there = { ...foreign('/layer'), digest: sha256Digest(elsewhere) };
  await push(at.repository, [], { tag: 'there', manifest: { layers: [there] } });
  const targets = [`oci:${at.folder}/layout`, `docker-archive:${at.folder}/b.tar`];
  const found = await pullImage(`${at.registry.host}/demo/app:there`, { targets, transport });
  t.equal(found.blobs.find(({ digest }) => digest === there.digest)?.outcome, 'fetched');
  t.ok(blobIn(join(at.folder, 'layout'), there)?.equals(elsewhere));
});
