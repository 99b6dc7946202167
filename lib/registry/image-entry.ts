/**
 * What is an image among all that an index lists and a registry keeps: first by
 * its descriptor, which costs nothing, then by its manifest. Whatever chooses,
 * indexes or converts images goes by these two.
 */
import type { ConfigDocument } from './config-document.js';
import type { Descriptor } from './descriptor.js';
import type { ImageManifest } from './manifest.js';
import { isManifestType } from './media-types.js';
import type { ManifestContent } from './repository.js';

export interface PlatformManifest extends ManifestContent {
  readonly manifest: ImageManifest;
  /** @internal The image's config, where it was read to find the platform. */
  readonly configDocument?: ConfigDocument | undefined;
}

/** On the descriptor of a v2 SOCI index: the image manifest that it serves. */
export const IMAGE_MANIFEST_ANNOTATION = 'com.amazon.soci.image-manifest-digest';
const REFERENCE_TYPE_ANNOTATION = 'vnd.docker.reference.type';
const SOCI_PREFIX = 'application/vnd.amazon.soci.index.';
const SOCI_V2_TYPE = `${SOCI_PREFIX}v2+json`;

/** Whether an entry of an image index is a v2 SOCI index. Older tools drop artifactType when they copy an image. */
export function isSociEntry({ artifactType, annotations }: Descriptor): boolean {
  return artifactType === SOCI_V2_TYPE || annotations?.[IMAGE_MANIFEST_ANNOTATION] !== undefined;
}

/** Whether an entry of an image index looks like an image: attestations have the platform unknown/unknown. */
export function isImageEntry(entry: Descriptor): boolean {
  return (
    isManifestType(entry.mediaType) &&
    entry.artifactType === undefined &&
    !isSociEntry(entry) &&
    entry.platform?.os !== 'unknown' &&
    entry.annotations?.[REFERENCE_TYPE_ANNOTATION] === undefined
  );
}

/** Whether a manifest may be taken for an image: artifacts say what they are, or whom they belong to. */
export function isImage(content: ManifestContent): content is PlatformManifest {
  const { manifest } = content;
  return (
    manifest.kind === 'manifest' &&
    manifest.artifactType === undefined &&
    manifest.subject === undefined &&
    !manifest.config.mediaType.startsWith(SOCI_PREFIX)
  );
}
