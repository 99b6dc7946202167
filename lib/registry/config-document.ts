/**
 * The config of an image as the JSON that it is: what reading takes diffIDs from
 * and what says the platform where no index does. Old versions of docker pushed
 * configs as application/octet-stream, some registries turned that into
 * text/html (moby/moby#22378); there the content decides.
 */
import { SociError } from '../errors.js';
import { type Descriptor, expectObject } from './descriptor.js';
import { MAX_MANIFEST_BYTES } from './manifest.js';
import { isConfigType, isOddConfigType } from './media-types.js';
import type { Repository } from './repository.js';

export type ConfigDocument = Readonly<Record<string, unknown>>;

/**
 * Undefined when the config is no image's.
 *
 * @throws SociError ERR_SOCI_MANIFEST when it says that it is one and is no JSON object; whatever getBlob fails with.
 */
export async function readConfigDocument(
  repository: Repository,
  config: Descriptor,
  signal: AbortSignal | undefined,
): Promise<ConfigDocument | undefined> {
  const odd = isOddConfigType(config.mediaType);
  if (!odd && !isConfigType(config.mediaType)) return undefined;
  // Any bytes may be an octet stream: what is too large or no JSON object is simply no config.
  if (odd && config.size > MAX_MANIFEST_BYTES) return undefined;
  const where = `${repository.name}@${config.digest}`;
  const bytes = await repository.getBlob(config, { signal, maxBytes: MAX_MANIFEST_BYTES });
  try {
    const document = parseConfigDocument(bytes, where);
    return odd && document['architecture'] === undefined && document['rootfs'] === undefined
      ? undefined
      : document;
  } catch (error) {
    if (odd) return undefined;
    throw error;
  }
}

/** @throws SociError ERR_SOCI_MANIFEST */
export function parseConfigDocument(bytes: Uint8Array, where: string): ConfigDocument {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SociError('ERR_SOCI_MANIFEST', `${where}: the image's config is not JSON in UTF-8`, {
      data: { where },
      cause,
    });
  }
  return expectObject(document, where);
}
