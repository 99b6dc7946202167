/**
 * `rootfs:DIR` and `overlay:DIR`: the files of an image, written while its layers
 * come in. The directory is there when all of it is unpacked and proved, and not
 * before.
 */
import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { abortable } from '../async/abortable.js';
import { worded } from '../files/atomic-file.js';
import type { FileTurn } from '../files/locked-file.js';
import type { Decompressor } from '../plain/decompressor-check.js';
import { externalDecompressor } from '../plain/external-decompressor.js';
import type { Descriptor } from '../registry/descriptor.js';
import { isLayerType, layerCompression } from '../registry/media-types.js';
import type { RangeSource } from '../source/range-source.js';
import type { LayerToUnpack, LazyLayer } from '../unpack/layer-pass.js';
import { unpackImage } from '../unpack/unpack-image.js';
import type { UnpackImageOptions, UnpackTarget } from '../unpack/unpack-options.js';
import type { UnpackedLayerSummary, UnpackImageResult } from '../unpack/unpack-result.js';
import { AwaitedLayers } from './awaited-layers.js';
import { UnpackPlaces } from './download-turns.js';
import type { LayerWay } from './layer-ztocs.js';
import type { PullContent, PulledImage } from './pull-content.js';
import type { PulledTree, PulledTreeLayer } from './pull-report.js';
import type {
  PresentContent,
  PullBeginning,
  PullDestination,
  PullDestinationOptions,
  PulledBlob,
  PullTarget,
} from './pull-target.js';
import { noPlace, somethingElse } from './target-error.js';
import { takeTarget } from './target-turn.js';
import { readTreeRecord, removeTreeRecord, type TreeRecord, writeTreeRecord } from './tree-record.js';

/** How files are written, whatever the directory. */
export interface TreeOptions
  extends Pick<UnpackImageOptions, 'semantics' | 'uidMap' | 'gidMap' | 'owners' | 'limits'> {
  /** Programs that decompress in place of this process, by what layers are compressed with. */
  readonly decompressors?: Readonly<Partial<Record<'gzip' | 'zstd', Decompressor>>> | undefined;
}

const VACANT = 'an empty directory, or nothing';

export class TreeTarget implements PullTarget {
  readonly name: string;
  readonly path: string;
  readonly staging: string;
  readonly kind: UnpackTarget;
  readonly tree: TreeOptions;

  /** @param path as it was written */
  constructor(kind: UnpackTarget, path: string, tree: TreeOptions) {
    this.name = `${kind === 'merged' ? 'rootfs' : 'overlay'}:${path}`;
    this.path = resolve(path);
    this.staging = join(dirname(this.path), `.${basename(this.path)}.seekable-oci-pull`);
    this.kind = kind;
    this.tree = tree;
  }

  async check(): Promise<void> {
    const found = await lstat(this.path).catch(() => undefined);
    if (found === undefined) return;
    if (!found.isDirectory()) throw somethingElse(this.name, VACANT, 'something else');
    const names = await worded(this.path, { code: 'ERR_SOCI_OUTPUT' }, () => readdir(this.path));
    if (names.length === 0 || (await readTreeRecord(this.path)) !== undefined) return;
    throw somethingElse(this.name, VACANT, `a directory with ${names.slice(0, 3).join(', ')}`);
  }

  async open(options: PullDestinationOptions): Promise<PullDestination> {
    const turn = await takeTarget(options);
    return new TreeDestination(this, options, { turn, record: await readTreeRecord(this.path) });
  }
}

class TreeDestination implements PullDestination {
  readonly present: PresentContent | undefined;
  readonly #target: TreeTarget;
  readonly #options: PullDestinationOptions;
  readonly #turn: FileTurn;
  readonly #record: TreeRecord | undefined;
  readonly #ending = new AbortController();
  readonly #ways: LayerWay[] = [];
  readonly #sources: RangeSource[] = [];
  /** By layer: gives its place among those that are unpacked back. */
  readonly #over: (() => void)[] = [];
  #work: TreeWork | undefined;
  tree: PulledTree | undefined;

