/**
 * The load orders of an image: whatever refers to its manifest as one. Which of
 * them is used the caller says, by the workload's name or by a rule of its own;
 * nothing is chosen by the order in which a registry happens to list them.
 */
import { checkOptions } from '../arguments.js';
import { runBounded } from '../async/bounded-tasks.js';
import { invalidText, SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { requireSha256 } from '../registry/digest.js';
import type { PlatformManifest } from '../registry/image-entry.js';
import { MAX_MANIFEST_BYTES } from '../registry/manifest.js';
import type { Repository } from '../registry/repository.js';
import { ABORTABLE_NAMES, type AbortableOptions } from '../source/range-source.js';
import {
  isWorkload,
  LOAD_ORDER_TYPE,
  type LoadOrder,
  MAX_LOAD_ORDER_BYTES,
  parseLoadOrder,
  WORKLOAD_FORM,
} from './load-order.js';
import { otherImage, parseLoadOrderArtifact, WORKLOAD_ANNOTATION } from './load-order-artifact.js';

/** More than anybody publishes for one image, and each may be worth two requests. */
const MAX_CANDIDATES = 64;
const CONCURRENCY = 4;

/** A load order that an image has, as a list of referrers shows it. */
export interface LoadOrderCandidate {
  /** Of the artifact's manifest, with its annotations where the list has them. */
  readonly descriptor: Descriptor;
  /** What the list says; undefined where it says nothing. */
  readonly workload: string | undefined;
}

export interface FoundLoadOrder {
  /** Of the artifact's manifest. */
  readonly descriptor: Descriptor;
  /** Of the document in it. */
  readonly document: Descriptor;
  readonly order: LoadOrder;
}

/** One that cannot be used, and why. */
export interface LoadOrderFault extends LoadOrderCandidate {
  readonly error: SociError;
}

export interface LoadOrderList {
  /** By workload, and those of one as `findLoadOrder` prefers them. */
  readonly found: readonly FoundLoadOrder[];
  readonly faults: readonly LoadOrderFault[];
}

/** Chooses among the load orders of an image; undefined: none of them. */
export type LoadOrderRule = (candidates: readonly LoadOrderCandidate[]) => LoadOrderCandidate | undefined;

/** Errors that are about one document; all others are about reaching any. */
const DOCUMENT_FAILURES: ReadonlySet<string> = new Set([
  'ERR_SOCI_REGISTRY_NOT_FOUND',
  'ERR_SOCI_DIGEST_INVALID',
  'ERR_SOCI_DIGEST_MISMATCH',
  'ERR_SOCI_MANIFEST',
  'ERR_SOCI_LIMIT',
  'ERR_SOCI_LOAD_ORDER_FORMAT',
  'ERR_SOCI_LOAD_ORDER_MISMATCH',
]);

/**
 * The load order of a workload, or the one that a rule chooses; undefined where there is none. Of several of one
 * workload it is that of the most runs, and of those the one with the lowest digest; what cannot be used is passed over.
 *
 * @throws SociError where all of the workload's, or the one that was chosen, cannot be used:
 *   ERR_SOCI_LOAD_ORDER_FORMAT, ERR_SOCI_LOAD_ORDER_MISMATCH, …; whatever the repository fails with
 */
export async function findLoadOrder(
  repository: Repository,
  image: PlatformManifest,
  wanted: string | LoadOrderRule,
  options: AbortableOptions = {},
): Promise<FoundLoadOrder | undefined> {
  checkOptions('findLoadOrder', options, ABORTABLE_NAMES);
  const { signal } = options;
  if (typeof wanted === 'function') {
    const chosen = wanted(await candidatesOf(repository, image, signal));
    return chosen && (await fetchLoadOrder(repository, image, chosen.descriptor, signal));
  }
  if (!isWorkload(wanted)) throw invalidText('workload', WORKLOAD_FORM, String(wanted));
  const candidates = await candidatesOf(repository, image, signal);
  const named = candidates.filter(({ workload }) => workload === undefined || workload === wanted);
  const { found, faults } = await fetchAll(repository, image, named, signal);
  const best = found.find(({ order }) => order.workload === wanted);
  const fault = faults.find(({ workload }) => workload === wanted);
  if (best === undefined && fault !== undefined) throw fault.error;
  return best;
}

/** Every load order of an image. @throws SociError whatever the repository fails with */
export async function listLoadOrders(
  repository: Repository,
  image: PlatformManifest,
  options: AbortableOptions = {},
): Promise<LoadOrderList> {
  checkOptions('listLoadOrders', options, ABORTABLE_NAMES);
  const { signal } = options;
  return await fetchAll(repository, image, await candidatesOf(repository, image, signal), signal);
}

/** @throws SociError ERR_SOCI_LIMIT: a choice among some of them would not be the caller's */
async function candidatesOf(
  repository: Repository,
  { descriptor: { digest } }: PlatformManifest,
  signal: AbortSignal | undefined,
): Promise<readonly LoadOrderCandidate[]> {
  const referrers = await repository.referrers(digest, { artifactType: LOAD_ORDER_TYPE, signal });
  if (referrers.length > MAX_CANDIDATES) {
    throw new SociError(
      'ERR_SOCI_LIMIT',
      `${repository.name}@${digest}: ${referrers.length} load orders, at most ${MAX_CANDIDATES} are looked at`,
      { data: { limit: MAX_CANDIDATES, found: referrers.length, digest } },
    );
  }
  return referrers.map(descriptor => {
    const workload = descriptor.annotations?.[WORKLOAD_ANNOTATION];
    return { descriptor, workload: isWorkload(workload) ? workload : undefined };
  });
}

async function fetchAll(
  repository: Repository,
  image: PlatformManifest,
  candidates: readonly LoadOrderCandidate[],
  signal: AbortSignal | undefined,
): Promise<LoadOrderList> {
  const results = await runBounded(candidates, CONCURRENCY, signal, async (candidate, abort) => {
    try {
      return await fetchLoadOrder(repository, image, candidate.descriptor, abort);
    } catch (error) {
      if (!(error instanceof SociError) || !DOCUMENT_FAILURES.has(error.code)) throw error;
      return { ...candidate, error };
    }
  });
  const found = results.filter(result => 'order' in result).sort(byPreference);
  return { found, faults: results.filter(result => 'error' in result) };
}

function byPreference(a: FoundLoadOrder, b: FoundLoadOrder): number {
  if (a.order.workload !== b.order.workload) return a.order.workload < b.order.workload ? -1 : 1;
  return b.order.runs - a.order.runs || (a.descriptor.digest < b.descriptor.digest ? -1 : 1);
}

/** @throws SociError ERR_SOCI_LOAD_ORDER_FORMAT, ERR_SOCI_LOAD_ORDER_MISMATCH; what the repository fails with */
async function fetchLoadOrder(
  repository: Repository,
  image: PlatformManifest,
  candidate: Descriptor,
  signal: AbortSignal | undefined,
): Promise<FoundLoadOrder> {
  const digest = requireSha256(candidate.digest, `${repository.name}: load order`);
  const where = `${repository.name}@${digest}`;
  checkFetched(where, candidate.size, MAX_MANIFEST_BYTES);
  const { bytes, descriptor } = await repository.getManifest(digest, { signal });
  const { subject, workload, document } = parseLoadOrderArtifact(bytes, where);
  const expected = image.descriptor.digest;
  if (subject.digest !== expected) throw otherImage(where, subject.digest, expected);
  checkFetched(where, document.size, MAX_LOAD_ORDER_BYTES);
  const order = parseLoadOrder(await repository.getBlob(document, { signal }), where);
  if (order.image !== expected) throw otherImage(where, order.image, expected);
  if (order.workload !== workload) {
    throw new SociError(
      'ERR_SOCI_LOAD_ORDER_MISMATCH',
      `${where}: its document is of the workload ${order.workload}, but it is published as ${workload}`,
      { data: { where, expected: workload, found: order.workload } },
    );
  }
  const { annotations = {} } = candidate;
  return { descriptor: { ...descriptor, artifactType: LOAD_ORDER_TYPE, annotations }, document, order };
}

function checkFetched(where: string, size: number, limit: number): void {
  if (size <= limit) return;
  throw new SociError('ERR_SOCI_LIMIT', `${where}: ${size} bytes, more than the limit of ${limit}`, {
    data: { where, limit, found: size },
  });
}
