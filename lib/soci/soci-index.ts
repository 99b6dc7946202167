/**
 * The SOCI index: an OCI image manifest whose "layers" are the ztocs of an
 * image's layers. Version 1 names its image as `subject` and is found as a
 * referrer; version 2 has no subject and is bound by annotations inside the
 * image index. This file is the format alone; nothing here talks to a registry.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { requireDigest, requireSha256, sha256Digest } from '../registry/digest.js';
import { type ImageManifest, parseManifest } from '../registry/manifest.js';
import { OCI_MANIFEST, OCTET_STREAM } from '../registry/media-types.js';
import { encodeManifest } from './canonical-json.js';

export type SociIndexVersion = 'v1' | 'v2';

export const SOCI_INDEX_TYPE: Readonly<Record<SociIndexVersion, string>> = {
  v1: 'application/vnd.amazon.soci.index.v1+json',
  v2: 'application/vnd.amazon.soci.index.v2+json',
};
export const PREFETCH_TYPE = 'application/vnd.amazon.soci.prefetch.v1+json';

/** On a ztoc or prefetch artifact: the digest of the image layer that it describes. */
export const LAYER_DIGEST_ANNOTATION = 'com.amazon.soci.image-layer-digest';
const LAYER_TYPE_ANNOTATION = 'com.amazon.soci.image-layer-mediaType';
const SPAN_SIZE_ANNOTATION = 'com.amazon.soci.span-size';
const DISABLE_XATTRS_ANNOTATION = 'com.amazon.soci.disable-xattrs';
const BUILD_TOOL_ANNOTATION = 'com.amazon.soci.build-tool-identifier';
/** On an image manifest and on its descriptor: the digest of its version 2 index. */
export const INDEX_DIGEST_ANNOTATION = 'com.amazon.soci.index-digest';

/** The config blob of every SOCI index. */
export const EMPTY_CONFIG = Buffer.from('{}');

/** A ztoc as an index lists it. */
export interface ZtocDescriptor {
  readonly digest: string;
  /** Bytes of the ztoc. */
  readonly size: number;
  readonly layerDigest: string;
  readonly layerMediaType: string;
  /** The builder's configured span size in uncompressed bytes; undefined when the index does not say. */
  readonly spanSize: number | undefined;
  /** The layer has neither extended attributes nor opaque directories, so a mount need not serve any. */
  readonly disableXattrs: boolean;
}

export interface PrefetchDescriptor {
  readonly digest: string;
  readonly size: number;
  readonly layerDigest: string;
}

export interface SociIndex {
  readonly version: SociIndexVersion;
  /** In the order of the image's layers; skipped layers are missing. */
  readonly ztocs: readonly ZtocDescriptor[];
  readonly prefetches: readonly PrefetchDescriptor[];
  /** v1: the image manifest. v2: undefined. */
  readonly subject: Descriptor | undefined;
  readonly buildToolIdentifier: string | undefined;
}

/** An index with its own bytes and the name that those have. */
export interface EncodedSociIndex {
  readonly index: SociIndex;
  readonly bytes: Uint8Array;
  readonly descriptor: Descriptor;
}

function ztocLayer(ztoc: ZtocDescriptor): Descriptor {
  return {
    mediaType: OCTET_STREAM,
    digest: ztoc.digest,
    size: ztoc.size,
    annotations: {
      [LAYER_DIGEST_ANNOTATION]: ztoc.layerDigest,
      [LAYER_TYPE_ANNOTATION]: ztoc.layerMediaType,
      ...(ztoc.spanSize === undefined ? {} : { [SPAN_SIZE_ANNOTATION]: String(ztoc.spanSize) }),
      ...(ztoc.disableXattrs ? { [DISABLE_XATTRS_ANNOTATION]: 'true' } : {}),
    },
  };
}

function prefetchLayer(prefetch: PrefetchDescriptor): Descriptor {
  return {
    mediaType: PREFETCH_TYPE,
    digest: prefetch.digest,
    size: prefetch.size,
    annotations: { [LAYER_DIGEST_ANNOTATION]: prefetch.layerDigest },
  };
}

