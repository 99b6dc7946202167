/**
 * The one rule of platforms: an image is for what its descriptor says, else for
 * what its config was built for. Kept verbatim, since it goes into documents.
 */
import { SociError } from '../errors.js';
import { type ConfigDocument, readConfigDocument } from './config-document.js';
import { type Descriptor, parseDescriptor } from './descriptor.js';
import { formatPlatform, type Platform } from './platform.js';
import type { Repository } from './repository.js';

/** The members of a config that make a platform, in no particular order. */
const MEMBERS = ['architecture', 'os', 'os.version', 'os.features', 'variant'] as const;
/** Of all platforms that there are, a message names so many. */
const MAX_NAMED = 20;

/**
 * @param entry How an index lists the image; undefined for an image of its own.
 * @returns undefined when neither says a system
 * @throws SociError ERR_SOCI_MANIFEST when the config is not JSON; whatever getBlob fails with.
 */
export async function platformOf(
  repository: Repository,
  entry: Descriptor | undefined,
  config: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Platform | undefined> {
  return (await platformAndConfig(repository, entry, config, signal)).platform;
}

/** As `platformOf`, with the config where it had to be read: nobody need fetch it again. */
export async function platformAndConfig(
  repository: Repository,
  entry: Descriptor | undefined,
  config: Descriptor,
  signal: AbortSignal | undefined,
): Promise<{ platform: Platform | undefined; document?: ConfigDocument | undefined }> {
  if (entry?.platform !== undefined) return { platform: entry.platform };
  const document = await readConfigDocument(repository, config, signal);
  if (document === undefined) return { platform: undefined };
  const members = MEMBERS.filter(key => document[key] !== undefined).map(key => [key, document[key]]);
  const where = `${repository.name}@${config.digest}`;
  const { platform } = parseDescriptor({ ...config, platform: Object.fromEntries(members) }, where);
  const isStated = platform !== undefined && platform.os !== '' && platform.architecture !== '';
  return { platform: isStated ? platform : undefined, document };
}

/** That no image fits: the message names the platforms that there are, `data.platforms` lists all of them. */
export function platformError(where: string, detail: string, offered: readonly Platform[]): SociError {
  const platforms = [...new Set(offered.map(formatPlatform))];
  const named = `${platforms.slice(0, MAX_NAMED).join(', ')}${platforms.length > MAX_NAMED ? ', …' : ''}`;
  const choice = platforms.length === 0 ? '' : `; it has ${named}`;
  return new SociError('ERR_SOCI_PLATFORM', `${where}: ${detail}${choice}`, { data: { platforms } });
}
