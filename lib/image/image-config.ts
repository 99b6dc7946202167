/**
 * The image's config (OCI image specification, config.md): how to run it, and
 * what its layers must unpack to. Its bytes have been verified; its content is
 * still anybody's.
 */
import { SociError } from '../errors.js';
import { type ConfigDocument, readConfigDocument } from '../registry/config-document.js';
import { type Descriptor, expectArray, expectObject } from '../registry/descriptor.js';
import { isComputable, requireDigest } from '../registry/digest.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { isLayerType } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';

/** As the document has it. Only `rootfs.diff_ids` has been checked. */
export interface ImageConfig {
  readonly architecture?: string;
  readonly os?: string;
  readonly variant?: string;
  readonly created?: string;
  readonly author?: string;
  readonly config?: {
    readonly User?: string;
    readonly Env?: readonly string[];
    readonly Entrypoint?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly WorkingDir?: string;
    readonly Labels?: Readonly<Record<string, string>>;
    readonly [member: string]: unknown;
  };
  readonly rootfs: { readonly type?: string; readonly diff_ids: readonly string[] };
  readonly history?: readonly Readonly<Record<string, unknown>>[];
  readonly [member: string]: unknown;
}

/** Undefined for an artifact, whose config is of another type. @throws SociError ERR_SOCI_MANIFEST */
export async function loadImageConfig(
  repository: Repository,
  content: PlatformManifest,
  signal: AbortSignal,
): Promise<ImageConfig | undefined> {
  const { manifest, configDocument } = content;
  const document = configDocument ?? (await readConfigDocument(repository, manifest.config, signal));
  const where = `${repository.name}@${manifest.config.digest}`;
  return document && imageConfig(document, where);
}

/** Whoever needs a diffID that is not there says so; nobody else has to care. */
function imageConfig(document: ConfigDocument, where: string): ImageConfig {
  const rootfs = expectObject(document['rootfs'] ?? {}, `${where}.rootfs`);
  const stated = expectArray(rootfs['diff_ids'] ?? [], `${where}.rootfs.diff_ids`, 100_000);
  for (const diffId of stated) requireDigest(String(diffId), `${where}.rootfs.diff_ids`);
  return { ...document, rootfs: { ...rootfs, diff_ids: stated as readonly string[] } };
}

/**
 * The diffID of each position of the manifest. Blobs that are no layers may have one or not: configs are written
 * both ways.
 *
 * @throws SociError ERR_SOCI_MANIFEST when there are diffIDs, but not one for each layer
 */
export function diffIdsOf(
  { rootfs }: ImageConfig,
  layers: readonly Descriptor[],
  where: string,
): readonly (string | undefined)[] {
  // One that cannot be computed proves nothing, so it is as good as none.
  const diffIds = rootfs.diff_ids.map(diffId => (isComputable(diffId) ? diffId : undefined));
  if (diffIds.length === 0 || diffIds.length === layers.length) return layers.map((_, at) => diffIds[at]);
  const present = layers.filter(({ mediaType }) => isLayerType(mediaType));
  if (diffIds.length === present.length) {
    const byPosition = new Map(present.map((layer, at) => [layer, diffIds[at]]));
    return layers.map(layer => byPosition.get(layer));
  }
  throw new SociError(
    'ERR_SOCI_MANIFEST',
    `${where}: ${diffIds.length} diff_ids for ${layers.length} layers of the manifest`,
    { data: { where, expected: layers.length, found: diffIds.length } },
  );
}