  constructor(
    target: TreeTarget,
    options: PullDestinationOptions,
    { turn, record }: { readonly turn: FileTurn; readonly record: TreeRecord | undefined },
  ) {
    this.#target = target;
    this.#options = options;
    this.#turn = turn;
    this.#record = record;
    this.present = record && {
      has: async ({ digest }) => record.blobs.includes(digest),
      read: async () => undefined,
    };
  }

  async begin(
    content: PullContent,
    _lacking: readonly Descriptor[],
    beginning: PullBeginning,
  ): Promise<void> {
    const { name } = this.#target;
    const [image, ...others] = content.images;
    if (image === undefined || others.length > 0) {
      throw noPlace(name, 'a tree of files has a place for the image of one platform');
    }
    const other = image.manifest.layers.find(({ mediaType }) => !isLayerType(mediaType));
    if (other !== undefined) throw noPlace(name, `${other.mediaType} is no layer of files`);
    const { digest } = image.descriptor;
    if (this.#record?.manifest === digest) return;
    if (this.#record !== undefined) {
      throw somethingElse(name, `${VACANT}, or this image`, `the image ${this.#record.manifest}`);
    }
    const blobs = content.blobs.map(each => each.digest);
    const awaited = new AwaitedLayers(image.manifest.layers.map(layer => layer.digest));
    const parts = { image, beginning, awaited, record: { manifest: digest, blobs } };
    this.#work = { ...parts, unpacking: this.#unpack(parts) };
    // Whoever writes or commits learns of it.
    this.#work.unpacking.catch(() => {});
  }

  async write(blob: PulledBlob, signal: AbortSignal): Promise<void> {
    const unpacked = this.#work?.awaited.arrived(blob);
    if (unpacked !== undefined) await abortable(Promise.race([unpacked, this.#work?.unpacking]), signal);
  }

  leaveOut({ digest }: Descriptor): void {
    throw noPlace(this.#target.name, `the layer ${digest} is not to be had, and files cannot be without it`);
  }

  async commit(): Promise<'written' | 'unchanged'> {
    if (this.#work === undefined) return 'unchanged';
    const { unpacking, image } = this.#work;
    this.tree = this.#treeOf(image, await unpacking);
    return 'written';
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#work?.unpacking.catch(() => {});
    for (const over of this.#over) over?.();
    await Promise.all(this.#sources.splice(0).map(source => source.close()));
    await this.#turn.end();
  }

  async #unpack(parts: Omit<TreeWork, 'unpacking'>): Promise<UnpackImageResult> {
    const { signal, sync, context, limits } = this.#options;
    const { decompressors: _, ...tree } = this.#target.tree;
    const { layers } = parts.image.manifest;
    let isRecorded = false;
    return await unpackImage({
      ...tree,
      target: this.#target.kind,
      concurrency:
        limits.maxConcurrentUnpacksPerImage > 0 ? limits.maxConcurrentUnpacksPerImage : layers.length || 1,
      directory: this.#target.path,
      layers: layers.map(
        (_layer, position): LazyLayer =>
          abort =>
            this.#layer(parts, position, abort),
      ),
      sync,
      context,
      ztocs: parts.beginning.ztocs.keeps ? {} : false,
      signal: AbortSignal.any([signal, this.#ending.signal]),
      onProgress: ({ layer, bytes }) => this.#tell(parts, layer, bytes),
      onUnpacked: (position, summary) => this.#unpacked(parts, position, summary),
      beforeCommit: async partial => {
        await this.#proved(parts);
        isRecorded = true;
        await writeTreeRecord(this.#target.path, partial, parts.record);
      },
    }).catch(async error => {
      if (isRecorded) await removeTreeRecord(this.#target.path);
      throw error;
    });
  }

  /** A layer when it is its turn: by its spans, or as it comes. */
  async #layer(
    { image, beginning, awaited }: Omit<TreeWork, 'unpacking'>,
    position: number,
    signal: AbortSignal,
  ): Promise<LayerToUnpack> {
    const layer = image.manifest.layers[position] as Descriptor;
    const { digest } = layer;
    const blob = await awaited.take(digest, signal);
    await this.#place(position, signal);
    const diffId = image.diffIds[position];
    const compression = layerCompression(layer.mediaType);
    const tool =
      compression === 'uncompressed' ? undefined : this.#target.tree.decompressors?.[compression ?? 'gzip'];
    if (tool !== undefined) {
      this.#ways[position] = { ztoc: undefined, origin: undefined, why: `by ${tool.path}` };
      // What a tar may have in all is a limit of the unpacking.
      const maxBytes = Number.MAX_SAFE_INTEGER;
      const content = externalDecompressor(tool).decompress(blob.stream({ signal }), { maxBytes, signal });
      return { content, diffId };
    }
    const way = await beginning.ztocs.of(layer, position, signal);
    this.#ways[position] = way;
    if (way.ztoc === undefined) return { content: blob.stream({ signal }), digest, diffId };
    const content = await blob.open(signal);
    this.#sources.push(content);
    // Its digest is proved where it arrives: nothing of it is read twice.
    return { content, ztoc: way.ztoc, diffId };
  }

  /** Settles when the layer may be unpacked beside those of all other images. */
  async #place(position: number, signal: AbortSignal): Promise<void> {
    const { context, limits } = this.#options;
    const unpacked = new Promise<void>(resolve => {
      this.#over[position] = resolve;
    });
    await new Promise<void>((begin, refuse) => {
      const held = context.part(UnpackPlaces).hold(limits.maxConcurrentUnpacks, signal, async () => {
        begin();
        await unpacked;
      });
      held.catch(refuse);
    });
  }

  #unpacked(
    { image, awaited, beginning }: Omit<TreeWork, 'unpacking'>,
    position: number,
    { ztoc }: UnpackedLayerSummary,
  ): void {
    const layer = image.manifest.layers[position] as Descriptor;
    this.#over[position]?.();
    if (ztoc !== undefined) beginning.ztocs.keep(layer, ztoc);
    awaited.unpacked(layer.digest);
  }

  #tell({ image, beginning }: Omit<TreeWork, 'unpacking'>, position: number, bytes: number): void {
    const size = this.#ways[position]?.ztoc?.uncompressedSize ?? image.manifest.layers[position]?.size ?? 0;
    beginning.onUnpacking(position, Math.min(bytes, size), size);
  }

  /** All blobs have their digests, those too that were read by spans. */
  async #proved({ image, awaited }: Omit<TreeWork, 'unpacking'>): Promise<void> {
    const { signal } = this.#ending;
    for (const { digest } of image.manifest.layers) await awaited.whole(digest, signal);
  }

  #treeOf({ manifest }: PulledImage, result: UnpackImageResult): PulledTree {
    const { skipped, notes, lowerdir } = result;
    const layers = result.layers.map((layer, position): PulledTreeLayer => {
      const { diffId, unpackedSize, entries, directory, ztoc } = layer;
      const { origin, why = '' } = this.#ways[position] ?? {};
      const { digest = '' } = manifest.layers[position] ?? {};
      const made = origin ?? (ztoc === undefined ? undefined : 'made');
      return { layer: position, digest, diffId, unpackedSize, entries, ztoc: made, why, directory };
    });
    return { layers, skipped, notes, lowerdir };
  }
}

interface TreeWork {
  readonly image: PulledImage;
  readonly beginning: PullBeginning;
  readonly awaited: AwaitedLayers;
  readonly record: TreeRecord;
  readonly unpacking: Promise<UnpackImageResult>;
}
