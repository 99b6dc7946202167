/**
 * A repository that is asked nothing before it is known that its answers are
 * wanted at all: questions wait until then, and fail if they are not. What makes
 * no request, as the opening of a blob, need not wait.
 */
import { abortable } from '../async/abortable.js';
import { overRepository } from './content-shelf.js';
import type { Repository } from './repository.js';

/**
 * `repository`, for those who read images. It is closed by whoever opened it.
 *
 * @param wanted settles when it may be asked; rejects with what questions are to fail with
 */
export function heldBack(repository: Repository, wanted: Promise<void>): Repository {
  return overRepository(repository, {
    resolve: async (reference, options) => {
      await abortable(wanted, options?.signal);
      return await repository.resolve(reference, options);
    },
    getManifest: async (reference, options) => {
      await abortable(wanted, options?.signal);
      return await repository.getManifest(reference, options);
    },
    getBlob: async (descriptor, options) => {
      await abortable(wanted, options?.signal);
      return await repository.getBlob(descriptor, options);
    },
    referrers: async (digest, options) => {
      await abortable(wanted, options?.signal);
      return await repository.referrers(digest, options);
    },
  });
}
