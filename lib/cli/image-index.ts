/** The SOCI index that reads of an image would use, for commands that cannot do without one. */
import { SociError } from '../errors.js';
import {
  type FoundIndex,
  findIndex,
  type ManifestContent,
  type PlatformManifest,
  parsePlatform,
  type Repository,
  selectManifest,
} from '../index.js';
import { selectForHost } from '../registry/platform-selection.js';
import type { ImageSession } from './image-session.js';

export interface UsedIndex {
  readonly image: PlatformManifest;
  readonly found: FoundIndex;
}

/** @param content what the operand names @throws SociError ERR_SOCI_REGISTRY_NOT_FOUND when there is none */
export async function usedIndex(
  session: ImageSession,
  repository: Repository,
  content: ManifestContent,
): Promise<UsedIndex> {
  const { signal } = session;
  const platform = session.onePlatform;
  // As reads choose.
  const image =
    platform === undefined
      ? await selectForHost(repository, content, { signal })
      : await selectManifest(repository, content, parsePlatform(platform), { signal });
  const search = await findIndex(repository, image, { index: session.index, signal });
  if (search.found !== undefined) return { image, found: search.found };
  const failed = search.attempts.find(({ outcome }) => outcome === 'unreachable');
  if (failed !== undefined) throw failed.error;
  const reasons = search.attempts.map(({ message }) => message).join('; ');
  throw new SociError(
    'ERR_SOCI_REGISTRY_NOT_FOUND',
    `${repository.name}@${image.descriptor.digest} has no SOCI index: ${reasons}`,
  );
}
