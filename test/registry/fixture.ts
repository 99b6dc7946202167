/** What the registry tests share: clients that do not wait, a small image, and waiting for an error. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { SociError } from '../../lib/errors.js';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../lib/registry/media-types.js';
import {
  RegistryRepository,
  type RegistryRepositoryOptions,
} from '../../lib/registry/registry-repository.js';
import type { PushManifestOptions, Repository } from '../../lib/registry/repository.js';
import { type RegistryOptions, RegistryTransport } from '../../lib/registry/transport.js';
import { TestRegistry, type TestRegistryOptions } from '../../lib/testing/testing.js';

export const QUICK = { retries: 2, minDelay: 1, maxDelay: 2 };

export function fixturePath(...parts: string[]): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) {
    directory = dirname(directory);
  }
  return join(directory, 'test', 'fixtures', ...parts);
}

export interface Teardown {
  teardown(handler: () => unknown): void;
}

export async function startRegistry(t: Teardown, options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const registry = await TestRegistry.start(options);
  t.teardown(() => registry.close());
  return registry;
}

/** A client that has no credentials but those given, and retries at once. */
export function startTransport(t: Teardown, options: RegistryOptions = {}): RegistryTransport {
  const transport = new RegistryTransport({ credentials: null, env: {}, retry: QUICK, ...options });
  t.teardown(() => transport.close());
  return transport;
}

export function openRepository(
  transport: RegistryTransport,
  registry: { readonly host: string },
  repository = 'demo/app',
  options: RegistryRepositoryOptions = {},
): RegistryRepository {
  return new RegistryRepository(transport, { registry: registry.host, repository }, options);
}

export function blobOf(bytes: Uint8Array, mediaType = 'application/octet-stream'): Descriptor {
  return { mediaType, digest: sha256Digest(bytes), size: bytes.length };
}

/** Bytes that do not repeat, the same in every run. */
export function sampleBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export async function pushImage(
  repository: Repository,
  layer: Uint8Array,
  options: PushManifestOptions = {},
  extra: Readonly<Record<string, unknown>> = {},
): Promise<Descriptor> {
  const config = Buffer.from('{"architecture":"amd64","os":"linux"}');
  const configDescriptor = blobOf(config, 'application/vnd.oci.image.config.v1+json');
  const layerDescriptor = blobOf(layer, 'application/vnd.oci.image.layer.v1.tar+gzip');
  await repository.pushBlob(configDescriptor, config);
  await repository.pushBlob(layerDescriptor, layer);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: configDescriptor,
    layers: [layerDescriptor],
    ...extra,
  };
  return await repository.pushManifest(Buffer.from(JSON.stringify(manifest)), OCI_MANIFEST, options);
}

export async function pushArtifact(
  repository: Repository,
  subject: Descriptor,
  artifactType: string,
  note = '',
): Promise<Descriptor> {
  const config = Buffer.from('{}');
  await repository.pushBlob(blobOf(config), config);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: blobOf(config, artifactType),
    layers: [],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    ...(note === '' ? {} : { annotations: { note } }),
  };
  return await repository.pushManifest(Buffer.from(JSON.stringify(manifest)), OCI_MANIFEST);
}

export function encodeIndex(manifests: readonly unknown[]): Uint8Array {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

/** The error that `promise` must reject with. */
export async function failure(promise: Promise<unknown>): Promise<SociError> {
  return await promise.then(
    () => {
      throw new Error('expected a rejection');
    },
    (error: unknown) => error as SociError,
  );
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) {
    all.push(chunk);
  }
  return Buffer.concat(all);
}
