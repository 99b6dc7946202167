/**
 * What a manifest is that has no files to read: registries keep SOCI indexes,
 * attestations, signatures, charts and modules as manifests too, and whoever
 * names one as an image is told which of these it is.
 */
import { SociError } from '../errors.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { artifactTypeOf, type ImageManifest } from '../registry/manifest.js';
import { isConfigType, isLayerType, isOddConfigType } from '../registry/media-types.js';
import { SOCI_INDEX_TYPE } from '../soci/soci-index.js';

const IN_TOTO = 'application/vnd.in-toto+json';
/** Of all types of blobs, a message names so many. */
const MAX_TYPES = 5;

/** An image may have no layer at all; an artifact has none of an image, or not even its config. */
export function isPureArtifact({ config, layers }: ImageManifest): boolean {
  if (layers.length > 0) return !layers.some(({ mediaType }) => isLayerType(mediaType));
  return !isConfigType(config.mediaType) && !isOddConfigType(config.mediaType);
}

/** @param where The repository and the manifest in it. */
export function noFilesError(where: string, { manifest }: PlatformManifest): SociError {
  const types = [...new Set(manifest.layers.map(({ mediaType }) => mediaType))];
  const shown = types.slice(0, MAX_TYPES).join(', ') + (types.length > MAX_TYPES ? ', …' : '');
  const blobs = types.length === 0 ? 'no blobs' : `blobs of ${shown}`;
  return new SociError(
    'ERR_SOCI_MANIFEST',
    `${where}: expected an image with file-system layers, found ${kindOf(manifest)} with ${blobs}`,
    { data: { where, artifactType: artifactTypeOf(manifest), mediaTypes: types.slice(0, 100) } },
  );
}

function kindOf(manifest: ImageManifest): string {
  const type = artifactTypeOf(manifest) ?? '';
  for (const [version, name] of Object.entries(SOCI_INDEX_TYPE)) {
    if (type === name || manifest.config.mediaType === name) {
      return `a SOCI index (${version}; \`index info\` shows it)`;
    }
  }
  if (manifest.layers.some(({ mediaType }) => mediaType === IN_TOTO)) return 'an attestation';
  return `an artifact of type ${JSON.stringify(type.slice(0, 100))}`;
}
