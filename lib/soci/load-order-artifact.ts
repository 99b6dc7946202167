/**
 * A load order as registries keep it: an OCI artifact (image specification,
 * "Guidelines for Artifact Usage") of one blob, with the image's manifest as its
 * subject, so that it is found as a referrer, and with the workload's name where
 * lists of referrers show it.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { requireSha256, sha256Digest } from '../registry/digest.js';
import { artifactTypeOf, type ImageManifest, parseManifest } from '../registry/manifest.js';
import { OCI_EMPTY, OCI_MANIFEST } from '../registry/media-types.js';
import { encodeManifest } from './canonical-json.js';
import { encodeLoadOrder, isWorkload, LOAD_ORDER_TYPE, type LoadOrder } from './load-order.js';
import { EMPTY_CONFIG } from './soci-index.js';

/** On the artifact and on its descriptor: the name of the workload. */
export const WORKLOAD_ANNOTATION = 'dev.seekable-oci.workload';

/** A load order with the documents that are stored of it. */
export interface EncodedLoadOrder {
  readonly order: LoadOrder;
  /** Of the artifact's manifest, which is what the load order is found by. */
  readonly descriptor: Descriptor;
  /** The artifact's manifest. */
  readonly bytes: Uint8Array;
  readonly document: { readonly descriptor: Descriptor; readonly bytes: Uint8Array };
}

/** What an artifact's manifest says. */
export interface LoadOrderArtifact {
  readonly workload: string;
  readonly document: Descriptor;
  /** The image manifest's. */
  readonly subject: Descriptor;
}

/**
 * @param subject The image manifest's descriptor.
 * @throws SociError ERR_SOCI_LOAD_ORDER_MISMATCH for a load order of another image; what `encodeLoadOrder` throws
 */
export function encodeLoadOrderArtifact(order: LoadOrder, subject: Descriptor): EncodedLoadOrder {
  const bytes = encodeLoadOrder(order);
  if (order.image !== subject.digest) throw otherImage('the load order', order.image, subject.digest);
  const document = { mediaType: LOAD_ORDER_TYPE, digest: sha256Digest(bytes), size: bytes.length };
  const annotations = { [WORKLOAD_ANNOTATION]: order.workload };
  const manifest: ImageManifest = {
    kind: 'manifest',
    mediaType: OCI_MANIFEST,
    artifactType: LOAD_ORDER_TYPE,
    config: { mediaType: OCI_EMPTY, digest: sha256Digest(EMPTY_CONFIG), size: EMPTY_CONFIG.length },
    layers: [document],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations,
  };
  const artifact = encodeManifest(manifest);
  const descriptor = {
    mediaType: OCI_MANIFEST,
    digest: sha256Digest(artifact),
    size: artifact.length,
    artifactType: LOAD_ORDER_TYPE,
    annotations,
  };
  return { order, descriptor, bytes: artifact, document: { descriptor: document, bytes } };
}

/**
 * Reads the manifest of an artifact.
 *
 * @param where What to call it in messages.
 * @throws SociError ERR_SOCI_LOAD_ORDER_FORMAT; ERR_SOCI_MANIFEST for what is no manifest at all
 */
export function parseLoadOrderArtifact(bytes: Uint8Array, where: string): LoadOrderArtifact {
  const manifest = parseManifest(bytes, OCI_MANIFEST, where);
  const type = artifactTypeOf(manifest) ?? '';
  if (manifest.kind !== 'manifest' || type !== LOAD_ORDER_TYPE) {
    throw malformed(where, `expected an artifact of type ${LOAD_ORDER_TYPE}, found ${shown(type)}`);
  }
  const workload = manifest.annotations?.[WORKLOAD_ANNOTATION];
  if (!isWorkload(workload)) {
    throw malformed(
      where,
      `expected the name of a workload as ${WORKLOAD_ANNOTATION}, found ${shown(workload)}`,
    );
  }
  const [document, ...others] = manifest.layers.filter(({ mediaType }) => mediaType === LOAD_ORDER_TYPE);
  if (document === undefined || others.length > 0) {
    throw malformed(
      where,
      `expected one blob of type ${LOAD_ORDER_TYPE}, found ${others.length && others.length + 1}`,
    );
  }
  if (manifest.subject === undefined) throw malformed(where, 'expected an image as its subject, found none');
  requireSha256(document.digest, `${where}: document`);
  return { workload, document, subject: manifest.subject };
}

export function otherImage(where: string, found: string, expected: string): SociError {
  return new SociError(
    'ERR_SOCI_LOAD_ORDER_MISMATCH',
    `${where}: expected one of the image ${expected}, found one of ${found}; record or derive one for this image`,
    { data: { where, expected, found } },
  );
}

function malformed(where: string, detail: string): SociError {
  return new SociError('ERR_SOCI_LOAD_ORDER_FORMAT', `${where}: ${detail}`, { data: { where } });
}

function shown(text: string | undefined): string {
  return text === undefined ? 'nothing' : JSON.stringify(text.slice(0, 100));
}
