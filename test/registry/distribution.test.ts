import { subscribe, unsubscribe } from 'node:diagnostics_channel';

import t from 'tap';
import type { HttpRequestEvent } from '../../lib/observe/channels.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { OCI_INDEX } from '../../lib/registry/media-types.js';
import { parsePlatform } from '../../lib/registry/platform.js';
import { listImages, selectManifest } from '../../lib/registry/platform-selection.js';
import { BufferSource } from '../../lib/source/buffer-source.js';
import {
  blobOf,
  collect,
  encodeIndex,
  failure,
  openRepository,
  pushImage,
  sampleBytes,
  startRegistry,
  startTransport,
} from './fixture.js';

const LAYER = sampleBytes(200_000);

t.test('what is pushed can be pulled', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const pushed = await pushImage(repository, LAYER, { tag: 'v1' });

  t.same(await repository.resolve('v1'), pushed, 'by tag');
  t.same(await repository.resolve(pushed.digest), pushed, 'by digest');
  t.match(await failure(repository.resolve('v2')), {
    code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
    data: { status: 404 },
  });
  const content = await repository.getManifest('v1');
  t.equal(sha256Digest(content.bytes), pushed.digest);
  const layer = content.manifest.kind === 'manifest' ? content.manifest.layers[0]! : undefined;
  t.same(Buffer.from(await repository.getBlob(layer!)), Buffer.from(LAYER));
  t.equal(await repository.hasBlob(layer!.digest), true);
  t.equal(await repository.hasBlob(blobOf(Buffer.from('absent')).digest), false);
  t.match(await failure(repository.getBlob(blobOf(Buffer.from('absent')))), {
    code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
  });
  t.match(registry.requests[0]?.headers['user-agent'], /^seekable-oci\/\d+\.\d+\.\d+/);

  t.test('a blob is a range source that needs no request to open', async t => {
    const before = registry.requests.length;
    const source = await repository.openBlob(layer!);
    t.equal(registry.requests.length, before);
    t.same(Buffer.from(await source.read(1000, 50)), Buffer.from(LAYER.subarray(1000, 1050)));
    t.equal(registry.requests.length, before + 1);
    t.equal(registry.requests.at(-1)?.headers['range'], 'bytes=1000-1049');
    t.same(await collect(source.stream()), Buffer.from(LAYER));
    t.match(await failure(source.read(LAYER.length, 1)), { code: 'ERR_SOCI_SOURCE_RANGE' });
    await source.close();
    t.match(await failure(source.read(0, 1)), { code: 'ERR_SOCI_CLOSED' });
  });

  t.test('blobs are bounded before they are fetched', async t => {
    const before = registry.requests.length;
    t.match(await failure(repository.getBlob(layer!, { maxBytes: 1000 })), { code: 'ERR_SOCI_LIMIT' });
    t.match(await failure(repository.getManifest({ ...pushed, size: 2 ** 40 })), { code: 'ERR_SOCI_LIMIT' });
    t.equal(registry.requests.length, before);
  });
});

