/** Images to pull, of blobs that need not be decoded, and what became of them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { OCI_CONFIG, OCI_MANIFEST } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import type { RegistryTransport } from '../../lib/registry/transport.js';
import type { TestRegistry, TestRegistryOptions } from '../../lib/testing/testing.js';
import { blobOf, openRepository, startRegistry, startTransport } from '../registry/fixture.js';
import { sample } from '../store/sample-blob.js';

export const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
/** Around the multiple of 8 MiB that no request reaches over, and small. */
export const LAYERS: readonly Uint8Array[] = [9 * 2 ** 20 + 5, 3 * 2 ** 20 + 4097, 1000].map(layerOf);
export const DIGESTS: readonly string[] = LAYERS.map(sha256Digest);

/** Bytes without a pattern behind the beginning of a gzip header, which is all that anybody looks at who copies. */
export function layerOf(size: number, seed: number): Uint8Array {
  const { bytes } = sample(size, seed + 1);
  bytes.set([0x1f, 0x8b]);
  return bytes;
}

export interface PushedImage {
  readonly descriptor: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

export async function push(
  repository: Repository,
  layers: readonly Uint8Array[],
  options: {
    readonly tag?: string;
    readonly mediaType?: string;
    readonly architecture?: string;
    readonly manifest?: object;
  } = {},
): Promise<PushedImage> {
  const { tag, mediaType = GZIP, architecture = 'amd64', manifest: more } = options;
  const descriptors: Descriptor[] = [];
  for (const layer of layers) {
    descriptors.push(blobOf(layer, mediaType));
    await repository.pushBlob(descriptors.at(-1)!, layer);
  }
  const diffIds = layers.map((_, at) => sha256Digest(Buffer.from(`tar ${at}`)));
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const config = Buffer.from(JSON.stringify({ architecture, os: 'linux', rootfs }));
  await repository.pushBlob(blobOf(config, OCI_CONFIG), config);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: blobOf(config, OCI_CONFIG),
    layers: descriptors,
    ...more,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = await repository.pushManifest(bytes, OCI_MANIFEST, tag === undefined ? {} : { tag });
  return { descriptor, config: manifest.config, layers: descriptors };
}

export interface Setting {
  readonly registry: TestRegistry;
  readonly repository: Repository;
  readonly transport: RegistryTransport;
  /** The name of the image. */
  readonly image: string;
  readonly pushed: PushedImage;
  /** An empty folder. */
  readonly folder: string;
  /** Requests since the last call of this, but for those of tokens. */
  requests(): { method: string; path: string; range: string | undefined }[];
}

export async function setting(
  t: Test,
  layers: readonly Uint8Array[] = LAYERS,
  options: TestRegistryOptions = {},
): Promise<Setting> {
  const registry = await startRegistry(t, options);
  const transport = startTransport(t);
  const repository = openRepository(transport, registry);
  const pushed = await push(repository, layers, { tag: 'v1' });
  const folder = t.testdir({});
  registry.requests.length = 0;
  const requests = () =>
    registry.requests
      .splice(0)
      .map(({ method, path, headers }) => ({ method, path, range: headers['range'] }));
  return { registry, repository, transport, image: `${registry.host}/demo/app:v1`, pushed, folder, requests };
}

/** The bytes of a blob in a layout; undefined when it has none. */
export function blobIn(layout: string, { digest }: Pick<Descriptor, 'digest'>): Buffer | undefined {
  const path = join(layout, 'blobs', digest.replace(':', '/'));
  return existsSync(path) ? readFileSync(path) : undefined;
}

/** The names of all files below a folder, sorted. */
export function filesIn(folder: string): string[] {
  return existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter(each => !each.isDirectory())
        .map(each => join(each.parentPath, each.name).slice(folder.length + 1))
        .sort()
    : [];
}

/** The entries of a layout's index.json. */
export function listedIn(layout: string): readonly Descriptor[] {
  return JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')).manifests;
}
