/**
 * What is pulled of an image: which documents and blobs, each once, known before
 * the first blob is asked for. Of one platform, or all that the image index lists;
 * with what refers to it, if that is wanted. Whatever the documents say, there is a
 * bound to how many there are, how large, and how deep they lead.
 */
import { runBounded } from '../async/bounded-tasks.js';
import { SociError } from '../errors.js';
import { diffIdsOf, loadImageConfig } from '../image/image-config.js';
import type { Descriptor } from '../registry/descriptor.js';
import { isDigest } from '../registry/digest.js';
import { isImage, type PlatformManifest } from '../registry/image-entry.js';
import { isIndexType, isManifestType } from '../registry/media-types.js';
import type { Platform } from '../registry/platform.js';
import { selectForHost, selectManifest } from '../registry/platform-selection.js';
import type { ManifestContent, Repository } from '../registry/repository.js';
import { INDEX_DIGEST_ANNOTATION } from '../soci/soci-index.js';

/** An image of one platform. */
export interface PulledImage extends PlatformManifest {
  /** One place per layer of the manifest; undefined where the config says none. */
  readonly diffIds: readonly (string | undefined)[];
}

export interface PullContent {
  /** What the image is called where it comes from: the full name in a registry; undefined for one without a tag. */
  readonly name: string | undefined;
  /** What was asked for: an image index when it is of all platforms, else a manifest. */
  readonly root: ManifestContent;
  readonly images: readonly PulledImage[];
  /** All manifests and indexes, each behind what it refers to but for its subject. */
  readonly documents: readonly ManifestContent[];
  /** All blobs but the documents, each once. */
  readonly blobs: readonly Descriptor[];
  /** What the image index lists and its place does not have, and what refers to the image and is gone. */
  readonly absent: readonly Descriptor[];
}

export interface PullContentOptions {
  /** Undefined: the host's. */
  readonly platform: Platform | 'all' | undefined;
  readonly referrers: boolean;
  readonly name: string | undefined;
  readonly signal: AbortSignal;
}

const MAX_DEPTH = 4;
/** Of all image indexes and lists of referrers together: each may be worth a request. */
const MAX_ENTRIES = 2000;
const MAX_DOCUMENT_BYTES = 64 * 2 ** 20;
const MAX_BLOBS = 100_000;
const CONCURRENCY = 4;

/**
 * @param asked what the image's reference names
 * @throws SociError ERR_SOCI_PLATFORM; ERR_SOCI_LIMIT; whatever the repository fails with
 */
export async function pullContent(
  repository: Repository,
  asked: ManifestContent,
  options: PullContentOptions,
): Promise<PullContent> {
  const { platform, referrers, name, signal } = options;
  const root =
    platform === 'all'
      ? asked
      : platform === undefined
        ? await selectForHost(repository, asked, { signal })
        : await selectManifest(repository, asked, platform, { signal });
  const walk = new ContentWalk(repository, signal);
  await walk.visit(root, 1);
  const images: PulledImage[] = [];
  for (const content of [...walk.documents.values()].filter(isImage)) {
    images.push({ ...content, diffIds: await diffIds(repository, content, signal) });
  }
  if (referrers) await walk.visitReferrers();
  const { documents, blobs, absent } = walk;
  return { name, root, images, documents: [...documents.values()], blobs: [...blobs.values()], absent };
}

/** Who only copies blobs need not understand a config: what it does not say is for others to miss. */
async function diffIds(
  repository: Repository,
  image: PlatformManifest,
  signal: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  const { layers } = image.manifest;
  try {
    const config = await loadImageConfig(repository, image, signal);
    if (config !== undefined)
      return diffIdsOf(config, layers, `${repository.name}@${image.manifest.config.digest}`);
  } catch (error) {
    if (!(error instanceof SociError) || error.code !== 'ERR_SOCI_MANIFEST') throw error;
  }
  return layers.map(() => undefined);
}

class ContentWalk {
  readonly documents = new Map<string, ManifestContent>();
  readonly blobs = new Map<string, Descriptor>();
  readonly absent: Descriptor[] = [];
  readonly #repository: Repository;
  readonly #signal: AbortSignal;
  readonly #seen = new Set<string>();
  #bytes = 0;

