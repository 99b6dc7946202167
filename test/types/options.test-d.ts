/**
 * Every option that the documentation names, used once. Most are given values that may be undefined: what is optional
 * may be computed by the caller, under exactOptionalPropertyTypes too.
 */
import {
  buildZtoc,
  configure,
  convertImage,
  createIndex,
  FileSource,
  FolderZtocCache,
  HttpSource,
  HttpTransport,
  keychain,
  openImage,
  openImageLocation,
  openLayer,
  parsePlatform,
  publishIndex,
  pushIndex,
  ReadContext,
  RegistryTransport,
  Store,
  unpackImage,
  Ztoc,
} from 'seekable-oci';
import { MemoryStorage, TestRegistry } from 'seekable-oci/testing';

declare const signal: AbortSignal | undefined;
declare const bytes: Uint8Array;
declare const text: string | undefined;
declare const count: number | undefined;
declare const yes: boolean | undefined;

export async function images(): Promise<void> {
  const transport = new RegistryTransport();
  await openImage('registry.example/app:1', {
    platform: 'linux/arm64',
    index: 'sha256:…',
    indexOrder: ['v2', 'v1'],
    onlyLayer: 0,
    missingZtoc: 'build',
    ztocs: 'at-once',
    cacheDirectory: '/var/cache/images',
    cache: new FolderZtocCache('/var/cache/ztocs'),
    maxCacheBytes: 1,
    semantics: 'overlay',
    verifyHeaders: true,
    verifyWindows: 'chain',
    context: new ReadContext(
      { cacheBytes: 1 },
      { store: await Store.open('/var/lib/app', { maxBytes: 1, sync: true }) },
    ),
    store: await Store.open('/var/lib/app', { maxBytes: count, sync: yes }),
    offline: true,
    limits: { maxLayers: 1, maxNames: 1, maxZtocBytes: 1, maxUnpackedBytes: 1, ztoc: { maxSpans: 1 } },
    onProgress: ({ phase, layer, digest, bytes, size }) => void [phase, layer, digest, bytes, size],
    transport,
    signal,
  });
  await openImage('registry.example/app:1', {
    platform: text,
    onlyLayer: count,
    cacheDirectory: text,
    maxCacheBytes: count,
    store: undefined,
    offline: yes,
    verifyHeaders: yes,
    credentials: undefined,
    hosts: undefined,
    hostsDirectories: undefined,
    hostOrder: undefined,
    hedge: undefined,
    retry: undefined,
    timeouts: undefined,
  });
  await openImage('registry.example/app:1', { index: false });
  await transport.close();
}

export async function registries(): Promise<void> {
  const transport = new RegistryTransport({
    credentials: async ({ registry, repository, refused, signal }) => {
      void [registry, repository, refused, signal];
      return { username: text, password: text, identityToken: text, registryToken: text, source: text };
    },
    hosts: {
      'registry.example': {
        ca: text,
        clientCertificate: { cert: '', key: '' },
        skipVerify: yes,
        plainHttp: yes,
        headers: { 'x-from': 'here' },
        mirrors: [{ url: 'https://mirror.example', capabilities: ['pull'], overridePath: yes, ca: ['', ''] }],
        server: undefined,
      },
    },
    hostsDirectories: ['/etc/containerd/certs.d'],
    hostOrder: 'configured',
    hedge: { percentile: count, budget: count },
    retry: { retries: 1, minDelay: 1, maxDelay: 1, maxSilence: 1, maxRetryAfter: 1 },
    timeouts: { connect: 1, headers: 1, bodyIdle: 1, request: 1, upload: 1 },
    traffic: new ReadContext({ maxBytesPerSecond: 1 }).traffic,
  });
  keychain({ home: text });
  const place = openImageLocation('registry.example/app:1', transport, { chunkSize: count });
  const { repository } = place;
  await repository.getBlob({ digest: 'sha256:…', size: 1, mediaType: '' }, { maxBytes: count, signal });
  await repository.pushManifest(bytes, 'application/json', { tag: text, signal });
  await repository.close();
}

