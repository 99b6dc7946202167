/**
 * Whether a layer decodes to the tar that the image's config states (its diffID),
 * which neither the blob's digest nor those of spans say: a registry can serve a
 * config beside layers that are not its own. All of the layer is decoded for it,
 * so it is done once, and remembered by the layer's digest.
 */
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { SociError } from '../errors.js';
import { digestAlgorithm, hashFor, isComputable } from '../registry/digest.js';
import { answeredDigest, tarQuestion } from '../store/proofs.js';
import type { Store } from '../store/store.js';
import type { ImageLayer, OpenedLayer } from './image-layer.js';

/** What may follow in a tar behind its last entry: tar writes 10 KiB at a time, others a record of their own size. */
const MAX_PADDING = 64 * 2 ** 20;
/** Hashed in about a millisecond. */
const CHUNK_BYTES = 2 ** 20;

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

/**
 * The digest of all of a layer's tar, computed as `like` was. By the layer and not by its spans: these end with the last
 * entry that the ztoc's builder came to, and the zeros that follow in the tar count too.
 */
async function tarDigest(
  { entries, source }: OpenedLayer,
  like: string,
  signal: AbortSignal,
): Promise<string> {
  const hash = hashFor(like, source.name);
  const { compression, uncompressedSize } = entries.ztoc;
  const stored = source.stream({ signal, lane: 'background' });
  let left = uncompressedSize + MAX_PADDING;
  for await (const chunk of compression === 'gzip' ? inflated(stored, source.name, signal) : stored) {
    signal.throwIfAborted();
    left -= chunk.length;
    if (left < 0) {
      throw new SociError(
        'ERR_SOCI_ZTOC_MISMATCH',
        `${source.name}: expected a tar of ${uncompressedSize} bytes, as the ztoc says, found ${MAX_PADDING} more`,
        { data: { expected: uncompressedSize, limit: MAX_PADDING } },
      );
    }
    hash.update(chunk);
  }
  return `${digestAlgorithm(like)}:${hash.digest('hex')}`;
}

async function* inflated(
  stored: AsyncIterable<Uint8Array>,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  const feeding = pipeline(stored, gunzip, { signal });
  feeding.catch(() => {});
  try {
    yield* gunzip as AsyncIterable<Uint8Array>;
    await feeding;
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof SociError) throw cause;
    throw new SociError('ERR_SOCI_DEFLATE_DATA', `${name}: ${(cause as Error).message}`, { cause });
  } finally {
    gunzip.destroy();
    await feeding.catch(() => {});
  }
}
