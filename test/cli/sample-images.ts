/** Images for the tests of the command: in the in-process registry, and as layouts. */
import { join } from 'node:path';
import type { Test } from 'tap';

import { DirectoryFiles } from '../../lib/registry/layout-files.js';
import { LayoutRepository } from '../../lib/registry/layout-repository.js';
import { OCI_INDEX } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import type { RegistryOptions } from '../../lib/registry/transport.js';
import { TestRegistry, type TestRegistryOptions } from '../../lib/testing/testing.js';
import { layerOf, pushImage, type SampleImage, type SampleLayer } from '../image/sample-image.js';
import { openRepository, startTransport } from '../registry/fixture.js';
import { type TarEntry, textLike } from '../span/sample-layers.js';

export const BIG: Buffer = textLike(2_000_000, 3);
const TIME = new Date('2020-02-02T02:02:02Z');

export const LOWER: readonly TarEntry[] = [
  { name: 'etc/', type: 'directory', mode: 0o750, mtime: TIME },
  { name: 'etc/os-release', body: Buffer.from('ID=sample\n'), mode: 0o640, uid: 3, gid: 4, mtime: TIME },
  { name: 'etc/removed', body: Buffer.from('lower') },
  { name: 'etc/link', type: 'symlink', linkname: 'os-release', mtime: TIME },
  { name: 'usr/lib/', type: 'directory' },
  { name: 'usr/lib/tool', body: Buffer.from('#!/bin/sh\n'), mode: 0o4755, mtime: TIME },
  { name: 'usr/lib/alias', type: 'link', linkname: 'usr/lib/tool', mode: 0o4755, mtime: TIME },
  { name: 'lib', type: 'symlink', linkname: 'usr/lib' },
  { name: 'big', body: BIG },
  { name: 'noted', body: Buffer.from('x'), pax: { 'SCHILY.xattr.user.note': 'hello' } },
  { name: 'dev/', type: 'directory' },
  { name: 'dev/null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 },
  { name: 'dev/pipe', type: 'fifo' },
  { name: 'dev/broken', type: 'link', linkname: 'nowhere' },
];

export const UPPER: readonly TarEntry[] = [
  { name: 'etc/.wh.removed', body: Buffer.alloc(0) },
  { name: 'etc/motd', body: Buffer.from('welcome\n') },
];

/** All files of LOWER and UPPER, as `ls -R` has them. */
export const NAMES: readonly string[] = [
  'big',
  ...['dev', 'dev/broken', 'dev/null', 'dev/pipe'],
  ...['etc', 'etc/link', 'etc/motd', 'etc/os-release'],
  ...['lib', 'noted'],
  ...['usr', 'usr/lib', 'usr/lib/alias', 'usr/lib/tool'],
];

export async function sampleLayers(): Promise<SampleLayer[]> {
  return [await layerOf(LOWER), await layerOf(UPPER)];
}

export async function startRegistry(t: Test, options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await TestRegistry.start(options);
  t.teardown(() => registry.close());
  return registry;
}

/** The repository `demo/app` of the registry, for the test's own use. */
export function repositoryOf(t: Test, registry: TestRegistry, options: RegistryOptions = {}): Repository {
  return openRepository(startTransport(t, options), registry);
}

export interface Layout {
  readonly folder: string;
  /** The operand without a tag. */
  readonly operand: string;
  readonly repository: Repository;
}

export function makeLayout(t: Test): Layout {
  const folder = join(t.testdir({}), 'layout');
  const repository = new LayoutRepository(new DirectoryFiles(folder, `oci:${folder}`));
  t.teardown(() => repository.close());
  return { folder, operand: `oci:${folder}`, repository };
}

/** One image for two platforms, with the same layers. */
export async function pushTwoPlatforms(
  repository: Repository,
  layers: readonly SampleLayer[],
  tag = 'multi',
): Promise<SampleImage[]> {
  const platforms = [
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm64' },
  ];
  const images: SampleImage[] = [];
  for (const platform of platforms) images.push(await pushImage(repository, layers, { platform }));
  const manifests = images.map(({ descriptor }, place) => ({ ...descriptor, platform: platforms[place] }));
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  await repository.pushManifest(index, OCI_INDEX, { tag });
  return images;
}
