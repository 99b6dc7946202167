/**
 * Whether a layout has what it lists. Archives of docker are two things at a time, and where the layout in them lacks
 * blobs the other one may have them.
 */
import { SociError } from '../errors.js';
import type { Descriptor } from './descriptor.js';
import { isImageEntry } from './image-entry.js';
import { blobPath, type LayoutFiles } from './layout-files.js';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.js';
import { isIndexType, isManifestType } from './media-types.js';

/** Manifests that are looked at: more than that is a layout of its own, whatever is beside it. */
const MAX_MANIFESTS = 1000;
const MAX_DEPTH = 4;

/** @param entries of its index.json */
export async function isCompleteLayout(
  files: LayoutFiles,
  entries: readonly Descriptor[],
  signal: AbortSignal,
): Promise<boolean> {
  const inspection = new Inspection(files, signal);
  const images = entries.filter(entry => isIndexType(entry.mediaType) || isImageEntry(entry));
  for (const image of images) {
    if (!(await inspection.isComplete(image, 1))) return false;
  }
  return images.length > 0;
}

class Inspection {
  readonly #files: LayoutFiles;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, boolean>();

  constructor(files: LayoutFiles, signal: AbortSignal) {
    this.#files = files;
    this.#signal = signal;
  }

  /** Of an image index one image is enough: the others are platforms that were never pulled. */
  async isComplete(entry: Descriptor, depth: number): Promise<boolean> {
    const known = this.#known.get(entry.digest);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_MANIFESTS || depth > MAX_DEPTH) return true;
    this.#known.set(entry.digest, false);
    const complete = await this.#look(entry, depth);
    this.#known.set(entry.digest, complete);
    return complete;
  }

  async #look(entry: Descriptor, depth: number): Promise<boolean> {
    const manifest = await this.#manifest(entry);
    if (manifest === undefined) return false;
    if (manifest.kind === 'manifest') {
      const needed = manifest.layers.filter(({ urls = [] }) => urls.length === 0);
      for (const blob of [manifest.config, ...needed]) {
        if (!(await this.#has(blob))) return false;
      }
      return true;
    }
    for (const child of manifest.manifests) {
      const isChild = isIndexType(child.mediaType) || isImageEntry(child);
      if (isChild && (await this.isComplete(child, depth + 1))) return true;
    }
    return false;
  }

  async #manifest(entry: Descriptor) {
    if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) return undefined;
    if (entry.size > MAX_MANIFEST_BYTES || !(await this.#has(entry))) return undefined;
    const source = await this.#files.open(blobPath(entry.digest), this.#signal);
    try {
      const bytes = await source.read(0, entry.size, { signal: this.#signal });
      return parseManifest(bytes, entry.mediaType, source.name);
    } catch (error) {
      if (error instanceof SociError && error.code === 'ERR_SOCI_MANIFEST') return undefined;
      throw error;
    } finally {
      await source.close();
    }
  }

  async #has(blob: Descriptor): Promise<boolean> {
    return (await this.#files.size(blobPath(blob.digest), this.#signal)) === blob.size;
  }
}
