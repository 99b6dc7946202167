/**
 * Deletes a v1 index of an image. Nothing else is deleted in its name: the digest
 * must be one of a SOCI index whose subject is a manifest of the image. Its ztocs
 * stay, as other indexes may list them; a registry collects what nothing needs.
 */
import { checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { requireSha256 } from '../registry/digest.js';
import type { OpenedLocation } from '../registry/image-location.js';
import { requireWritable } from '../registry/repository.js';
import { resolveImages } from './platform-images.js';
import { parseSociIndex } from './soci-index.js';

export interface RemoveIndexOptions {
  /** Only find out whether it could be. */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const REMOVE_OPTIONS: OptionNames<RemoveIndexOptions> = { dryRun: true, signal: true };

/**
 * @returns the descriptor of the manifest that the index belonged to
 * @throws SociError ERR_SOCI_INDEX_MISMATCH for an index of v2, which is part of its image, or of another image;
 *   ERR_SOCI_INDEX_FORMAT for what is no SOCI index; ERR_SOCI_REGISTRY_NOT_FOUND; what the repository fails with
 */
export async function removeIndex(
  location: OpenedLocation,
  digest: string,
  options: RemoveIndexOptions = {},
): Promise<Descriptor> {
  checkOptions('removeIndex', options, REMOVE_OPTIONS);
  const { dryRun, signal } = options;
  const { repository, reference } = location;
  if (dryRun !== true) requireWritable(repository);
  const where = `${repository.name}@${requireSha256(digest, 'index')}`;
  const { bytes } = await repository.getManifest(digest, { signal });
  const { version, subject } = parseSociIndex(bytes, where);
  if (version !== 'v1' || subject === undefined) {
    throw mismatch(where, 'it is a v2 index, which is part of its image and is deleted with it');
  }
  const { images } = await resolveImages(repository, reference, { signal });
  const image = images.find(({ descriptor }) => descriptor.digest === subject.digest);
  if (image === undefined)
    throw mismatch(where, `it belongs to ${subject.digest}, which is not of this image`);
  if (dryRun !== true) {
    await repository.deleteManifest(digest, { signal });
    await repository.commit({ signal });
  }
  return image.descriptor;
}

function mismatch(where: string, detail: string): SociError {
  return new SociError('ERR_SOCI_INDEX_MISMATCH', `${where} is not deleted: ${detail}`, { data: { where } });
}
