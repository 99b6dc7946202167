/**
 * The SOCI indexes that an image may have: fetched, verified and bound to its
 * layers, or the reason why not. Choosing among them is for find-index.ts.
 */

import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { requireSha256 } from '../registry/digest.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { MAX_MANIFEST_BYTES } from '../registry/manifest.js';
import { OCI_MANIFEST } from '../registry/media-types.js';
import type { Repository } from '../registry/repository.js';
import { bindIndex, type IndexBinding } from './index-binding.js';
import {
  INDEX_DIGEST_ANNOTATION,
  parseSociIndex,
  SOCI_INDEX_TYPE,
  type SociIndex,
  type SociIndexVersion,
} from './soci-index.js';

/** Of many referrers only so many are looked at, in the order in which they are listed. */
const MAX_CANDIDATES = 32;
const CONCURRENCY = 4;

export interface FoundIndex extends IndexBinding {
  readonly index: SociIndex;
  readonly descriptor: Descriptor;
  /** The raw document that the digest names. */
  readonly bytes: Uint8Array;
  /** How it was found: named by the caller, by the manifest, or as a referrer. */
  readonly via: 'digest' | 'annotation' | 'referrer';
}

/** One thing that was looked at without success. */
export interface IndexAttempt {
  readonly version: SociIndexVersion;
  /** The index, when it got so far that one was named. */
  readonly digest?: string;
  /**
   * 'absent': there is none. 'unusable': there is one, but it is missing, malformed or another image's.
   * 'unreachable': the repository could not be asked. 'not-chosen': not looked at, since another
   * one is listed before it, or too many are.
   */
  readonly outcome: 'absent' | 'unusable' | 'unreachable' | 'not-chosen';
  readonly message: string;
  readonly error?: unknown;
}

/** Errors that are about the document; all others are about reaching it. */
const DOCUMENT_FAILURES: ReadonlySet<string> = new Set([
  'ERR_SOCI_REGISTRY_NOT_FOUND',
  'ERR_SOCI_DIGEST_INVALID',
  'ERR_SOCI_DIGEST_MISMATCH',
  'ERR_SOCI_MANIFEST',
  'ERR_SOCI_LIMIT',
  'ERR_SOCI_INDEX_FORMAT',
  'ERR_SOCI_INDEX_MISMATCH',
]);

/** The index that the manifest names (v2). Failures become attempts. */
export async function annotatedIndex(
  repository: Repository,
  image: PlatformManifest,
  attempts: IndexAttempt[],
  signal: AbortSignal | undefined,
): Promise<FoundIndex | undefined> {
  const digest = image.manifest.annotations?.[INDEX_DIGEST_ANNOTATION];
  if (digest === undefined) {
    attempts.push({ version: 'v2', outcome: 'absent', message: 'the manifest names no index' });
    return undefined;
  }
  try {
    return await fetchIndex(repository, image, digest, 'annotation', signal);
  } catch (error) {
    attempts.push(failedAttempt('v2', digest, error, signal));
    return undefined;
  }
}

/** The indexes that refer to the manifest (v1), as they are listed. */
export async function referringIndexes(
  repository: Repository,
  image: PlatformManifest,
  attempts: IndexAttempt[],
  signal: AbortSignal | undefined,
): Promise<readonly FoundIndex[]> {
  const referrers = await listReferring(repository, image, attempts, signal);
  const candidates = await runBounded(referrers, CONCURRENCY, signal, async (referrer, abort) => {
    try {
      return await fetchIndex(repository, image, referrer, 'referrer', abort);
    } catch (error) {
      return failedAttempt('v1', referrer.digest, error, abort);
    }
  });
  const usable: FoundIndex[] = [];
  for (const candidate of candidates) {
    if ('outcome' in candidate) attempts.push(candidate);
    else usable.push(candidate);
  }
  return usable;
}

