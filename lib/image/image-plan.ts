/** What is known of a read of an image before it is made: where a file's bytes are, and what fetching them costs. */
import { runBounded } from '../async/bounded-tasks.js';
import type { ReadPlan } from '../span/reader.js';
import type { FileTree } from '../tree/file-tree.js';
import { encodeName, type ImagePath, lookUpFile } from '../tree/path-lookup.js';
import { FileContent, type RangeOptions } from './file-content.js';
import { type ImageLayer, LAYERS_AT_ONCE } from './image-layer.js';

/** Where the bytes of a file are. Digest and entry name them, whatever image the layer is in. */
export interface ImageFileLocation {
  /** Where links lead to. */
  readonly path: string;
  /** Position of the layer in the image, the lowest being 0. */
  readonly layer: number;
  readonly layerDigest: string;
  /** The file's place among the entries of the layer's tar. */
  readonly entry: number;
  /** Bytes of the file. */
  readonly size: number;
}

/** What reading a file would cost now. */
export interface ImageFilePlan extends ReadPlan, ImageFileLocation {}

/** A layer without a ztoc, which is read once as a whole before any file of the image can be found. */
export interface WholeLayer {
  readonly layer: number;
  readonly layerDigest: string;
  /** Of the layer as it is stored. */
  readonly bytes: number;
}

/** What reading any file would cost first. What the file then costs is not known before. */
export interface WholeLayersPlan {
  readonly wholeLayers: readonly WholeLayer[];
  readonly requests: number;
  readonly bytes: number;
}

/** Where the bytes of a file are. Errors as for `Image.readFile`. */
export function locateFile(
  tree: FileTree,
  layers: readonly ImageLayer[],
  path: ImagePath,
): ImageFileLocation {
  const { ino, name } = lookUpFile(tree, path, { followLast: true, syscall: 'open' });
  const { table } = tree;
  const layer = table.layer(ino);
  const layerDigest = layers[layer]?.description.descriptor.digest ?? '';
  const real = encodeName(table.path(name), 'utf8');
  return { path: real, layer, layerDigest, entry: table.entry(ino), size: table.size(ino) };
}

/** What reading a file, or a range of it, would cost now. Errors as for `Image.readFile`. */
export function planFile(
  tree: FileTree,
  layers: readonly ImageLayer[],
  path: ImagePath,
  range: RangeOptions,
): ImageFilePlan {
  const { ino } = lookUpFile(tree, path, { followLast: true, syscall: 'open' });
  const location = locateFile(tree, layers, path);
  const plan = { ...location, ...new FileContent(tree, ino).plan(range) };
  return layers[location.layer]?.isUnpacked === true ? { ...plan, requests: 0, bytes: 0 } : plan;
}

/** What reading these layers to their ends would cost. */
export function planLayers(wholeLayers: readonly WholeLayer[]): WholeLayersPlan {
  const bytes = wholeLayers.reduce((sum, layer) => sum + layer.bytes, 0);
  return { wholeLayers, requests: wholeLayers.length, bytes };
}

/** Layers that are not open yet and would be read as a whole for it, the lowest first. @throws the signal's reason */
export async function layersToRead(
  layers: readonly ImageLayer[],
  signal: AbortSignal,
): Promise<WholeLayer[]> {
  const whole: WholeLayer[] = [];
  await runBounded([...new Set(layers)], LAYERS_AT_ONCE, signal, async (layer, abort) => {
    const bytes = await layer.bytesToOpen(abort);
    const { position, descriptor } = layer.description;
    if (bytes > 0) whole.push({ layer: position, layerDigest: descriptor.digest, bytes });
  });
  return whole.sort((a, b) => a.layer - b.layer);
}
