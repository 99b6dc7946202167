/**
 * Which failures are a ztoc's or a layer's own, so that work goes on without it,
 * as opposed to those of whoever was asked for them.
 */
import { SociError } from '../errors.js';
import type { SkipReason } from './layer-choice.js';

/** Of building, when the layer's bytes are what its digest names. */
const LAYER_FAILURES: Readonly<Partial<Record<SociError['code'], SkipReason>>> = {
  ERR_SOCI_UNSUPPORTED_COMPRESSION: 'unsupported',
  ERR_SOCI_TAR_UNSUPPORTED: 'indescribable',
  ERR_SOCI_LIMIT: 'indescribable',
  ERR_SOCI_TAR_HEADER: 'broken',
  ERR_SOCI_GZIP_HEADER: 'broken',
  ERR_SOCI_GZIP_CHECKSUM: 'broken',
  ERR_SOCI_DEFLATE_DATA: 'broken',
  ERR_SOCI_LAYER_TRUNCATED: 'broken',
  ERR_SOCI_LAYER_TRAILING_DATA: 'broken',
};

/** Of fetching a ztoc that an index lists, and of decoding it. */
const ZTOC_FAILURES: readonly SociError['code'][] = [
  'ERR_SOCI_ZTOC_FORMAT',
  'ERR_SOCI_ZTOC_INVALID',
  'ERR_SOCI_ZTOC_MISMATCH',
  'ERR_SOCI_DIGEST_MISMATCH',
  'ERR_SOCI_LIMIT',
  'ERR_SOCI_REGISTRY_NOT_FOUND',
];

/** Why a layer gets no ztoc; undefined when `error` is not about the layer. */
export function layerFailure(error: unknown): SkipReason | undefined {
  if (!(error instanceof SociError)) return undefined;
  const reason = LAYER_FAILURES[error.code];
  return reason === 'unsupported' && error.data['found'] === 'zstd' ? 'zstd' : reason;
}

/** A ztoc that cannot be used, as opposed to a repository that cannot be asked. */
export function isUnusableZtoc(error: unknown): error is SociError {
  return error instanceof SociError && ZTOC_FAILURES.includes(error.code);
}

/** The same of one that was held against its layer: a lie in it looks like a fault of the layer, until one is built. */
export function isDisprovedZtoc(error: unknown): error is SociError {
  return isUnusableZtoc(error) || layerFailure(error) !== undefined;
}
