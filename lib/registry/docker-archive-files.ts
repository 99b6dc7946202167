/**
 * What `docker save` writes, seen as the OCI layout that it could have been: the index.json and the manifests that it
 * has not are made in memory of its manifest.json, and blobs are files of the archive, read in place. Since version
 * 25 docker (and buildx and containerd before it) writes a layout beside the manifest.json: that has the manifests'
 * own digests and may have several platforms, so it is what is read if it is complete.
 *
 * A config must have the digest that its name says; an uncompressed layer has its diffID for a digest, and one that
 * is compressed the digest of its name (`HEX.tar.gz`) or that of its bytes, which are then read once.
 */
import { createHash } from 'node:crypto';
import { SharedOnce } from '../async/once.js';
import { SociError } from '../errors.js';
import { BufferSource } from '../source/buffer-source.js';
import { closedError } from '../source/byte-range.js';
import type { RangeSource } from '../source/range-source.js';
import type { ArchiveFiles } from './archive-files.js';
import { type ArchiveMember, cleanName } from './archive-index.js';
import { parseConfigDocument } from './config-document.js';
import { type Descriptor, expectArray, expectObject } from './descriptor.js';
import { requireSha256, sha256Digest } from './digest.js';
import { DOCKER_ARCHIVE_MANIFEST, type DockerImage, parseDockerManifest } from './docker-manifest.js';
import { isCompleteLayout } from './layout-completeness.js';
import { blobPath, type LayoutFiles, missingFile } from './layout-files.js';
import { LayoutIndex, REF_NAME } from './layout-index.js';
import { MAX_MANIFEST_BYTES } from './manifest.js';
import { OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from './media-types.js';
import { formatReference, parseReference } from './reference.js';

/** Of all images of an archive. */
const MAX_CONFIG_BYTES = 64 * 2 ** 20;
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';
const MAGIC_LENGTH = 4;

/** The files of a layout that the archive has under other names, or not at all. */
interface LayoutView {
  readonly documents: Map<string, Uint8Array>;
  /** Paths in the archive. */
  readonly renamed: Map<string, string>;
}

export class DockerArchiveFiles implements LayoutFiles {
  readonly name: string;
  readonly key: string;
  readonly readOnly: string;
  readonly #archive: ArchiveFiles;
  readonly #position: number | undefined;
  /** `null`: the archive's own layout. */
  readonly #view: SharedOnce<LayoutView | null>;
  readonly #digests = new Map<ArchiveMember, string>();
  #closing = new AbortController();

  /**
   * @param archive Closed with this.
   * @param position of the only image that is wanted, in manifest.json
   */
  constructor(archive: ArchiveFiles, position?: number) {
    this.name = archive.name;
    this.key = `docker ${archive.key}`;
    this.#archive = archive;
    this.#position = position;
    this.#view = new SharedOnce(signal => this.#look(AbortSignal.any([signal, this.#closing.signal])));
    this.readOnly = `${this.name} is only read, a docker archive has no place for SOCI indexes; write an OCI archive: 'seekable-oci convert ${this.name} oci-archive:FILE:TAG' (with v2 indexes in it), or 'skopeo copy ${this.name} oci-archive:FILE:TAG' and then 'index create'`;
  }

  async size(path: string, signal?: AbortSignal): Promise<number | undefined> {
    const view = await this.#view.get(signal);
    const document = view?.documents.get(path);
    if (document !== undefined) return document.length;
    const inArchive = view === null ? path : view.renamed.get(path);
    return inArchive === undefined ? undefined : await this.#archive.size(inArchive, signal);
  }

  async open(path: string, signal?: AbortSignal): Promise<RangeSource> {
    const view = await this.#view.get(signal);
    const document = view?.documents.get(path);
    if (document !== undefined) return new BufferSource(document, `${this.name}/${path}`);
    const inArchive = view === null ? path : view.renamed.get(path);
    if (inArchive === undefined) throw missingFile(this.name, path);
    return await this.#archive.open(inArchive, signal);
  }

  async write(): Promise<void> {
    throw new SociError('ERR_SOCI_LAYOUT', this.readOnly, { data: { name: this.name } });
  }

  async commit(): Promise<void> {}

  async close(): Promise<void> {
    // Not to wait until a layer whose digest nobody knows is read to its end.
    this.#closing.abort(closedError(this.name));
    this.#closing = new AbortController();
    await this.#view.finished();
    await this.#archive.close();
  }

  async #look(signal: AbortSignal): Promise<LayoutView | null> {
    const hasManifest = (await this.#archive.size(DOCKER_ARCHIVE_MANIFEST, signal)) !== undefined;
    const listed = await new LayoutIndex(this.#archive).read(signal);
    const byPosition = this.#position !== undefined && hasManifest;
    if (listed !== undefined && !byPosition) {
      if (!hasManifest || (await isCompleteLayout(this.#archive, listed, signal))) return null;
    }
    if (!hasManifest) {
      const message = `${this.name}: expected what 'docker save' writes, found no ${DOCKER_ARCHIVE_MANIFEST} in it`;
      throw new SociError('ERR_SOCI_LAYOUT', message, { data: { name: this.name } });
    }
    return await this.#viewOf(await this.#images(signal), signal);
  }

  async #images(signal: AbortSignal): Promise<readonly DockerImage[]> {
    const where = `${this.name}/${DOCKER_ARCHIVE_MANIFEST}`;
    const bytes = await this.#bytes(DOCKER_ARCHIVE_MANIFEST, signal);
    const images = parseDockerManifest(bytes, where);
    if (this.#position === undefined) return images;
    const image = images[this.#position];
    if (image !== undefined) return [image];
    throw new SociError(
      'ERR_SOCI_REGISTRY_NOT_FOUND',
      `${this.name}: no image @${this.#position}, it has ${images.length} (the first is @0)`,
      { data: { name: this.name, images: images.length } },
    );
  }

  async #viewOf(images: readonly DockerImage[], signal: AbortSignal): Promise<LayoutView> {
    const view: LayoutView = { documents: new Map(), renamed: new Map() };
    const manifests: Descriptor[] = [];
    let left = MAX_CONFIG_BYTES;
    for (const image of images) {
      const config = await this.#bytes(image.config, signal);
      left -= config.length;
      if (left < 0) {
        const message = `${this.name}: the configs of its images have more than ${MAX_CONFIG_BYTES} bytes`;
        throw new SociError('ERR_SOCI_LIMIT', message, { data: { limit: MAX_CONFIG_BYTES } });
      }
      const manifest = await this.#manifestOf(image, config, view, signal);
      const named = image.tags.map(tag => ({ ...manifest, annotations: { [REF_NAME]: fullName(tag) } }));
      manifests.push(...(named.length === 0 ? [manifest] : named));
    }
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
    view.documents.set('index.json', Buffer.from(JSON.stringify(index)));
    view.documents.set('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
    return view;
  }

  async #manifestOf(
    image: DockerImage,
    config: Uint8Array,
    view: LayoutView,
    signal: AbortSignal,
  ): Promise<Descriptor> {
    const where = `${this.name}/${image.config}`;
    const digest = sha256Digest(config);
    const named = /(?:^|\/|sha256:)([0-9a-f]{64})(?:\.json)?$/.exec(image.config)?.[1];
    if (named !== undefined && digest !== `sha256:${named}`) {
      const message = `${where}: expected the config with the digest of its name, found ${digest}`;
      throw new SociError('ERR_SOCI_DIGEST_MISMATCH', message, { data: { digest: `sha256:${named}` } });
    }
    const rootfs = expectObject(parseConfigDocument(config, where)['rootfs'] ?? {}, `${where}.rootfs`);
    const diffIds = expectArray(rootfs['diff_ids'] ?? [], `${where}.rootfs.diff_ids`, image.layers.length);
    if (diffIds.length !== image.layers.length) {
      const message = `${where}: ${diffIds.length} diff_ids for ${image.layers.length} layers`;
      throw new SociError('ERR_SOCI_MANIFEST', message, {
        data: { where, expected: image.layers.length, found: diffIds.length },
      });
    }
    const layers: Descriptor[] = [];
    for (const [position, path] of image.layers.entries()) {
      const layer = await this.#layer(cleanName(path), String(diffIds[position]), signal);
      view.renamed.set(blobPath(layer.digest), cleanName(path));
      layers.push(layer);
    }
    const described = { mediaType: OCI_CONFIG, digest, size: config.length };
    const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: described, layers };
    const bytes = Buffer.from(JSON.stringify(document));
    const manifest = { mediaType: OCI_MANIFEST, digest: sha256Digest(bytes), size: bytes.length };
    view.documents.set(blobPath(digest), config);
    view.documents.set(blobPath(manifest.digest), bytes);
    return manifest;
  }

  async #layer(path: string, diffId: string, signal: AbortSignal): Promise<Descriptor> {
    const source = await this.#archive.open(path, signal);
    try {
      const head = await source.read(0, Math.min(MAGIC_LENGTH, source.size), { signal });
      const compression = compressionOf(head);
      const mediaType = `${LAYER_TYPE}${compression}`;
      const named = /(?:^|\/)([0-9a-f]{64})\.tar\.(?:gz|zst)$/.exec(path)?.[1];
      const digest =
        compression === ''
          ? requireSha256(diffId, `${source.name}: diffID`)
          : named === undefined
            ? await this.#digestOf(path, source, signal)
            : `sha256:${named}`;
      return { mediaType, digest, size: source.size };
    } finally {
      await source.close();
    }
  }

  async #digestOf(path: string, source: RangeSource, signal: AbortSignal): Promise<string> {
    // One file may be a layer of all images, under as many names as there are links to it.
    const member = await this.#archive.locate(path, signal);
    const known = member && this.#digests.get(member);
    if (known !== undefined) return known;
    const hash = createHash('sha256');
    for await (const chunk of source.stream({ signal })) hash.update(chunk);
    const digest = `sha256:${hash.digest('hex')}`;
    if (member !== undefined) this.#digests.set(member, digest);
    return digest;
  }

  /** A document of the archive. */
  async #bytes(path: string, signal: AbortSignal): Promise<Uint8Array> {
    const source = await this.#archive.open(cleanName(path), signal);
    try {
      if (source.size <= MAX_MANIFEST_BYTES) return await source.read(0, source.size, { signal });
      const message = `${source.name}: ${source.size} bytes, more than the limit of ${MAX_MANIFEST_BYTES}`;
      throw new SociError('ERR_SOCI_LIMIT', message, { data: { limit: MAX_MANIFEST_BYTES } });
    } finally {
      await source.close();
    }
  }
}

/** As `docker-archive:PATH:NAME` is read: registry and tag are always there. A name that is none stays as it is. */
export function fullName(text: string): string {
  try {
    const reference = parseReference(text);
    return formatReference({ ...reference, tag: reference.tag ?? 'latest' });
  } catch {
    return text;
  }
}

/** By the first bytes, gzip's and those of a zstd frame, which may be one to skip (RFC 8878 §3.1); names are no help. */
function compressionOf(head: Uint8Array): '' | '+gzip' | '+zstd' {
  const magic = Buffer.from(head).toString('hex');
  if (magic.startsWith('1f8b')) return '+gzip';
  return /^(28b52ffd|5[0-9a-f]2a4d18)$/.test(magic) ? '+zstd' : '';
}
