/** How much of an image a store has: what another tool would need of it, and whether it is known to be right. */
import type { PlatformManifest } from '../registry/image-entry.js';
import type { BlobCompletion, Store } from '../store/store.js';

export interface ImageCompletion {
  /** Manifest, config and layers, each once. */
  readonly blobs: readonly BlobCompletion[];
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
  signal: AbortSignal,
): Promise<ImageCompletion> {
  const wanted = [descriptor, manifest.config, ...manifest.layers];
  const byDigest = new Map(wanted.map(blob => [blob.digest, blob]));
  const blobs: BlobCompletion[] = [];
  for (const blob of byDigest.values()) {
    signal.throwIfAborted();
    blobs.push(await store.completion(blob));
  }
  return {
    blobs,
    size: blobs.reduce((sum, { size }) => sum + size, 0),
    present: blobs.reduce((sum, { present }) => sum + present, 0),
    proved: blobs.every(({ proved }) => proved),
  };
}