t.test('uploads', async t => {
  const registry = await startRegistry(t);
  const transport = startTransport(t);
  const repository = openRepository(transport, registry);
  const writes = (): string[] =>
    registry.requests.filter(({ method }) => !['GET', 'HEAD'].includes(method)).map(({ method }) => method);
  t.beforeEach(() => {
    registry.requests.length = 0;
    registry.clearFaults();
  });

  t.test('a blob goes up in one piece, once', async t => {
    t.equal(await repository.pushBlob(blobOf(LAYER), LAYER), 'uploaded');
    t.same(writes(), ['POST', 'PUT']);
    t.equal(await repository.pushBlob(blobOf(LAYER), LAYER), 'existed');
    t.same(writes(), ['POST', 'PUT']);
  });

  t.test('a source is streamed, with progress', async t => {
    const bytes = sampleBytes(3_000_000, 2);
    const progress: number[] = [];
    const result = await repository.pushBlob(blobOf(bytes), new BufferSource(bytes), {
      onProgress: sent => progress.push(sent),
    });
    t.equal(result, 'uploaded');
    t.equal(progress.at(-1), bytes.length);
    t.same(Buffer.from(await repository.getBlob(blobOf(bytes))), Buffer.from(bytes));
  });

  t.test('a blob is mounted from a neighbour that has it', async t => {
    const neighbour = openRepository(transport, registry, 'demo/other');
    t.equal(
      await neighbour.pushBlob(blobOf(LAYER), LAYER, { mountFrom: ['demo/none', 'demo/app'] }),
      'uploaded',
      'the first offer becomes an upload',
    );
    const third = openRepository(transport, registry, 'demo/third');
    registry.requests.length = 0;
    t.equal(await third.pushBlob(blobOf(LAYER), LAYER, { mountFrom: ['demo/app'] }), 'mounted');
    t.same(writes(), ['POST']);
    t.same(Buffer.from(await third.getBlob(blobOf(LAYER))), Buffer.from(LAYER));
  });

  t.test('a refused mount is no obstacle', async t => {
    const refusing = openRepository(transport, registry, 'demo/refusing');
    registry.inject({ match: ({ query }) => query.has('mount'), reply: { status: 403, headers: {} } });
    t.equal(await refusing.pushBlob(blobOf(LAYER), LAYER, { mountFrom: ['demo/secret'] }), 'uploaded');
    t.same(writes(), ['POST', 'POST', 'PUT']);
  });

  t.test('chunks, and where they go on after a failure', async t => {
    const bytes = sampleBytes(10_000, 3);
    const chunked = openRepository(transport, registry, 'demo/chunked', { chunkSize: 4000 });
    registry.inject({ match: { method: 'PATCH' }, skip: 1, times: 1, cutAfter: -1 });
    t.equal(await chunked.pushBlob(blobOf(bytes), bytes), 'uploaded');
    t.same(writes(), ['POST', 'PATCH', 'PATCH', 'PATCH', 'PATCH', 'PUT']);
    t.equal(
      registry.requests.filter(({ method, path }) => method === 'GET' && path.includes('/uploads/')).length,
      1,
      'it asked where the upload stands',
    );
    t.same(Buffer.from(await chunked.getBlob(blobOf(bytes))), Buffer.from(bytes));
  });

  t.test('chunks are as large as the registry wants them', async t => {
    const bytes = sampleBytes(10_000, 8);
    const chunked = openRepository(transport, registry, 'demo/minimum', { chunkSize: 1000 });
    registry.inject({ match: { method: 'POST' }, headers: { 'oci-chunk-min-length': '6000' } });
    t.equal(await chunked.pushBlob(blobOf(bytes), bytes), 'uploaded');
    t.same(writes(), ['POST', 'PATCH', 'PATCH', 'PUT']);
  });

  t.test('a body too large for a proxy on the way goes up in chunks', async t => {
    const bytes = sampleBytes(5000, 4);
    registry.inject({
      match: request => request.method === 'PUT' && request.body.length > 0,
      reply: { status: 413, headers: {} },
    });
    t.equal(await repository.pushBlob(blobOf(bytes), bytes), 'uploaded');
    t.same(writes(), ['POST', 'PUT', 'POST', 'PATCH', 'PUT']);
  });

  t.test('a failed upload is begun anew', async t => {
    const bytes = sampleBytes(5000, 5);
    registry.inject({ match: { method: 'PUT' }, times: 1, reply: { status: 503, headers: {} } });
    t.equal(await repository.pushBlob(blobOf(bytes), bytes), 'uploaded');
    t.same(writes(), ['POST', 'PUT', 'POST', 'PUT']);
  });

  t.test('content that is not what its descriptor says never becomes a blob', async t => {
    const bytes = sampleBytes(5000, 6);
    const wrong = { ...blobOf(bytes), digest: blobOf(LAYER).digest };
    const elsewhere = openRepository(transport, registry, 'demo/elsewhere');
    t.match(await failure(elsewhere.pushBlob(wrong, bytes)), { code: 'ERR_SOCI_DIGEST_MISMATCH' });
    t.match(await failure(elsewhere.pushBlob(wrong, new BufferSource(bytes))), {
      code: 'ERR_SOCI_DIGEST_MISMATCH',
    });
    t.match(await failure(elsewhere.pushBlob({ ...blobOf(bytes), size: 1 }, bytes)), {
      code: 'ERR_SOCI_DIGEST_MISMATCH',
    });
    t.equal(await elsewhere.hasBlob(wrong.digest), false);
  });
});

t.test('every request is announced on a diagnostics channel, without secrets', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const seen: HttpRequestEvent[] = [];
  const listen = (event: unknown): number => seen.push(event as HttpRequestEvent);
  subscribe('seekable-oci:http:request', listen);
  t.teardown(() => unsubscribe('seekable-oci:http:request', listen));
  const image = await pushImage(repository, LAYER, { tag: 'v1' });
  await repository.getManifest('v1');
  await repository.getBlob(blobOf(LAYER));
  t.equal(seen.length, registry.requests.length);
  t.match(seen.at(-2), {
    method: 'GET',
    url: `${registry.url}/v2/demo/app/manifests/v1`,
    status: 200,
    bytes: image.size,
  });
  t.match(seen.at(-1), { status: 200, bytes: LAYER.length });
  t.strictSame(
    seen.map(({ method }) => method),
    registry.requests.map(({ method }) => method),
  );
  t.notMatch(seen.map(({ url }) => url).join(), /digest=sha256/, 'query values are left out');
});

