/** The config and the manifest that make an image of layers that a repository has. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { arch } from 'node:os';
import { pipeline } from 'node:stream/promises';
import type { Descriptor, Repository } from '../lib/index.js';

export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

export interface PushedLayer extends Descriptor {
  /** The digest of the tar in it. */
  readonly diffId: string;
}

export async function pushImageManifest(
  repository: Repository,
  layers: readonly PushedLayer[],
  tag: string,
): Promise<void> {
  const config = Buffer.from(
    JSON.stringify({
      architecture: arch() === 'x64' ? 'amd64' : arch(),
      os: 'linux',
      config: { Cmd: ['node'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    }),
  );
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const descriptor = { mediaType: CONFIG_TYPE, digest, size: config.length };
  await repository.pushBlob(descriptor, config);
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor,
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  };
  await repository.pushManifest(Buffer.from(JSON.stringify(manifest)), MANIFEST_TYPE, { tag });
}

export async function sha256OfFile(path: string, ...through: NodeJS.ReadWriteStream[]): Promise<string> {
  const hash = createHash('sha256');
  await pipeline([createReadStream(path), ...through, hash]);
  return `sha256:${hash.digest('hex')}`;
}