export async function indexes(place: ReturnType<typeof openImageLocation>): Promise<void> {
  const building = {
    platforms: [parsePlatform('linux/amd64')],
    spanSize: count,
    minLayerSize: count,
    buildToolIdentifier: text,
    optimizations: ['xattr'],
    prefetchFiles: ['/bin/sh'],
    includeLayers: undefined,
    excludeLayers: ['sha256:…'],
    cache: undefined,
    force: yes,
    reuse: yes,
    ztocsFrom: text,
    concurrency: count,
    onEvent: undefined,
    signal,
  } as const;
  const created = await createIndex(place, building);
  await pushIndex(created, { target: place.repository, existing: 'skip', signal });
  await publishIndex(place, { ...building, existing: 'warn', target: place.repository, dryRun: yes });
  await convertImage(place, place, { ...building, dryRun: yes });
}

export async function layers(): Promise<void> {
  const transport = new HttpTransport({
    timeouts: { connect: 1, headers: 1, upload: 1, bodyIdle: 1, request: 1 },
    connections: 16,
    userAgent: 'reader/1',
    dispatcher: undefined,
    traffic: new ReadContext().traffic,
  });
  const source = await HttpSource.open('https://host/layer', {
    headers: async ({ url, rejected, signal }) => ({ from: `${url} ${rejected} ${signal?.aborted}` }),
    size: count,
    validators: 'ignore',
    ranges: 'optional',
    retry: { retries: 1 },
    home: undefined,
    transport,
    signal,
  });
  const ztoc = Ztoc.decode(bytes, { expectedDigest: text, limits: { maxZtocBytes: 1, maxEntries: 1 } });
  await using layer = await openLayer(source, ztoc, {
    ztocDigest: text,
    verifyHeaders: yes,
    verifyWindows: undefined,
    context: undefined,
    closeSource: yes,
    signal,
  });
  const range = { start: count, endExclusive: count, followSymlinks: yes, signal };
  await layer.readFile('etc/passwd', range);
  layer.createReadStream('etc/passwd', range).destroy();
  await layer.open('etc/passwd', { followSymlinks: yes, signal });
  layer.createTarStream({ start: count, endExclusive: count, signal }).destroy();
  layer.tree({ whiteouts: 'keep' });
  layer.lookup('etc/passwd', { followSymlinks: yes });
  await buildZtoc(await FileSource.open('layer'), {
    spanSize: count,
    compression: 'uncompressed',
    diffId: yes,
    buildToolIdentifier: text,
    engine: 'zlib',
    limits: { maxSpans: 1 },
    onProgress: undefined,
    signal,
  });
  configure({
    decodeConcurrency: 1,
    cacheBytes: 1,
    memoryBytes: 1,
    maxSpanBytes: 1,
    maxRequestBytes: 1,
    readConcurrency: 1,
    maxReadAheadBytes: 0,
    maxBytesPerSecond: 1,
    tempBytes: 1,
    tempDirectory: '/tmp',
    engine: 'fast',
  });
}

export async function unpacking(): Promise<void> {
  const map = [{ container: 0, host: 100_000, size: 65_536 }];
  const { layers, notes, skipped, lowerdir } = await unpackImage({
    layers: [{ content: bytes, ztoc: Ztoc.decode(bytes), digest: text, diffId: text }, { content: [bytes] }],
    target: 'overlay',
    directory: '/srv/rootfs',
    semantics: 'spec',
    owners: yes,
    uidMap: map,
    gidMap: undefined,
    ztocs: { spanSize: 1, buildToolIdentifier: text },
    limits: { maxEntries: 1, maxPathBytes: 1, maxDepth: 1, maxUnpackedBytes: 1 },
    sync: yes,
    concurrency: count,
    heldBytes: count,
    context: undefined,
    onProgress: ({ layer, bytes, unpackedBytes }) => void [layer, bytes, unpackedBytes],
    signal,
  });
  void [layers[0]?.ztoc, notes, skipped.owners + skipped.xattrs + skipped.devices, lowerdir];
  await unpackImage({ layers: [], target: 'merged', directory: '/srv', ztocs: false });
}

export async function testing(): Promise<void> {
  await using registry = await TestRegistry.start({
    storage: new MemoryStorage(),
    referrers: yes,
    pageSize: count,
    auth: { type: 'bearer', username: '', password: '', tokenLifetime: count, realm: text },
    tls: undefined,
  });
  registry.inject({
    match: { method: text, path: /blobs/ },
    skip: count,
    times: count,
    delay: count,
    until: async () => {},
    reply: { status: 429, headers: { 'retry-after': '1' } },
    ignoreRange: yes,
    headers: { etag: null },
    corrupt: count,
    cutAfter: count,
    stallAfter: count,
  });
}
