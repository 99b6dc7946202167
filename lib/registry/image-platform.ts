/**
 * The platform of an image that no image index lists: the one its config was
 * built for. Kept verbatim, since it goes into documents.
 */
import { SociError } from '../errors.js';
import { type Descriptor, parseDescriptor } from '../registry/descriptor.js';
import { MAX_MANIFEST_BYTES } from '../registry/manifest.js';
import { DOCKER_CONFIG, OCI_CONFIG } from '../registry/media-types.js';
import type { Platform } from '../registry/platform.js';
import type { Repository } from '../registry/repository.js';

/** The members of a config that make a platform, in no particular order. */
const MEMBERS = ['architecture', 'os', 'os.version', 'os.features', 'variant'] as const;

/**
 * Undefined when the config is no image's, or names no system.
 *
 * @throws SociError ERR_SOCI_MANIFEST when the config is not JSON; whatever getBlob fails with.
 */
export async function platformOfConfig(
  repository: Repository,
  config: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Platform | undefined> {
  if (config.mediaType !== OCI_CONFIG && config.mediaType !== DOCKER_CONFIG) return undefined;
  const where = `${repository.name}@${config.digest}`;
  const bytes = await repository.getBlob(config, { signal, maxBytes: MAX_MANIFEST_BYTES });
  let document: Record<string, unknown> | null;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new SociError('ERR_SOCI_MANIFEST', `${where}: the image's config is not JSON`, {
      data: { where },
      cause,
    });
  }
  const members = MEMBERS.filter(key => document?.[key] !== undefined).map(key => [key, document?.[key]]);
  const { platform } = parseDescriptor({ ...config, platform: Object.fromEntries(members) }, where);
  return platform === undefined || platform.os === '' || platform.architecture === '' ? undefined : platform;
}
