/** The types of images, indexes and registries, as a program that is checked strictly sees them. */
import type { Readable } from 'node:stream';
import {
  convertImage,
  copyIndex,
  createIndex,
  findIndex,
  type Image,
  type ImageDirent,
  type ImageStats,
  type IndexSearch,
  keychain,
  MemoryZtocCache,
  openImage,
  openImageLocation,
  type Platform,
  type PullResult,
  type PullTarget,
  parsePlatform,
  pullImage,
  pushIndex,
  type ReadContext,
  RegistryTransport,
  type Repository,
} from 'seekable-oci';
import { type RegistryRequest, TestRegistry } from 'seekable-oci/testing';
import { expectType } from './equal.js';

declare const signal: AbortSignal | undefined;
declare const undefinedPlatform: Platform | undefined;

export async function reading(): Promise<void> {
  await using image = await openImage('registry.example/app:1', {
    platform: undefinedPlatform,
    missingZtoc: 'error',
    cache: new MemoryZtocCache(),
    limits: { maxLayers: 1 },
    signal,
  });
  expectType<Image>()(image);
  expectType<Buffer>()(await image.readFile('/etc/passwd'));
  expectType<Buffer>()(
    await image.readFile(Buffer.from('/etc/passwd'), { start: 0, endExclusive: 1, signal }),
  );
  expectType<string>()(await image.readFile('/etc/passwd', 'utf8'));
  expectType<string>()(await image.readFile('/etc/passwd', { encoding: 'utf8' }));
  expectType<string[]>()(await image.readdir('/'));
  expectType<Buffer[]>()(await image.readdir('/', { encoding: 'buffer' }));
  expectType<ImageDirent<string>[]>()(await image.readdir('/', { withFileTypes: true }));
  expectType<ImageDirent<Buffer>[]>()(await image.readdir('/', { withFileTypes: true, encoding: 'buffer' }));
  expectType<ImageStats>()(await image.stat('/'));
  expectType<Buffer>()(await image.readlink('/lib', { encoding: 'buffer' }));
  expectType<string>()(await image.realpath('/lib'));
  expectType<Readable>()(image.createReadStream('/etc/passwd', { start: 1 }));
  expectType<Map<string, Buffer>>()(await image.xattrs('/', { followSymlinks: false }));
  for await (const path of image.glob('**/*.js')) expectType<string>()(path);
  for await (const dirent of image.glob(['*'], { withFileTypes: true })) expectType<ImageDirent>()(dirent);
  // @ts-expect-error: one of three words
  await openImage('registry.example/app:1', { missingZtoc: 'ignore' });
  // @ts-expect-error: an option that there is not
  await openImage('registry.example/app:1', { platfrom: 'linux/amd64' });
  // @ts-expect-error: an encoding that there is not
  await image.readFile('/etc/passwd', 'utf-9');
  // @ts-expect-error: what an image is does not change
  image.manifest = undefined;
}

export async function pulling(context: ReadContext, target: PullTarget): Promise<void> {
  const result = await pullImage('registry.example/app:1', {
    targets: ['oci:layout:1', target],
    platform: 'all',
    referrers: true,
    limits: { maxConcurrentDownloads: undefined, concurrentDownloadChunkSize: 8 * 2 ** 20 },
    context,
    signal,
    onProgress: ({ layer, totalBytes }) => {
      expectType<number | undefined>()(layer);
      expectType<number>()(totalBytes);
    },
  });
  expectType<PullResult>()(result);
  expectType<'written' | 'unchanged' | undefined>()(result.targets[0]?.outcome);
  // @ts-expect-error: somewhere it has to go
  await pullImage('registry.example/app:1', {});
  // @ts-expect-error: a limit that there is not
  await pullImage('registry.example/app:1', { targets: [target], limits: { maxDownloads: 1 } });
}

export async function indexes(): Promise<void> {
  const transport = new RegistryTransport({
    credentials: keychain(),
    hosts: { 'registry.example': { mirrors: [{ url: 'https://mirror.example' }] } },
  });
  const opened = openImageLocation('registry.example/app:1', transport);
  const repository: Repository = opened.repository;
  await pushIndex(await createIndex(opened, { platforms: [parsePlatform('linux/arm64')], signal }), {
    signal,
  });
  await convertImage(opened, openImageLocation('registry.example/app:2', transport), { signal });
  // @ts-expect-error: a platform is an object
  await createIndex(opened, { platforms: [1] });
  await copyIndex(opened, openImageLocation('oci:directory', transport), { index: 'sha256:…', signal });
  expectType<(...args: Parameters<typeof findIndex>) => Promise<IndexSearch>>()(findIndex);
  await repository.close();
}

export async function testing(): Promise<void> {
  await using registry = await TestRegistry.start({ referrers: false });
  registry.inject({ match: { method: 'GET', path: /blobs/ }, times: 2, reply: { status: 503 } });
  registry.inject({ match: undefined, reply: () => ({ status: 204, body: undefined }), delay: undefined });
  registry.inject({ match: (request: RegistryRequest) => request.method === 'GET', times: 1 });
  expectType<string>()(registry.host);
}
