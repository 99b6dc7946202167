/**
 * A ztoc of an index, fetched and bound to its layer: digest and size by the
 * index, the size of the layer by the image manifest. What it says about the
 * layer's content is for span digests, or for verify, to prove.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { OCTET_STREAM } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';
import { checkLimit, resolveLimits, type ZtocLimits } from '../ztoc/limits.js';
import { Ztoc } from '../ztoc/ztoc.js';
import type { ZtocDescriptor } from './soci-index.js';

export interface LoadZtocOptions {
  readonly limits?: Partial<ZtocLimits> | undefined;
  readonly signal?: AbortSignal | undefined;
}

const LOAD_OPTIONS: OptionNames<LoadZtocOptions> = { limits: true, signal: true };

/**
 * @param layer As the image manifest lists it.
 * @throws SociError ERR_SOCI_LIMIT before anything is fetched; ERR_SOCI_ZTOC_MISMATCH for another layer's ztoc;
 *   ERR_SOCI_ZTOC_FORMAT, ERR_SOCI_ZTOC_INVALID; whatever getBlob fails with.
 */
export async function loadZtoc(
  repository: Repository,
  descriptor: ZtocDescriptor,
  layer: Descriptor,
  options: LoadZtocOptions = {},
): Promise<Ztoc> {
  checkOptions('loadZtoc', options, LOAD_OPTIONS);
  const limits = resolveLimits(options.limits);
  const { digest, size } = descriptor;
  checkLimit(limits, 'maxZtocBytes', size, `${repository.name}@${digest}: bytes of ztoc`);
  if (descriptor.layerDigest !== layer.digest)
    throw mismatch(repository, digest, 'layer', descriptor.layerDigest, layer.digest);
  const bytes = await repository.getBlob(ztocBlob(descriptor), {
    signal: options.signal,
    maxBytes: limits.maxZtocBytes,
  });
  const ztoc = Ztoc.decode(bytes, { limits });
  if (ztoc.compressedSize !== layer.size) {
    throw mismatch(repository, digest, 'compressedSize', ztoc.compressedSize, layer.size);
  }
  return ztoc;
}

/** What a repository is asked for. */
export function ztocBlob({ digest, size }: ZtocDescriptor): Descriptor {
  return { mediaType: OCTET_STREAM, digest, size };
}

function mismatch(
  repository: Repository,
  digest: string,
  field: string,
  expected: string | number,
  found: string | number,
): SociError {
  return new SociError(
    'ERR_SOCI_ZTOC_MISMATCH',
    `${repository.name}@${digest}: the ztoc is another layer's: ${field} is ${expected} in the ztoc, ${found} in the image`,
    { data: { field, expected, found, digest } },
  );
}
