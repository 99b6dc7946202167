/** From the tables of contents of layers to a tree: the overlay's rules, then the table. */
import { setImmediate } from 'node:timers/promises';
import { SociError } from '../errors.js';
import type { LayerEntries } from '../layer/layer-entries.js';
import { FileTree } from './file-tree.js';
import { Freezer } from './freeze.js';
import { InodeTree } from './inode-tree.js';
import type { Semantics } from './layer-note.js';
import { Overlay, type Whiteouts } from './overlay.js';

export interface BuildTreeOptions {
  readonly whiteouts: Whiteouts;
  /** Whose rules put layers on top of each other. */
  readonly semantics: Semantics;
  /** Names in all; more end in ERR_SOCI_LIMIT. */
  readonly maxNames: number;
}

/** Names that a tree has at most, unless something else is said. */
export const DEFAULT_MAX_NAMES = 4_000_000;
/** Entries applied between two turns of the event loop: a few milliseconds. */
const SLICE = 4096;
/**
 * Names for each entry, at a guess: directories that no entry is for are names too. A guess that is too high costs
 * nothing, as pages that are never written to take no memory; one that is too low, a copy of all columns.
 */
const NAMES_PER_ENTRY = 1.5;
/** A layer's position is a uint16. */
const MAX_LAYERS = 65_535;

/**
 * In slices, so that the thread can do other things in between.
 *
 * @param layers The lowest first.
 * @throws SociError ERR_SOCI_LIMIT for more names; the signal's reason
 */
export async function buildTree(
  layers: readonly LayerEntries[],
  options: BuildTreeOptions,
  signal: AbortSignal,
): Promise<FileTree> {
  const steps = treeSteps(layers, options, SLICE);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
    await setImmediate();
    signal.throwIfAborted();
  }
}

/** The same at once, for callers that cannot wait. */
export function buildTreeSync(layers: readonly LayerEntries[], options: BuildTreeOptions): FileTree {
  const steps = treeSteps(layers, options, Number.POSITIVE_INFINITY);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
  }
}

function* treeSteps(
  layers: readonly LayerEntries[],
  { whiteouts, semantics, maxNames }: BuildTreeOptions,
  slice: number,
): Generator<void, FileTree, undefined> {
  if (layers.length > MAX_LAYERS) {
    throw new SociError('ERR_SOCI_LIMIT', `${layers.length} layers, a tree has ${MAX_LAYERS} at most`, {
      data: { limit: MAX_LAYERS, found: layers.length },
    });
  }
  const entries = layers.reduce((sum, { ztoc }) => sum + ztoc.entryCount, 0);
  const tree = new InodeTree(maxNames, Math.ceil(entries * NAMES_PER_ENTRY));
  const overlay = new Overlay(tree, whiteouts, semantics);
  for (const { ztoc } of layers) yield* overlay.applyInSlices(ztoc, slice);
  // A layer whose marks are kept shows what is in its tar.
  const attributes = whiteouts === 'keep' ? 'written' : 'unpacked';
  const table = yield* new Freezer(tree, layers, attributes).run(slice);
  return new FileTree(table, layers, overlay.notes.all);
}
