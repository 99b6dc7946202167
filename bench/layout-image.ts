/** An image of given gzip layers in an OCI layout on disk, with a SOCI index (v2), made once and kept. */
import { mkdirSync, statSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import {
  type CreateIndexOptions,
  convertImage,
  FileSource,
  openImageLocation,
  RegistryTransport,
  type Repository,
} from '../lib/index.js';
import { LAYER_TYPE, type PushedLayer, pushImageManifest, sha256OfFile } from './image-manifest.js';
import { cached } from './workspace.js';

/** The tag of the image with the index. */
export const INDEXED = 'indexed';

/** @returns the folder of the layout */
export async function layoutImage(
  name: string,
  layers: readonly string[],
  options: Pick<CreateIndexOptions, 'spanSize'> = {},
): Promise<string> {
  return cached(name, async folder => {
    mkdirSync(folder);
    const transport = new RegistryTransport({ credentials: null, env: {} });
    const source = openImageLocation(`oci:${folder}:plain`, transport);
    const target = openImageLocation(`oci:${folder}:${INDEXED}`, transport);
    const pushed: PushedLayer[] = [];
    for (const path of layers) pushed.push(await pushLayer(source.repository, path));
    await pushImageManifest(source.repository, pushed, 'plain');
    await convertImage(source, target, { ...options, minLayerSize: 0 });
    await source.repository.close();
    await target.repository.close();
    await transport.close();
  });
}

/** A gzip layer in a file. */
export async function pushLayer(repository: Repository, path: string): Promise<PushedLayer> {
  const digest = await sha256OfFile(path);
  const diffId = await sha256OfFile(path, createGunzip());
  const layer = { mediaType: LAYER_TYPE, digest, size: statSync(path).size, diffId };
  const content = await FileSource.open(path);
  await repository.pushBlob(layer, content);
  await content.close();
  return layer;
}
