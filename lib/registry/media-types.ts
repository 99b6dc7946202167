/** Media types of manifests, configs and layers: OCI's, and Docker's schema 2 which means the same things. */

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json';
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
export const DOCKER_MANIFEST_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
export const OCTET_STREAM = 'application/octet-stream';

/** What a client that reads images accepts, best first. */
export const MANIFEST_ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(', ');

export type LayerCompression = 'gzip' | 'zstd' | 'uncompressed';

const LAYERS: ReadonlyMap<string, LayerCompression> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', 'uncompressed'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'uncompressed'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'uncompressed'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', 'uncompressed'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip'],
]);

export function isManifestType(mediaType: string): boolean {
  return mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST;
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI_INDEX || mediaType === DOCKER_MANIFEST_LIST;
}

export function isConfigType(mediaType: string): boolean {
  return mediaType === OCI_CONFIG || mediaType === DOCKER_CONFIG;
}

/** What configs of images have been pushed as by mistake, and docker still takes for them. */
export function isOddConfigType(mediaType: string): boolean {
  const type = essence(mediaType);
  return type === OCTET_STREAM || type === 'text/html';
}

const OCI_LAYER_PREFIX = 'application/vnd.oci.image.layer.';
/** Archives of other names that are unpacked all the same, as charts and build caches have them. */
const TAR_SUFFIX = /[.+/]tar(?:[.+](?:gzip|gz|zstd))?$/;

/** Whether reading takes a blob of this type for a file-system layer, be it one that it cannot unpack. */
export function isLayerType(mediaType: string): boolean {
  return (
    LAYERS.has(mediaType) || mediaType.startsWith(OCI_LAYER_PREFIX) || TAR_SUFFIX.test(essence(mediaType))
  );
}

/** How a layer of this media type is packed; undefined when it is no file-system layer. */
export function layerCompression(mediaType: string): LayerCompression | undefined {
  return LAYERS.get(mediaType);
}

/** The type without parameters, in lower case: `Application/JSON; charset=utf-8` is `application/json`. */
export function essence(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
}