  constructor(repository: Repository, signal: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
  }

  async visit(content: ManifestContent, depth: number): Promise<void> {
    const { descriptor, manifest, bytes } = content;
    this.#seen.add(descriptor.digest);
    this.#count(bytes.length);
    if (manifest.kind === 'manifest')
      for (const blob of [manifest.config, ...manifest.layers]) this.#blob(blob);
    else await this.#visitAll(manifest.manifests, depth);
    this.documents.set(descriptor.digest, content);
  }

  /** What refers to what is there by now, and to that, as far as it goes; and SOCI indexes that manifests name. */
  async visitReferrers(): Promise<void> {
    let subjects = [...this.documents.values()];
    for (let depth = 1; subjects.length > 0 && depth <= MAX_DEPTH; depth++) {
      const known = new Set(this.documents.keys());
      const found = await runBounded(subjects, CONCURRENCY, this.#signal, (subject, signal) =>
        this.#referrersOf(subject, signal),
      );
      await this.#visitAll(found.flat(), depth);
      subjects = [...this.documents.values()].filter(({ descriptor }) => !known.has(descriptor.digest));
    }
  }

  async #referrersOf({ descriptor, manifest }: ManifestContent, signal: AbortSignal): Promise<Descriptor[]> {
    const named = manifest.annotations?.[INDEX_DIGEST_ANNOTATION];
    const own = named === undefined || !isDigest(named) ? [] : [await this.#describe(named, signal)];
    // The API and the tags that stand in for it know no other digests.
    const referring = descriptor.digest.startsWith('sha256:')
      ? await this.#repository.referrers(descriptor.digest, { signal })
      : [];
    return [...own.flatMap(each => each ?? []), ...referring];
  }

  async #describe(digest: string, signal: AbortSignal): Promise<Descriptor | undefined> {
    if (this.#seen.has(digest)) return undefined;
    return await this.#repository.resolve(digest, { signal }).catch(unlessMissing);
  }

  async #visitAll(listed: readonly Descriptor[], depth: number): Promise<void> {
    const fresh = listed.filter(({ digest }) => !this.#seen.has(digest));
    const documents: Descriptor[] = [];
    for (const each of new Map(fresh.map(each => [each.digest, each])).values()) {
      this.#seen.add(each.digest);
      if (isManifestType(each.mediaType) || isIndexType(each.mediaType)) documents.push(each);
      // An image index may list anything.
      else this.#blob(each);
    }
    if (this.#seen.size > MAX_ENTRIES) throw this.#limit(`more than ${MAX_ENTRIES} entries`, MAX_ENTRIES);
    if (documents.length > 0 && depth > MAX_DEPTH)
      throw this.#limit(`image indexes nested deeper than ${MAX_DEPTH}`, MAX_DEPTH);
    this.#checkBytes(documents.reduce((sum, { size }) => sum + size, 0));
    const contents = await runBounded(documents, CONCURRENCY, this.#signal, (document, signal) =>
      this.#repository.getManifest(document, { signal }).catch(unlessMissing),
    );
    for (const [at, content] of contents.entries()) {
      if (content === undefined) this.absent.push(documents[at]!);
      else await this.visit(content, depth + 1);
    }
  }

  #blob(blob: Descriptor): void {
    if (this.blobs.has(blob.digest)) return;
    this.blobs.set(blob.digest, blob);
    if (this.blobs.size > MAX_BLOBS) throw this.#limit(`more than ${MAX_BLOBS} blobs`, MAX_BLOBS);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#checkBytes(0);
  }

  #checkBytes(more: number): void {
    if (this.#bytes + more > MAX_DOCUMENT_BYTES) {
      throw this.#limit(`more than ${MAX_DOCUMENT_BYTES} bytes of manifests`, MAX_DOCUMENT_BYTES);
    }
  }

  #limit(what: string, limit: number): SociError {
    return new SociError('ERR_SOCI_LIMIT', `${this.#repository.name}: ${what}`, { data: { limit } });
  }
}

/** A layout need not have all that it lists, and what refers to an image may go at any time. */
function unlessMissing(error: unknown): undefined {
  if (error instanceof SociError && error.code === 'ERR_SOCI_REGISTRY_NOT_FOUND') return undefined;
  throw error;
}
