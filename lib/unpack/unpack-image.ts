/**
 * Layers become files: all of them one file system, or each a directory as overlayfs
 * wants it. What is made takes its place when all of it is there and proved.
 */
import { join } from 'node:path';
import { runBounded } from '../async/bounded-tasks.js';
import { type OpenExecutor, openTreeWriter } from './executors.js';
import type { LayerToUnpack, LazyLayer, PassedLayer } from './layer-pass.js';
import { layersDocument, lowerDirectories } from './layers-document.js';
import { LowerDirectories } from './lower-directories.js';
import { PartialDirectory } from './partial-directory.js';
import { TreeUnpacking } from './tree-unpacking.js';
import { resolveUnpackOptions, type UnpackImageOptions, type UnpackSettings } from './unpack-options.js';
import type { UnpackedLayerSummary, UnpackImageResult } from './unpack-result.js';

/**
 * Unpacks layers to `directory`, which is there with all that they have, or not at all.
 *
 * @throws SociError ERR_SOCI_INVALID_ARGUMENT; ERR_SOCI_OUTPUT for what cannot be written; ERR_SOCI_DIGEST_MISMATCH;
 *   ERR_SOCI_LINK_TARGET, ERR_SOCI_ID_UNMAPPED, ERR_SOCI_LIMIT; what buildZtoc throws for a broken layer; what the
 *   layers' sources fail with; the signal's reason
 */
export async function unpackImage(options: UnpackImageOptions): Promise<UnpackImageResult> {
  return await unpackWith(options, openTreeWriter);
}

/** @internal The same with another executor. */
export async function unpackWith(
  options: UnpackImageOptions,
  openExecutor: OpenExecutor,
): Promise<UnpackImageResult> {
  const settings = resolveUnpackOptions(options);
  const { layers, target, signal } = options;
  signal?.throwIfAborted();
  const partial = await PartialDirectory.create(settings.directory);
  try {
    const unpack = target === 'merged' ? unpackMerged : unpackOverlay;
    const result = await unpack(layers, partial, settings, openExecutor, signal);
    await settings.beforeCommit(partial.partial);
    signal?.throwIfAborted();
    await partial.commit({ sync: settings.sync });
    return result;
  } catch (error) {
    await partial.discard();
    signal?.throwIfAborted();
    throw error;
  }
}

type Unpack = (
  layers: readonly (LayerToUnpack | LazyLayer)[],
  partial: PartialDirectory,
  settings: UnpackSettings,
  openExecutor: OpenExecutor,
  signal: AbortSignal | undefined,
) => Promise<UnpackImageResult>;

const unpackMerged: Unpack = async (layers, partial, settings, openExecutor, signal) => {
  const place = { partial, name: '', whiteouts: 'apply' } as const;
  const tree = await TreeUnpacking.open(place, settings, openExecutor, signal);
  const passed: PassedLayer[] = [];
  try {
    for (const [position, layer] of layers.entries()) {
      const found = await tree.add(layer, position);
      passed.push(found);
      settings.onUnpacked(position, summaryOf(found, undefined));
    }
    await tree.finish(() => undefined);
    await tree.close();
  } catch (error) {
    await tree.close(error);
    throw error;
  }
  return {
    layers: passed.map(layer => summaryOf(layer, undefined)),
    notes: tree.overlay.notes.all,
    skipped: tree.skipped,
    lowerdir: undefined,
  };
};

/** Beside each other, but for directories that a layer leaves to those below it: these must be known then. */
const unpackOverlay: Unpack = async (layers, partial, settings, openExecutor, signal) => {
  const { semantics, bounds, concurrency, privileged } = settings;
  const lower = new LowerDirectories(bounds.limits.maxEntries, semantics);
  const skipped = { owners: 0, xattrs: 0, devices: 0 };
  const passed = await runBounded(layers, concurrency, signal, async (layer, each, position) => {
    const place = { partial, name: String(position), whiteouts: 'overlayfs' } as const;
    const tree = await TreeUnpacking.open(place, settings, openExecutor, each);
    try {
      const found = await tree.add(layer, position);
      // Before it waits for lower ones, which may wait for what it gives back.
      settings.onUnpacked(position, summaryOf(found, join(partial.path, String(position))));
      await lower.whenComplete(position, each);
      lower.add(found.entries);
      await tree.finish(path => lower.headers(path, position));
      await tree.close();
      for (const what of ['owners', 'xattrs', 'devices'] as const) skipped[what] += tree.skipped[what];
      return found;
    } catch (error) {
      await tree.close(error);
      throw error;
    }
  });
  const summaries = passed.map((layer, position) => summaryOf(layer, join(partial.path, String(position))));
  const lowerdir = lowerDirectories(summaries.map(({ directory }) => directory ?? ''));
  await partial.write('layers.json', layersDocument({ summaries, lowerdir, userxattr: !privileged }));
  return { layers: summaries, notes: [], skipped, lowerdir };
};

function summaryOf(
  { digest, diffId, unpackedSize, entries, ztoc, noZtoc }: PassedLayer,
  directory: string | undefined,
): UnpackedLayerSummary {
  return { digest, diffId, unpackedSize, entries: entries.length, ztoc, noZtoc, directory };
}
