/**
 * The `manifest.json` of what `docker save` writes (moby, image/spec/v1.2.md): which files of the archive are an
 * image's config and layers, and what the image is called.
 */
import { SociError } from '../errors.js';
import { expectArray, expectObject } from './descriptor.js';
import { MAX_MANIFEST_BYTES } from './manifest.js';

export const DOCKER_ARCHIVE_MANIFEST = 'manifest.json';

export interface DockerImage {
  /** Path in the archive. */
  readonly config: string;
  /** As written, `alpine:3.18` or `docker.io/library/alpine:3.18`. */
  readonly tags: readonly string[];
  /** Paths in the archive, lowest layer first. */
  readonly layers: readonly string[];
}

/** Far more than anybody saves in one archive; each costs a config. */
const MAX_IMAGES = 1000;
/** Of one image. */
const MAX_NAMES = 20_000;

/** @throws SociError ERR_SOCI_LAYOUT, ERR_SOCI_MANIFEST, ERR_SOCI_LIMIT */
export function parseDockerManifest(bytes: Uint8Array, where: string): readonly DockerImage[] {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    throw new SociError('ERR_SOCI_LIMIT', `${where}: more than the limit of ${MAX_MANIFEST_BYTES} bytes`, {
      data: { where, limit: MAX_MANIFEST_BYTES },
    });
  }
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SociError('ERR_SOCI_LAYOUT', `${where}: not JSON in UTF-8`, { data: { where }, cause });
  }
  return expectArray(document, where, MAX_IMAGES).map((entry, position) => {
    const image = expectObject(entry, `${where}[${position}]`);
    const { Config: config, RepoTags: tags, Layers: layers } = image;
    return {
      config: nameIn(config, `${where}[${position}].Config`),
      tags: namesIn(tags, `${where}[${position}].RepoTags`),
      layers: namesIn(layers, `${where}[${position}].Layers`),
    };
  });
}

/** Go writes a nil slice as null. */
function namesIn(value: unknown, where: string): readonly string[] {
  return expectArray(value ?? [], where, MAX_NAMES).map(name => nameIn(name, where));
}

function nameIn(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '') return value;
  const found = JSON.stringify(value)?.slice(0, 120) ?? 'nothing';
  throw new SociError('ERR_SOCI_LAYOUT', `${where}: expected a name, found ${found}`, { data: { where } });
}
