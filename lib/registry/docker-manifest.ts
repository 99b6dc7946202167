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
/** Tags and layers of all images: each costs a descriptor, and a layer its first bytes. */
const MAX_NAMES = 100_000;

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
  let left = MAX_NAMES;
  /** Go writes a nil slice as null. */
  const namesIn = (value: unknown, where: string): readonly string[] => {
    const names = expectArray(value ?? [], where, MAX_NAMES);
    left -= names.length;
    if (left >= 0) return names.map(name => nameIn(name, where));
    const message = `${where}: all images together have more than ${MAX_NAMES} tags and layers`;
    throw new SociError('ERR_SOCI_LIMIT', message, { data: { where, limit: MAX_NAMES } });
  };
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

function nameIn(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '') return value;
  const found = JSON.stringify(value)?.slice(0, 120) ?? 'nothing';
  throw new SociError('ERR_SOCI_LAYOUT', `${where}: expected a name, found ${found}`, { data: { where } });
}
