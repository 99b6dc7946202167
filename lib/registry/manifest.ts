/**
 * Image manifests and image indexes, OCI and Docker schema 2. Parsing reads and
 * never rewrites: the raw bytes are what was hashed, unknown members stay in
 * them, and whoever changes a document starts from them.
 */
import { SociError } from '../errors.js';
import {
  type Descriptor,
  expectArray,
  expectObject,
  optionalString,
  parseAnnotations,
  parseDescriptor,
} from './descriptor.js';
import { isIndexType, isManifestType, OCI_INDEX, OCI_MANIFEST } from './media-types.js';

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Larger manifests are refused by registries as well (distribution-spec: at least 4 MiB must be accepted). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/** Descriptors in one document: above what 4 MiB of real manifests hold, below what hurts. */
const MAX_ENTRIES = 20_000;

function unsupported(where: string, detail: string): SociError {
  return new SociError('ERR_SOCI_MANIFEST', `${where}: ${detail}`, { data: { where } });
}

/** A value of a document in a message: cut, since a document is all that bounds it. */
function shown(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 120) ?? 'nothing';
}

function parseJson(bytes: Uint8Array, where: string): unknown {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new SociError(
      'ERR_SOCI_LIMIT',
      `${where}: ${bytes.length} bytes, more than the limit of ${MAX_MANIFEST_BYTES}`,
      {
        data: { where, limit: MAX_MANIFEST_BYTES, found: bytes.length },
      },
    );
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SociError('ERR_SOCI_MANIFEST', `${where}: not JSON in UTF-8`, { data: { where }, cause });
  }
}

/**
 * The kind comes from the document's own mediaType, then from the type it was served as, then from its
 * members. Documents that could be read as both are refused (GHSA-77vh-xpmg-72qh).
 */
function kindOf(
  object: Readonly<Record<string, unknown>>,
  servedAs: string | undefined,
  where: string,
): string {
  const declared = optionalString(object['mediaType'], `${where}.mediaType`);
  const mediaType = declared ?? servedAs ?? '';
  const looksLikeIndex = object['manifests'] !== undefined;
  const looksLikeManifest = object['layers'] !== undefined || object['config'] !== undefined;
  if (object['schemaVersion'] === 1 || object['fsLayers'] !== undefined) {
    throw unsupported(
      where,
      'Docker schema 1 manifests are not supported; push the image again with a current tool',
    );
  }
  if (looksLikeIndex && looksLikeManifest) {
    throw unsupported(
      where,
      'has manifests as well as config or layers, so it could be an index or a manifest',
    );
  }
  const kind = isIndexType(mediaType) ? 'index' : isManifestType(mediaType) ? 'manifest' : undefined;
  if (kind === undefined && declared !== undefined) {
    throw unsupported(where, `expected an image manifest or index, found media type ${shown(declared)}`);
  }
  if (kind === 'index' ? looksLikeManifest : kind === 'manifest' && looksLikeIndex) {
    throw unsupported(where, `its members contradict its media type ${mediaType}`);
  }
  const servedKind = isIndexType(servedAs ?? '')
    ? 'index'
    : isManifestType(servedAs ?? '')
      ? 'manifest'
      : kind;
  if (kind !== undefined && servedKind !== kind) {
    throw unsupported(where, `served as ${shown(servedAs)} but declares media type ${mediaType}`);
  }
  if (kind !== undefined) {
    return mediaType;
  }
  if (!looksLikeIndex && !looksLikeManifest) {
    throw unsupported(where, 'neither an image manifest (config, layers) nor an image index (manifests)');
  }
  return looksLikeIndex ? OCI_INDEX : OCI_MANIFEST;
}

/**
 * @param servedAs Media type of the descriptor or Content-Type that led here, if it is known.
 * @param where What to call the document in messages.
 * @throws SociError ERR_SOCI_MANIFEST, ERR_SOCI_LIMIT
 */
export function parseManifest(
  bytes: Uint8Array,
  servedAs: string | undefined,
  where: string,
): ImageManifest | ImageIndex {
  const object = expectObject(parseJson(bytes, where), where);
  const mediaType = kindOf(object, servedAs, where);
  if (object['schemaVersion'] !== undefined && object['schemaVersion'] !== 2) {
    throw unsupported(where, `expected schemaVersion 2, found ${shown(object['schemaVersion'])}`);
  }
  const artifactType = optionalString(object['artifactType'], `${where}.artifactType`);
  const annotations = parseAnnotations(object['annotations'], `${where}.annotations`);
  const subject = object['subject'] ?? undefined;
  const common = {
    mediaType,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject: parseDescriptor(subject, `${where}.subject`) }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  // Go writes a nil slice as null.
  const list = (key: string): Descriptor[] =>
    expectArray(object[key] ?? [], `${where}.${key}`, MAX_ENTRIES).map((entry, index) =>
      parseDescriptor(entry, `${where}.${key}[${index}]`),
    );
  if (isIndexType(mediaType)) {
    return { kind: 'index', ...common, manifests: list('manifests') };
  }
  return {
    kind: 'manifest',
    ...common,
    config: parseDescriptor(object['config'], `${where}.config`),
    layers: list('layers'),
  };
}

/** What a registry lists as a referrer's artifact type: its own, else its config's (distribution-spec, listing referrers). */
export function artifactTypeOf(manifest: ImageManifest | ImageIndex): string | undefined {
  return manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config.mediaType : undefined);
}
