/**
 * From an image to one with SOCI indexes (v2): each manifest names its index,
 * and the image index lists both, so that copying the image copies the indexes.
 * Source and target may each be a registry, a layout or an archive.
 */

import { checkOptions, type OptionNames } from '../arguments.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { isDigest } from '../registry/digest.js';
import type { OpenedLocation } from '../registry/image-location.js';
import { LayoutRepository } from '../registry/layout-repository.js';
import { RegistryRepository } from '../registry/registry-repository.js';
import { requireWritable } from '../registry/repository.js';
import {
  type BuiltIndexes,
  buildIndexes,
  checkBuildOptions,
  summaryOf,
  type ZtocSummary,
} from './build-indexes.js';
import { ContentCopy } from './content-copy.js';
import { convertTree } from './converted-index.js';
import type { CreateIndexOptions } from './create-index.js';
import { CREATE_INDEX_NAMES } from './create-index.js';
import { IndexBlobs } from './index-blobs.js';
import { skipByDescriptor } from './layer-choice.js';
import { type PlatformImage, resolveImages } from './platform-images.js';

export interface ConvertImageOptions extends CreateIndexOptions {
  /** Do everything but write. Default false. */
  readonly dryRun?: boolean | undefined;
}

const CONVERT_OPTIONS: OptionNames<ConvertImageOptions> = { ...CREATE_INDEX_NAMES, dryRun: true };

export interface ConvertImageResult extends BuiltIndexes<ZtocSummary> {
  /** The converted image's index. */
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** What the index lists although the source does not have it. */
  readonly absent: readonly Descriptor[];
}

/**
 * Converts `source` to `target`, whose reference is the tag to give it. Images of which no layer can be indexed, other
 * platforms and everything that is no image are copied as they are. Converting the result again changes nothing.
 *
 * @throws SociError ERR_SOCI_INDEX_EMPTY when no layer of any platform could be indexed; ERR_SOCI_REFERENCE when the
 *   target is a digest; ERR_SOCI_PLATFORM; ERR_SOCI_DIGEST_MISMATCH; ERR_SOCI_INVALID_ARGUMENT; ERR_SOCI_LIMIT;
 *   whatever a repository fails with. A failed conversion may leave blobs behind, but no new tag.
 */
export async function convertImage(
  source: OpenedLocation,
  target: OpenedLocation,
  options: ConvertImageOptions = {},
): Promise<ConvertImageResult> {
  checkOptions('convertImage', options, CONVERT_OPTIONS);
  checkBuildOptions(options);
  const { platforms, signal, dryRun = false, onEvent } = options;
  if (!dryRun) requireWritable(target.repository);
  const tag = target.reference;
  if (tag !== undefined && isDigest(tag)) {
    const message = `${target.repository.name}@${tag}: a converted image gets a digest of its own, name a tag`;
    throw new SociError('ERR_SOCI_REFERENCE', message, { data: { reference: tag } });
  }
  const resolved = await resolveImages(source.repository, source.reference, {
    platforms,
    readAll: true,
    signal,
  });
  const { root, images, documents } = resolved;
  const copy = new ContentCopy(source.repository, target.repository, options);
  const all = [...documents.values()].flatMap(({ manifest }) =>
    manifest.kind === 'manifest' ? manifest : [],
  );
  // A layer that is going to be on this machine anyway is downloaded once and indexed from there.
  const copyFirst =
    !dryRun &&
    source.repository instanceof RegistryRepository &&
    target.repository instanceof LayoutRepository;
  // Not for nothing: what no layer can be indexed of is an error before anything is written.
  if (copyFirst && mayHaveIndex(images, options)) await copy.blobsOf(all);
  const layers = copyFirst ? target.repository : source.repository;
  const blobs = new IndexBlobs(target.repository, onEvent);
  const sources = { repository: source.repository, layers };
  // Sent as they are made, so that no more ztocs are in memory than layers are worked on.
  const built = await buildIndexes(sources, images, 'v2', options, async (ztoc, _layer, abort) => {
    if (!dryRun) await blobs.sendZtoc(ztoc, abort);
    return summaryOf(ztoc);
  });
  const tree = convertTree(root, documents, images, built.indexes);
  const absent = [...resolved.absent];
  if (!dryRun) {
    await copy.blobsOf(all);
    await blobs.sendRest(
      built.indexes.flatMap(({ prefetches }) => prefetches),
      signal,
    );
    for (const { bytes, descriptor } of built.indexes) await copy.push(bytes, descriptor);
    for (const entry of tree.kept) {
      const known = absent.some(({ digest }) => digest === entry.digest);
      if (!known && !(await copy.tree(entry))) absent.push(entry);
    }
    for (const { bytes, descriptor } of tree.documents) await copy.push(bytes, descriptor);
    await copy.push(tree.root.bytes, tree.root.descriptor, tag === undefined ? { listed: true } : { tag });
    await target.repository.commit({ signal });
  }
  return { ...built, ...tree.root, absent };
}

/** Whether a layer of `images` is to be indexed, as far as descriptors tell. */
function mayHaveIndex(images: readonly PlatformImage[], options: ConvertImageOptions): boolean {
  return images.some(({ manifest }) =>
    manifest.layers.some(layer => skipByDescriptor(layer, options) === undefined),
  );
}
