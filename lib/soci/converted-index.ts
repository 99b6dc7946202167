/**
 * The image index of a converted image: documents in, documents out. Converted
 * manifests take the place of the old ones, their SOCI indexes (v2) follow at the
 * end or replace older ones, attestations are pointed to the new digests, and
 * whatever else the index lists stays as it is.
 */
import type { Descriptor } from '../registry/descriptor.js';
import { sha256Digest } from '../registry/digest.js';
import { IMAGE_MANIFEST_ANNOTATION, isImageEntry, isSociEntry } from '../registry/image-entry.js';
import type { ImageIndex, ImageManifest } from '../registry/manifest.js';
import {
  DOCKER_CONFIG,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  isIndexType,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../registry/media-types.js';
import { type Platform, samePlatform } from '../registry/platform.js';
import type { ManifestContent } from '../registry/repository.js';
import type { CreatedIndex } from './build-indexes.js';
import { encodeImageIndex, encodeManifest } from './canonical-json.js';
import { type PlatformImage, REFERENCE_DIGEST_ANNOTATION } from './platform-images.js';
import { INDEX_DIGEST_ANNOTATION, SOCI_INDEX_TYPE } from './soci-index.js';

/** A document that a conversion has made. */
export interface NewDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

export interface ConvertedManifest extends NewDocument {
  /** Digest of the manifest that it replaces. */
  readonly replaces: string;
  readonly manifest: ImageManifest;
  /** From the config, for an entry that has none. */
  readonly platform: Platform | undefined;
  /** Undefined for one that only changed its type. */
  readonly sociIndex: Descriptor | undefined;
}

export interface ConvertedTree {
  readonly root: NewDocument;
  /** Image manifests and nested indexes, children first. The root is not among them. */
  readonly documents: readonly NewDocument[];
  /** What the new indexes list unchanged: attestations, other images, foreign SOCI indexes. */
  readonly kept: readonly Descriptor[];
}

function documentOf(bytes: Uint8Array, mediaType: string): NewDocument {
  return { bytes, descriptor: { mediaType, digest: sha256Digest(bytes), size: bytes.length } };
}

/** An image manifest in OCI types that names its SOCI index. Layers keep their types, the config its bytes. */
export function convertManifest(
  manifest: ImageManifest,
  replaces: string,
  platform: Platform | undefined,
  index: Pick<CreatedIndex, 'descriptor'> | undefined,
): ConvertedManifest {
  const { config, annotations } = manifest;
  const sociIndex = index?.descriptor;
  const named =
    sociIndex === undefined ? annotations : { ...annotations, [INDEX_DIGEST_ANNOTATION]: sociIndex.digest };
  const converted: ImageManifest = {
    ...manifest,
    mediaType: OCI_MANIFEST,
    config: config.mediaType === DOCKER_CONFIG ? { ...config, mediaType: OCI_CONFIG } : config,
    ...(named === undefined ? {} : { annotations: named }),
  };
  const document = documentOf(encodeManifest(converted), OCI_MANIFEST);
  return { ...document, replaces, manifest: converted, platform, sociIndex };
}

/**
 * @param documents Every index and image manifest below the root, by digest.
 * @param indexes One per converted image.
 */
export function convertTree(
  root: ManifestContent,
  documents: ReadonlyMap<string, ManifestContent>,
  images: readonly PlatformImage[],
  indexes: readonly Pick<CreatedIndex, 'descriptor' | 'image'>[],
): ConvertedTree {
  const indexOf = new Map(indexes.map(index => [index.image.descriptor.digest, index]));
  const converted = new Map<string, ConvertedManifest>();
  for (const { manifest, descriptor, platform } of images) {
    const index = indexOf.get(descriptor.digest);
    if (index !== undefined) {
      converted.set(descriptor.digest, convertManifest(manifest, descriptor.digest, platform, index));
    }
  }
  const rewriter = new TreeRewriter(documents, converted);
  return rewriter.tree(root);
}

class TreeRewriter {
  readonly #documents: ReadonlyMap<string, ManifestContent>;
  readonly #converted: Map<string, ConvertedManifest>;
  readonly #made = new Map<string, NewDocument>();
  readonly #kept = new Map<string, Descriptor>();

  constructor(documents: ReadonlyMap<string, ManifestContent>, converted: Map<string, ConvertedManifest>) {
    this.#documents = documents;
    this.#converted = converted;
  }

  tree({ manifest, descriptor }: ManifestContent): ConvertedTree {
    const index = manifest.kind === 'index' ? manifest : indexOfOne(descriptor);
    this.#convertDockerTypes(index);
    const root = this.#index(index);
    return { root, documents: [...this.#made.values()], kept: [...this.#kept.values()] };
  }

  /** A Docker manifest list becomes an OCI index, so the image manifests in it become OCI ones, indexed or not. */
  #convertDockerTypes(index: ImageIndex): void {
    for (const entry of index.manifests) {
      const manifest = this.#documents.get(entry.digest)?.manifest;
      if (manifest?.kind === 'index') {
        if (this.#hasConverted(manifest)) this.#convertDockerTypes(manifest);
      } else if (
        manifest !== undefined &&
        index.mediaType === DOCKER_MANIFEST_LIST &&
        manifest.mediaType === DOCKER_MANIFEST &&
        isImageEntry(entry) &&
        !this.#converted.has(entry.digest)
      ) {
        this.#converted.set(entry.digest, convertManifest(manifest, entry.digest, entry.platform, undefined));
      }
    }
  }

  #index(index: ImageIndex): NewDocument {
    const own: [Descriptor, ConvertedManifest][] = [];
    const entries = index.manifests.map(entry => {
      const converted = isImageEntry(entry) ? this.#converted.get(entry.digest) : undefined;
      if (converted !== undefined) {
        const rewritten = this.#image(entry, converted);
        own.push([rewritten, converted]);
        return rewritten;
      }
      const nested = isIndexType(entry.mediaType) ? this.#documents.get(entry.digest)?.manifest : undefined;
      if (nested?.kind === 'index' && this.#hasConverted(nested)) {
        const document = this.#index(nested);
        this.#made.set(document.descriptor.digest, document);
        return renamed(entry, document.descriptor);
      }
      return this.#repointed(entry);
    });
    const manifests = this.#withSociIndexes(entries, own, index);
    for (const entry of manifests) {
      const isNew =
        this.#made.has(entry.digest) || own.some(([, { sociIndex }]) => sociIndex?.digest === entry.digest);
      if (!isNew) this.#kept.set(entry.digest, entry);
    }
    return documentOf(encodeImageIndex({ ...index, mediaType: OCI_INDEX, manifests }), OCI_INDEX);
  }

  /** The old descriptor's annotations joined with the manifest's, which win. */
  #image(entry: Descriptor, converted: ConvertedManifest): Descriptor {
    this.#made.set(converted.descriptor.digest, converted);
    const platform = entry.platform ?? converted.platform;
    const annotations = { ...entry.annotations, ...converted.manifest.annotations };
    return {
      ...renamed(entry, converted.descriptor),
      annotations,
      ...(platform === undefined ? {} : { platform }),
    };
  }

  /** Attestations name the image that they are about by its digest. */
  #repointed(entry: Descriptor): Descriptor {
    const about = this.#converted.get(entry.annotations?.[REFERENCE_DIGEST_ANNOTATION] ?? '');
    if (about === undefined) return entry;
    const annotations = { ...entry.annotations, [REFERENCE_DIGEST_ANNOTATION]: about.descriptor.digest };
    return { ...entry, annotations };
  }

  /** Clients take the first entry that fits their platform, so images stay before SOCI indexes. */
  #withSociIndexes(
    entries: readonly Descriptor[],
    own: readonly (readonly [Descriptor, ConvertedManifest])[],
    index: ImageIndex,
  ): readonly Descriptor[] {
    const images = new Set(index.manifests.filter(isImageEntry).map(({ digest }) => digest));
    let result = entries;
    for (const [image, { sociIndex, replaces, descriptor }] of own) {
      if (sociIndex === undefined) continue;
      const entry = sociEntry(image, sociIndex);
      const old = (each: Descriptor): boolean =>
        isSociEntryOf(each, image, [replaces, descriptor.digest], images);
      const place = result.findIndex(old);
      result =
        place < 0
          ? [...result, entry]
          : result.flatMap((each, position) => (position === place ? entry : old(each) ? [] : each));
    }
    return result;
  }

  #hasConverted(index: ImageIndex): boolean {
    return index.manifests.some(entry => {
      const nested = isIndexType(entry.mediaType) ? this.#documents.get(entry.digest)?.manifest : undefined;
      return (
        (isImageEntry(entry) && this.#converted.has(entry.digest)) ||
        (nested?.kind === 'index' && this.#hasConverted(nested))
      );
    });
  }
}

