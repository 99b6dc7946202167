/** The SOCI index that reads of an image would use, for commands that cannot do without one. */
import { SociError } from '../errors.js';
import {
  type FoundIndex,
  findIndex,
  hostPlatform,
  type ManifestContent,
  type PlatformManifest,
  parsePlatform,
  type Repository,
  selectManifest,
} from '../index.js';
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
  const image = await imageOf(repository, content, session.onePlatform, signal);
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

/** As reads choose: the platform named, the host's, or the only one. */
async function imageOf(
  repository: Repository,
  content: ManifestContent,
  platform: string | undefined,
  signal: AbortSignal,
): Promise<PlatformManifest> {
  const wanted = platform === undefined ? hostPlatform() : parsePlatform(platform);
  try {
    return await selectManifest(repository, content, wanted, { signal });
  } catch (error) {
    const { code, data } = error as SociError;
    const only = code === 'ERR_SOCI_PLATFORM' && (data['platforms'] as readonly string[]).length === 1;
    if (platform !== undefined || !only) throw error;
    return await selectManifest(repository, content, undefined, { signal });
  }
}
