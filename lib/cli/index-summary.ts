/** Indexes that were built, as the commands print them. */
import {
  type BuiltIndexes,
  type CreatedIndex,
  formatPlatform,
  type PlatformImage,
  type SkippedLayer,
  type ZtocSummary,
} from '../index.js';
import { byteText } from './byte-text.js';

export function platformText(image: Pick<PlatformImage, 'platform'>): string {
  return image.platform === undefined ? '-' : formatPlatform(image.platform);
}

export function createdAsJson(created: CreatedIndex<ZtocSummary>): Record<string, unknown> {
  const { descriptor, index, image, layers, skipped, prefetches, missingFiles } = created;
  return {
    digest: descriptor.digest,
    size: descriptor.size,
    version: index.version,
    platform: platformText(image),
    image: image.descriptor.digest,
    layers: layers.map(({ position, layer, ztoc, origin }) => ({
      position,
      digest: layer.digest,
      size: layer.size,
      ztoc: ztoc.digest,
      ztocSize: ztoc.size,
      spans: ztoc.spanCount,
      entries: ztoc.entryCount,
      largestSpan: ztoc.largestSpan,
      origin,
    })),
    skipped: skipped.map(skippedAsJson),
    prefetches: prefetches.map(({ digest, size, layerDigest }) => ({ digest, size, layer: layerDigest })),
    missingFiles,
  };
}

function skippedAsJson({ position, layer, reason, message }: SkippedLayer) {
  return { position, digest: layer.digest, size: layer.size, reason, message };
}

/** Images that got no index, and those that are listed but not there. */
export function leftOutAsJson(
  result: Omit<BuiltIndexes, 'indexes'> & { readonly absent: readonly { digest: string }[] },
) {
  return {
    empty: result.empty.map(({ image, skipped }) => ({
      platform: platformText(image),
      image: image.descriptor.digest,
      skipped: skipped.map(skippedAsJson),
    })),
    absent: result.absent.map(({ digest }) => digest),
  };
}

/** One line: digest, platform, how much is indexed, at what price. */
export function createdText(
  { descriptor, image, layers, skipped }: CreatedIndex<ZtocSummary>,
  outcome: string,
): string {
  const ztocs = layers.reduce((sum, { ztoc }) => sum + ztoc.size, 0);
  const indexed = `${layers.length} of ${layers.length + skipped.length} layers`;
  return `${descriptor.digest}  ${platformText(image)}  ${indexed}, ${byteText(ztocs)} of ztocs  ${outcome}\n`;
}
