/**
 * The image's config (OCI image specification, config.md): how to run it, and
 * what its layers must unpack to. Its bytes have been verified; its content is
 * still anybody's.
 */
import { SociError } from '../errors.js';
import { type Descriptor, expectArray, expectObject } from '../registry/descriptor.js';
import { requireSha256 } from '../registry/digest.js';
import { MAX_MANIFEST_BYTES } from '../registry/manifest.js';
import { DOCKER_CONFIG, OCI_CONFIG } from '../registry/media-types.js';
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
  descriptor: Descriptor,
  layerCount: number,
  signal: AbortSignal,
): Promise<ImageConfig | undefined> {
  const { mediaType } = descriptor;
  if (mediaType !== OCI_CONFIG && mediaType !== DOCKER_CONFIG) return undefined;
  const bytes = await repository.getBlob(descriptor, { signal, maxBytes: MAX_MANIFEST_BYTES });
  return parseImageConfig(bytes, layerCount, `${repository.name}@${descriptor.digest}`);
}

/** @param layerCount of the manifest; there must be as many diffIDs */
export function parseImageConfig(bytes: Uint8Array, layerCount: number, where: string): ImageConfig {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SociError('ERR_SOCI_MANIFEST', `${where}: the image's config is not JSON in UTF-8`, {
      data: { where },
      cause,
    });
  }
  const config = expectObject(document, where);
  const rootfs = expectObject(config['rootfs'], `${where}.rootfs`);
  const diffIds = expectArray(rootfs['diff_ids'] ?? [], `${where}.rootfs.diff_ids`, 100_000);
  for (const diffId of diffIds) requireSha256(String(diffId), `${where}.rootfs.diff_ids`);
  if (diffIds.length !== layerCount) {
    throw new SociError(
      'ERR_SOCI_MANIFEST',
      `${where}: ${diffIds.length} diff_ids for ${layerCount} layers of the manifest`,
      { data: { where, expected: layerCount, found: diffIds.length } },
    );
  }
  return { ...config, rootfs: { ...rootfs, diff_ids: diffIds as readonly string[] } };
}
