/**
 * Holds every ztoc of an index against its layer: each layer is read once, whole.
 * That a ztoc is wrong is a result; that a layer or a ztoc cannot be had is none.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import type { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import type { Repository } from '../registry/repository.js';
import { verifyZtoc } from '../ztoc/verify.js';
import type { FoundIndex } from './index-candidates.js';
import { loadZtoc } from './load-ztoc.js';
import type { ZtocDescriptor } from './soci-index.js';
import { isDisprovedZtoc } from './ztoc-failures.js';

export interface VerifiedZtoc {
  /** Position in the image, the lowest being 0. */
  readonly position: number;
  readonly layer: Descriptor;
  readonly ztoc: ZtocDescriptor;
  /** What is wrong; undefined when the ztoc describes the layer. */
  readonly error: SociError | undefined;
}

export interface VerifyIndexOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of a layer that have been read. */
  readonly onProgress?: ((layer: Descriptor, bytes: number) => void) | undefined;
}

const VERIFY_OPTIONS: OptionNames<VerifyIndexOptions> = { signal: true, onProgress: true };

/**
 * One result at a time, as layers are read one after the other; a layer that the image has twice is read once.
 *
 * @throws SociError ERR_SOCI_DIGEST_MISMATCH when a layer's own bytes are wrong; what the repository fails with
 */
export async function* verifyIndex(
  repository: Repository,
  image: PlatformManifest,
  { ztocs }: Pick<FoundIndex, 'ztocs'>,
  options: VerifyIndexOptions = {},
): AsyncGenerator<VerifiedZtoc, void, undefined> {
  checkOptions('verifyIndex', options, VERIFY_OPTIONS);
  const seen = new Set<string>();
  for (const [position, layer] of image.manifest.layers.entries()) {
    const ztoc = ztocs[position];
    if (ztoc === undefined || seen.has(layer.digest)) continue;
    seen.add(layer.digest);
    yield { position, layer, ztoc, error: await fault(repository, layer, ztoc, options) };
  }
}

async function fault(
  repository: Repository,
  layer: Descriptor,
  descriptor: ZtocDescriptor,
  { signal, onProgress }: VerifyIndexOptions,
): Promise<SociError | undefined> {
  const source = await repository.openBlob(layer, { signal });
  try {
    const ztoc = await loadZtoc(repository, descriptor, layer, { signal });
    await verifyZtoc(source, ztoc, { signal, onProgress: bytes => onProgress?.(layer, bytes) });
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    if (!isDisprovedZtoc(error) || isOfLayer(error, layer)) throw error;
    return error;
  } finally {
    await source.close();
  }
}

function isOfLayer(error: SociError, layer: Descriptor): boolean {
  return error.code === 'ERR_SOCI_DIGEST_MISMATCH' && error.data['digest'] === layer.digest;
}
