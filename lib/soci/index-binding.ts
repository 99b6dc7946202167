/**
 * Which ztoc of an index belongs to which layer of an image. An index only says
 * so by digest, so one that was made for another image, or by somebody with odd
 * intentions, gives nothing to layers that it does not name.
 */
import type { ImageManifest } from '../registry/manifest.js';
import type { PrefetchDescriptor, SociIndex, ZtocDescriptor } from './soci-index.js';

export interface IndexBinding {
  /** One place per layer of the manifest; of several ztocs for one layer the first holds. */
  readonly ztocs: readonly (ZtocDescriptor | undefined)[];
  /** One place per layer of the manifest. */
  readonly prefetches: readonly (PrefetchDescriptor | undefined)[];
  /** Layers with a ztoc. */
  readonly covered: number;
}

export function bindIndex(index: SociIndex, manifest: ImageManifest): IndexBinding {
  const ztocOf = firstByLayer(index.ztocs);
  const prefetchOf = firstByLayer(index.prefetches);
  const ztocs = manifest.layers.map(({ digest }) => ztocOf.get(digest));
  return {
    ztocs,
    prefetches: manifest.layers.map(({ digest }) => prefetchOf.get(digest)),
    covered: ztocs.filter(ztoc => ztoc !== undefined).length,
  };
}

function firstByLayer<T extends { readonly layerDigest: string }>(all: readonly T[]): ReadonlyMap<string, T> {
  const byLayer = new Map<string, T>();
  for (const each of all) {
    if (!byLayer.has(each.layerDigest)) byLayer.set(each.layerDigest, each);
  }
  return byLayer;
}
