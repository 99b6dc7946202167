/**
 * What a registry's repository, an OCI layout and an OCI archive have in
 * common. Whatever finds, reads, builds or converts images is written against
 * this, and so works between any two of them.
 *
 * Bytes are verified on the way in and on the way out: manifests and blobs that
 * these methods return have the digest that was asked for. Range reads of a
 * `BlobSource` are the exception, by nature; their reader checks spans.
 */
import { SociError } from '../errors.js';
import type { AbortableOptions, RangeSource } from '../source/range-source.js';
import type { Descriptor } from './descriptor.js';
import type { ImageIndex, ImageManifest } from './manifest.js';
import type { KeepWholeOptions } from './whole-blob.js';

/** A manifest or index with the bytes that were hashed. */
export interface ManifestContent {
  /** mediaType, digest and size of `bytes`; what else the reference's descriptor said in a layout. */
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: ImageManifest | ImageIndex;
}

export interface GetBlobOptions extends AbortableOptions {
  /** Largest blob that is taken into memory, in bytes. Default 32 MiB. */
  readonly maxBytes?: number | undefined;
}

export interface OpenBlobOptions extends AbortableOptions {
  /**
   * @internal Where a registry's blob is kept whole if nobody serves ranges of it; without it, such reads fail with
   * ERR_SOCI_HTTP_NO_RANGES.
   */
  readonly keepWhole?: KeepWholeOptions | undefined;
}

export interface PushBlobOptions extends AbortableOptions {
  /** Repositories of the same registry that may already have the blob, tried in order. */
  readonly mountFrom?: readonly string[] | undefined;
  /** Called with the number of bytes sent so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface PushManifestOptions extends AbortableOptions {
  readonly tag?: string | undefined;
  /** An untagged manifest that a layout shall list in its index.json all the same. A registry ignores it. */
  readonly listed?: boolean | undefined;
}

export interface ReferrersOptions extends AbortableOptions {
  readonly artifactType?: string | undefined;
}

/** How a blob got to where it is. */
export type PushResult = 'existed' | 'mounted' | 'uploaded';

/** Something to push: it is read once, or again from the start when the other side fails. */
export type BlobContent = Uint8Array | RangeSource;

export interface Repository {
  /** What messages call it, e.g. `registry.example/app` or `oci:images`. */
  readonly name: string;

  /** Why nothing can be stored here, and what to do instead; undefined where things can. */
  readonly readOnly?: string | undefined;

  /**
   * The descriptor of a tag or digest; in a layout also of its only image (undefined).
   *
   * @throws SociError ERR_SOCI_REGISTRY_NOT_FOUND
   */
  resolve(reference: string | undefined, options?: AbortableOptions): Promise<Descriptor>;

  /** @param reference Tag, digest, or a descriptor whose size and type are then checked too. */
  getManifest(
    reference: string | Descriptor | undefined,
    options?: AbortableOptions,
  ): Promise<ManifestContent>;

  hasBlob(digest: string, options?: AbortableOptions): Promise<boolean>;

  /** The whole blob, verified. @throws SociError ERR_SOCI_LIMIT before anything is fetched. */
  getBlob(descriptor: Descriptor, options?: GetBlobOptions): Promise<Uint8Array>;

  /** The blob for range reads. Opening makes no request; `stream()` verifies the digest at its end. */
  openBlob(descriptor: Descriptor, options?: OpenBlobOptions): Promise<RangeSource>;

  /** Stores `content` unless it is there already. Its digest and size must be the descriptor's. */
  pushBlob(descriptor: Descriptor, content: BlobContent, options?: PushBlobOptions): Promise<PushResult>;

  /** Stores a manifest as it is and makes it known to its subject's referrers. Returns its descriptor. */
  pushManifest(bytes: Uint8Array, mediaType: string, options?: PushManifestOptions): Promise<Descriptor>;

  /**
   * Deletes a manifest, and takes it from its subject's referrers where a list under a tag has those. Blobs stay.
   *
   * @throws SociError ERR_SOCI_REGISTRY_NOT_FOUND; ERR_SOCI_HTTP_STATUS where a registry deletes nothing
   */
  deleteManifest(digest: string, options?: AbortableOptions): Promise<void>;

  listTags(options?: AbortableOptions): Promise<string[]>;

  /** Manifests whose subject is `digest`, in the order in which they are listed; an empty list when there are none. */
  referrers(digest: string, options?: ReferrersOptions): Promise<Descriptor[]>;

  /** Makes everything pushed so far permanent. An archive is written only now; elsewhere nothing is left to do. */
  commit(options?: AbortableOptions): Promise<void>;

  /** Frees what is held. What an archive has not committed is discarded. */
  close(): Promise<void>;
}

/** Before the work is done whose result could not be stored. @throws SociError ERR_SOCI_LAYOUT */
export function requireWritable({ name, readOnly }: Repository): void {
  if (readOnly !== undefined) throw new SociError('ERR_SOCI_LAYOUT', readOnly, { data: { name } });
}

export const DEFAULT_MAX_BLOB_BYTES = 32 * 1024 * 1024;
