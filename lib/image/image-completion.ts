/** How much of an image a store has: what another tool would need of it, and whether it is known to be right. */
import type { PlatformManifest } from '../registry/image-entry.js';
import type { BlobCompletion, Store } from '../store/store.js';
import { type DiffIdProof, knownDiffId } from './diff-id-proof.js';
import type { LayerDescription } from './image-layer.js';

export interface ImageBlobCompletion extends BlobCompletion {
  /**
   * Of a layer that was completed by `prefetch('all')`: whether it decodes to the tar that the config states. Undefined
   * when nobody has looked, or the config states none.
   */
  readonly diffId: DiffIdProof | undefined;
}

export interface ImageCompletion {
  /** Manifest, config and layers, each once. */
  readonly blobs: readonly ImageBlobCompletion[];
  /** Bytes of all of them. */
  readonly size: number;
  /** Bytes that are there. */
  readonly present: number;
  /** All of them are there and had their digests when they became whole. */
  readonly proved: boolean;
}

export async function imageCompletion(
  store: Store,
  { descriptor, manifest }: PlatformManifest,
  layers: readonly Pick<LayerDescription, 'descriptor' | 'diffId'>[],
  signal: AbortSignal,
): Promise<ImageCompletion> {
  const wanted = [descriptor, manifest.config, ...manifest.layers];
  const byDigest = new Map(wanted.map(blob => [blob.digest, blob]));
  const diffIds = new Map(layers.map(layer => [layer.descriptor.digest, layer.diffId]));
  const blobs: ImageBlobCompletion[] = [];
  for (const blob of byDigest.values()) {
    signal.throwIfAborted();
    const diffId = await knownDiffId(store, blob.digest, diffIds.get(blob.digest));
    blobs.push({ ...(await store.completion(blob)), diffId });
  }
  return {
    blobs,
    size: blobs.reduce((sum, { size }) => sum + size, 0),
    present: blobs.reduce((sum, { present }) => sum + present, 0),
    proved: blobs.every(({ proved }) => proved),
  };
}
