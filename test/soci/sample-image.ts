/** What the index tests share: small images of every shape, in layouts and in the in-process registry. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import type { OpenedLocation } from '../../lib/registry/image-location.js';
import { DirectoryFiles } from '../../lib/registry/layout-files.js';
import { LayoutRepository } from '../../lib/registry/layout-repository.js';
import {
  DOCKER_CONFIG,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../lib/registry/media-types.js';
import type { Platform } from '../../lib/registry/platform.js';
import type { Repository } from '../../lib/registry/repository.js';
import type { Teardown } from '../registry/fixture.js';

export const AMD64: Platform = { architecture: 'amd64', os: 'linux' };
export const ARM64: Platform = { architecture: 'arm64', os: 'linux', variant: 'v8' };
export const TOOL = 'AWS SOCI CLI v0.2';
export const GZIP_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

export interface SampleLayer {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/** A tar of regular files; `pax` records go to every file. */
export async function tarOf(
  files: Readonly<Record<string, string | Uint8Array>>,
  pax?: Readonly<Record<string, string>>,
): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) {
    const header = { name, mtime: new Date(0), ...(pax === undefined ? {} : { pax: { ...pax } }) };
    archive.entry(header, Buffer.from(content));
  }
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

export async function gzipLayer(
  files: Readonly<Record<string, string | Uint8Array>>,
  pax?: Readonly<Record<string, string>>,
): Promise<SampleLayer> {
  return { bytes: gzipSync(await tarOf(files, pax)), mediaType: GZIP_LAYER };
}

export function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: sha256Digest(bytes), size: bytes.length };
}

export function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

export interface SampleImageOptions {
  readonly docker?: boolean;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly tag?: string;
  readonly extra?: Readonly<Record<string, unknown>>;
}

/** Pushes an image manifest with its blobs. */
export async function pushSample(
  repository: Repository,
  layers: readonly SampleLayer[],
  options: SampleImageOptions = {},
): Promise<Descriptor> {
  const { docker = false, platform = AMD64, annotations, tag, extra } = options;
  const config = json({ ...platform, rootfs: { type: 'layers', diff_ids: [] } });
  const configType = docker ? DOCKER_CONFIG : OCI_CONFIG;
  const mediaType = docker ? DOCKER_MANIFEST : OCI_MANIFEST;
  await repository.pushBlob(describe(config, configType), config);
  for (const { bytes, mediaType: type } of layers) await repository.pushBlob(describe(bytes, type), bytes);
  const manifest = json({
    schemaVersion: 2,
    mediaType,
    config: describe(config, configType),
    layers: layers.map(layer => describe(layer.bytes, layer.mediaType)),
    ...(annotations === undefined ? {} : { annotations }),
    ...extra,
  });
  const { digest, size } = await repository.pushManifest(
    manifest,
    mediaType,
    tag === undefined ? {} : { tag },
  );
  return { mediaType, digest, size };
}

export async function pushIndexOf(
  repository: Repository,
  manifests: readonly Descriptor[],
  tag = 'latest',
  docker = false,
): Promise<Descriptor> {
  const mediaType = docker ? DOCKER_MANIFEST_LIST : OCI_INDEX;
  return await repository.pushManifest(json({ schemaVersion: 2, mediaType, manifests }), mediaType, { tag });
}

/** buildkit's attestation manifest for `image`, with the descriptor that an index has for it. */
export async function pushAttestation(repository: Repository, image: Descriptor): Promise<Descriptor> {
  const statement = json({ _type: 'https://in-toto.io/Statement/v0.1', subject: [image.digest] });
  const attestation = await pushSample(
    repository,
    [{ bytes: statement, mediaType: 'application/vnd.in-toto+json' }],
    {
      platform: { architecture: 'unknown', os: 'unknown' },
    },
  );
  return {
    ...attestation,
    annotations: {
      'vnd.docker.reference.digest': image.digest,
      'vnd.docker.reference.type': 'attestation-manifest',
    },
    platform: { architecture: 'unknown', os: 'unknown' },
  };
}

export async function temporaryFolder(t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'seekable-oci-index-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function openLayout(t: Teardown, folder: string): LayoutRepository {
  const repository = new LayoutRepository(new DirectoryFiles(folder, `oci:${folder}`));
  t.teardown(() => repository.close());
  return repository;
}

export async function emptyLayout(t: Teardown): Promise<LayoutRepository> {
  return openLayout(t, join(await temporaryFolder(t), 'layout'));
}

export function at(repository: Repository, reference: string | undefined = 'latest'): OpenedLocation {
  return { repository, reference };
}
