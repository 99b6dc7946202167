/**
 * From a list of files to prefetch artifacts, one per layer that holds some of
 * them. As in the reference the topmost layer with such an entry wins, whatever
 * kind of entry it is: links and directories are not followed.
 */
import type { Descriptor } from '../registry/descriptor.js';
import { sha256Digest } from '../registry/digest.js';
import { encodePrefetchArtifact, type SpanRange } from './prefetch-artifact.js';
import { PREFETCH_TYPE, type PrefetchDescriptor } from './soci-index.js';

export interface PrefetchArtifact extends PrefetchDescriptor {
  readonly bytes: Uint8Array;
}

export interface PrefetchPlan {
  /** In the order of the image's layers. */
  readonly artifacts: readonly PrefetchArtifact[];
  /** Paths that no layer has, as they were given. */
  readonly missing: readonly string[];
}

/** Of one layer with a ztoc, lowest first: where it has each of the paths. */
export interface PrefetchLayer {
  readonly layer: Descriptor;
  readonly ranges: readonly (SpanRange | undefined)[];
}

export function planPrefetch(layers: readonly PrefetchLayer[], paths: readonly string[]): PrefetchPlan {
  const ranges = layers.map((): SpanRange[] => []);
  const missing: string[] = [];
  for (const [index, path] of paths.entries()) {
    const position = layers.findLastIndex(layer => layer.ranges[index] !== undefined);
    const range = layers[position]?.ranges[index];
    if (range === undefined) missing.push(path);
    else ranges[position]!.push(range);
  }
  const artifacts = layers.flatMap(({ layer }, position): PrefetchArtifact[] => {
    const spans = ranges[position]!;
    if (spans.length === 0) return [];
    return [describePrefetch(layer.digest, encodePrefetchArtifact(spans))];
  });
  return { artifacts, missing };
}

/** @param bytes Of the artifact. */
export function describePrefetch(layerDigest: string, bytes: Uint8Array): PrefetchArtifact {
  return { digest: sha256Digest(bytes), size: bytes.length, layerDigest, bytes };
}

export function prefetchBlob({ digest, size }: PrefetchDescriptor): Descriptor {
  return { mediaType: PREFETCH_TYPE, digest, size };
}