/** The first of them that can be used; those behind it are not fetched. */
export async function firstReferringIndex(
  repository: Repository,
  image: PlatformManifest,
  attempts: IndexAttempt[],
  signal: AbortSignal | undefined,
): Promise<FoundIndex | undefined> {
  const referrers = await listReferring(repository, image, attempts, signal);
  for (const [position, referrer] of referrers.entries()) {
    try {
      const found = await fetchIndex(repository, image, referrer, 'referrer', signal);
      const message = `${found.descriptor.digest} is listed before it`;
      for (const { digest } of referrers.slice(position + 1)) {
        attempts.push({ version: 'v1', digest, outcome: 'not-chosen', message });
      }
      return found;
    } catch (error) {
      attempts.push(failedAttempt('v1', referrer.digest, error, signal));
    }
  }
  return undefined;
}

async function listReferring(
  repository: Repository,
  image: PlatformManifest,
  attempts: IndexAttempt[],
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  let referrers: readonly Descriptor[];
  try {
    const artifactType = SOCI_INDEX_TYPE.v1;
    referrers = await repository.referrers(image.descriptor.digest, { artifactType, signal });
  } catch (error) {
    signal?.throwIfAborted();
    const message = error instanceof Error ? error.message : String(error);
    attempts.push({ version: 'v1', outcome: 'unreachable', message, error });
    return [];
  }
  if (referrers.length === 0) {
    attempts.push({ version: 'v1', outcome: 'absent', message: 'no index refers to the manifest' });
    return [];
  }
  for (const { digest } of referrers.slice(MAX_CANDIDATES)) {
    const message = `only ${MAX_CANDIDATES} of ${referrers.length} indexes are looked at`;
    attempts.push({ version: 'v1', digest, outcome: 'not-chosen', message });
  }
  return referrers.slice(0, MAX_CANDIDATES);
}

function failedAttempt(
  version: SociIndexVersion,
  digest: string,
  error: unknown,
  signal: AbortSignal | undefined,
): IndexAttempt {
  signal?.throwIfAborted();
  const outcome =
    error instanceof SociError && DOCUMENT_FAILURES.has(error.code) ? 'unusable' : 'unreachable';
  return { version, digest, outcome, message: error instanceof Error ? error.message : String(error), error };
}

/**
 * @param via What it is expected to be: whoever names an index may name either version.
 * @throws SociError ERR_SOCI_INDEX_MISMATCH when the index is another image's; ERR_SOCI_INDEX_FORMAT;
 *   ERR_SOCI_DIGEST_INVALID; whatever getManifest fails with.
 */
export async function fetchIndex(
  repository: Repository,
  image: PlatformManifest,
  wanted: string | Descriptor,
  via: FoundIndex['via'],
  signal: AbortSignal | undefined,
): Promise<FoundIndex> {
  const digest = requireSha256(
    typeof wanted === 'string' ? wanted : wanted.digest,
    `${repository.name}: SOCI index`,
  );
  const where = `${repository.name}@${digest}`;
  if (typeof wanted === 'object' && wanted.size > MAX_MANIFEST_BYTES) {
    throw new SociError('ERR_SOCI_LIMIT', `${where}: an index of ${wanted.size} bytes`, {
      data: { digest, size: wanted.size, limit: MAX_MANIFEST_BYTES },
    });
  }
  const { bytes } = await repository.getManifest(digest, { signal });
  const index = parseSociIndex(bytes, where);
  const expected = via === 'annotation' ? 'v2' : via === 'referrer' ? 'v1' : index.version;
  if (index.version !== expected) {
    throw mismatch(where, `expected a ${expected} index there, found ${index.version}`, image);
  }
  // A v1 index says whose it is; it may be named for a copy of the image only if that has the same manifest.
  if (index.version === 'v1' && index.subject?.digest !== image.descriptor.digest) {
    throw mismatch(where, `its subject is ${index.subject?.digest ?? 'missing'}`, image);
  }
  const binding = bindIndex(index, image.manifest);
  if (binding.covered === 0) throw mismatch(where, 'none of its ztocs is for a layer of the image', image);
  const artifactType = SOCI_INDEX_TYPE[index.version];
  const descriptor = { mediaType: OCI_MANIFEST, digest, size: bytes.length, artifactType };
  return { ...binding, index, bytes, descriptor, via };
}

function mismatch(where: string, detail: string, image: PlatformManifest): SociError {
  return new SociError(
    'ERR_SOCI_INDEX_MISMATCH',
    `${where} is not an index of ${image.descriptor.digest}: ${detail}`,
    {
      data: { where, image: image.descriptor.digest },
    },
  );
}
