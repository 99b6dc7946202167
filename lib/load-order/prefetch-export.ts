/**
 * A load order as the reference's prefetch artifacts: whole spans, one artifact for
 * each layer. Their order and their urgency are lost, as the format has neither.
 */
import type { LoadPlan } from '../image/load-plan.js';
import { encodePrefetchArtifact, type SpanRange } from '../soci/prefetch-artifact.js';
import { describePrefetch, type PrefetchArtifact } from '../soci/prefetch-plan.js';

/** In the order of the image's layers; layers of which nothing is loaded have none. */
export function prefetchArtifacts({ steps }: LoadPlan): PrefetchArtifact[] {
  const layers = new Map<string, { readonly position: number; readonly spans: SpanRange[] }>();
  for (const { layer, layerDigest, firstSpan, endSpan } of steps) {
    const found = layers.get(layerDigest) ?? { position: layer, spans: [] };
    found.spans.push({ first: firstSpan, last: endSpan - 1 });
    layers.set(layerDigest, found);
  }
  return [...layers]
    .sort(([, a], [, b]) => a.position - b.position)
    .map(([layerDigest, { spans }]) => describePrefetch(layerDigest, encodePrefetchArtifact(spans)));
}
