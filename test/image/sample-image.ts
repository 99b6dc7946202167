/** Images made on the spot: layers from lists of tar entries, in any repository, with or without a SOCI index. */
import { gzipSync } from 'node:zlib';
import type { Descriptor } from '../../lib/registry/descriptor.js';
import { sha256Digest } from '../../lib/registry/digest.js';
import { OCI_CONFIG, OCI_MANIFEST } from '../../lib/registry/media-types.js';
import type { Repository } from '../../lib/registry/repository.js';
import {
  encodeSociIndex,
  SOCI_INDEX_TYPE,
  type SociIndexVersion,
  type ZtocDescriptor,
} from '../../lib/soci/soci-index.js';
import { buildZtoc } from '../../lib/ztoc/build.js';
import { type TarEntry, tarOf } from '../span/sample-layers.js';

export type Packing = 'gzip' | 'uncompressed' | 'zstd';

export interface SampleLayer {
  readonly tar: Buffer;
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
  readonly diffId: string;
}

const SUFFIX = { gzip: '+gzip', zstd: '+zstd', uncompressed: '' };

export function packLayer(tar: Buffer, packing: Packing = 'gzip'): SampleLayer {
  const bytes = packing === 'gzip' ? gzipSync(tar) : packing === 'zstd' ? zstd(tar) : tar;
  const mediaType = `application/vnd.oci.image.layer.v1.tar${SUFFIX[packing]}`;
  const descriptor = { mediaType, digest: sha256Digest(bytes), size: bytes.length };
  return { tar, bytes, descriptor, diffId: sha256Digest(tar) };
}

/** A zstd stream (RFC 8878) of stored blocks, several frames and one to skip among them; runs of zeros become RLE blocks. */
export function zstd(bytes: Buffer, frameSize = 200_000): Buffer {
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const parts: Buffer[] = [skippable];
  for (let at = 0; at === 0 || at < bytes.length; at += frameSize) {
    parts.push(zstdFrame(bytes.subarray(at, at + frameSize)));
  }
  return Buffer.concat(parts);
}

/** @param windowDescriptor 2^(10 + its upper five bits) bytes of window; default 128 KiB */
export function zstdFrame(bytes: Buffer, windowDescriptor = 7 << 3): Buffer {
  const BLOCK = 100_000;
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, windowDescriptor])];
  for (let at = 0; at === 0 || at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    const last = at + BLOCK >= bytes.length ? 1 : 0;
    const rle = block.length > 0 && block.every(byte => byte === 0);
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | (rle ? 2 : 0) | last, 0, 3);
    parts.push(header, rle ? block.subarray(0, 1) : block);
  }
  return Buffer.concat(parts);
}

export async function layerOf(entries: readonly TarEntry[], packing?: Packing): Promise<SampleLayer> {
  return packLayer(await tarOf(entries), packing);
}

export interface SampleImage {
  readonly descriptor: Descriptor;
  readonly layers: readonly SampleLayer[];
}

export interface PushOptions {
  readonly tag?: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
  /** Replaces members of the manifest. */
  readonly manifest?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
}

export async function pushImage(
  repository: Repository,
  layers: readonly SampleLayer[],
  options: PushOptions = {},
): Promise<SampleImage> {
  const { tag, platform = { os: 'linux', architecture: 'amd64' }, annotations } = options;
  const config = Buffer.from(
    JSON.stringify({
      ...platform,
      config: { Env: ['A=b'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      ...options.config,
    }),
  );
  const configDescriptor = { mediaType: OCI_CONFIG, digest: sha256Digest(config), size: config.length };
  await repository.pushBlob(configDescriptor, config);
  for (const { descriptor, bytes } of layers) await repository.pushBlob(descriptor, bytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: configDescriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    ...(annotations === undefined ? {} : { annotations }),
    ...options.manifest,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const descriptor = await repository.pushManifest(bytes, OCI_MANIFEST, tag === undefined ? {} : { tag });
  return { descriptor, layers };
}

export interface SampleZtoc {
  readonly bytes: Uint8Array;
  readonly descriptor: ZtocDescriptor;
}

export async function ztocOf(layer: SampleLayer, spanSize = 65536): Promise<SampleZtoc> {
  const { ztoc } = await buildZtoc(layer.bytes, { spanSize });
  return describeZtoc(ztoc.bytes, layer, spanSize);
}

export function describeZtoc(bytes: Uint8Array, layer: SampleLayer, spanSize = 65536): SampleZtoc {
  const { digest, mediaType } = layer.descriptor;
  return {
    bytes,
    descriptor: {
      digest: sha256Digest(bytes),
      size: bytes.length,
      layerDigest: digest,
      layerMediaType: mediaType,
      spanSize,
      disableXattrs: false,
    },
  };
}

/** Pushes an index of an image: as a referrer (v1), or alone, for an annotation to name it (v2). Returns its digest. */
export async function pushIndex(
  repository: Repository,
  image: Pick<SampleImage, 'descriptor'> | undefined,
  ztocs: readonly SampleZtoc[],
  version: SociIndexVersion = 'v1',
): Promise<string> {
  const subject =
    version === 'v2' || image === undefined
      ? undefined
      : { mediaType: OCI_MANIFEST, digest: image.descriptor.digest, size: image.descriptor.size };
  const { bytes, descriptor } = encodeSociIndex({
    version,
    ztocs: ztocs.map(ztoc => ztoc.descriptor),
    prefetches: [],
    subject,
    buildToolIdentifier: 'test',
  });
  const config = Buffer.from('{}');
  const configDescriptor = { mediaType: SOCI_INDEX_TYPE[version], digest: sha256Digest(config), size: 2 };
  await repository.pushBlob(configDescriptor, config);
  for (const ztoc of ztocs) {
    const blob = { digest: sha256Digest(ztoc.bytes), size: ztoc.bytes.length };
    await repository.pushBlob({ mediaType: 'application/octet-stream', ...blob }, ztoc.bytes);
  }
  await repository.pushManifest(bytes, OCI_MANIFEST);
  return descriptor.digest;
}

/** An image whose layers all have ztocs, in a v1 index. */
export async function pushIndexedImage(
  repository: Repository,
  layers: readonly SampleLayer[],
  options: PushOptions = {},
): Promise<SampleImage> {
  const image = await pushImage(repository, layers, options);
  await pushIndex(repository, image, await Promise.all(layers.map(layer => ztocOf(layer))));
  return image;
}
