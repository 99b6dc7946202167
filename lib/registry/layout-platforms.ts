/**
 * Layouts that list an image's manifests one by one, each platform's under the
 * same tag or all of them without any (podman and several builders write that),
 * mean one image of several platforms: this makes the image index that they
 * left out. It is in memory only, and its platforms are those of the one rule.
 */
import type { Descriptor } from './descriptor.js';
import { sha256Digest } from './digest.js';
import { isImage, isImageEntry } from './image-entry.js';
import { platformOf } from './image-platform.js';
import { refName } from './layout-index.js';
import { parseManifest } from './manifest.js';
import { isManifestType, OCI_INDEX } from './media-types.js';
import { normalizePlatform } from './platform.js';
import type { ManifestContent, Repository } from './repository.js';

/** Real images have a dozen platforms; each may cost two documents to be read. */
const MAX_PLATFORMS = 100;

/**
 * @param entries All that the reference names in index.json.
 * @returns undefined when they are no image of several platforms: their tags differ, two are for one platform, or what
 *   one is for is not said
 */
export async function composeIndex(
  repository: Repository,
  entries: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<ManifestContent | undefined> {
  const tag = refName(entries[0] as Descriptor);
  const unique = [...new Map(entries.map(entry => [entry.digest, entry])).values()];
  if (unique.length > MAX_PLATFORMS) return undefined;
  if (!unique.every(entry => isManifestType(entry.mediaType) && refName(entry) === tag)) return undefined;
  const manifests: Descriptor[] = [];
  const platforms = new Set<string>();
  for (const { annotations: _, ...entry } of unique.filter(isImageEntry)) {
    const content = await repository.getManifest(entry, { signal });
    if (!isImage(content)) continue;
    const platform = await platformOf(repository, entry, content.manifest.config, signal);
    const key = platform && JSON.stringify(normalizePlatform(platform));
    if (key === undefined || platforms.has(key)) return undefined;
    platforms.add(key);
    manifests.push({ ...entry, platform: platform as NonNullable<typeof platform> });
  }
  if (manifests.length === 0) return undefined;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
  const digest = sha256Digest(bytes);
  const manifest = parseManifest(bytes, OCI_INDEX, `${repository.name}@${digest}`);
  return { descriptor: { mediaType: OCI_INDEX, digest, size: bytes.length }, bytes, manifest };
}
