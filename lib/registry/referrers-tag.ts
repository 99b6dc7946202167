/**
 * Referrers where a registry has no API for them: by convention an image index
 * under a tag made of the subject's digest. What else is found under that tag
 * (GitLab takes it for the digest and serves the subject) is no list of
 * referrers: it counts as none, and nothing of it is written back.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { Descriptor } from './descriptor.js';
import { sha256Digest } from './digest.js';
import { artifactTypeOf, parseManifest } from './manifest.js';
import { isManifestType, OCI_INDEX } from './media-types.js';
import type { Repository } from './repository.js';

const TAG_WRITE_ATTEMPTS = 5;
/** Referrers whose type is looked up, and how large their manifests may be. */
const MAX_LOOKUPS = 32;
const MAX_LOOKUP_BYTES = 256 * 1024;
const CONCURRENCY = 4;

/** The tag of the fallback schema: `sha256-<hex>`, each part cut to what a tag can hold. */
export function referrersTag(digest: string): string {
  const colon = digest.indexOf(':');
  const clean = (part: string, limit: number): string =>
    part.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, limit);
  return `${clean(digest.slice(0, colon), 32)}-${clean(digest.slice(colon + 1), 64)}`;
}

/**
 * The referrers that `bytes`, found under the tag of `subject`, list (distribution-spec, "Referrers Tag Schema").
 *
 * @param servedAs The media type that the registry gave it.
 * @throws SociError ERR_SOCI_LIMIT for a list that is too long to be read, and so must not be replaced either.
 */
export function taggedReferrers(
  bytes: Uint8Array,
  servedAs: string | undefined,
  subject: string,
): readonly Descriptor[] {
  if (sha256Digest(bytes) === subject) return [];
  let found: ReturnType<typeof parseManifest>;
  try {
    found = parseManifest(bytes, servedAs, referrersTag(subject));
  } catch (error) {
    if (error instanceof SociError && error.code !== 'ERR_SOCI_LIMIT') return [];
    throw error;
  }
  return found.kind === 'index' && found.mediaType === OCI_INDEX ? found.manifests : [];
}

/**
 * Names what referrers are where the list does not: skopeo before 1.10 copies lists without `artifactType`. Manifests
 * that cannot be had, that are large, or that come after many others stay unnamed.
 */
export async function withArtifactTypes(
  listed: readonly Descriptor[],
  repository: Pick<Repository, 'getManifest'>,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  const unnamed = listed.filter(
    ({ artifactType, mediaType, size }) =>
      artifactType === undefined && isManifestType(mediaType) && size <= MAX_LOOKUP_BYTES,
  );
  const types = new Map<string, string | undefined>();
  await runBounded(unnamed.slice(0, MAX_LOOKUPS), CONCURRENCY, signal, async (descriptor, abort) => {
    try {
      const { manifest } = await repository.getManifest(descriptor, { signal: abort });
      types.set(descriptor.digest, artifactTypeOf(manifest));
    } catch {
      abort.throwIfAborted();
    }
  });
  return listed.map(descriptor => {
    const artifactType = descriptor.artifactType ?? types.get(descriptor.digest);
    return artifactType === undefined ? descriptor : { ...descriptor, artifactType };
  });
}

/** Canonical JSON of an index of referrers, as the image specification orders its members. */
function encodeIndex(manifests: readonly Descriptor[]): Uint8Array {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

export interface TagSchemaAccess {
  /** The index under the fallback tag; an empty list when there is none. */
  read(): Promise<readonly Descriptor[]>;
  write(index: Uint8Array): Promise<void>;
}

/**
 * Adds `referrer` to the index under the fallback tag. Registries have no
 * compare-and-swap, so two writers may overwrite each other: the result is read
 * back and the addition repeated until it is seen, waiting for others in between.
 */
export async function addReferrer(
  access: TagSchemaAccess,
  referrer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 0; attempt < TAG_WRITE_ATTEMPTS; attempt++) {
    const known = await access.read();
    if (known.some(({ digest }) => digest === referrer.digest)) {
      return;
    }
    await access.write(encodeIndex([...known, referrer]));
    // Long enough for another writer that read before us to write after us; random, so that two do not alternate.
    await sleep(20 + Math.random() * 80 * (attempt + 1), undefined, { signal }).catch(() =>
      signal?.throwIfAborted(),
    );
  }
  if (!(await access.read()).some(({ digest }) => digest === referrer.digest)) {
    throw new SociError(
      'ERR_SOCI_REGISTRY_PROTOCOL',
      `${referrer.digest} was added to the referrers tag ${TAG_WRITE_ATTEMPTS} times but is not there: another writer keeps replacing it, or the registry serves something else under that tag`,
      { data: { digest: referrer.digest } },
    );
  }
}

/** Takes a referrer out of the index under the fallback tag; what is not there is left as it is. */
export async function removeReferrer(access: TagSchemaAccess, digest: string): Promise<void> {
  const known = await access.read();
  const rest = known.filter(referrer => referrer.digest !== digest);
  if (rest.length < known.length) await access.write(encodeIndex(rest));
}
