/**
 * From whatever a reference names to the images that are there for it: one
 * manifest per platform, with everything read on the way. What is no image
 * (attestations, SOCI indexes, signatures) is left out, and a hostile tree of
 * indexes costs a bounded number of requests and bytes.
 */

import { checkOptions, type OptionNames } from '../arguments.js';
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import type { Descriptor } from '../registry/descriptor.js';
import { isImage, isImageEntry, type PlatformManifest } from '../registry/image-entry.js';
import { platformError, platformOf } from '../registry/image-platform.js';
import { isIndexType } from '../registry/media-types.js';
import { bestPlatformMatches, formatPlatform, type Platform } from '../registry/platform.js';
import type { ManifestContent, Repository } from '../registry/repository.js';

const MAX_DEPTH = 4;
/** Entries of all indexes together: far above a real image's, and each may be worth a request. */
const MAX_ENTRIES = 2000;
const MAX_DOCUMENT_BYTES = 64 * 2 ** 20;
const CONCURRENCY = 4;

/** On the descriptor of an attestation: the image manifest that it is about. */
export const REFERENCE_DIGEST_ANNOTATION = 'vnd.docker.reference.digest';

export interface PlatformImage extends PlatformManifest {
  /** Verbatim: from the image index, or from the config where no index says it. */
  readonly platform: Platform | undefined;
}

export interface ResolvedImages {
  /** What the reference names: an image index, or the only image's manifest. */
  readonly root: ManifestContent;
  /** Those of the wanted platforms, in the order of the index. */
  readonly images: readonly PlatformImage[];
  /** Images that an index lists but the repository does not have (a layout that holds some platforms only). */
  readonly absent: readonly Descriptor[];
  /** Every index and image manifest that was read, by digest; wanted or not. */
  readonly documents: ReadonlyMap<string, ManifestContent>;
}

export interface ResolveImagesOptions {
  /** For each the images that reads would choose from: the best for it, of which there must be one. Default: all. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Read the images of other platforms too: they are in `documents`. Default false. */
  readonly readAll?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const RESOLVE_OPTIONS: OptionNames<ResolveImagesOptions> = { platforms: true, readAll: true, signal: true };

/**
 * @throws SociError ERR_SOCI_PLATFORM when a wanted platform is not there or nothing is an image;
 *   ERR_SOCI_LIMIT for more than 4 levels, 2000 entries or 64 MiB of documents; whatever the repository fails with.
 */
export async function resolveImages(
  repository: Repository,
  reference: string | Descriptor | undefined,
  options: ResolveImagesOptions = {},
): Promise<ResolvedImages> {
  checkOptions('resolveImages', options, RESOLVE_OPTIONS);
  const { signal } = options;
  const root = await repository.getManifest(reference, { signal });
  const walk = new TreeWalk(repository, options);
  await walk.visit(root, undefined, 1, signal);
  const images =
    options.platforms === undefined ? walk.images : pick(repository, root, walk, options.platforms);
  if (images.length === 0) {
    const detail = walk.absent.length > 0 ? 'none of its images is there' : 'it is no image and lists none';
    throw platformError(`${repository.name}@${root.descriptor.digest}`, detail, walk.offered);
  }
  return { root, images, absent: walk.absent, documents: walk.documents };
}

function pick(
  repository: Repository,
  root: ManifestContent,
  walk: TreeWalk,
  wanted: readonly Platform[],
): readonly PlatformImage[] {
  const [first] = walk.images;
  // As for reads: an only image whose platform nobody says contradicts none.
  if (walk.offered.length === 0 && walk.images.length === 1 && first?.platform === undefined)
    return walk.images;
  const chosen = new Set<PlatformImage | Descriptor>();
  for (const platform of wanted) {
    const best = bestPlatformMatches<PlatformImage | Descriptor>(platform, [...walk.images, ...walk.absent]);
    for (const image of best) chosen.add(image);
    if (walk.images.some(image => best.includes(image))) continue;
    const detail = best.length > 0 ? 'is listed but not there' : 'is not among its images';
    throw platformError(
      `${repository.name}@${root.descriptor.digest}`,
      `${formatPlatform(platform)} ${detail}`,
      walk.offered,
    );
  }
  return walk.images.filter(image => chosen.has(image));
}

class TreeWalk {
  readonly images: PlatformImage[] = [];
  readonly absent: Descriptor[] = [];
  readonly documents = new Map<string, ManifestContent>();
  /** Platforms of all images, wanted or not. */
  readonly offered: Platform[] = [];
  readonly #repository: Repository;
  readonly #wanted: readonly Platform[] | undefined;
  readonly #platforms = new Map<string, Promise<Platform | undefined>>();
  #entries = 0;
  #bytes = 0;

