/**
 * Whether a layer decodes to the tar that the image's config states (its diffID),
 * which neither the blob's digest nor those of spans say: a registry can serve a
 * config beside layers that are not its own. All of the layer is decoded for it,
 * so it is done once, and remembered by the layer's digest.
 */
import { SociError } from '../errors.js';
import { lentChunks } from '../layer/lent-chunks.js';
import { digestAlgorithm, hashFor, isComputable } from '../registry/digest.js';
import { answeredDigest, tarQuestion } from '../store/proofs.js';
import type { Store } from '../store/store.js';
import type { ImageLayer, OpenedLayer } from './image-layer.js';

export type DiffIdProof = 'proved' | 'refuted';

/** What was found out about a layer before; undefined when nothing was. */
export async function knownDiffId(
  store: Store,
  layerDigest: string,
  diffId: string | undefined,
): Promise<DiffIdProof | undefined> {
  if (diffId === undefined) return undefined;
  const tar = answeredDigest(await store.recall(tarQuestion(layerDigest)));
  if (tar === undefined || digestAlgorithm(tar) !== digestAlgorithm(diffId)) return undefined;
  return tar === diffId ? 'proved' : 'refuted';
}

/**
 * Decodes all of a layer, unless that has been done before.
 *
 * @returns undefined when the config states no diffID that can be computed
 * @throws SociError ERR_SOCI_DIGEST_MISMATCH for another tar; what decoding throws; the signal's reason
 */
export async function proveDiffId(
  store: Store,
  { description, opened }: ImageLayer,
  signal: AbortSignal,
): Promise<'proved' | undefined> {
  const { diffId, descriptor } = description;
  if (diffId === undefined || opened === undefined || !isComputable(diffId)) return undefined;
  let known = await knownDiffId(store, descriptor.digest, diffId);
  if (known === undefined) {
    const tar = await tarDigest(opened, diffId, signal);
    await store.remember(tarQuestion(descriptor.digest), tar);
    known = tar === diffId ? 'proved' : 'refuted';
  }
  if (known === 'proved') return known;
  const found = answeredDigest(await store.recall(tarQuestion(descriptor.digest)));
  throw new SociError(
    'ERR_SOCI_DIGEST_MISMATCH',
    `layer ${description.position} (${descriptor.digest}): expected a tar with the digest ${diffId}, as the image's config ` +
      `says, found ${found}: the config is not this layer's, and a runtime would refuse the image`,
    { data: { digest: descriptor.digest, expected: diffId, found } },
  );
}

/** The digest of all of a layer's tar, computed as `like` was. */
async function tarDigest(
  { entries, source }: OpenedLayer,
  like: string,
  signal: AbortSignal,
): Promise<string> {
  const hash = hashFor(like, source.name);
  const { tar, pace } = entries;
  const memory = tar.passMemory();
  const chunks = lentChunks(
    () => ({
      start: 0,
      end: tar.size,
      ...pace,
      read: (from, to, abort) => tar.lend(from, to, memory, { signal: abort, lane: 'background' }),
      pieceEnd: (from, bytes) => tar.pieceEnd(from, tar.size, bytes),
    }),
    signal,
  );
  for await (const chunk of chunks) hash.update(chunk);
  return `${digestAlgorithm(like)}:${hash.digest('hex')}`;
}
