// Pushes layers as an image, as any builder does: blobs, config, manifest.
import { createHash } from 'node:crypto';

import { FileSource } from '../dist/index.js';

const OCI = 'application/vnd.oci.image';

/** @param target What openImageLocation gives: a repository and a tag. */
export async function pushImage({ repository, reference }, layers, platform) {
  for (const { file, descriptor } of layers) {
    const source = await FileSource.open(file);
    try {
      await repository.pushBlob(descriptor, source);
    } finally {
      await source.close();
    }
  }
  const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) };
  const config = Buffer.from(JSON.stringify({ ...platform, rootfs }));
  const digest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const descriptor = { mediaType: `${OCI}.config.v1+json`, digest, size: config.length };
  await repository.pushBlob(descriptor, config);
  const mediaType = `${OCI}.manifest.v1+json`;
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: descriptor,
    layers: layers.map(layer => layer.descriptor),
  };
  await repository.pushManifest(Buffer.from(JSON.stringify(manifest)), mediaType, { tag: reference });
}