  constructor(repository: Repository, options: ResolveImagesOptions) {
    this.#repository = repository;
    this.#wanted = options.readAll === true ? undefined : options.platforms;
  }

  /** @param entry How an index lists `content`; undefined for the root. */
  async visit(
    content: ManifestContent,
    entry: Descriptor | undefined,
    depth: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { manifest } = content;
    if (manifest.kind === 'manifest') {
      this.#keep(content);
      if (!isImage(content)) return;
      const platform = entry?.platform ?? (await this.#platformOf(manifest.config, signal));
      this.images.push({ ...content, manifest, platform });
      if (entry?.platform === undefined && platform !== undefined) this.offered.push(platform);
      return;
    }
    this.#keep(content);
    if (depth > MAX_DEPTH) throw this.#limit(`image indexes nested deeper than ${MAX_DEPTH}`, MAX_DEPTH);
    this.#entries += manifest.manifests.length;
    if (this.#entries > MAX_ENTRIES) throw this.#limit(`more than ${MAX_ENTRIES} entries`, MAX_ENTRIES);
    this.offered.push(...manifest.manifests.filter(isImageEntry).flatMap(({ platform }) => platform ?? []));
    const wanted = this.#wantedOf(manifest.manifests.filter(isImageEntry));
    const followed = manifest.manifests.filter(
      each => wanted.has(each) || (isIndexType(each.mediaType) && each.artifactType === undefined),
    );
    const unique = [...new Map(followed.map(each => [each.digest, each])).values()];
    const fetched = await runBounded(unique, CONCURRENCY, signal, (each, abort) => this.#fetch(each, abort));
    const contents = new Map(unique.map(({ digest }, position) => [digest, fetched[position]]));
    for (const listed of followed) {
      const child = contents.get(listed.digest);
      if (child === undefined) this.absent.push(listed);
      else {
        const descriptor = { ...listed, size: child.bytes.length };
        await this.visit({ ...child, descriptor }, listed, depth + 1, signal);
      }
    }
  }

  /** Configs are shared by entries more often than not. */
  #platformOf(config: Descriptor, signal: AbortSignal | undefined): Promise<Platform | undefined> {
    const known =
      this.#platforms.get(config.digest) ?? platformOf(this.#repository, undefined, config, signal);
    this.#platforms.set(config.digest, known);
    return known;
  }

  /** Images of other platforms need not be read; what those are for that do not say it, only their configs tell. */
  #wantedOf(entries: readonly Descriptor[]): ReadonlySet<Descriptor> {
    if (this.#wanted === undefined) return new Set(entries);
    const silent = entries.filter(({ platform }) => platform === undefined);
    return new Set([...silent, ...this.#wanted.flatMap(want => bestPlatformMatches(want, entries))]);
  }

  async #fetch(entry: Descriptor, signal: AbortSignal): Promise<ManifestContent | undefined> {
    const known = this.documents.get(entry.digest);
    if (known !== undefined) return known;
    this.#spend(entry.size);
    try {
      return await this.#repository.getManifest(entry, { signal });
    } catch (error) {
      if (error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND') return undefined;
      throw error;
    }
  }

  #keep(content: ManifestContent): void {
    if (!this.documents.has(content.descriptor.digest))
      this.documents.set(content.descriptor.digest, content);
  }

  #spend(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > MAX_DOCUMENT_BYTES) {
      throw this.#limit(`more than ${MAX_DOCUMENT_BYTES} bytes of manifests`, MAX_DOCUMENT_BYTES);
    }
  }

  #limit(what: string, limit: number): SociError {
    return new SociError('ERR_SOCI_LIMIT', `${this.#repository.name}: ${what}`, { data: { limit } });
  }
}
