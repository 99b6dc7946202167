/**
 * Which layers of an image get a ztoc, as far as their descriptors tell. The
 * order of the questions is the reference's: a small zstd layer is small first.
 */

import type { OptionNames } from '../arguments.js';
import { checkInteger } from '../arguments.js';
import type { Descriptor } from '../registry/descriptor.js';
import { digestAlgorithm, isComputable, requireDigest } from '../registry/digest.js';
import { layerCompression } from '../registry/media-types.js';
import { codecNamed } from '../ztoc/codec/codecs.js';

/**
 * Why a layer has no ztoc. From its descriptor: 'not-a-layer', 'excluded', 'too-small', 'zstd', 'unsupported' (a
 * compression that a ztoc cannot express, or an encrypted layer). From its bytes: 'indescribable' (a tar with
 * entries that a ztoc cannot express, or too many), 'broken' (no valid gzip or tar, although the digest is right);
 * 'not-distributed' (a foreign layer that the registry need not have).
 */
export type SkipReason =
  | 'not-a-layer'
  | 'excluded'
  | 'too-small'
  | 'zstd'
  | 'unsupported'
  | 'indescribable'
  | 'broken'
  | 'not-distributed';

export interface Skip {
  readonly reason: SkipReason;
  readonly message: string;
}

export interface LayerChoice {
  /** Compressed bytes; a layer of exactly this size is indexed. Default 10 MiB. */
  readonly minLayerSize?: number | undefined;
  /** Digests of the only layers to index. Default: all. */
  readonly includeLayers?: readonly string[] | undefined;
  /** Digests of layers to leave out. */
  readonly excludeLayers?: readonly string[] | undefined;
}

export const LAYER_CHOICE_NAMES: OptionNames<LayerChoice> = {
  minLayerSize: true,
  includeLayers: true,
  excludeLayers: true,
};

export const DEFAULT_MIN_LAYER_SIZE: number = 10 * 2 ** 20;

const OCI_LAYER_PREFIX = 'application/vnd.oci.image.layer.';

/** @throws SociError ERR_SOCI_INVALID_ARGUMENT, ERR_SOCI_DIGEST_INVALID */
export function checkLayerChoice(choice: LayerChoice): void {
  const { minLayerSize = DEFAULT_MIN_LAYER_SIZE } = choice;
  checkInteger('minLayerSize', minLayerSize, 0);
  for (const digest of choice.includeLayers ?? []) requireDigest(digest, 'includeLayers');
  for (const digest of choice.excludeLayers ?? []) requireDigest(digest, 'excludeLayers');
}

/** Undefined when the layer is to be indexed. */
export function skipByDescriptor(layer: Descriptor, choice: LayerChoice): Skip | undefined {
  const { mediaType, size, digest } = layer;
  const { minLayerSize = DEFAULT_MIN_LAYER_SIZE, includeLayers, excludeLayers } = choice;
  const compression = layerCompression(mediaType);
  if (compression === undefined && !mediaType.startsWith(OCI_LAYER_PREFIX)) {
    return { reason: 'not-a-layer', message: `${mediaType} is no file-system layer` };
  }
  if (includeLayers?.includes(digest) === false || excludeLayers?.includes(digest) === true) {
    return { reason: 'excluded', message: 'left out on request' };
  }
  if (size < minLayerSize) {
    return { reason: 'too-small', message: `${size} bytes, less than the minimum of ${minLayerSize}` };
  }
  if (!isComputable(digest)) {
    return { reason: 'unsupported', message: `nothing here computes digests of ${digestAlgorithm(digest)}` };
  }
  if (compression !== undefined && codecNamed(compression) !== undefined) return undefined;
  if (compression === 'zstd') {
    return { reason: 'zstd', message: 'a ztoc describes gzip and plain tar layers, this is zstd' };
  }
  return {
    reason: 'unsupported',
    message: `a ztoc describes gzip and plain tar layers, this is ${mediaType}`,
  };
}