/** The canonical bytes of an index; equal indexes have equal digests. */
export function encodeSociIndex(index: SociIndex): EncodedSociIndex {
  const manifest: ImageManifest = {
    kind: 'manifest',
    mediaType: OCI_MANIFEST,
    config: {
      mediaType: SOCI_INDEX_TYPE[index.version],
      digest: sha256Digest(EMPTY_CONFIG),
      size: EMPTY_CONFIG.length,
    },
    layers: [...index.ztocs.map(ztocLayer), ...index.prefetches.map(prefetchLayer)],
    ...(index.subject === undefined ? {} : { subject: index.subject }),
    ...(index.buildToolIdentifier === undefined
      ? {}
      : { annotations: { [BUILD_TOOL_ANNOTATION]: index.buildToolIdentifier } }),
  };
  const bytes = encodeManifest(manifest);
  const descriptor = {
    mediaType: OCI_MANIFEST,
    digest: sha256Digest(bytes),
    size: bytes.length,
    artifactType: SOCI_INDEX_TYPE[index.version],
  };
  return { index, bytes, descriptor };
}

/** Go's strconv.ParseBool, which decides in the reference; anything else is false. */
function parseBool(text: string | undefined): boolean {
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text ?? '');
}

function parseSpanSize(text: string | undefined): number | undefined {
  const size = /^\d{1,16}$/.test(text ?? '') ? Number(text) : Number.NaN;
  return Number.isSafeInteger(size) ? size : undefined;
}

function versionOf(configType: string, where: string): SociIndexVersion {
  if (configType === SOCI_INDEX_TYPE.v1) return 'v1';
  if (configType === SOCI_INDEX_TYPE.v2) return 'v2';
  throw new SociError(
    'ERR_SOCI_INDEX_FORMAT',
    `${where}: expected a SOCI index (config ${SOCI_INDEX_TYPE.v1} or ${SOCI_INDEX_TYPE.v2}), found config ${JSON.stringify(configType.slice(0, 100))}`,
    { data: { where, configType: configType.slice(0, 100) } },
  );
}

/**
 * Reads an index from its raw bytes. Members that this version does not know
 * are ignored, blobs of other media types and blobs that name no layer too.
 *
 * @param where What to call the index in messages.
 * @throws SociError ERR_SOCI_INDEX_FORMAT when the document is no SOCI index,
 *   ERR_SOCI_MANIFEST when it is no manifest at all, ERR_SOCI_DIGEST_INVALID.
 */
export function parseSociIndex(bytes: Uint8Array, where: string): SociIndex {
  const manifest = parseManifest(bytes, OCI_MANIFEST, where);
  if (manifest.kind !== 'manifest') {
    throw new SociError('ERR_SOCI_INDEX_FORMAT', `${where}: expected a SOCI index, found an image index`, {
      data: { where },
    });
  }
  const version = versionOf(manifest.config.mediaType, where);
  const ztocs: ZtocDescriptor[] = [];
  const prefetches: PrefetchDescriptor[] = [];
  for (const layer of manifest.layers) {
    const layerDigest = layer.annotations?.[LAYER_DIGEST_ANNOTATION];
    if (layerDigest === undefined) continue;
    const common = {
      digest: requireSha256(layer.digest, `${where}: blob`),
      size: layer.size,
      layerDigest: requireDigest(layerDigest, `${where}: layer of blob ${layer.digest}`),
    };
    if (layer.mediaType === PREFETCH_TYPE) {
      prefetches.push(common);
    } else if (layer.mediaType === OCTET_STREAM) {
      ztocs.push({
        ...common,
        layerMediaType: layer.annotations?.[LAYER_TYPE_ANNOTATION] ?? '',
        spanSize: parseSpanSize(layer.annotations?.[SPAN_SIZE_ANNOTATION]),
        disableXattrs: parseBool(layer.annotations?.[DISABLE_XATTRS_ANNOTATION]),
      });
    }
  }
  return {
    version,
    ztocs,
    prefetches,
    subject: manifest.subject,
    buildToolIdentifier: manifest.annotations?.[BUILD_TOOL_ANNOTATION],
  };
}