t.test('tags come in pages, sorted, once each', async t => {
  const registry = await startRegistry(t, { pageSize: 2 });
  const repository = openRepository(startTransport(t), registry);
  t.match(await failure(repository.listTags()), {
    code: 'ERR_SOCI_REGISTRY_NOT_FOUND',
    message: /NAME_UNKNOWN/,
  });
  for (const tag of ['c', 'a', 'b', 'e', 'd']) {
    await pushImage(repository, LAYER, { tag });
  }
  registry.requests.length = 0;
  t.same(await repository.listTags(), ['a', 'b', 'c', 'd', 'e']);
  t.equal(registry.requests.length, 3);
});

t.test('choosing a platform', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  const amd = {
    ...(await pushImage(repository, sampleBytes(10, 1))),
    platform: { os: 'linux', architecture: 'amd64' },
  };
  const arm = {
    ...(await pushImage(repository, sampleBytes(10, 2))),
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  };
  const attestation = {
    ...(await pushImage(repository, sampleBytes(10, 3))),
    platform: { os: 'unknown', architecture: 'unknown' },
  };
  const soci = {
    ...amd,
    digest: attestation.digest,
    size: attestation.size,
    artifactType: 'application/vnd.amazon.soci.index.v2+json',
  };
  const inner = await repository.pushManifest(encodeIndex([arm, attestation]), OCI_INDEX);
  await repository.pushManifest(encodeIndex([soci, amd, inner]), OCI_INDEX, { tag: 'multi' });
  const content = await repository.getManifest('multi');

  const choose = async (platform: string): Promise<string> =>
    (await selectManifest(repository, content, parsePlatform(platform))).descriptor.digest;
  t.equal(await choose('linux/amd64'), amd.digest, 'the image and not the SOCI index of its platform');
  t.equal(await choose('linux/arm64'), arm.digest, 'inside a nested index, the variant normalised');
  const missing = await failure(selectManifest(repository, content, parsePlatform('linux/s390x')));
  t.match(missing, { code: 'ERR_SOCI_PLATFORM', message: /it has linux\/amd64, linux\/arm64\/v8/ });
  t.match(await failure(selectManifest(repository, content, undefined)), {
    code: 'ERR_SOCI_PLATFORM',
    message: /choose a platform/,
  });
  const single = await repository.getManifest(amd);
  t.match(await failure(selectManifest(repository, single, parsePlatform('linux/s390x'))), {
    code: 'ERR_SOCI_PLATFORM',
    message: /no image for linux\/s390x; it has linux\/amd64$/,
  });
  t.equal(
    (await selectManifest(repository, single, parsePlatform('linux/amd64'))).descriptor.digest,
    amd.digest,
  );
  t.same(
    (await listImages(repository, content)).map(({ descriptor }) => descriptor.platform),
    [amd.platform, arm.platform],
  );

  t.test('indexes in indexes end somewhere', async t => {
    let nested = inner;
    for (let depth = 0; depth < 6; depth++) {
      nested = await repository.pushManifest(encodeIndex([nested]), OCI_INDEX);
    }
    const deep = await repository.getManifest(nested);
    t.match(await failure(selectManifest(repository, deep, parsePlatform('linux/arm64'))), {
      code: 'ERR_SOCI_LIMIT',
      message: /nested deeper than 4/,
    });
  });
});

t.test('an aborted call rejects with the reason, wherever it is', async t => {
  const registry = await startRegistry(t);
  const repository = openRepository(startTransport(t), registry);
  await pushImage(repository, LAYER, { tag: 'v1' });
  registry.inject({ match: { method: 'GET' }, stallAfter: 1 });
  registry.inject({ match: { method: 'HEAD' }, delay: 60_000 });
  registry.inject({ match: { method: 'POST' }, delay: 60_000 });
  const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
    signal => repository.resolve('v1', { signal }),
    signal => repository.getManifest('v1', { signal }),
    signal => repository.getBlob(blobOf(LAYER), { signal }),
    signal => repository.listTags({ signal }),
    signal => repository.referrers(blobOf(LAYER).digest, { signal }),
    signal => repository.hasBlob(blobOf(LAYER).digest, { signal }),
    async signal => (await repository.openBlob(blobOf(LAYER))).read(0, 10, { signal }),
    signal => repository.pushBlob(blobOf(sampleBytes(9, 9)), sampleBytes(9, 9), { signal }),
  ];
  for (const call of calls) {
    const already = new Error('before');
    t.equal(await failure(call(AbortSignal.abort(already))), already, 'before it began');
    const controller = new AbortController();
    const reason = new Error('stop');
    const rejected = failure(call(controller.signal));
    setTimeout(() => controller.abort(reason), 30);
    t.equal(await rejected, reason, String(call));
  }
});