/** An image that had no index gets one of its own. */
function indexOfOne({ mediaType, digest, size }: Descriptor): ImageIndex {
  return { kind: 'index', mediaType: OCI_INDEX, manifests: [{ mediaType, digest, size }] };
}

/** `entry` for other content: what it embeds or where else to find it was about the old one. */
function renamed(entry: Descriptor, { mediaType, digest, size }: Descriptor): Descriptor {
  const { data: _data, urls: _urls, ...rest } = entry;
  return { ...rest, mediaType, digest, size };
}

function sociEntry(image: Descriptor, { mediaType, digest, size }: Descriptor): Descriptor {
  return {
    mediaType,
    digest,
    size,
    annotations: { [IMAGE_MANIFEST_ANNOTATION]: image.digest },
    ...(image.platform === undefined ? {} : { platform: image.platform }),
    artifactType: SOCI_INDEX_TYPE.v2,
  };
}

/**
 * Whether `entry` is an earlier SOCI index of `image`: it names the image's old or new digest, or it is for the same
 * platform and names no other image of the index.
 */
function isSociEntryOf(
  entry: Descriptor,
  image: Descriptor,
  digests: readonly string[],
  images: ReadonlySet<string>,
): boolean {
  if (!isSociEntry(entry)) return false;
  const { platform } = entry;
  const same =
    platform === undefined || image.platform === undefined || samePlatform(platform, image.platform);
  const named = entry.annotations?.[IMAGE_MANIFEST_ANNOTATION] ?? '';
  return same && (digests.includes(named) || (platform !== undefined && !images.has(named)));
}
