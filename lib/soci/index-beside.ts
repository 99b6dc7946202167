/**
 * The SOCI index (v2) of an image as an image index tells it. Conversion copies the
 * annotation of the manifest to its descriptor and lists the index beside it, so that
 * it can be asked for together with the manifest, whose word is the one that counts.
 */
import type { Descriptor } from '../registry/descriptor.js';
import { isDigest } from '../registry/digest.js';
import { IMAGE_MANIFEST_ANNOTATION, isSociEntry } from '../registry/image-entry.js';
import type { ImageIndex } from '../registry/manifest.js';
import { INDEX_DIGEST_ANNOTATION } from './soci-index.js';

/** Its digest, if the image index says one. */
export function indexBeside({ manifests }: ImageIndex, image: Descriptor): string | undefined {
  const digest =
    image.annotations?.[INDEX_DIGEST_ANNOTATION] ??
    manifests.find(
      entry => isSociEntry(entry) && entry.annotations?.[IMAGE_MANIFEST_ANNOTATION] === image.digest,
    )?.digest;
  return digest !== undefined && isDigest(digest) ? digest : undefined;
}
