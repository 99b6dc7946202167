/**
 * Images into a store and out of it, as OCI layouts: what one machine has read,
 * another one has before it asks a registry. An image takes its SOCI indexes
 * along, and under its full name it is found there as if it had been read.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { sha256Digest } from '../registry/digest.js';
import type { OpenedLocation } from '../registry/image-location.js';
import { DirectoryFiles } from '../registry/layout-files.js';
import { LayoutRepository } from '../registry/layout-repository.js';
import type { Platform } from '../registry/platform.js';
import { selectForHost, selectManifest } from '../registry/platform-selection.js';
import { formatReference, parseReference } from '../registry/reference.js';
import type { Repository } from '../registry/repository.js';
import type { Store } from '../store/store.js';
import { referrersQuestion, tagQuestion } from '../store/stored-repository.js';
import { ContentCopy, type ContentCopyOptions } from './content-copy.js';
import { listIndexes } from './find-index.js';
import { resolveImages } from './platform-images.js';
import { EMPTY_CONFIG, SOCI_INDEX_TYPE } from './soci-index.js';

export interface ExportImageOptions extends ContentCopyOptions {
  /** Default: the host's, else the only one that there is. */
  readonly platform?: Platform | undefined;
  /** What the image is called in the target: its full name. */
  readonly name: string;
}

export interface ExportedImage {
  /** Of the image's manifest. */
  readonly descriptor: Descriptor;
  /** SOCI indexes of which the store has not all. */
  readonly leftOut: readonly { readonly digest: string; readonly error: SociError }[];
}

/**
 * Copies an image of one platform, with its SOCI indexes, from the store to a layout. What the store does not have is
 * fetched, and kept.
 *
 * @param source the repository behind the store, see `storedRepository`
 * @throws SociError offline ERR_SOCI_OFFLINE for the first part of the image that the store does not have; whatever
 *   the repositories fail with
 */
export async function exportImage(
  store: Store,
  { repository: source, reference }: OpenedLocation,
  target: Repository,
  options: ExportImageOptions,
): Promise<ExportedImage> {
  const { signal, platform, name } = options;
  const root = await source.getManifest(reference, { signal });
  const image =
    platform === undefined
      ? await selectForHost(source, root, { signal })
      : await selectManifest(source, root, platform, { signal });
  const copy = new ContentCopy(source, target, options);
  await copy.blobsOf([image.manifest]);
  await copy.push(image.bytes, image.descriptor, { tag: name });
  // Indexes list it, and nobody who reads fetches it.
  await store.put(sha256Digest(EMPTY_CONFIG), EMPTY_CONFIG);
  const { indexes } = await listIndexes(source, image, { signal });
  const leftOut: { digest: string; error: SociError }[] = [];
  for (const { descriptor } of indexes) {
    try {
      await copy.tree(descriptor);
    } catch (error) {
      if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_OFFLINE') throw error;
      leftOut.push({ digest: descriptor.digest, error });
    }
  }
  await target.commit({ signal });
  return { descriptor: image.descriptor, leftOut };
}

export interface ImportedImage {
  /** As the layout has it. */
  readonly name: string;
  readonly digest: string;
}

/**
 * Copies all images of a layout that have names into the store, where they stay until their names are removed.
 *
 * @throws SociError what reading the layout and writing the store fail with
 */
export async function importImages(
  store: Store,
  source: Repository,
  options: ContentCopyOptions = {},
): Promise<ImportedImage[]> {
  const { signal } = options;
  const target = new LayoutRepository(new DirectoryFiles(store.root, `the store ${store.root}`));
  const copy = new ContentCopy(source, target, options);
  const imported: ImportedImage[] = [];
  await store.changeNames(signal, async () => {
    for (const name of await source.listTags({ signal })) {
      const { descriptor, bytes } = await source.getManifest(name, { signal });
      await copy.tree(descriptor);
      const found = await importIndexes(source, name, copy, signal);
      await copy.push(bytes, descriptor, { tag: name });
      await rememberNames(store, name, descriptor, found);
      imported.push({ name, digest: descriptor.digest });
    }
  });
  return imported;
}

/** The v1 indexes of each of an image's manifests. */
type Referrers = ReadonlyMap<string, readonly Descriptor[]>;

async function importIndexes(
  source: Repository,
  name: string,
  copy: ContentCopy,
  signal: AbortSignal | undefined,
): Promise<Referrers> {
  const referrers = new Map<string, readonly Descriptor[]>();
  const { images } = await resolveImages(source, name, { signal });
  for (const image of images) {
    const { indexes } = await listIndexes(source, image, { signal });
    for (const { descriptor } of indexes) await copy.tree(descriptor);
    const v1 = indexes.filter(({ index }) => index.version === 'v1');
    referrers.set(
      image.descriptor.digest,
      v1.map(({ descriptor }) => descriptor),
    );
  }
  return referrers;
}

/** What a registry would say of the image, if its name is one of a registry. */
async function rememberNames(
  store: Store,
  name: string,
  { mediaType, digest, size }: Descriptor,
  referrers: Referrers,
): Promise<void> {
  const { registry, repository, tag } = referenceOf(name) ?? {};
  if (repository === undefined) return;
  const where = `${registry}/${repository}`;
  if (tag !== undefined) await store.remember(tagQuestion(where, tag), { mediaType, digest, size });
  for (const [image, indexes] of referrers) {
    await store.remember(referrersQuestion(where, image, SOCI_INDEX_TYPE.v1), indexes);
  }
}

/** Undefined unless it is the full name of an image: `latest` alone would be one of Docker Hub. */
function referenceOf(name: string) {
  try {
    const reference = parseReference(name);
    return formatReference(reference) === name ? reference : undefined;
  } catch {
    return undefined;
  }
}
